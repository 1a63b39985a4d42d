//! A network that stops without a word, as seen from both ends of a stream: takeovers begin when streams break.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::*;

/// How long a stream may live after the last sign of the peer.
const BROKEN_MS_MAX: u64 = KEEPALIVE_INTERVAL_MS + KEEPALIVE_TIMEOUT_MS + 700;

/// A network between a client and a server that can stop: whoever sends gets no answer, and no end either. A process
/// that is stopped looks the same: its system goes on accepting bytes for a while.
async fn network(server: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let (listener, address) = listener().await;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(server).await.unwrap();
        let (client, server) = (client.into_split(), server.into_split());
        tokio::join!(carry(client.0, server.1, stopped.clone()), carry(server.0, client.1, stopped),)
    });
    (address, stop)
}

/// Copies bytes until the network stops; then keeps both ends open and says nothing.
async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut stopped: watch::Receiver<bool>,
) {
    let mut bytes = [0; 4096];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read.unwrap(),
            _ = stopped.changed() => return std::future::pending().await,
        };
        to.write_all(&bytes[..read]).await.unwrap();
    }
}

/// Tells when a stream that it got broke off.
#[derive(Clone)]
struct Listens(mpsc::UnboundedSender<Instant>);

impl NamedService for Listens {
    const NAME: &'static str = "echo";
}

impl Service<Request<Body>> for Listens {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let broken = self.0.clone();
        let mut receiving = request.into_body();
        let (sending, body) = mpsc::unbounded_channel::<Result<Frame<Bytes>, Status>>();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = receiving.frame().await {
                let _ = sending.send(Ok(frame));
            }
            let _ = broken.send(Instant::now());
        });
        ready(Ok(Response::new(Body::new(StreamBody::new(UnboundedReceiverStream::new(body))))))
    }
}

/// How long both ends, client and server, took to see that the network had stopped.
async fn times_to_break(talking: bool) -> (Duration, Duration) {
    let (listener, server) = listener().await;
    let (broken, mut broken_at) = mpsc::unbounded_channel();
    tokio::spawn(serve(listener, Listens(broken), std::future::pending()));
    let (address, stop) = network(server).await;
    let mut stream = Stream::begin(Transport::plain().remote(&address.to_string()).unwrap()).await.unwrap();
    assert!(stream.echoes("hello").await.unwrap());
    // Longer than the interval: pings were answered before.
    tokio::time::sleep(Duration::from_millis(KEEPALIVE_INTERVAL_MS * 3 / 2)).await;

    stop.send(true).unwrap();
    let stopped = Instant::now();
    let sending = stream.sending.clone();
    let talk = async {
        loop {
            let _ = sending.send(Ok(Frame::data(Bytes::from(vec![0; 65_536]))));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let client = async {
        assert!(stream.receiving.frame().await.is_none_or(|frame| frame.is_err()));
        stopped.elapsed()
    };
    let both = async { tokio::join!(client, broken_at.recv()) };
    let (client, server) = tokio::select! {
        times = both => times,
        () = talk, if talking => unreachable!("it goes on"),
    };
    (client, server.unwrap().duration_since(stopped))
}

#[tokio::test]
async fn a_stream_breaks_at_both_ends_soon_after_the_network_has_stopped() {
    for talking in [false, true] {
        let (client, server) = times_to_break(talking).await;

        let limit = Duration::from_millis(BROKEN_MS_MAX);
        assert!(client < limit && server < limit, "talking {talking}: client {client:?}, server {server:?}");
    }
}

#[tokio::test]
async fn a_process_that_was_stopped_before_is_not_waited_for_either() {
    // Its system accepts for it.
    let (_listener, address) = listener().await;
    let wire = Transport::plain().remote(&address.to_string()).unwrap();
    let began = Instant::now();

    let answer = tokio::time::timeout(Duration::from_secs(30), Stream::begin(wire)).await;

    assert!(answer.expect("it is given up").is_err());
    assert!(began.elapsed() < Duration::from_millis(BROKEN_MS_MAX), "{:?}", began.elapsed());
}
