//! The proxy's connections: two lanes each, and the clock.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep_until, timeout_at};

use super::lane::{Lane, Outcome};
use super::{Kind, Log, Plan, Planted};
use crate::scan::Scanner;

/// Read at once.
const READ_BYTES: usize = 16 << 10;
/// What has not ended after as many bytes is no stanza that a server would take: the connection is ended.
const PIECE_BYTES_MAX: usize = 4 << 20;
/// What the first record of TLS begins with (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// In which direction faults are planted.
///
/// Towards the server they disturb what stream management counts: `<a h/>` then covers other stanzas than the client means.
/// Towards the client they do so too, where the server asks for acknowledgements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Towards {
    #[default]
    /// In what clients receive.
    Client,
    /// In what clients send.
    Server,
    /// In both.
    Both,
}

/// Listens, and stands for a server.
pub struct Proxy {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    plan: Arc<Plan>,
    towards: Towards,
    log: Log,
    stalled_until: Mutex<Option<Instant>>,
    lanes: AtomicU64,
}

impl Proxy {
    /// Listens. Clients can connect from now on; they are served by [`Proxy::run`].
    pub async fn bind(
        listen: SocketAddr,
        server: SocketAddr,
        plan: Plan,
        towards: Towards,
        log: Log,
    ) -> io::Result<Proxy> {
        let stalled_until = Mutex::default();
        let shared =
            Shared { server, plan: Arc::new(plan), towards, log, stalled_until, lanes: AtomicU64::new(0) };
        Ok(Proxy { listener: TcpListener::bind(listen).await?, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped. With `stall` everything stands still once: that long after now, for that long.
    pub async fn run(self, stall: Option<(Duration, Duration)>) -> io::Result<()> {
        if let Some((after, lasts)) = stall {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                *shared.stalled_until.lock() = Some(Instant::now() + lasts);
                let held_ms = lasts.as_millis() as u64;
                shared.log.write(&Planted { kind: Kind::Stall, id: String::new(), held_ms })
            });
        }
        loop {
            let (client, _) = self.listener.accept().await?;
            tokio::spawn(join(client, Arc::clone(&self.shared)));
        }
    }
}

async fn join(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::spawn(Pump::new(from_client, to_server, Towards::Server, &shared).run());
    Pump::new(from_server, to_client, Towards::Client, &shared).run().await
}

/// One direction of a connection.
struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    shared: Arc<Shared>,
    /// None: these bytes are none of ours, they are copied.
    lane: Option<Lane>,
    scanner: Scanner,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Pump {
    fn new(from: OwnedReadHalf, to: OwnedWriteHalf, towards: Towards, shared: &Arc<Shared>) -> Pump {
        let number = shared.lanes.fetch_add(1, Ordering::Relaxed);
        let planted = shared.towards == towards || shared.towards == Towards::Both;
        let lane = planted.then(|| Lane::new(Arc::clone(&shared.plan), number));
        let (input, output) = (Vec::new(), Vec::new());
        Pump { from, to, shared: Arc::clone(shared), lane, scanner: Scanner::default(), input, output }
    }

    async fn run(mut self) -> io::Result<()> {
        let mut open = true;
        while open {
            self.input.reserve(READ_BYTES);
            let due = self.lane.as_ref().and_then(Lane::next_due);
            let read = self.from.read_buf(&mut self.input);
            // A connection that breaks ends as well: what is held still goes on.
            open = match due {
                None => read.await.is_ok_and(|bytes| bytes > 0),
                Some(due) => {
                    timeout_at(due.into(), read).await.map_or(true, |read| read.is_ok_and(|bytes| bytes > 0))
                }
            };
            open &= self.input.len() <= PIECE_BYTES_MAX;
            self.take(!open)?;
            self.stand_still().await;
            self.to.write_all(&self.output).await?;
            self.output.clear();
        }
        self.to.shutdown().await
    }

    fn take(&mut self, at_end: bool) -> io::Result<()> {
        let secured = self.input.first() == Some(&TLS_HANDSHAKE);
        let Some(lane) = self.lane.as_mut().filter(|_| !secured) else {
            self.lane = None;
            self.output.append(&mut self.input);
            return Ok(());
        };
        let now = Instant::now();
        let mut planted = Vec::new();
        let to = &mut Outcome { bytes: &mut self.output, planted: &mut planted };
        lane.release(now, to);
        let mut taken = 0;
        while let Some(length) = self.scanner.piece(&self.input[taken..]) {
            lane.pass(&self.input[taken..taken + length], now, to);
            taken += length;
        }
        self.input.drain(..taken);
        if at_end {
            lane.release_all(now, to);
            to.bytes.append(&mut self.input);
        }
        planted.iter().try_for_each(|planted| self.shared.log.write(planted))
    }

    async fn stand_still(&self) {
        let until = *self.shared.stalled_until.lock();
        if let Some(until) = until {
            sleep_until(until.into()).await;
        }
    }
}
