//! A worker: dials the controller, plays its share, and hands in what it has.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use figures::Second;
use play::{Gathered, Options, Others, Played};
use scenario::Scenario;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use crate::Clock;
use crate::wire::fleet_client::FleetClient;
use crate::wire::{
    self, FORM, FromWorker, Gathering, Gatherings, Hello, Parcel, Ping, Pong, Ready, Share, ToWorker,
    Unreadable, VERSION, from_worker, pieces, to_worker,
};

/// Messages that wait for the controller, at most.
const QUEUE_MAX: usize = 64;
/// Between two attempts to reach it.
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// A controller that has not said anything for so long has gone: it asks every second.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether the operator has stopped the worker.
const STOP_EVERY: Duration = Duration::from_millis(200);

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Where the controller listens, `host:port`.
    pub controller: String,
    /// How long it is tried to reach it.
    pub patience: Duration,
    /// Addresses to connect from, instead of those that the controller deals out.
    pub sources: Vec<IpAddr>,
    /// What the controller compares with its own.
    pub clock: Clock,
    /// Once this is set the worker ends: before it plays at once, else with what it has.
    pub stop: Arc<AtomicBool>,
}

/// Why a worker has not played, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum Unable {
    /// Nobody answers there.
    #[error("no controller at {controller} within {} seconds: {why}", .patience.as_secs())]
    Unreachable {
        /// As it was given.
        controller: String,
        /// How long it was tried.
        patience: Duration,
        /// Of the last attempt.
        why: String,
    },
    /// The connection ended, or nothing came for too long.
    #[error("the controller has gone: {0}")]
    Gone(String),
    /// The controller does not need it, or has ended the run.
    #[error("the controller says: {0}")]
    Dismissed(String),
    /// The share cannot be played.
    #[error("the share cannot be played: {0}")]
    Share(String),
    /// The operator has stopped it.
    #[error("stopped")]
    Stopped,
}

impl Worker {
    /// Plays one run for the controller.
    pub async fn work(self) -> Result<(), Unable> {
        let (out, said) = mpsc::channel(QUEUE_MAX);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hello = from_worker::Kind::Hello(Hello {
            form: FORM,
            version: VERSION.to_owned(),
            host: host.trim().to_owned(),
            pid: std::process::id(),
        });
        // It is the first: there is room.
        let _ = out.try_send(hello.into());
        let orders = self.dial(said).await?;
        let (seconds, passed_seconds) = mpsc::channel(QUEUE_MAX);
        let (gathered, gatherings) = watch::channel(Vec::new());
        let post = Post {
            setup: self,
            out,
            heard: Instant::now(),
            drift_us: Arc::default(),
            seconds,
            gathered,
            passed: watch::Sender::new(Vec::new()),
            parcel: Parcel::default(),
            share: None,
            refused: None,
            playing: JoinSet::new(),
            sending: JoinSet::new(),
            has_played: false,
        };
        post.serve(orders, passed_seconds, gatherings).await
    }

    async fn dial(&self, said: mpsc::Receiver<FromWorker>) -> Result<Streaming<ToWorker>, Unable> {
        let Self { controller, patience, .. } = self;
        let unreachable =
            |why: String| Unable::Unreachable { controller: controller.clone(), patience: *patience, why };
        let endpoint = Endpoint::from_shared(format!("http://{controller}"))
            .map_err(|error| unreachable(error.to_string()))?
            .connect_timeout(*patience);
        let mut why = "it was not tried".to_owned();
        let connected = timeout(*patience, async {
            loop {
                match endpoint.connect().await {
                    Ok(channel) => return Ok(channel),
                    Err(error) => why = cause(&error),
                }
                if self.stop.load(Ordering::Acquire) {
                    return Err(Unable::Stopped);
                }
                sleep(RETRY_EVERY).await;
            }
        });
        let channel = match connected.await {
            Ok(connected) => connected?,
            Err(_) => return Err(unreachable(why)),
        };
        let joined = FleetClient::new(channel).join(ReceiverStream::new(said)).await;
        joined.map(tonic::Response::into_inner).map_err(|status| Unable::Gone(status.message().to_owned()))
    }
}

