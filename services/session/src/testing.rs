//! A stage for plays: owners over one store, routers between them, and edges whose clients speak XML.
//!
//! Each role has a runtime of its own and is reached over a socket, so it can die as a process does: all at once. The
//! edge ([`edge::Edge`]) is the only one that is played; it does with frames what a real one does. Time goes on as
//! usual, and skips when it is told to.

pub(crate) mod cities;
pub(crate) mod edge;
pub(crate) mod time;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use features::host::Host;
use node::{Peer, Wire, wire};
use store::slow::Switch;
use store::{Account, Change, Item, Row, Store, Subscription};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

use crate::config::Config;
use crate::owner::Owner;
use crate::shard::SHARDS;
use crate::work::Work;

pub(crate) use edge::{Client, Edge};

/// How long anything that is to happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// How long it takes until what has not happened will not happen.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

/// Between tries.
const TURN: Duration = Duration::from_millis(5);

/// Where a play is set: verona.example, where romeo, juliet, tybalt and paris have accounts.
pub(crate) struct Stage {
    pub(crate) store: Store,
    pub(crate) switch: Switch,
    pub(crate) config: Config,
    /// Whether messages are archived.
    pub(crate) archives: bool,
    /// How long they are shown, in days; 0: for ever.
    pub(crate) archive_days: u32,
    pub(crate) routers: Vec<Wire>,
}

/// A role at work, until it is killed.
pub(crate) struct Role<T> {
    runtime: Option<Runtime>,
    port: u16,
    part: Option<Arc<T>>,
}

/// An owner at work.
pub(crate) type House = Role<Owner>;

impl Stage {
    /// A stage on which gathering ends with the first edge.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { password_rounds: 1, edges: 1, gather_ms: 500, ..Config::default() };
        change(&mut config);
        let (store, switch) = store::slow::wrap(store::memory::open());
        for name in ["romeo", "juliet", "tybalt", "paris"] {
            store.accounts.create(&account(name), Account::default()).await.unwrap();
        }
        Self { store, switch, config, archives: true, archive_days: 0, routers: Vec::new() }
    }

    /// Both see each other's presence.
    pub(crate) async fn befriend(&self, one: &str, other: &str) {
        for (one, other) in [(one, other), (other, one)] {
            let mut item = Item::new(account(other));
            item.subscription = Subscription::Both;
            self.store.rosters.apply(&account(one), vec![Change::Put(item)]).await.unwrap();
        }
    }

    /// An owner begins its work.
    pub(crate) async fn open(&self) -> House {
        self.open_at(0, &self.config).await
    }

    /// An owner begins its work where another one has died.
    pub(crate) async fn reopen(&self, house: &mut House) {
        let port = house.port;
        *house = self.open_at(port, &self.config).await;
    }

    pub(crate) async fn open_at(&self, port: u16, config: &Config) -> House {
        let host = Host { archive: self.archives, archive_days: self.archive_days, ..host() };
        let (config, store) = (config.clone(), self.store.clone());
        let named = |(at, wire): (usize, &Wire)| Peer { name: at.to_string(), wire: wire.clone() };
        let routers = node::peers::fixed(self.routers.iter().enumerate().map(named).collect());
        let start = async move { Owner::start(config, store, vec![host], routers).await.unwrap() };
        Role::start(port, start, |owner, listener| {
            wire::serve(listener, owner.service(), std::future::pending())
        })
        .await
    }

    /// A router begins its work.
    pub(crate) async fn router(port: u16) -> Role<router::Router> {
        let start = async { router::Router::start(router::Config::default()) };
        Role::start(port, start, |router, listener| {
            wire::serve(listener, router.service(), std::future::pending())
        })
        .await
    }

    /// What is in an archive: the direction, the text, whether it is spooled.
    pub(crate) async fn archive(&self, name: &str) -> Vec<Row> {
        self.store.archive.after(&account(name), 0, 1_000).await.unwrap()
    }
}

