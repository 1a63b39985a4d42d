//! The link to one owner: a stream of batches in each direction that comes back whenever it breaks. When it is new,
//! everything that is remembered of the owner's streams is said again.

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
        Attach, Bound, EdgeFrame, EdgeFrames, Ended, OwnerFrame, Resumed, edge_frame::Kind as Out,
        ended::Why, owner_frame::Kind as In, session_client::SessionClient,
    },
};

use crate::{
    client::{Client, record::frame},
    credit::Credit,
    hub::Hub,
    metrics,
    route::Owned,
};

/// Version of the frames that this edge speaks.
const VERSION: u32 = 1;
/// Pauses between attempts to reach an owner.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// One owner.
pub(crate) struct Link {
    name: String,
    outbox: Mutex<Option<Outbox<EdgeFrame>>>,
    pub(crate) credit: Credit,
    owned: Mutex<Owned>,
    next_exchange: AtomicU64,
    exchanges: Mutex<HashMap<u64, Arc<Client>, foldhash::fast::RandomState>>,
    streams: Mutex<HashMap<Origin, Arc<Client>, foldhash::fast::RandomState>>,
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
    pub(crate) fn new(name: String) -> Arc<Self> {
        Arc::new(Self {
            name,
            outbox: Mutex::default(),
            credit: Credit::default(),
            owned: Mutex::default(),
            next_exchange: AtomicU64::new(1),
            exchanges: Mutex::default(),
            streams: Mutex::default(),
        })
    }

    /// Keeps the link up for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>, hub: Arc<Hub>, wire: Wire) {
        let mut pause = BACKOFF_MIN;
        loop {
            match self.once(&hub, wire.clone()).await {
                Ok(heard) => {
                    pause = if heard { BACKOFF_MIN } else { pause };
                    tracing::warn!(owner = self.name, "link to owner ended");
                }
                Err(status) => tracing::debug!(owner = self.name, code = ?status.code(), "owner not reached"),
            }
            self.down();
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
        while let Some(frames) = incoming.message().await? {
            if !heard {
                heard = true;
                tracing::info!(owner = self.name, "link to owner is up");
                self.up(&outbox);
            }
            self.perform(hub, frames.frames, &mut batch);
            self.replenish(hub, &mut batch);
        }
        Ok(heard)
    }

    /// Says everything about every stream, then what is new.
    fn up(&self, outbox: &Outbox<EdgeFrame>) {
        self.credit.reset();
        *self.outbox.lock() = Some(outbox.clone());
        let streams: Vec<_> = self.streams.lock().values().cloned().collect();
        for client in &streams {
            client.attach(self);
        }
        outbox.send(frame(Out::Attach(Box::new(Attach { last: true, ..Attach::default() }))));
        metrics::LINKS.inc();
    }

    fn down(&self) {
        if let Some(outbox) = self.outbox.lock().take() {
            // An owner that ends waits until this side of the stream has ended, too.
            outbox.close();
            metrics::LINKS.dec();
        }
        self.credit.reset();
        let exchanges = std::mem::take(&mut *self.exchanges.lock());
        for client in exchanges.values() {
            client.abandon();
        }
    }

    /// Where frames go; none while the owner can't be reached.
    pub(crate) fn outbox(&self) -> Option<Outbox<EdgeFrame>> {
        self.outbox.lock().clone()
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

    /// Whether the owner said that the slot is its own.
    pub(crate) fn owns(&self, slot: u16) -> bool {
        self.owned.lock().contains(slot)
    }

    /// Streams that are remembered.
    pub(crate) fn streams(&self) -> usize {
        self.streams.lock().len()
    }

    // --- frames of the owner ---

    fn perform(self: &Arc<Self>, hub: &Hub, frames: Vec<OwnerFrame>, batch: &mut Batch) {
        for kind in frames.into_iter().filter_map(|frame| frame.kind) {
            match kind {
                In::Deliver(deliver) => {
                    batch.items += 1;
                    batch.bytes += deliver.stanza.len() as u64;
                    if let Some(client) = self.stream(deliver.stream)
                        && client.on_deliver(*deliver)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::Handled(handled) => {
                    if let Some(client) = self.stream(handled.stream)
                        && client.on_handled(handled)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::Enabled(enabled) => {
                    if let Some(client) = self.stream(enabled.stream)
                        && client.on_enabled(&enabled)
                    {
                        batch.dirty.push(client);
                    }
                }
                In::State(state) => {
                    if let Some(client) = self.stream(state.stream) {
                        client.on_state(&state);
                    }
                }
                In::Credit(room) => self.credit.add(room.items, room.bytes),
                In::Welcome(welcome) => hub.welcome(welcome.hosts),
                In::Table(table) => *self.owned.lock() = Owned::of(&table),
                other => self.perform_rare(other),
            }
        }
        for client in batch.dirty.drain(..) {
            client.settle(&mut batch.frames);
        }
        self.send(&mut batch.frames);
        batch.frames.clear();
    }

    fn perform_rare(self: &Arc<Self>, kind: In) {
        match kind {
            In::Login(reply) => {
                if let (Some(client), Some(step)) = (self.exchange(reply.exchange), reply.step) {
                    client.on_login(step);
                }
            }
            In::Register(reply) => {
                if let Some(client) = self.exchange(reply.exchange) {
                    client.on_registered(&reply.stanza);
                }
            }
            In::Bound(bound) => self.on_bound(&bound),
            In::Resumed(resumed) => self.on_resumed(&resumed),
            In::Hibernated(gone) => {
                let client = self.stream(gone.stream);
                let is_it = client.is_some_and(|client| client.is_generation(gone.generation));
                let _gone = gone.stream.filter(|_| is_it).and_then(|id| self.streams.lock().remove(&id));
            }
            In::Close(close) => {
                if let Some(client) = self.stream(close.stream)
                    && client.on_close(&close)
                {
                    let _gone = close.stream.and_then(|id| self.streams.lock().remove(&id));
                }
            }
            // `Moved`: slots are static, nothing moves yet. The others are no rare ones.
            _ => {}
        }
    }

    fn on_bound(self: &Arc<Self>, bound: &Bound) {
        let client = self.exchange(bound.exchange);
        if !bound.condition.is_empty() {
            if let Some(client) = client {
                client.on_refused(&bound.condition, None);
            }
        } else if let (Some(client), Some(id)) = (client, bound.stream)
            && client.on_bound(self, id, bound)
        {
            self.streams.lock().insert(id, client);
        } else {
            self.ended(bound.stream, bound.generation, Why::Lost);
        }
    }

    fn on_resumed(self: &Arc<Self>, resumed: &Resumed) {
        let client = self.exchange(resumed.exchange);
        if !resumed.condition.is_empty() {
            if let Some(client) = client {
                client.on_refused(&resumed.condition, resumed.has_h.then_some(resumed.h));
            }
        } else if let (Some(client), Some(id)) = (client, resumed.stream)
            && client.on_resumed(self, id, resumed)
        {
            let before = self.streams.lock().insert(id, client);
            if let Some(before) = before {
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

/// Which start of this process it is.
pub(crate) fn incarnation() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
