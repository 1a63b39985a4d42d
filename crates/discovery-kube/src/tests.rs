//! A watch over a played API server: it answers what the play says, and hangs up when the play says so.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

use super::*;

/// One answer of the API server.
enum Answer {
    /// To a list: these slices.
    List(Value),
    /// To a watch: these events; then it says nothing more, or hangs up.
    Watch { events: Vec<Value>, hang_up: bool },
    /// It is in trouble.
    Fail,
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// An API server that gives these answers in turn, each to the request it is for.
struct Api {
    answers: mpsc::UnboundedSender<Answer>,
    asked: mpsc::UnboundedReceiver<String>,
    client: Client,
}

impl Api {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answers, given) = mpsc::unbounded_channel();
        let (asking, asked) = mpsc::unbounded_channel();
        let given = Arc::new(Mutex::new(given));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (asking, given) = (asking.clone(), Arc::clone(&given));
                let serve = service_fn(move |request: Request<Incoming>| {
                    asking.send(request.uri().to_string()).unwrap();
                    let given = Arc::clone(&given);
                    async move { Ok::<_, Infallible>(reply(given.lock().await.recv().await.unwrap())) }
                });
                let serve = hyper::server::conn::http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(tcp), serve);
                tokio::spawn(serve);
            }
        });
        let client = Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
        Self { answers, asked, client }
    }

    fn will(&self, answer: Answer) {
        self.answers.send(answer).unwrap();
    }

    fn watch(&self) -> impl Stream<Item = Vec<String>> + use<> {
        let service = Service { namespace: "chat".into(), name: "owners".into(), port: "grpc".into() };
        addresses(self.client.clone(), service)
    }
}

fn reply(answer: Answer) -> Reply {
    let whole = |status, value: Value| {
        let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
        Response::builder().status(status).body(body).unwrap()
    };
    match answer {
        Answer::List(items) => whole(
            StatusCode::OK,
            json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList",
                "metadata": {"resourceVersion": "1"}, "items": items,
            }),
        ),
        Answer::Watch { events, hang_up } => {
            let lines = events.into_iter().map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
            let lines = stream::iter(lines);
            let body = if hang_up { lines.boxed() } else { lines.chain(stream::pending()).boxed() };
            Response::new(StreamBody::new(body).boxed_unsync())
        }
        Answer::Fail => whole(StatusCode::SERVICE_UNAVAILABLE, json!({"kind": "Status", "code": 503})),
    }
}

fn slice(name: &str, addresses: &[&str]) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({"addresses": [address]})).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "chat", "resourceVersion": "2"},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "grpc", "port": 5290}],
    })
}

fn event(kind: &str, slice: &Value) -> Value {
    json!({"type": kind, "object": slice})
}

#[tokio::test]
async fn endpoints_are_listed_then_watched() {
    let mut api = Api::start().await;
    api.will(Answer::List(json!([slice("a", &["10.0.0.1"])])));
    api.will(Answer::Watch {
        events: vec![
            event("ADDED", &slice("b", &["10.0.0.2", "10.0.0.3"])),
            event("MODIFIED", &slice("b", &["10.0.0.3"])),
            event("DELETED", &slice("a", &["10.0.0.1"])),
        ],
        hang_up: false,
    });
    let mut seen = pin!(api.watch());

    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290"]);
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290", "10.0.0.2:5290", "10.0.0.3:5290"]);
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290", "10.0.0.3:5290"]);
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.3:5290"]);

    let list = api.asked.recv().await.unwrap();
    assert!(list.starts_with("/apis/discovery.k8s.io/v1/namespaces/chat/endpointslices?"), "{list}");
    assert!(list.contains("labelSelector=kubernetes.io%2Fservice-name%3Downers"), "{list}");
    let watch = api.asked.recv().await.unwrap();
    assert!(watch.contains("watch=true") && watch.contains("timeoutSeconds=60"), "{watch}");
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_and_one_that_is_too_old_begins_anew() {
    let api = Api::start().await;
    let too_old = json!({"type": "ERROR", "object": {
        "kind": "Status", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410,
    }});
    api.will(Answer::List(json!([slice("a", &["10.0.0.1"])])));
    api.will(Answer::Watch { events: vec![event("ADDED", &slice("b", &["10.0.0.2"]))], hang_up: true });
    api.will(Answer::Watch { events: vec![too_old], hang_up: true });
    api.will(Answer::List(json!([slice("c", &["10.0.0.3"])])));
    let mut seen = pin!(api.watch());

    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290"]);
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290", "10.0.0.2:5290"]);
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.3:5290"]);
}

#[tokio::test]
async fn an_api_server_in_trouble_is_asked_again_and_takes_nobody_away() {
    let api = Api::start().await;
    let mut seen = pin!(api.watch());
    api.will(Answer::Fail);
    let nothing = tokio::time::timeout(Duration::from_millis(200), seen.next()).await;
    assert!(nothing.is_err(), "what is not known is not told");

    api.will(Answer::List(json!([slice("a", &["10.0.0.1"])])));
    assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290"]);
}
