//! The workers of a run as the controller knows them: who they are, what their clocks show, what they have handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use figures::Second;
use play::Played;
use tonic::Status;

use crate::Clock;
use crate::clock::{Ahead, Trip, Trips};
use crate::controller::Error;
use crate::door::{Event, Line, News};
use crate::hosts::{self, Host};
use crate::live::Seconds;
use crate::meetings::Meetings;
use crate::wire::{
    self, FORM, Hello, Parcel, Passed, Ping, Share, Start, Stop, ToWorker, VERSION, from_worker, pieces,
    to_worker,
};

/// A worker that has not said anything for so long has gone: it answers every second.
const SILENCE_US_MAX: i64 = 30_000_000;
/// An answer that takes longer is not waited for any more.
const PONG_US_MAX: i64 = 1_000_000;
/// Clocks that are known less exactly are worth a warning.
const ERROR_US_MAX: i64 = 1000;
/// Connections that have not yet said who they are, at most.
const STRANGERS_MAX: usize = 256;

pub(crate) struct Crew {
    clock: Clock,
    wanted: usize,
    /// In the order in which they came; once the crew is closed, by their number.
    workers: Vec<Worker>,
    strangers: Vec<Stranger>,
    is_closed: bool,
    has_stopped: bool,
    meetings: Meetings,
    seconds: Seconds,
}

/// One worker.
struct Worker {
    line: u64,
    name: String,
    /// Which machine it is on.
    host: String,
    to: Line,
    heard_us: i64,
    is_ready: bool,
    trips: Trips,
    /// It was asked what its clock shows, and has not answered.
    pinged_us: Option<i64>,
    /// What its clock was taken to be ahead at the start, and what it is taken to be since it drifted.
    started: Ahead,
    used: Ahead,
    /// The least exact that its clock was known since the start.
    error_us: i64,
    parcel: Parcel,
    played: Option<Played>,
}

struct Stranger {
    line: u64,
    from: String,
    to: Line,
}

impl Crew {
    pub(crate) fn new(clock: Clock, wanted: usize) -> Self {
        Self {
            clock,
            wanted,
            workers: Vec::new(),
            strangers: Vec::new(),
            is_closed: false,
            has_stopped: false,
            meetings: Meetings::new(wanted),
            seconds: Seconds::new(wanted),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.workers.len()
    }

    /// From now on nobody comes any more, and whoever goes is missed.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        let now_us = self.clock.now_us();
        for (number, worker) in self.workers.iter_mut().enumerate() {
            worker.name = format!("w{number} ({})", worker.name);
            worker.heard_us = now_us;
        }
    }

