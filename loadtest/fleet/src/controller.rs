//! The controller: waits for workers, has them play, and makes one run of theirs.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use figures::Second;
use play::{Options, Played};
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
/// How often it is told that workers are missing.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often clocks are compared before the start, and while the run is on.
const TUNE_EVERY: Duration = Duration::from_millis(20);
const PING_EVERY: Duration = Duration::from_secs(1);
/// Round trips to each worker before the start, at least.
const TRIPS_LEAST: usize = 16;
/// From the last word before the start to the start: workers count their arrivals and compile their scripts meanwhile.
const LEAD_US: i64 = 2_000_000;

/// What all workers are told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many play.
    pub workers: usize,
    /// How long they may take to come.
    pub patience: Duration,
    /// Certificates, in PEM, of who is trusted; without them anybody is.
    pub authorities: Option<Vec<u8>>,
    /// As for a run of one process. `worker`, `start`, `tls` and `others` are each worker's own; `sources` are dealt
    /// out; `watch`, `metrics` and `hooks` are for the first worker, on whose machine they must make sense.
    pub options: Options,
}

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

impl Controller {
    /// Binds the address that workers dial.
    pub async fn listen(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, clock: Clock::new() })
    }

    /// Where workers dial.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Has a scenario played, and hands each second of all workers together to `observer`.
    ///
    /// # Errors
    /// If the workers do not come, or one of them goes: others are told to end.
    pub async fn play(
        self,
        scenario: &Scenario,
        plan: Plan,
        observer: impl FnMut(&Second),
    ) -> Result<Played, Error> {
        let Self { listener, clock } = self;
        let (to, events) = mpsc::channel(EVENTS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = door::open(listener, clock, to).await {
                tracing::error!(%error, "no worker can come in");
            }
        });
        let crew = Crew::new(clock, plan.workers);
        let mut run = Run { plan, clock, events, crew, tasks, observer };
        let played = run.play(scenario).await;
        run.crew.dismiss(played.as_ref().err().map(ToString::to_string).unwrap_or_default().as_str());
        played
    }
}

struct Run<O> {
    plan: Plan,
    clock: Clock,
    events: mpsc::Receiver<Event>,
    crew: Crew,
    /// The door, and shares on their way: they end with the run.
    tasks: JoinSet<()>,
    observer: O,
}

impl<O: FnMut(&Second)> Run<O> {
    async fn play(&mut self, scenario: &Scenario) -> Result<Played, Error> {
        self.gather().await?;
        self.hand_out(scenario)?;
        self.tune().await?;
        let started_unix_ms = self.start();
        self.follow().await?;
        let mut played = self.crew.merge()?;
        played.record.started_unix_ms = started_unix_ms;
        Ok(played)
    }

    /// Waits until all workers are there.
    async fn gather(&mut self) -> Result<(), Error> {
        let wanted = self.plan.workers;
        let until = Instant::now() + self.plan.patience;
        let mut tell_at = Instant::now();
        while self.crew.count() < wanted {
            let now = Instant::now();
            if now >= until {
                return Err(Error::Missing { wanted, came: self.crew.count(), patience: self.plan.patience });
            }
            if now >= tell_at {
                tracing::info!(wanted, came = self.crew.count(), "waiting for workers");
                tell_at = now + PROGRESS_EVERY;
            }
            self.hear(until.min(now + TUNE_EVERY)).await?;
            self.heed_stop()?;
        }
        Ok(())
    }

    /// Gives each worker its share.
    fn hand_out(&mut self, scenario: &Scenario) -> Result<(), Error> {
        self.crew.close();
        for index in 0..self.crew.count() {
            let share = Share::of(&self.plan, scenario, index as u64)?;
            self.tasks.spawn(self.crew.deliver(index, share));
        }
        Ok(())
    }

    /// Waits until all have read their shares, and clocks are known.
    async fn tune(&mut self) -> Result<(), Error> {
        while !self.crew.is_ready(TRIPS_LEAST) {
            self.crew.ping();
            self.hear(Instant::now() + TUNE_EVERY).await?;
            self.crew.miss_nobody()?;
            self.heed_stop()?;
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
    async fn follow(&mut self) -> Result<(), Error> {
        while !self.crew.have_all_played() {
            self.crew.ping();
            self.hear(Instant::now() + PING_EVERY).await?;
            self.crew.miss_nobody()?;
            if self.plan.options.stop.load(Ordering::Acquire) || self.crew.has_one_aborted() {
                self.crew.stop();
            }
        }
        Ok(())
    }

    /// Hears what workers say until then, or until all have played.
    async fn hear(&mut self, until: Instant) -> Result<(), Error> {
        while let Ok(Some(event)) = timeout_at(until, self.events.recv()).await {
            let was_missing = !self.crew.have_all_played();
            for second in self.crew.hear(event)? {
                (self.observer)(&second);
            }
            if was_missing && self.crew.have_all_played() {
                break;
            }
        }
        Ok(())
    }

    fn heed_stop(&self) -> Result<(), Error> {
        if self.plan.options.stop.load(Ordering::Acquire) { Err(Error::Stopped) } else { Ok(()) }
    }
}
