//! An edge that is played: it keeps what a real one keeps ([`Desk`]), and says it again to the next owner.

mod client;
mod desk;
pub(crate) mod roaming;

use std::collections::HashMap;
use std::sync::Arc;

use node::{Outbox, Wire, carry};
use parking_lot::Mutex;
use proto::delivery::{Credit, Hello, Item, Origin};
use proto::session::edge_frame::Kind as Say;
use proto::session::owner_frame::Kind as Hear;
use proto::session::session_client::SessionClient;
use proto::session::{
    Attach, Bind, Bound, Deliver, EdgeFrame, EdgeFrames, Kept, OwnerFrame, Resume, Resumed,
};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::PATIENCE;
pub(crate) use client::Client;
pub(crate) use desk::Desk;

/// An edge.
#[derive(Clone)]
pub(crate) struct Edge {
    name: &'static str,
    inner: Arc<Inner>,
}

struct Inner {
    /// Items that it takes at first.
    takes: u64,
    office: Mutex<Office>,
    changed: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Office {
    outbox: Option<Outbox<EdgeFrame>>,
    welcome: bool,
    exchanges: u64,
    bound: Option<Bound>,
    resumed: Option<Resumed>,
    desks: HashMap<Origin, Desk>,
    /// Does not say what it keeps.
    mute: bool,
    /// The owner takes nothing new: what clients say waits for the next one.
    holds: bool,
}

impl Edge {
    /// An edge with a link to an owner.
    pub(crate) async fn open(name: &'static str, wire: Wire) -> Self {
        Self::open_taking(name, wire, 1_000_000).await
    }

    /// An edge that takes so many stanzas until it says that it takes more.
    pub(crate) async fn open_taking(name: &'static str, wire: Wire, takes: u64) -> Self {
        let inner = Inner { takes, office: Mutex::default(), changed: Notify::new(), task: Mutex::default() };
        let edge = Self { name, inner: Arc::new(inner) };
        edge.connects(wire).await;
        edge
    }

    /// The link is new: says everything about every stream.
    pub(crate) async fn connects(&self, wire: Wire) {
        self.connects_before(wire, || {}).await;
    }

    /// As [`Self::connects`]; `last` happens before the owner is told that this was all.
    pub(crate) async fn connects_before(&self, wire: Wire, last: impl FnOnce()) {
        let (outbox, batches) = Outbox::new(|frames| EdgeFrames { frames });
        let hello = Hello { version: 1, role: "edge".into(), member: self.name.into(), incarnation: 1 };
        outbox.send(frame(Say::Hello(hello)));
        outbox.send(frame(Say::Credit(Credit { items: self.inner.takes, bytes: 1 << 40 })));
        let limit = node::wire::MESSAGE_BYTES_MAX;
        let mut client = SessionClient::new(wire).max_decoding_message_size(limit);
        let mut incoming = client.attach(batches).await.expect("the owner can be reached").into_inner();
        let edge = self.clone();
        let task = tokio::spawn(async move {
            while let Ok(Some(frames)) = incoming.message().await {
                edge.reads(frames.frames);
            }
            edge.inner.office.lock().outbox = None;
            edge.inner.changed.notify_waiters();
        });
        *self.inner.task.lock() = Some(task);
        self.until("a welcome", |office| office.welcome.then_some(())).await;
        {
            let mut office = self.inner.office.lock();
            for desk in office.desks.values() {
                desk.attach(&outbox);
            }
            office.outbox = Some(outbox.clone());
        }
        last();
        outbox.send(frame(Say::Attach(Attach { last: true, ..Attach::default() }.into())));
    }

    /// The link breaks.
    pub(crate) fn breaks(&self) {
        let mut office = self.inner.office.lock();
        office.welcome = false;
        if let Some(outbox) = office.outbox.take() {
            outbox.close();
        }
        if let Some(task) = self.inner.task.lock().take() {
            task.abort();
        }
    }

    /// The edge dies with all it kept; its clients are alone.
    pub(crate) fn dies(&self) {
        self.breaks();
        self.inner.office.lock().desks.clear();
    }

    /// Takes so many stanzas more.
    pub(crate) fn takes_more(&self, items: u64) {
        self.says(Say::Credit(Credit { items, bytes: 0 }));
    }

    /// Says no more what it keeps.
    pub(crate) fn keeps_quiet(&self, mute: bool) {
        self.inner.office.lock().mute = mute;
    }

    /// A client binds a resource.
    pub(crate) async fn binds(&self, jid: &str) -> Result<Client, String> {
        let full = super::jid(jid);
        let exchange = self.exchange();
        let (bare, resource) = (full.bare_str().to_owned(), full.resource().unwrap_or_default().to_owned());
        self.says(Say::Bind(Bind { exchange, jid: bare, resource, ..Bind::default() }));
        let bound = self
            .until("bound", |office| office.bound.take().filter(|bound| bound.exchange == exchange))
            .await;
        if !bound.condition.is_empty() {
            return Err(bound.condition);
        }
        Ok(Client { edge: self.clone(), id: bound.stream.unwrap_or_default() })
    }

    /// A client binds a resource and enables stream management.
    pub(crate) async fn binds_managed(&self, jid: &str) -> Client {
        let client = self.binds(jid).await.unwrap();
        client.enables().await;
        client
    }

    /// A client binds a resource, enables stream management and becomes available.
    pub(crate) async fn enters(&self, name: &str) -> Client {
        let client = self.binds_managed(&format!("{name}@verona.example/home")).await;
        client.says("<presence/>");
        client.hears("presence available").await;
        client
    }

