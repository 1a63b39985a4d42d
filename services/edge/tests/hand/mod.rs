//! An owner played by hand, and a client.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each file of tests uses a part, and fails where it stands"
)]

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use node::{
    Outbox, Peer, Peers, carry, peers,
    shutdown::{Drain, Drainer},
    wire,
};
use parking_lot::Mutex;
use proto::delivery::{Origin, Slots, Table};
use proto::session::{
    Bound, Deliver, EdgeFrames, Enabled, Host, LoginReply, LoginSuccess, OwnerFrame, OwnerFrames, Welcome,
    edge_frame::Kind as Out,
    login_reply::Step,
    owner_frame::Kind as In,
    session_server::{Session, SessionServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tonic::{Request, Response, Status, Streaming};
use xmpp::stanza::{Payload, Stanza, Type};

/// The slot of juliet@capulet.example.
pub(crate) const SLOT: u32 = 1773;
pub(crate) const STREAM: Origin = Origin { high: (SLOT as u64) << 48 | 1, low: 2 };
const PATIENCE: Duration = Duration::from_secs(10);

/// The owner's side of the link.
pub(crate) struct Hand {
    attached: mpsc::UnboundedReceiver<Life>,
    service: Service,
    life: Option<Life>,
    heard: std::collections::VecDeque<Out>,
}

#[derive(Clone)]
struct Service(Arc<Mutex<mpsc::UnboundedSender<Life>>>);

/// One life of the link: where to, where from.
type Life = (Outbox<OwnerFrame>, Streaming<EdgeFrames>);

#[tonic::async_trait]
impl Session for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<OwnerFrames, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<EdgeFrames>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outbox, batches) = Outbox::new(|frames| OwnerFrames { frames });
        let _ = self.0.lock().send((outbox, request.into_inner()));
        Ok(Response::new(Box::pin(batches.map(Ok))))
    }
}

impl Hand {
    pub(crate) fn new() -> Self {
        let (sender, attached) = mpsc::unbounded_channel();
        let service = Service(Arc::new(Mutex::new(sender)));
        Self { attached, service, life: None, heard: std::collections::VecDeque::new() }
    }

    /// Greets the edge whenever it comes (back): all slots are this owner's.
    pub(crate) async fn welcome(&mut self) {
        self.greet().await;
        self.owns(0..=4095, 1);
    }

    /// Greets the edge and doesn't say yet what it owns.
    pub(crate) async fn greet(&mut self) {
        let life = tokio::time::timeout(PATIENCE, self.attached.recv()).await.expect("no edge came").unwrap();
        self.life = Some(life);
        assert!(matches!(self.hears().await, Out::Hello(hello) if hello.role == "edge"));
        let host = Host { domain: "capulet.example".into(), ..Host::default() };
        self.says(In::Welcome(Welcome { hosts: vec![host], ..Welcome::default() }));
        assert!(matches!(self.hears().await, Out::Credit(_)));
    }

    /// These slots are all that it owns.
    pub(crate) fn owns(&self, slots: std::ops::RangeInclusive<u32>, epoch: u64) {
        let (first, last) = slots.into_inner();
        let owned = vec![Slots { first, last, epoch, ..Slots::default() }];
        self.says(In::Table(Table { owned, ..Table::default() }));
    }

    /// The edge has said all that it remembers.
    pub(crate) async fn attached(&mut self) {
        self.until(|kind| matches!(kind, Out::Attach(attach) if attach.last)).await;
    }

    /// It is on a list of owners.
    pub(crate) fn listed(&self, name: &str) -> Peer {
        Peer { name: name.into(), wire: wire::local(SessionServer::new(self.service.clone())) }
    }

    pub(crate) fn says(&self, kind: In) {
        self.life.as_ref().unwrap().0.send(OwnerFrame { kind: Some(kind) });
    }

    /// The next frame.
    pub(crate) async fn hears(&mut self) -> Out {
        while self.heard.is_empty() {
            let frames = self.life.as_mut().unwrap().1.message();
            let frames =
                tokio::time::timeout(PATIENCE, frames).await.expect("nothing was said").unwrap().unwrap();
            self.heard.extend(frames.frames.into_iter().filter_map(|frame| frame.kind));
        }
        self.heard.pop_front().unwrap()
    }

