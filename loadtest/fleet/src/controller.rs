//! The controller: waits for workers, has them play, and makes one run of theirs.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use figures::Second;
use play::{Options, Part, Played};
use scenario::Scenario;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::Clock;
use crate::crew::Crew;
use crate::door::{self, Event};
use crate::wire::Share;

/// Events that wait for the controller, at most.
const EVENTS_MAX: usize = 1024;
/// How often clocks are compared before the start, and it is looked whether the operator has stopped the run.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often clocks are compared while the run is on.
const PING_EVERY: Duration = Duration::from_secs(1);
/// Round trips to each worker before the start, at least.
const TRIPS_LEAST: usize = 16;
/// From the last word before the start to the start: workers count their arrivals and compile their scripts meanwhile.
const LEAD_US: i64 = 2_000_000;

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not enough of them came in time.
    #[error("of {wanted} workers, {came} came within {} seconds", .patience.as_secs())]
    Missing {
        /// How many were to come.
        wanted: usize,
        /// How many were there at the end.
        came: usize,
        /// How long they were waited for.
        patience: Duration,
    },
    /// What it has sent, nobody knows: there is no verdict.
    #[error("worker {worker} has gone: {why}")]
    Gone {
        /// Number, process and machine.
        worker: String,
        /// As the connection tells it.
        why: String,
    },
    /// It cannot play its share.
    #[error("worker {worker} cannot play: {why}")]
    Refused {
        /// Number, process and machine.
        worker: String,
        /// As it says.
        why: String,
    },
    /// A run of no workers.
    #[error("a run has at least one worker")]
    Nobody,
    /// The operator has stopped it before it began.
    #[error("stopped before the run began")]
    Stopped,
    /// The scenario cannot be written for workers.
    #[error("the scenario cannot be handed out: {0}")]
    Scenario(#[from] serde_json::Error),
}

/// Listens for workers.
#[derive(Debug)]
pub struct Controller {
    listener: TcpListener,
    clock: Clock,
}

/// Workers that wait for their shares. Their connections end with it.
pub struct Fleet {
    clock: Clock,
    events: mpsc::Receiver<Event>,
    crew: Crew,
    /// The door, and shares on their way.
    tasks: JoinSet<()>,
}

impl Controller {
    /// Binds the address that workers dial.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, clock: Clock::new() })
    }

    /// Where workers dial.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits until so many workers have come, and tells `progress` how many have. Setting `stop` ends it.
    ///
    /// # Errors
    /// If fewer come within `patience`.
    pub async fn muster(
        self,
        workers: usize,
        patience: Duration,
        stop: &AtomicBool,
        mut progress: impl FnMut(usize),
    ) -> Result<Fleet, Error> {
        let Self { listener, clock } = self;
        let (to, events) = mpsc::channel(EVENTS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = door::open(listener, clock, to).await {
                tracing::error!(%error, "no worker can come in");
            }
        });
        let mut fleet = Fleet { clock, events, crew: Crew::new(clock, workers), tasks };
        let until = Instant::now() + patience;
        let mut told = None;
        loop {
            let came = fleet.crew.count();
            if told != Some(came) {
                progress(came);
                told = Some(came);
            }
            if came >= workers {
                fleet.crew.close();
                return Ok(fleet);
            }
            if Instant::now() >= until {
                return Err(Error::Missing { wanted: workers, came, patience });
            }
            fleet.hear(until.min(Instant::now() + LOOK_EVERY), &mut |_| {}).await?;
            heed(stop)?;
        }
    }
}

impl Fleet {
    /// Has a scenario played, and hands each second of all workers together to `observer`.
    ///
    /// `options` are as for a run of one process. `worker`, `start`, `tls` and `others` are each worker's own; `sources` are
    /// dealt out; `watch`, `metrics` and `hooks` are for the first worker, on whose machine they must make sense.
    /// `authorities` are certificates, in PEM, of who is trusted; without them anybody is.
    ///
    /// # Errors
    /// If one of the workers cannot play, or goes: the others are told to end.
    pub async fn play(
        mut self,
        scenario: &Scenario,
        options: &Options,
        authorities: Option<&[u8]>,
        mut observer: impl FnMut(&Second),
    ) -> Result<Played, Error> {
        let played = async {
            self.hand_out(scenario, options, authorities)?;
            self.tune(&options.stop).await?;
            let started_unix_ms = self.start();
            self.follow(&options.stop, &mut observer).await?;
            let mut played = self.crew.merge()?;
            played.record.started_unix_ms = started_unix_ms;
            Ok(played)
        };
        let played = played.await;
        self.crew.dismiss(&played.as_ref().err().map(Error::to_string).unwrap_or_default());
        played
    }

    /// Gives each worker its share.
    fn hand_out(
        &mut self,
        scenario: &Scenario,
        options: &Options,
        authorities: Option<&[u8]>,
    ) -> Result<(), Error> {
        let of = self.crew.count() as u64;
        for index in 0..of {
            let share = Share::new(scenario, options, authorities, Part { index, of })?;
            self.tasks.spawn(self.crew.deliver(index as usize, share));
        }
        Ok(())
    }

    /// Waits until all have read their shares, and clocks are known.
    async fn tune(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        while !self.crew.is_ready(TRIPS_LEAST) {
            self.crew.ping();
            self.hear(Instant::now() + LOOK_EVERY, &mut |_| {}).await?;
            self.crew.miss_nobody()?;
            heed(stop)?;
        }
        Ok(())
    }

    /// Names the moment of the start; in milliseconds since 1970 for the record.
    fn start(&mut self) -> u64 {
        self.crew.start(self.clock.now_us() + LEAD_US);
        tracing::info!(workers = self.crew.count(), "all workers start");
        let start = SystemTime::now() + Duration::from_micros(LEAD_US.unsigned_abs());
        start.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    /// Waits until all have played.
    async fn follow(&mut self, stop: &AtomicBool, observer: &mut impl FnMut(&Second)) -> Result<(), Error> {
        while !self.crew.have_all_played() {
            self.crew.ping();
            self.hear(Instant::now() + PING_EVERY, observer).await?;
            self.crew.miss_nobody()?;
            if stop.load(Ordering::Acquire) || self.crew.has_one_aborted() {
                self.crew.stop();
            }
        }
        Ok(())
    }

    /// Hears what workers say until then, or until all have come or played.
    async fn hear(&mut self, until: Instant, observer: &mut impl FnMut(&Second)) -> Result<(), Error> {
        while let Ok(Some(event)) = timeout_at(until, self.events.recv()).await {
            for second in self.crew.hear(event)? {
                observer(&second);
            }
            if self.crew.is_full() || self.crew.have_all_played() {
                break;
            }
        }
        Ok(())
    }
}

fn heed(stop: &AtomicBool) -> Result<(), Error> {
    if stop.load(Ordering::Acquire) { Err(Error::Stopped) } else { Ok(()) }
}
