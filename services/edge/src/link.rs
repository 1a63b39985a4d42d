//! The link to one owner: a stream of batches in each direction that comes back whenever it breaks. It is up when the
//! owner has said what it owns; then everything that is remembered of its streams is said again (`moves.rs`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use hashbrown::HashMap;
use node::{Outbox, Wire};
use parking_lot::Mutex;
use proto::{
    delivery::{Credit as Room, Hello, Origin},
    session::{
        Bound, EdgeFrame, EdgeFrames, Ended, OwnerFrame, Resumed, edge_frame::Kind as Out, ended::Why,
        owner_frame::Kind as In, session_client::SessionClient,
    },
};
use tokio::sync::Notify;

use crate::{
    client::{Client, record::frame},
    credit::Credit,
    hub::Hub,
    metrics,
};

/// Version of the frames that this edge speaks.
const VERSION: u32 = 1;
/// Pauses between attempts to reach an owner.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// One owner.
pub(crate) struct Link {
    name: String,
    life: Mutex<Life>,
    /// Something about its life has changed.
    changed: Notify,
    outbox: Mutex<Option<Outbox<EdgeFrame>>>,
    pub(crate) credit: Credit,
    next_exchange: AtomicU64,
    exchanges: Mutex<HashMap<u64, Arc<Client>, foldhash::fast::RandomState>>,
    streams: Mutex<HashMap<Origin, Arc<Client>, foldhash::fast::RandomState>>,
}

/// Why a link is there.
struct Life {
    /// The way to the owner, as it was listed last.
    wire: Wire,
    /// The owner is one of those that there are.
    listed: bool,
    /// Somebody keeps the link up.
    running: bool,
}

/// What a batch of the owner's has changed.
#[derive(Default)]
struct Batch {
    dirty: Vec<Arc<Client>>,
    frames: Vec<EdgeFrame>,
    items: u64,
    bytes: u64,
}

impl Link {
    pub(crate) fn new(name: String, wire: Wire) -> Arc<Self> {
        Arc::new(Self {
            name,
            life: Mutex::new(Life { wire, listed: false, running: false }),
            changed: Notify::new(),
            outbox: Mutex::default(),
            credit: Credit::default(),
            next_exchange: AtomicU64::new(1),
            exchanges: Mutex::default(),
            streams: Mutex::default(),
        })
    }

    // --- its life ---

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The owner is there, on this wire. True: whoever asks has to run the link.
    pub(crate) fn list(&self, wire: Wire) -> bool {
        let mut life = self.life.lock();
        life.wire = wire;
        life.listed = true;
        !std::mem::replace(&mut life.running, true)
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.life.lock().listed
    }

    /// The owner is none of those that there are: the link ends once nothing needs it.
    pub(crate) fn unlist(&self) {
        self.life.lock().listed = false;
        self.prune();
    }

    /// Looks again whether it is still needed.
    pub(crate) fn prune(&self) {
        if !self.life.lock().listed {
            self.changed.notify_one();
        }
    }

    /// Whether nobody would miss it.
    pub(crate) fn is_forgotten(&self) -> bool {
        let life = self.life.lock();
        !life.listed && !life.running && self.streams() == 0
    }

    /// Whether the owner is gone and nothing is left that it could be asked for.
    fn is_idle(&self) -> bool {
        !self.life.lock().listed && self.streams() == 0 && self.exchanges.lock().is_empty()
    }