    /// Hears nothing for a while.
    pub(crate) async fn is_left_alone(&mut self) {
        let heard = tokio::time::timeout(Duration::from_millis(200), self.hears()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    pub(crate) async fn until(&mut self, is: impl Fn(&Out) -> bool) {
        while !is(&self.hears().await) {}
    }

    /// The edge ends the link.
    pub(crate) async fn is_left(&mut self) {
        let (_, frames) = self.life.as_mut().unwrap();
        while let Ok(Some(_)) = tokio::time::timeout(PATIENCE, frames.message()).await.expect("still there") {
        }
    }

    pub(crate) fn dies(&mut self) {
        if let Some((outbox, _)) = self.life.take() {
            outbox.close();
        }
        self.heard.clear();
    }

    /// The number of the exchange that the next step of a login belongs to.
    pub(crate) async fn login(&mut self) -> u64 {
        loop {
            if let Out::Login(login) = self.hears().await {
                return login.exchange;
            }
        }
    }

    /// Lets the client log in. Returns the number of the exchange.
    pub(crate) async fn authorise(&mut self, client: &mut Client) -> u64 {
        client.open().await;
        client.begins().await;
        let exchange = self.login().await;
        self.succeeds(exchange);
        client.hears("</success>").await;
        client.open().await;
        exchange
    }

    /// The login succeeds.
    pub(crate) fn succeeds(&self, exchange: u64) {
        let success = LoginSuccess { jid: "juliet@capulet.example".into(), ..LoginSuccess::default() };
        self.says(In::Login(LoginReply { exchange, step: Some(Step::Success(success)) }));
    }

    /// The resource is bound.
    pub(crate) fn binds(&self, exchange: u64) {
        self.says(In::Bound(Bound {
            exchange,
            stream: Some(STREAM),
            generation: 1,
            jid: "juliet@capulet.example/b".into(),
            ..Bound::default()
        }));
    }

    pub(crate) async fn bind(&mut self, client: &mut Client) {
        let exchange = self.authorise(client).await;
        client.says("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
        assert!(matches!(self.hears().await, Out::Bind(_)));
        self.binds(exchange);
        client.hears("</bind></iq>").await;
    }
}

/// An edge on ports of its own.
pub(crate) struct Running {
    pub(crate) edge: edge::Edge,
    pub(crate) drainer: Drainer,
}

pub(crate) fn edge(hand: &Hand) -> Running {
    edge_with(hand, config())
}

pub(crate) fn config() -> edge::Config {
    let any = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    edge::Config {
        starttls: any.clone(),
        direct_tls: Vec::new(),
        http: any,
        tls_required: false,
        ..edge::Config::default()
    }
}

pub(crate) fn edge_with(hand: &Hand, config: edge::Config) -> Running {
    edge_of(peers::fixed(vec![hand.listed("hand")]), config)
}

pub(crate) fn edge_of(owners: Peers, config: edge::Config) -> Running {
    let (drainer, drain) = Drain::new();
    Running { edge: edge::Edge::start(config, owners, drain).unwrap(), drainer }
}

/// Juliet, bound, at an edge, whose owner is played.
pub(crate) async fn bound() -> (Hand, Running, Client) {
    let mut hand = Hand::new();
    let edge = edge(&hand);
    hand.welcome().await;
    let mut juliet = Client::connect(&edge).await;
    hand.bind(&mut juliet).await;
    (hand, edge, juliet)
}

/// A client on TCP.
pub(crate) struct Client {
    socket: TcpStream,
    heard: String,
}

impl Client {
    pub(crate) async fn connect(edge: &Running) -> Self {
        let socket = TcpStream::connect(edge.edge.addresses.starttls[0]).await.unwrap();
        Self { socket, heard: String::new() }
    }

    pub(crate) async fn says(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Opens a stream and reads the features.
    pub(crate) async fn open(&mut self) {
        self.says(
            "<stream:stream to='capulet.example' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>",
        )
        .await;
        self.hears("</stream:features>").await;
    }

    /// Begins a login that names Juliet.
    pub(crate) async fn begins(&mut self) {
        // n,,n=juliet,r=r
        self.says(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1y</auth>",
        )
        .await;
    }

    /// Reads up to this text, and answers what came before it.
    pub(crate) async fn hears(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(text) {
                let before = self.heard.drain(..at + text.len());
                return before.collect();
            }
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("{text} was not said but {}", self.heard)).unwrap();
            assert!(read > 0, "closed before {text}: {}", self.heard);
            self.heard.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    pub(crate) async fn is_closed(&mut self) {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.socket.read_to_end(&mut rest))
            .await
            .expect("still open")
            .unwrap();
    }
}

/// A stanza for Juliet with this payload.
pub(crate) fn deliver(out_n: u64, payload: &str) -> Deliver {
    let mut stanza = Stanza::message(Type::Normal);
    stanza.payload = Payload::from_parts(bytes::Bytes::copy_from_slice(payload.as_bytes()), Vec::new());
    Deliver { stream: Some(STREAM), generation: 1, out_n, stanza: carry::pack(&stanza), ..Deliver::default() }
}

/// Juliet's stream management is on.
pub(crate) fn enabled(hand: &Hand, out_base: u64) {
    hand.says(In::Enabled(Enabled {
        stream: Some(STREAM),
        generation: 1,
        resume: true,
        max_s: 60,
        out_base,
        id: "sm".into(),
    }));
}
