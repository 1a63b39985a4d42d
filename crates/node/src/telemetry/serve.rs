//! The listener that metrics are fetched from.

use std::convert::Infallible;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

use super::metrics;

/// A request for metrics must have come whole within this time, in seconds.
const REQUEST_S_MAX: u64 = 10;

/// Connections at once at most: one scraper, its stand-in, and people who look.
const CONNECTIONS_MAX: usize = 16;

/// Answers `GET /metrics` for as long as it is polled.
pub async fn serve(listener: TcpListener) {
    let room = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = std::sync::Arc::clone(&room).acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(REQUEST_S_MAX));
            let answer = service_fn(async |request| Ok::<_, Infallible>(answer(&request)));
            // A scraper that breaks off is no event.
            let _ = server.serve_connection(TokioIo::new(socket), answer).await;
            drop(place);
        });
    }
}

fn answer<B>(request: &Request<B>) -> Response<String> {
    let (status, kind, body) = if request.uri().path() != "/metrics" {
        (StatusCode::NOT_FOUND, "text/plain", "metrics are at /metrics\n".to_owned())
    } else if request.method() == Method::GET {
        (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", metrics::encoded())
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "metrics are fetched with GET\n".to_owned())
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