    /// Keeps the link up for as long as it is polled and the owner listed.
    pub(crate) async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let mut pause = BACKOFF_MIN;
        loop {
            let wire = self.life.lock().wire.clone();
            match self.once(&hub, wire).await {
                Ok(heard) => {
                    pause = if heard { BACKOFF_MIN } else { pause };
                    tracing::warn!(owner = self.name, "link to owner ended");
                }
                Err(status) => tracing::debug!(owner = self.name, code = ?status.code(), "owner not reached"),
            }
            self.down();
            {
                // What is remembered of an owner that can't be reached waits for the next one.
                let mut life = self.life.lock();
                if !life.listed {
                    life.running = false;
                    tracing::info!(owner = self.name, "link to owner is given up");
                    return;
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }

    /// One life of the link. Answers whether the owner said anything.
    async fn once(self: &Arc<Self>, hub: &Arc<Hub>, wire: Wire) -> Result<bool, tonic::Status> {
        let (outbox, batches) = Outbox::new(|frames| EdgeFrames { frames });
        outbox.send(frame(Out::Hello(Hello {
            version: VERSION,
            role: "edge".to_owned(),
            member: hub.config.member.clone(),
            incarnation: hub.incarnation,
        })));
        let limits = &hub.config.limits;
        outbox.send(frame(Out::Credit(Room { items: limits.credit_items, bytes: limits.credit_bytes })));
        let mut client = SessionClient::new(wire)
            .max_decoding_message_size(node::wire::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(node::wire::MESSAGE_BYTES_MAX);
        let mut incoming = client.attach(batches).await?.into_inner();
        let mut heard = false;
        let mut batch = Batch::default();
        loop {
            let frames = tokio::select! {
                frames = incoming.message() => frames?,
                () = self.changed.notified() => {
                    if self.is_idle() {
                        return Ok(heard);
                    }
                    continue;
                }
            };
            let Some(frames) = frames else { return Ok(heard) };
            heard = true;
            self.perform(hub, frames.frames, &outbox, &mut batch);
            self.replenish(hub, &mut batch);
        }
    }

    /// The owner has said what it owns. True: for the first time.
    pub(crate) fn up(&self, outbox: &Outbox<EdgeFrame>) -> bool {
        let mut here = self.outbox.lock();
        if here.is_some() {
            return false;
        }
        *here = Some(outbox.clone());
        metrics::LINKS.inc();
        tracing::info!(owner = self.name, "link to owner is up");
        true
    }

    fn down(self: &Arc<Self>) {
        if let Some(outbox) = self.outbox.lock().take() {
            // An owner that ends waits until this side of the stream has ended, too.
            outbox.close();
            metrics::LINKS.dec();
        }
        self.credit.reset();
        let exchanges = std::mem::take(&mut *self.exchanges.lock());
        for client in exchanges.into_values() {
            client.abandoned(self);
        }
    }

    /// Where frames go; none while the owner can't be reached.
    pub(crate) fn outbox(&self) -> Option<Outbox<EdgeFrame>> {
        self.outbox.lock().clone()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.outbox.lock().is_some()
    }

    /// False: the owner can't be reached.
    pub(crate) fn send(&self, frames: &mut Vec<EdgeFrame>) -> bool {
        self.outbox().is_some_and(|outbox| outbox.send_all(frames))
    }

    /// A new exchange of a client.
    pub(crate) fn begin(&self, client: &Arc<Client>) -> u64 {
        let id = self.next_exchange.fetch_add(1, Ordering::Relaxed);
        self.exchanges.lock().insert(id, Arc::clone(client));
        id
    }

    /// The exchange is over.
    pub(crate) fn finish(&self, id: u64) -> Option<Arc<Client>> {
        self.exchanges.lock().remove(&id)
    }

    /// Clients that have an exchange with the owner.
    pub(crate) fn exchanging(&self) -> Vec<Arc<Client>> {
        self.exchanges.lock().values().cloned().collect()
    }

    /// Streams that are remembered.
    pub(crate) fn streams(&self) -> usize {
        self.streams.lock().len()
    }

    /// The streams whose slot is one of these.
    pub(crate) fn streams_of(&self, is: impl Fn(u16) -> bool) -> Vec<(Origin, Arc<Client>)> {
        let streams = self.streams.lock();
        let some = streams.iter().filter(|(id, _)| is(slot(id)));
        some.map(|(id, client)| (*id, Arc::clone(client))).collect()
    }

    /// From now on the stream is this owner's.
    pub(crate) fn remember(&self, id: Origin, client: Arc<Client>) -> Option<Arc<Client>> {
        self.streams.lock().insert(id, client)
    }

    /// The stream is no more, or another owner's.
    pub(crate) fn forget(&self, id: &Origin) {
        self.streams.lock().remove(id);
    }

    // --- frames of the owner ---

    fn perform(
        self: &Arc<Self>,
        hub: &Hub,
        frames: Vec<OwnerFrame>,
        outbox: &Outbox<EdgeFrame>,
        batch: &mut Batch,
    ) {
        for kind in frames.into_iter().filter_map(|frame| frame.kind) {
            match kind {
                In::Deliver(deliver) => {
                    batch.items += 1;
                    batch.bytes += deliver.stanza.len() as u64;
                    if let Some(client) = self.stream(deliver.stream)
                        && client.on_deliver(self, *deliver)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::Handled(handled) => {
                    if let Some(client) = self.stream(handled.stream)
                        && client.on_handled(self, handled)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::Enabled(enabled) => {
                    if let Some(client) = self.stream(enabled.stream)
                        && client.on_enabled(self, &enabled)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::State(state) => {
                    if let Some(client) = self.stream(state.stream) {
                        client.on_state(self, &state);
                    }
                }
                In::Credit(room) => self.credit.add(room.items, room.bytes),
                In::Welcome(welcome) => hub.welcome(welcome),
                In::Table(table) => hub.announced(self, &table, outbox),
                other => self.perform_rare(hub, other),
            }
        }
        for client in batch.dirty.drain(..) {
            client.settle(self, &mut batch.frames);
        }
        self.send(&mut batch.frames);
        batch.frames.clear();
    }

    fn perform_rare(self: &Arc<Self>, hub: &Hub, kind: In) {
        match kind {
            In::Login(reply) => {
                if let (Some(client), Some(step)) = (self.exchange(reply.exchange), reply.step) {
                    client.on_login(self, reply.exchange, step);
                }
            }
            In::Register(reply) => {
                if let Some(client) = self.exchange(reply.exchange) {
                    client.on_registered(self, reply.exchange, &reply.stanza);
                }
            }
            In::Bound(bound) => self.on_bound(hub, &bound),
            In::Resumed(resumed) => self.on_resumed(hub, &resumed),
            In::Hibernated(gone) => {
                let client = self.stream(gone.stream);
                let is_it = client.is_some_and(|client| client.is_over(self, gone.generation));
                let _gone = gone.stream.filter(|_| is_it).map(|id| self.forget(&id));
            }
            In::Close(close) => {
                if let Some(client) = self.stream(close.stream)
                    && client.on_close(self, &close)
                {
                    let _gone = close.stream.map(|id| self.forget(&id));
                }
            }
            In::Moved(moved) => {
                if let Some(client) = self.exchange(moved.exchange) {
                    client.on_moved(self, &moved);
                }
            }
            // They are no rare ones.
            _ => {}
        }
    }

    fn on_bound(self: &Arc<Self>, hub: &Hub, bound: &Bound) {
        let _stays = hub.moving.read();
        let client = self.exchange(bound.exchange);
        if !bound.condition.is_empty() {
            if let Some(client) = client {
                client.on_refused(self, bound.exchange, &bound.condition, None);
            }
        } else if let (Some(client), Some(id)) = (client, bound.stream)
            && client.on_bound(self, id, bound)
        {
            self.remember(id, client);
        } else {
            self.ended(bound.stream, bound.generation, Why::Lost);
        }
    }

    fn on_resumed(self: &Arc<Self>, hub: &Hub, resumed: &Resumed) {
        let _stays = hub.moving.read();
        let client = self.exchange(resumed.exchange);
        if !resumed.condition.is_empty() {
            if let Some(client) = client {
                let h = resumed.has_h.then_some(resumed.h);
                client.on_refused(self, resumed.exchange, &resumed.condition, h);
            }
        } else if let (Some(client), Some(id)) = (client, resumed.stream)
            && client.on_resumed(self, id, resumed)
        {
            if let Some(before) = self.remember(id, client) {
                before.displace();
            }
        } else {
            self.ended(resumed.stream, resumed.generation, Why::Lost);
        }
    }

    fn ended(&self, stream: Option<Origin>, generation: u64, why: Why) {
        self.send(&mut vec![frame(Out::Ended(Ended { stream, generation, why: why.into() }))]);
    }

    fn exchange(&self, id: u64) -> Option<Arc<Client>> {
        self.exchanges.lock().get(&id).cloned()
    }

    fn stream(&self, id: Option<Origin>) -> Option<Arc<Client>> {
        self.streams.lock().get(&id?).cloned()
    }

    /// Gives back what was used, in large pieces.
    fn replenish(&self, hub: &Hub, batch: &mut Batch) {
        let limits = &hub.config.limits;
        if batch.items * 2 >= limits.credit_items || batch.bytes * 2 >= limits.credit_bytes {
            let (items, bytes) = (std::mem::take(&mut batch.items), std::mem::take(&mut batch.bytes));
            self.send(&mut vec![frame(Out::Credit(Room { items, bytes }))]);
        }
    }
}

/// The slot of a stream's account: owners put it first into the ids that they make.
pub(crate) fn slot(stream: &Origin) -> u16 {
    (stream.high >> 48) as u16
}

/// Which start of this process it is.
pub(crate) fn incarnation() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