    /// Sends a share in its pieces.
    pub(crate) fn deliver(&self, number: usize, share: Share) -> impl Future<Output = ()> + use<> {
        let to = self.workers.get(number).map(|worker| worker.to.clone());
        async move {
            let Some(to) = to else { return };
            for piece in pieces(&share) {
                // A worker that has gone is missed elsewhere.
                if to.send(Ok(to_worker::Kind::Share(piece).into())).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Whether all have read their shares, and so many round trips were made to each.
    pub(crate) fn is_ready(&self, trips: usize) -> bool {
        self.workers.iter().all(|worker| worker.is_ready && worker.trips.count() >= trips)
    }

    /// Asks all what their clocks show.
    pub(crate) fn ping(&mut self) {
        let sent_us = self.clock.now_us();
        for worker in &mut self.workers {
            // One that is late would stand in the way of the next.
            if worker.pinged_us.is_none_or(|at_us| sent_us - at_us > PONG_US_MAX) {
                let ahead_us = worker.used.by_us - worker.started.by_us;
                let said = worker.say(to_worker::Kind::Ping(Ping { sent_us, ahead_us }));
                worker.pinged_us = said.then_some(sent_us);
            }
        }
    }

    /// Has all start at this moment of the controller's clock.
    pub(crate) fn start(&mut self, at_us: i64) {
        let now_us = self.clock.now_us();
        for worker in &mut self.workers {
            let ahead = worker.trips.ahead(now_us).unwrap_or_default();
            tracing::info!(worker = worker.name, ahead_us = ahead.by_us, error_us = ahead.error_us, "clock");
            (worker.started, worker.used, worker.error_us) = (ahead, ahead, ahead.error_us);
            worker.say(to_worker::Kind::Start(Start { at_us: at_us + ahead.by_us }));
        }
    }

    /// Has all end their part, once.
    pub(crate) fn stop(&mut self) {
        if !std::mem::replace(&mut self.has_stopped, true) {
            for worker in &self.workers {
                worker.say(to_worker::Kind::Stop(Stop {}));
            }
        }
    }

    /// The last that was waited for has come.
    pub(crate) fn is_full(&self) -> bool {
        !self.is_closed && self.workers.len() >= self.wanted
    }

    pub(crate) fn have_all_played(&self) -> bool {
        self.is_closed && self.workers.iter().all(|worker| worker.played.is_some())
    }

    pub(crate) fn has_one_aborted(&self) -> bool {
        self.workers.iter().any(|worker| worker.played.as_ref().is_some_and(|played| played.aborted))
    }

    /// Tells all that it is over, and why, if not because all is done.
    pub(crate) fn dismiss(&mut self, why: &str) {
        for worker in self.workers.drain(..) {
            worker.say(to_worker::Kind::Over(why.to_owned()));
        }
    }

    /// A worker whose process stands still is as good as gone.
    pub(crate) fn miss_nobody(&self) -> Result<(), Error> {
        let now_us = self.clock.now_us();
        let is_silent =
            |worker: &&Worker| worker.played.is_none() && now_us - worker.heard_us > SILENCE_US_MAX;
        match self.workers.iter().find(is_silent) {
            Some(silent) => {
                let why = format!("it was silent for {} seconds", SILENCE_US_MAX / 1_000_000);
                Err(Error::Gone { worker: silent.name.clone(), why })
            }
            None => Ok(()),
        }
    }

    /// Takes what a worker said or did; seconds that all have told now.
    pub(crate) fn hear(&mut self, event: Event) -> Result<Vec<Second>, Error> {
        let Event { line, at_us, news } = event;
        match news {
            News::Came(from, to) => {
                if self.strangers.len() < STRANGERS_MAX {
                    self.strangers.push(Stranger { line, from, to });
                }
            }
            News::Said(from_worker::Kind::Hello(hello)) => self.enlist(line, at_us, &hello),
            News::Said(kind) => {
                if let Some(number) = self.workers.iter().position(|worker| worker.line == line) {
                    self.workers[number].heard_us = at_us;
                    return self.told(number, at_us, kind);
                }
            }
            News::Gone(why) => self.leave(line, why)?,
        }
        Ok(Vec::new())
    }

    fn enlist(&mut self, line: u64, at_us: i64, hello: &Hello) {
        let Some(at) = self.strangers.iter().position(|stranger| stranger.line == line) else { return };
        let Stranger { from, to, .. } = self.strangers.swap_remove(at);
        let host = format!("{}, {from}", hello.host);
        let name = format!("process {} on {host}", hello.pid);
        let refusal = if hello.form != FORM || hello.version != VERSION {
            format!("the controller is of version {VERSION}, this worker of {}", hello.version)
        } else if self.is_closed || self.workers.len() == self.wanted {
            format!("there are {} workers already", self.wanted)
        } else {
            tracing::info!(worker = name, came = self.workers.len() + 1, wanted = self.wanted, "worker came");
            self.workers.push(Worker::new(line, name, host, to, at_us));
            return;
        };
        tracing::warn!(worker = name, why = refusal, "worker refused");
        say(&to, to_worker::Kind::Over(refusal));
    }

    fn leave(&mut self, line: u64, why: String) -> Result<(), Error> {
        self.strangers.retain(|stranger| stranger.line != line);
        let Some(at) = self.workers.iter().position(|worker| worker.line == line) else { return Ok(()) };
        if self.is_closed {
            let worker = &self.workers[at];
            // Who has handed everything in may go.
            return match &worker.played {
                Some(_) => Ok(()),
                None => Err(Error::Gone { worker: worker.name.clone(), why }),
            };
        }
        let worker = self.workers.remove(at);
        tracing::warn!(worker = worker.name, why, "worker went");
        Ok(())
    }

    fn told(&mut self, number: usize, at_us: i64, kind: from_worker::Kind) -> Result<Vec<Second>, Error> {
        let worker = &mut self.workers[number];
        match kind {
            from_worker::Kind::Ready(_) => worker.is_ready = true,
            from_worker::Kind::Refused(why) => {
                return Err(Error::Refused { worker: worker.name.clone(), why });
            }
            from_worker::Kind::Pong(pong) => worker.tune(Trip {
                sent_us: pong.sent_us,
                received_us: pong.received_us,
                answered_us: pong.answered_us,
                back_us: at_us,
            }),
            from_worker::Kind::Second(wire::Second { number, json }) => {
                // It is to be seen only: what counts is in the record.
                let second = serde_json::from_slice(&json);
                return Ok(second.map_or_else(|_| Vec::new(), |second| self.seconds.add(number, second)));
            }
            from_worker::Kind::Gatherings(gatherings) => {
                let came = gatherings.barriers.iter().map(|barrier| (barrier.came, barrier.needed));
                if self.meetings.come(number, came) {
                    for (number, worker) in self.workers.iter().enumerate() {
                        let barriers = self.meetings.passed(number);
                        worker.say(to_worker::Kind::Passed(Passed { barriers }));
                    }
                }
            }
            from_worker::Kind::Played(piece) => worker.hand_in(&piece)?,
            from_worker::Kind::Hello(_) => {}
        }
        Ok(Vec::new())
    }

    /// One run of all that was handed in.
    pub(crate) fn merge(&mut self) -> Result<Played, Error> {
        let mut hosts: BTreeMap<String, Host> = BTreeMap::new();
        let parts = self.workers.iter_mut().enumerate().map(|(number, worker)| {
            let why = "it has handed nothing in".to_owned();
            let missing = Error::Gone { worker: worker.name.clone(), why };
            let mut played = worker.played.take().ok_or(missing)?;
            for warning in &mut played.record.warnings {
                *warning = format!("{}: {warning}", worker.name);
            }
            played.record.warnings.extend(worker.doubt());
            let host = hosts.entry(worker.host.clone()).or_default();
            // As the engine calls the generator of the worker with this number.
            host.workers.push(format!("w{number}"));
            host.cpus = played.record.machine.cpus;
            Ok(played)
        });
        let parts: Vec<Played> = parts.collect::<Result<_, Error>>()?;
        let sum = parts.into_iter().reduce(|mut sum, part| {
            sum.record.merge(&part.record);
            sum.book.merge(part.book);
            sum.aborted |= part.aborted;
            sum
        });
        let mut sum = sum.ok_or(Error::Nobody)?;
        sum.record.warnings.extend(hosts::doubts(&hosts, &sum.record.seconds));
        sum.record.marks.sort_by_key(|mark| mark.at_ms);
        Ok(sum)
    }
}

impl Worker {
    fn new(line: u64, name: String, host: String, to: Line, at_us: i64) -> Self {
        Self {
            line,
            name,
            host,
            to,
            heard_us: at_us,
            is_ready: false,
            trips: Trips::default(),
            pinged_us: None,
            started: Ahead::default(),
            used: Ahead::default(),
            error_us: 0,
            parcel: Parcel::default(),
            played: None,
        }
    }

    fn say(&self, kind: to_worker::Kind) -> bool {
        say(&self.to, kind)
    }

    /// Adds a round trip, and follows the clock if it has certainly drifted.
    fn tune(&mut self, trip: Trip) {
        let now_us = trip.back_us;
        self.pinged_us = None;
        self.trips.add(trip);
        let Some(ahead) = self.trips.ahead(now_us) else { return };
        self.error_us = self.error_us.max(ahead.error_us);
        if ahead.contradicts(self.used) {
            self.used = ahead;
        }
    }

    /// How inexact its clock was known, if that is too much.
    fn doubt(&self) -> Option<String> {
        (self.error_us > ERROR_US_MAX).then(|| {
            format!(
                "{}: its clock is known within {:.1?}: so inexact are latencies of messages between workers",
                self.name,
                Duration::from_micros(self.error_us.unsigned_abs())
            )
        })
    }

    fn hand_in(&mut self, piece: &wire::Piece) -> Result<(), Error> {
        let unreadable =
            |why: wire::Unreadable| Error::Refused { worker: self.name.clone(), why: why.to_string() };
        if let Some(played) = self.parcel.add::<wire::Played>(piece).map_err(&unreadable)? {
            self.played = Some(played.read().map_err(unreadable)?);
            tracing::info!(worker = self.name, "worker has played");
        }
        Ok(())
    }
}

/// Nothing waits for a worker: what does not fit into its queue is for one that has stopped to read, and will be missed.
fn say(to: &Line, kind: to_worker::Kind) -> bool {
    let said: Result<ToWorker, Status> = Ok(kind.into());
    to.try_send(said).is_ok()
}