/// What lies deepest: errors of connections say little themselves.
fn cause(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// A worker that is connected.
struct Post {
    setup: Worker,
    out: mpsc::Sender<FromWorker>,
    /// When the controller was heard last.
    heard: Instant,
    drift_us: Arc<AtomicI64>,
    seconds: mpsc::Sender<(u32, Second)>,
    gathered: watch::Sender<Vec<Gathered>>,
    passed: watch::Sender<Vec<u64>>,
    parcel: Parcel,
    share: Option<(Scenario, Options)>,
    /// Why nothing can be played: the controller was told.
    refused: Option<String>,
    playing: JoinSet<Result<Played, play::Error>>,
    sending: JoinSet<()>,
    has_played: bool,
}

impl Post {
    /// Does what the controller says until it says no more.
    async fn serve(
        mut self,
        mut orders: Streaming<ToWorker>,
        mut seconds: mpsc::Receiver<(u32, Second)>,
        mut gatherings: watch::Receiver<Vec<Gathered>>,
    ) -> Result<(), Unable> {
        let mut look = interval(STOP_EVERY);
        loop {
            tokio::select! {
                biased;
                Some(_) = self.sending.join_next() => self.has_played = true,
                order = orders.message() => match order {
                    Ok(Some(ToWorker { kind: Some(to_worker::Kind::Over(why)) })) => return self.over(why),
                    Ok(Some(ToWorker { kind })) => self.obey(kind),
                    Ok(None) => return self.end("it hung up"),
                    Err(status) => return self.end(status.message()),
                },
                Some(played) = self.playing.join_next() => self.hand_in(played),
                Some((number, second)) = seconds.recv() => self.tell_second(number, &second),
                Ok(()) = gatherings.changed() => {
                    let barriers = gatherings.borrow_and_update().iter().map(|barrier| Gathering {
                        came: barrier.came,
                        needed: barrier.needed,
                    }).collect();
                    self.say(from_worker::Kind::Gatherings(Gatherings { barriers }));
                }
                _ = look.tick() => self.look()?,
            }
        }
    }

    fn obey(&mut self, order: Option<to_worker::Kind>) {
        self.heard = Instant::now();
        match order {
            Some(to_worker::Kind::Share(piece)) => self.take_share(&piece),
            Some(to_worker::Kind::Ping(ping)) => self.answer(ping),
            Some(to_worker::Kind::Start(start)) => self.start(start.at_us),
            Some(to_worker::Kind::Passed(passed)) => {
                self.passed.send_replace(passed.barriers);
            }
            Some(to_worker::Kind::Stop(_)) => self.setup.stop.store(true, Ordering::Release),
            Some(to_worker::Kind::Over(_)) | None => {}
        }
    }

    fn answer(&mut self, Ping { sent_us, ahead_us }: Ping) {
        let received_us = self.setup.clock.now_us();
        self.drift_us.store(ahead_us, Ordering::Relaxed);
        let answered_us = self.setup.clock.now_us();
        self.say(from_worker::Kind::Pong(Pong { sent_us, received_us, answered_us }));
    }

    fn take_share(&mut self, piece: &wire::Piece) {
        let share = match self.parcel.add::<Share>(piece) {
            Ok(Some(share)) => share,
            Ok(None) => return,
            Err(why) => return self.refuse(why.to_string()),
        };
        match self.prepare(&share) {
            Ok(prepared) => {
                self.share = Some(prepared);
                self.say(from_worker::Kind::Ready(Ready {}));
            }
            Err(why) => self.refuse(why.to_string()),
        }
    }

    fn prepare(&self, share: &Share) -> Result<(Scenario, Options), Unreadable> {
        let scenario = share.scenario()?;
        let mut options = share.options(Arc::clone(&self.setup.stop))?;
        if !self.setup.sources.is_empty() {
            options.sources.clone_from(&self.setup.sources);
        }
        options.others = Some(Others {
            drift_us: Arc::clone(&self.drift_us),
            gathered: self.gathered.clone(),
            passed: self.passed.subscribe(),
        });
        Ok((scenario, options))
    }

    fn start(&mut self, at_us: i64) {
        let Some((scenario, mut options)) = self.share.take() else { return };
        options.start = Some(self.setup.clock.moment(at_us));
        let seconds = self.seconds.clone();
        self.playing.spawn(async move {
            let mut number = 0;
            let observer = move |second: &Second| {
                // They are to be seen only: where they cannot pass, the record has them.
                let _ = seconds.try_send((number, second.clone()));
                number += 1;
            };
            play::run(&scenario, options, observer).await
        });
    }

    fn tell_second(&mut self, number: u32, second: &Second) {
        if let Ok(json) = serde_json::to_vec(second) {
            self.say(from_worker::Kind::Second(wire::Second { number, json }));
        }
    }

    fn hand_in(&mut self, played: Result<Result<Played, play::Error>, JoinError>) {
        let written = match played {
            Ok(Ok(played)) => wire::Played::of(&played).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match written {
            Ok(played) => {
                let out = self.out.clone();
                self.sending.spawn(async move {
                    for piece in pieces(&played) {
                        // A controller that has gone is seen elsewhere.
                        if out.send(from_worker::Kind::Played(piece).into()).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&mut self, why: String) {
        self.say(from_worker::Kind::Refused(why.clone()));
        self.refused = Some(why);
    }

    /// Nothing waits for the controller: what finds no room is for one that has stopped to read.
    fn say(&self, kind: from_worker::Kind) {
        let _ = self.out.try_send(kind.into());
    }

    /// Looks whether there is still a reason to be here.
    fn look(&self) -> Result<(), Unable> {
        let is_idle = self.playing.is_empty() && self.sending.is_empty() && !self.has_played;
        if is_idle && self.setup.stop.load(Ordering::Acquire) {
            return Err(Unable::Stopped);
        }
        if self.heard.elapsed() > SILENCE_MAX {
            return Err(Unable::Gone(format!("it was silent for {} seconds", SILENCE_MAX.as_secs())));
        }
        Ok(())
    }

    fn over(self, why: String) -> Result<(), Unable> {
        match self.refused {
            Some(refused) => Err(Unable::Share(refused)),
            None if why.is_empty() => Ok(()),
            None => Err(Unable::Dismissed(why)),
        }
    }

    fn end(self, why: &str) -> Result<(), Unable> {
        match self.refused {
            Some(refused) => Err(Unable::Share(refused)),
            None if self.has_played => Ok(()),
            None => Err(Unable::Gone(why.to_owned())),
        }
    }
}