impl<T: Send + Sync + 'static> Role<T> {
    async fn start<S>(
        port: u16,
        start: impl Future<Output = Arc<T>> + Send + 'static,
        serve: impl FnOnce(&Arc<T>, TcpListener) -> S + Send + 'static,
    ) -> Self
    where
        S: Future + Send + 'static,
        S::Output: Send,
    {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (role, port) = runtime
            .spawn(async move {
                let role = start.await;
                let listener = listen(port).await;
                let port = listener.local_addr().unwrap().port();
                tokio::spawn(serve(&role, listener));
                (role, port)
            })
            .await
            .unwrap();
        Self { runtime: Some(runtime), port, part: Some(role) }
    }

    /// Where it can be reached, it or who comes after it.
    pub(crate) fn wire(&self) -> Wire {
        wire::remote(format!("http://127.0.0.1:{}", self.port).parse().unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Dies at once, and says nothing.
    pub(crate) fn dies(&mut self) {
        self.part = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<T> Drop for Role<T> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl House {
    /// Does something in the owner's process.
    pub(crate) async fn at<R: Send + 'static>(
        &self,
        act: impl FnOnce(&Arc<Owner>) -> R + Send + 'static,
    ) -> R {
        let owner = Arc::clone(self.part.as_ref().unwrap());
        self.runtime.as_ref().unwrap().spawn(async move { act(&owner) }).await.unwrap()
    }

    /// Time passes.
    pub(crate) async fn skips(&self, ms: u64) {
        self.at(move |owner| {
            owner.clock.skip(ms);
            // Once for what is late, and once more for what follows from it.
            for _ in 0..2 {
                owner.post_all((0..SHARDS).map(|shard| (shard, Work::Tick)));
                owner.routes.tick(owner.clock.now_ms());
            }
        })
        .await;
    }

    /// Its clock is put back, as by whoever keeps it right.
    pub(crate) async fn steps_back(&self, ms: u64) {
        self.at(move |owner| owner.clock.step_back(ms)).await;
    }

    /// Accounts in memory.
    pub(crate) async fn residents(&self) -> usize {
        self.at(|owner| owner.shards.iter().map(|shard| shard.state.lock().residents.len()).sum()).await
    }
}

/// verona.example.
pub(crate) fn host() -> Host {
    Host {
        domain: jid("verona.example"),
        admins: Vec::new(),
        contacts: Vec::new(),
        registration: false,
        anonymous: false,
        archive: true,
        archive_days: 0,
        archive_page_max: 100,
        stanza_bytes_max: 262_144,
        started_ms: 0,
    }
}

/// Whoever had the port may still be about to die.
async fn listen(port: u16) -> TcpListener {
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse => tokio::time::sleep(TURN).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// An address.
pub(crate) fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// An account of verona.example.
pub(crate) fn account(name: &str) -> Jid {
    jid(&format!("{name}@verona.example"))
}

/// A chat message.
pub(crate) fn chat(to: &str, text: &str) -> String {
    format!("<message to='{to}@verona.example' type='chat' id='{text}'><body>{text}</body></message>")
}

/// A stanza from its XML.
pub(crate) fn stanza(xml: &str) -> Stanza {
    let element = Element::parse(xml.as_bytes(), ns::CLIENT).unwrap();
    let (kind, default) = match element.name() {
        "message" => (Kind::Message, Type::Normal),
        "presence" => (Kind::Presence, Type::Available),
        _ => (Kind::Iq, Type::Get),
    };
    let named = |name: &str| (0..).map_while(Type::from_number).find(|ty| ty.name() == Some(name)).unwrap();
    let mut stanza = Stanza::new(kind, element.attribute("type").map_or(default, named));
    stanza.from = element.attribute("from").map(jid);
    stanza.to = element.attribute("to").map(jid);
    stanza.id = element.attribute("id").map(Into::into);
    for child in element.children() {
        stanza.payload.push(child);
    }
    stanza
}

/// A stanza in short: its kind, its type, its sender's name and what it says.
pub(crate) fn line(stanza: &Stanza) -> String {
    let from = stanza.from.as_ref().map_or("", |from| from.node().unwrap_or(from.domain()));
    let text = |name: &str| stanza.payload.find_element(ns::CLIENT, name).map(|element| element.text());
    let error = xmpp::stanza::StanzaError::of(stanza).map(|error| error.condition.name().to_owned());
    let said = error.or_else(|| text("body")).or_else(|| text("status"));
    let said = said.or_else(|| stanza.id.as_ref().map(ToString::to_string)).unwrap_or_default();
    let ty = stanza.ty.name().unwrap_or(match stanza.kind {
        Kind::Presence => "available",
        _ => "normal",
    });
    format!("{} {ty} {from}: {said}", stanza.kind.name())
}

/// A row that somebody has received.
pub(crate) fn row(id: u64) -> store::Row {
    store::Row {
        archive: account("juliet"),
        id,
        uid: store::Uid::default(),
        epoch: 1,
        direction: store::Direction::Received,
        with: account("juliet"),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: 0,
        stanza: bytes::Bytes::new(),
    }
}
