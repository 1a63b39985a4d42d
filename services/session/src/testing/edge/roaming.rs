//! An edge among owners that share their slots: it has a link to each, and its one client's stream goes where its slot
//! goes, as a real edge's do (`edge`: `table.rs`, `moves.rs`).

use std::sync::Arc;
use std::time::Duration;

use node::{Outbox, Wire};
use parking_lot::Mutex;
use proto::delivery::{Credit, Hello, Slots, Table};
use proto::session::edge_frame::Kind as Say;
use proto::session::owner_frame::Kind as Hear;
use proto::session::session_client::SessionClient;
use proto::session::{Attach, Bind, EdgeFrame, EdgeFrames, Enable};
use tokio::sync::Notify;

use super::{Client, Desk, Edge, Inner, frame};

/// Between tries to reach an owner.
const RETRY: Duration = Duration::from_millis(100);

/// Where the edge's one slot is.
#[derive(Default)]
struct Way {
    slot: u32,
    /// Links that an owner has said something on, by the owner's place.
    up: Vec<Option<Outbox<EdgeFrame>>>,
    owner: Option<usize>,
    epoch: u64,
    closing: bool,
    /// Whose the stream is: what others say of it is nobody's.
    with: Option<usize>,
}

/// What an announcement means for the slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Same,
    Claimed,
    Shut,
}

impl Edge {
    /// An edge for one client, whose account has this slot.
    pub(crate) fn roams(name: &'static str, slot: u16, owners: Vec<Wire>) -> Self {
        let inner = Inner {
            takes: 1_000_000,
            office: Mutex::default(),
            changed: Notify::new(),
            task: Mutex::default(),
        };
        let edge = Self { name, inner: Arc::new(inner) };
        let up = owners.iter().map(|_| None).collect();
        let way = Arc::new(Mutex::new(Way { slot: slot.into(), up, ..Way::default() }));
        for (owner, wire) in owners.into_iter().enumerate() {
            tokio::spawn(edge.clone().keeps(owner, wire, Arc::clone(&way)));
        }
        edge
    }

    async fn keeps(self, owner: usize, wire: Wire, way: Arc<Mutex<Way>>) {
        loop {
            self.listens(owner, wire.clone(), &way).await;
            self.loses(owner, &mut way.lock());
            tokio::time::sleep(RETRY).await;
        }
    }

    fn loses(&self, owner: usize, way: &mut Way) {
        way.up[owner] = None;
        if way.with == Some(owner) {
            self.inner.office.lock().outbox = None;
        }
    }

    async fn listens(&self, owner: usize, wire: Wire, way: &Mutex<Way>) {
        let (outbox, batches) = Outbox::new(|frames| EdgeFrames { frames });
        let hello = Hello { version: 1, role: "edge".into(), member: self.name.into(), incarnation: 1 };
        outbox.send(frame(Say::Hello(hello)));
        outbox.send(frame(Say::Credit(Credit { items: self.inner.takes, bytes: 1 << 40 })));
        let Ok(incoming) = SessionClient::new(wire).attach(batches).await else { return };
        let mut incoming = incoming.into_inner();
        while let Ok(Some(frames)) = incoming.message().await {
            for kind in frames.frames.into_iter().filter_map(|frame| frame.kind) {
                match kind {
                    Hear::Table(table) => self.announced(owner, &table, &outbox, &mut way.lock()),
                    kind => self.hears_of(owner, kind, &way.lock()),
                }
            }
            self.inner.changed.notify_waiters();
        }
        outbox.close();
    }

    fn announced(&self, from: usize, said: &Table, outbox: &Outbox<EdgeFrame>, way: &mut Way) {
        let fate = way.announce(from, said);
        let first = way.up[from].replace(outbox.clone()).is_none();
        let mut office = self.inner.office.lock();
        if fate == Fate::Claimed {
            way.with = Some(from);
        }
        if way.with == Some(from) {
            office.holds = way.owner != Some(from) || way.closing;
            if first || fate == Fate::Claimed {
                office.outbox = Some(outbox.clone());
                office.desks.values().for_each(|desk| desk.attach(outbox));
            }
        }
        let epoch = said.owned.iter().chain(&said.closing).map(|slots| slots.epoch).max().unwrap_or(0);
        outbox.send(frame(Say::Attach(Attach { last: true, epoch, ..Attach::default() }.into())));
    }

