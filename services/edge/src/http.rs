//! What is served over HTTP: the WebSocket (RFC 7395), the way to it (XEP-0156), a page, and whether all is well.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{State, ws::WebSocketUpgrade},
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use crate::{
    client,
    config::{Listener, Transport as Kind},
    hub::Hub,
    listen, metrics, tls,
    transport::Transport,
};

/// For the head of a request to arrive, and between requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of a WebSocket's read buffer, which it holds all the time.
const READ_BYTES: usize = 4 * 1024;
const PATH: &str = "/xmpp-websocket";

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
struct Peer {
    address: IpAddr,
    loopback: bool,
    https: bool,
}

/// Serves HTTP, over TLS if `https`.
pub(crate) async fn serve(hub: Arc<Hub>, listener: TcpListener, https: bool) {
    let router = router(Arc::clone(&hub));
    let loopback = listen::is_loopback(&listener);
    listen::accept(listener, |tcp, address| {
        let Some(place) = hub.place(address) else { return };
        let peer = Peer { address, loopback: loopback && address.is_loopback(), https };
        let (hub, router) = (Arc::clone(&hub), router.clone());
        tokio::spawn(async move {
            let _place = place;
            match &hub.tls {
                Some(tls) if https => {
                    let accept = TlsAcceptor::from(Arc::clone(&tls.https)).accept_with(tcp, tls::prepare);
                    let limit = Duration::from_secs(hub.config.limits.handshake_s);
                    match tokio::time::timeout(limit, accept).await {
                        Ok(Ok(stream)) => connection(stream, router, peer).await,
                        _ => drop(metrics::HANDSHAKES_FAILED.inc()),
                    }
                }
                _ => connection(tcp, router, peer).await,
            }
        });
    })
    .await;
}

async fn connection(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router, peer: Peer) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.into_response()) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    // A client that breaks off is no event.
    let _ = server.serve_connection(TokioIo::new(io), service).with_upgrades().await;
}

fn router(hub: Arc<Hub>) -> Router {
    let router = Router::new()
        .route(PATH, get(websocket))
        .route("/.well-known/host-meta", get(host_meta))
        .route("/.well-known/host-meta.json", get(host_meta_json))
        .route("/health", get(health));
    match &hub.config.page_dir {
        Some(dir) => router.fallback_service(ServeDir::new(dir)),
        None => router,
    }
    .with_state(hub)
}

async fn websocket(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let peer = peer.behind_proxy(&hub.config.proxies, &headers);
    let upgrade = upgrade.protocols(["xmpp"]);
    // RFC 7395 §3.1: without the subprotocol it is some other conversation.
    if upgrade.selected_protocol().is_none() {
        return (StatusCode::BAD_REQUEST, "the subprotocol is xmpp\n").into_response();
    }
    let Some(place) = hub.place(peer.address) else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let listener = Listener { transport: Kind::WebSocket, loopback: peer.loopback, protected: peer.https };
    // The stream machine holds stanzas to their limit, with an error; this bound only protects the framing.
    let bytes_max = hub.config.limits.stanza_bytes as usize * 2;
    upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(hub.config.limits.out_queue_bytes.max(1))
        .max_message_size(bytes_max)
        .max_frame_size(bytes_max)
        .on_upgrade(move |socket| client::serve(hub, Transport::WebSocket(Box::new(socket)), listener, place))
}

impl Peer {
    /// The client of a proxy that is believed.
    fn behind_proxy(self, proxies: &[IpAddr], headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if !proxies.contains(&self.address) {
            return self;
        }
        // The last one is what the proxy saw; those before it are hearsay.
        let forwarded =
            text("x-forwarded-for").and_then(|list| list.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
        let Some(address) = forwarded else { return self };
        Self {
            address: address.to_canonical(),
            loopback: false,
            https: self.https || text("x-forwarded-proto") == Some("https"),
        }
    }
}

/// Where the WebSocket is, as seen by who asks.
fn websocket_url(hub: &Hub, peer: Peer, headers: &HeaderMap) -> String {
    if let Some(url) = &hub.config.websocket_url {
        return url.clone();
    }
    let peer = peer.behind_proxy(&hub.config.proxies, headers);
    let scheme = if peer.https { "wss" } else { "ws" };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    // What is no host of a URL isn't repeated into a document.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let host = if host.bytes().all(plain) { host } else { "localhost" };
    format!("{scheme}://{host}{PATH}")
}

async fn host_meta(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let url = websocket_url(&hub, peer, &headers);
    let body = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
         <Link rel='urn:xmpp:alt-connections:websocket' href='{}'/>\n</XRD>\n",
        url.replace('&', "&amp;").replace('\'', "&apos;").replace('<', "&lt;")
    );
    // XEP-0156 §3.1: pages of any origin read it.
    ([(header::CONTENT_TYPE, "application/xrd+xml"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], body)
}

async fn host_meta_json(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let url = websocket_url(&hub, peer, &headers).replace('\\', "\\\\").replace('"', "\\\"");
    let body =
        format!("{{\"links\":[{{\"rel\":\"urn:xmpp:alt-connections:websocket\",\"href\":\"{url}\"}}]}}\n");
    ([(header::CONTENT_TYPE, "application/json"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], body)
}

/// Well: an owner can be reached.
async fn health(State(hub): State<Arc<Hub>>) -> impl IntoResponse {
    if hub.owner(None).is_some() && !hub.is_draining() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