    /// A client asks for its stream; the answer is the client or (condition, h).
    pub(crate) async fn resumes(
        &self,
        jid: &str,
        previd: &str,
        h: u32,
    ) -> Result<Client, (String, Option<u32>)> {
        let exchange = self.exchange();
        self.asks(exchange, jid, previd, h);
        self.resumed(exchange).await
    }

    pub(crate) fn asks(&self, exchange: u64, jid: &str, previd: &str, h: u32) {
        let (jid, previd) = (super::jid(jid).bare_str().to_owned(), previd.to_owned());
        self.says(Say::Resume(Resume { exchange, jid, previd, h, address: String::new() }));
    }

    pub(crate) async fn resumed(&self, exchange: u64) -> Result<Client, (String, Option<u32>)> {
        let resumed = self
            .until("resumed", |office| office.resumed.take().filter(|resumed| resumed.exchange == exchange))
            .await;
        if resumed.condition.is_empty() {
            Ok(Client { edge: self.clone(), id: resumed.stream.unwrap_or_default() })
        } else {
            Err((resumed.condition, resumed.has_h.then_some(resumed.h)))
        }
    }

    pub(crate) fn exchange(&self) -> u64 {
        let mut office = self.inner.office.lock();
        office.exchanges += 1;
        office.exchanges
    }

    pub(crate) fn says(&self, kind: Say) {
        if let Some(outbox) = &self.inner.office.lock().outbox {
            outbox.send(frame(kind));
        }
    }

    async fn until<T>(&self, what: &str, mut look: impl FnMut(&mut Office) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let changed = self.inner.changed.notified();
                if let Some(found) = look(&mut self.inner.office.lock()) {
                    return found;
                }
                _ = tokio::time::timeout(std::time::Duration::from_millis(20), changed).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{} waited in vain for {what}", self.name))
    }

    fn reads(&self, frames: Vec<OwnerFrame>) {
        let mut office = self.inner.office.lock();
        for kind in frames.into_iter().filter_map(|frame| frame.kind) {
            office.read(kind);
        }
        drop(office);
        self.inner.changed.notify_waiters();
    }
}

impl Office {
    fn read(&mut self, kind: Hear) {
        match kind {
            Hear::Welcome(_) => self.welcome = true,
            Hear::Bound(bound) => {
                if bound.condition.is_empty() {
                    let id = bound.stream.unwrap_or_default();
                    let desk =
                        Desk { id, generation: bound.generation, jid: bound.jid.clone(), ..Desk::default() };
                    self.desks.insert(id, desk);
                }
                self.bound = Some(bound);
            }
            Hear::Resumed(resumed) => {
                if resumed.condition.is_empty() {
                    self.desks.insert(resumed.stream.unwrap_or_default(), Desk::resumed(&resumed));
                }
                self.resumed = Some(*resumed);
            }
            Hear::Deliver(deliver) => self.deliver(&deliver),
            Hear::Handled(handled) => {
                if let Some(desk) = self.desk(handled.stream, handled.generation) {
                    assert!(handled.h >= desk.h, "h goes back");
                    desk.h = handled.h;
                    desk.above = handled.above;
                    while desk.unfinished.front().is_some_and(|item| number(item) <= handled.h) {
                        desk.unfinished.pop_front();
                    }
                }
            }
            Hear::State(state) => {
                if let Some(desk) = self.desk(state.stream, state.generation) {
                    desk.state = state.blob;
                    desk.cursor = desk.cursor.max(state.cursor);
                    desk.position = desk.position.max(state.position);
                    let cursor = desk.cursor;
                    desk.settled.retain(|id| *id >= cursor);
                }
            }
            Hear::Enabled(enabled) => {
                if let Some(desk) = self.desk(enabled.stream, enabled.generation) {
                    (desk.managed, desk.previd, desk.max_s) = (true, enabled.id, enabled.max_s);
                    desk.out_base = enabled.out_base;
                    desk.acked = enabled.out_base;
                }
            }
            Hear::Close(close) => {
                if let Some(desk) = self.desk(close.stream, close.generation) {
                    desk.closed = Some(close.condition);
                }
            }
            Hear::Hibernated(gone) => {
                if let Some(desk) = self.desk(gone.stream, gone.generation) {
                    desk.hibernated = true;
                }
            }
            Hear::Moved(moved) => {
                let (exchange, condition) = (moved.exchange, "moved".to_owned());
                self.bound = Some(Bound { exchange, condition: condition.clone(), ..Bound::default() });
                self.resumed = Some(Resumed { exchange, condition, ..Resumed::default() });
            }
            _ => {}
        }
    }

    fn deliver(&mut self, deliver: &Deliver) {
        let mute = self.mute;
        let Some(desk) = self.desk(deliver.stream, deliver.generation) else { return };
        assert_eq!(deliver.out_n, desk.out_n + 1, "numbers follow each other");
        desk.out_n = deliver.out_n;
        if deliver.position != 0 {
            desk.position = deliver.position;
        }
        if desk.managed || desk.lost {
            desk.mailbox.push_back(deliver.clone());
        }
        let stanza = carry::unpack(&deliver.stanza).unwrap();
        if !desk.lost {
            desk.heard.push_back((deliver.out_n, stanza));
        }
        if !mute {
            let kept = Kept { stream: Some(desk.id), out_n: desk.out_n };
            if let Some(outbox) = &self.outbox {
                outbox.send(frame(Say::Kept(kept)));
            }
        }
    }

    fn desk(&mut self, id: Option<Origin>, generation: u64) -> Option<&mut Desk> {
        self.desks.get_mut(&id?).filter(|desk| desk.generation == generation)
    }
}

fn frame(kind: Say) -> EdgeFrame {
    EdgeFrame { kind: Some(kind) }
}

fn number(item: &Item) -> u64 {
    item.uid.as_ref().map_or(0, |uid| uid.n)
}