    fn hears_of(&self, from: usize, kind: Hear, way: &Way) {
        let mut office = self.inner.office.lock();
        let answers = matches!(kind, Hear::Welcome(_) | Hear::Bound(_) | Hear::Resumed(_) | Hear::Moved(_));
        if !answers && way.with != Some(from) {
            return;
        }
        if let Hear::Deliver(deliver) = &kind {
            let generation = deliver.generation;
            let given =
                office.desk(deliver.stream, generation).is_some_and(|desk| deliver.out_n <= desk.out_n);
            if given {
                // An owner that was told again what the client was given may have given more meanwhile.
                return;
            }
        }
        if let Hear::Hibernated(gone) = &kind
            && let Some(id) = gone.stream
            && office.desk(gone.stream, gone.generation).is_some()
        {
            office.desks.remove(&id);
            return;
        }
        office.read(kind);
    }

    /// Whether there is an owner that takes what the client says.
    pub(crate) fn is_open(&self) -> bool {
        let office = self.inner.office.lock();
        office.outbox.is_some() && !office.holds
    }

    /// A stream is over: nothing is remembered of it.
    pub(crate) fn forgets(&self, client: &Client) {
        self.inner.office.lock().desks.remove(&client.id);
    }

    /// What is remembered of a client's stream.
    pub(crate) fn looks<T>(&self, client: &Client, look: impl FnOnce(&mut Desk) -> T) -> Option<T> {
        self.inner.office.lock().desks.get_mut(&client.id).map(look)
    }

    /// Asks for a resource, as [`Edge::answered`] will say.
    pub(crate) fn asks_to_bind(&self, exchange: u64, name: &str, resource: &str) {
        let jid = format!("{name}@verona.example");
        self.says(Say::Bind(Bind { exchange, jid, resource: resource.to_owned(), ..Bind::default() }));
    }

    /// Asks for stream management; the desk says when it is there.
    pub(crate) fn asks_to_enable(&self, client: &Client) {
        let asked = self.looks(client, |desk| {
            desk.in_base = desk.in_n;
            let (stream, generation, in_base) = (Some(desk.id), desk.generation, desk.in_n);
            Enable { stream, generation, resume: true, max_s: 0, in_base }
        });
        if let Some(enable) = asked {
            self.says(Say::Enable(enable));
        }
    }

    /// The client of a stream, if its answer has come and it is one; an answer that is none is the condition.
    pub(crate) fn answered(&self, exchange: u64) -> Option<Result<Client, String>> {
        let mut office = self.inner.office.lock();
        let bound = office.bound.take_if(|bound| bound.exchange == exchange);
        let bound = bound.map(|bound| (bound.stream, bound.condition));
        let resumed = office.resumed.take_if(|resumed| resumed.exchange == exchange);
        let resumed = resumed.map(|resumed| (resumed.stream, resumed.condition));
        let (id, condition) = bound.or(resumed)?;
        let client = Client { edge: self.clone(), id: id.unwrap_or_default() };
        Some(if condition.is_empty() { Ok(client) } else { Err(condition) })
    }
}

impl Way {
    fn announce(&mut self, from: usize, said: &Table) -> Fate {
        let has = |slots: &&Slots| (slots.first..=slots.last.max(slots.first)).contains(&self.slot);
        let owned = said.owned.iter().find(has).map(|slots| (slots.epoch, false));
        let owned = said.closing.iter().find(has).map(|slots| (slots.epoch, true)).or(owned);
        let mine = self.owner == Some(from);
        let was_open = mine && !self.closing;
        match owned {
            Some((epoch, closing))
                if epoch > self.epoch || epoch == self.epoch && (mine || self.owner.is_none()) =>
            {
                let anew = !mine || epoch > self.epoch || self.closing && !closing;
                (self.owner, self.epoch, self.closing) = (Some(from), epoch, closing);
                match (anew, closing) {
                    (true, _) => Fate::Claimed,
                    (false, true) if was_open => Fate::Shut,
                    (false, _) => Fate::Same,
                }
            }
            None if mine => {
                (self.owner, self.closing) = (None, false);
                if was_open { Fate::Shut } else { Fate::Same }
            }
            _ => Fate::Same,
        }
    }
}
