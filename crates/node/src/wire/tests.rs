//! Wires between sockets of this process: secured, rotated, and with a network that stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Ready, ready};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use tonic::server::NamedService;

use super::*;

mod secured;
mod silence;

/// Sends back what it gets.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "echo";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serving(transport: &Transport) -> SocketAddr {
    let (listener, address) = listener().await;
    let transport = transport.clone();
    tokio::spawn(async move { transport.serve(listener, Echo, std::future::pending()).await });
    address
}

/// A stream to an echo.
struct Stream {
    sending: mpsc::UnboundedSender<Result<Frame<Bytes>, Status>>,
    receiving: Body,
}

impl Stream {
    async fn begin(wire: Wire) -> Result<Self, Broken> {
        let (sending, body) = mpsc::unbounded_channel();
        let body = Body::new(StreamBody::new(UnboundedReceiverStream::new(body)));
        let request = Request::post("http://echo/echo/echo").body(body).unwrap();
        let receiving = wire.oneshot(request).await?.into_body();
        Ok(Self { sending, receiving })
    }

    async fn echoes(&mut self, text: &'static str) -> Result<bool, Status> {
        let _ = self.sending.send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
        let frame = self.receiving.frame().await.ok_or_else(|| Status::cancelled("it ended"))??;
        Ok(frame.data_ref().is_some_and(|data| data == text.as_bytes()))
    }
}

async fn echoes(wire: Wire) -> Result<bool, String> {
    let mut stream = Stream::begin(wire).await.map_err(|error| error.to_string())?;
    stream.echoes("hello").await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_wire_in_the_clear_carries_both_ways() {
    let server = serving(&Transport::plain()).await;

    let wire = Transport::plain().remote(&server.to_string()).unwrap();

    assert_eq!(echoes(wire).await, Ok(true));
}

#[tokio::test]
async fn a_wire_to_nobody_says_why() {
    let (listener, address) = listener().await;
    drop(listener);

    let told = echoes(Transport::plain().remote(&address.to_string()).unwrap()).await.unwrap_err();

    assert!(told.contains("refused"), "{told}");
}
