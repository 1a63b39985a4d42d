//! A whole run: sessions arrive, play, and go; seconds are cut; at the end, what is under way may arrive.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use figures::{Book, FORM, Machine, Mark, PhaseSpan, Record, Recorder, Second, Source, Watch};
use rand::SeedableRng;
use rand::rngs::StdRng;
use scenario::{LedgerRules, Scenario};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::accounts::Names;
use crate::arrivals::{Arrivals, Who};
use crate::clock::Clock;
use crate::compile::{Compiler, phases};
use crate::data::Tables;
use crate::options::Options;
use crate::session;
use crate::stage::{Shared, Stage};
use crate::text::Words;
use crate::{Part, faults, files, others};

const SECOND_US: u64 = 1_000_000;
/// From the call to the run's start, if nobody says when that is.
const LEAD: Duration = Duration::from_millis(100);
/// How often it is asked whether everything has arrived.
const SETTLE_STEP_US: u64 = 100_000;
/// Everything has arrived when nothing is known to be under way and nothing has come for so long.
const QUIET_US: u64 = 500_000;
/// How long sessions may take to log out, and their archives to be read.
const END_TIMEOUT: Duration = Duration::from_mins(10);

/// A run that was played.
#[derive(Debug)]
pub struct Played {
    /// Everything but the ledger's verdict and the goals, which are of all workers.
    pub record: Record,
    /// The ledger, to be merged with other workers' and settled.
    pub book: Book,
    /// A script has ended the run with `abort`, or the operator has stopped it.
    pub aborted: bool,
}

/// Why nothing was played.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A script is wrong in a way that the scenario's own checks do not see.
    #[error("{0}")]
    Script(String),
    /// There is nowhere to connect to.
    #[error("no address to connect to")]
    NoEndpoint,
}

impl Played {
    /// The record with the ledger's verdict, of a run with one worker.
    pub fn settle(self, rules: &LedgerRules) -> Record {
        let Self { mut record, book, .. } = self;
        record.ledger = book.settle(rules.delayed_after);
        record
    }
}

/// Plays a scenario, and hands every second that passes to `observer`.
pub async fn run(
    scenario: &Scenario,
    options: Options,
    mut observer: impl FnMut(&Second),
) -> Result<Played, Error> {
    if options.endpoints.is_empty() {
        return Err(Error::NoEndpoint);
    }
    let mut warnings = Vec::new();
    let recorder = Recorder::new(phases(scenario));
    let arriving = Arrivals::new(scenario, options.seed, options.worker);
    let sessions = sessions(arriving);
    warnings.extend(files::make_room(sessions.min(scenario.accounts.count)));
    let watch = Watch::start(watched(&options));
    let stage = Arc::new(set(scenario, options, &recorder).await?);

    let mut run = Run {
        stage: Arc::clone(&stage),
        watch,
        seconds: Vec::new(),
        marks: Vec::new(),
        sessions: JoinSet::new(),
    };
    let faults = tokio::spawn(faults::play(Arc::clone(&stage), scenario.faults.clone()));
    others::begin(&stage);
    let hearing = tokio::spawn(others::hear(Arc::clone(&stage)));
    run.play(scenario, &mut observer).await;
    run.settle(&mut observer).await;
    faults.abort();
    hearing.abort();
    stage.end();
    run.finish(&mut observer).await;
    Ok(run.played(scenario, warnings))
}

/// Everything that sessions share, before the first of them.
async fn set(scenario: &Scenario, options: Options, recorder: &Recorder) -> Result<Stage, Error> {
    let tables = Arc::new(Tables::new(&scenario.data, options.worker));
    let mut words = Words { columns: tables.columns(), ..Words::default() };
    words.constants.insert("domain".to_owned(), options.domain.clone());
    for (name, value) in &scenario.parameters {
        words.constants.insert(name.clone(), value.to_string());
    }
    let names = Names::new(&scenario.accounts, &options.domain, &words, Arc::clone(&tables));
    // Where workers know of each other, they have one barrier together.
    let meeting = if options.others.is_some() { Part::WHOLE } else { options.worker };
    let compiler = Compiler {
        recorder,
        tables: &tables,
        words,
        sessions: sessions(Arrivals::new(scenario, options.seed, meeting)),
        workers: options.worker.of,
        barriers_of: meeting.of,
    };
    let script = compiler.compile(scenario).map_err(Error::Script)?;
    let start = options.start.unwrap_or_else(|| Instant::now() + LEAD);
    let drift_us = options.others.as_ref().map(|others| Arc::clone(&others.drift_us)).unwrap_or_default();
    Ok(Stage::new(Shared {
        clock: Clock::new(start, drift_us).await,
        recorder: recorder.clone(),
        script,
        names,
        tables,
        rules: scenario.ledger.clone(),
        options,
    }))
}

/// How many sessions arrive.
fn sessions(arriving: Arrivals<'_>) -> u64 {
    arriving.filter(|arrival| arrival.who != Who::Storm).count() as u64
}

fn watched(options: &Options) -> std::collections::BTreeMap<String, Source> {
    let mut sources = options.watch.clone();
    if let Some(url) = &options.metrics {
        sources.insert("metrics".to_owned(), Source::Prometheus(url.clone()));
    }
    sources
}

struct Run {
    stage: Arc<Stage>,
    watch: Watch,
    seconds: Vec<Second>,
    marks: Vec<Mark>,
    sessions: JoinSet<()>,
}

impl Run {
    /// Lets sessions arrive until the last phase ends.
    async fn play(&mut self, scenario: &Scenario, observer: &mut impl FnMut(&Second)) {
        let stage = Arc::clone(&self.stage);
        let options = &stage.options;
        // Before it, the clock shows 0: sessions of the first moment would come early and seem to take no time.
        tokio::time::sleep_until(stage.clock.at(0)).await;
        for arrival in Arrivals::new(scenario, options.seed, options.worker) {
            self.wait_until(arrival.at_us, observer).await;
            if stage.is_aborted() {
                return;
            }
            match arrival.who {
                Who::Session { population } => self.arrive(population, arrival.at_us),
                Who::Storm => {
                    let cut = stage.seats.cut(1.0, &mut StdRng::seed_from_u64(options.seed));
                    tracing::info!(connections = cut, "storm");
                    self.marks.push(Mark { at_ms: arrival.at_us / 1000, what: "storm".to_owned() });
                }
            }
        }
        self.wait_until(stage.script.end_us, observer).await;
    }

    fn arrive(&mut self, population: usize, at_us: u64) {
        // Those that have ended need no place any more.
        while self.sessions.try_join_next().is_some() {}
        let stage = &self.stage;
        match stage.free.take() {
            Some(account) => {
                self.sessions.spawn(session::perform(Arc::clone(stage), population, account, at_us));
            }
            None => stage.failed(stage.measures.login, "no-free-account"),
        }
    }

    /// Waits for what is under way, at the longest as the ledger's rules say.
    async fn settle(&mut self, observer: &mut impl FnMut(&Second)) {
        let stage = Arc::clone(&self.stage);
        let limit_us = stage.clock.now_us() + stage.rules.settle.as_micros() as u64;
        self.fetch(limit_us);
        let mut arrived = stage.seats.arrived();
        let mut quiet_since_us = stage.clock.now_us();
        while stage.clock.now_us() < limit_us && !stage.is_aborted() {
            self.wait_until(stage.clock.now_us() + SETTLE_STEP_US, observer).await;
            let now_arrived = stage.seats.arrived();
            if now_arrived != arrived {
                arrived = now_arrived;
                quiet_since_us = stage.clock.now_us();
            }
            // Of messages between workers, each knows its own half only.
            let is_alone = stage.options.worker.of == 1;
            let is_quiet = stage.clock.now_us() - quiet_since_us >= QUIET_US;
            if is_alone && is_quiet && stage.seats.under_way() == 0 {
                return;
            }
        }
    }

    /// Has accounts that went before their messages came look once more.
    fn fetch(&mut self, until_us: u64) {
        let stage = &self.stage;
        let now_us = stage.clock.now_us();
        if now_us >= until_us {
            return;
        }
        for (account, seat) in stage.seats.iter().filter(|(_, seat)| !seat.is_taken() && seat.under_way() > 0)
        {
            if let Some(role) = seat.role() {
                self.sessions.spawn(session::fetch(Arc::clone(stage), role, account, now_us));
            }
        }
    }

    /// Waits until all sessions have gone, and reads the archives of those that went before.
    async fn finish(&mut self, observer: &mut impl FnMut(&Second)) {
        let stage = Arc::clone(&self.stage);
        let all_gone = timeout(END_TIMEOUT, async {
            while self.sessions.join_next().await.is_some() {}
            if stage.rules.archive && !stage.is_aborted() {
                for (account, seat) in stage.seats.iter() {
                    if let Some(role) = seat.role().filter(|_| !seat.is_archive_read()) {
                        self.sessions.spawn(session::read_archive(Arc::clone(&stage), role, account));
                    }
                }
                while self.sessions.join_next().await.is_some() {}
            }
        });
        if all_gone.await.is_err() {
            stage.recorder.count("sessions-left-behind", self.sessions.len() as u64);
            self.sessions.shutdown().await;
        }
        self.cut(observer);
    }

    /// Waits until that time, and cuts the seconds that pass.
    async fn wait_until(&mut self, until_us: u64, observer: &mut impl FnMut(&Second)) {
        let stage = Arc::clone(&self.stage);
        let clock = &stage.clock;
        while clock.now_us() < until_us && !self.stage.is_aborted() {
            let second_us = (self.seconds.len() as u64 + 1) * SECOND_US;
            tokio::time::sleep_until(clock.at(until_us.min(second_us))).await;
            if clock.now_us() >= second_us {
                self.cut(observer);
            }
            if self.stage.options.stop.load(Ordering::Acquire) {
                self.stage.abort();
            }
        }
    }

    fn cut(&mut self, observer: &mut impl FnMut(&Second)) {
        let stage = &self.stage;
        let mut second = stage.recorder.cut(stage.clock.now_ms());
        second.server = self.watch.server();
        let name = format!("w{}", stage.options.worker.index);
        second.generators.insert(name, self.watch.generator(stage.recorder.take_lag()));
        observer(&second);
        self.seconds.push(second);
    }

    fn played(self, scenario: &Scenario, mut warnings: Vec<String>) -> Played {
        let Self { stage, seconds, mut marks, .. } = self;
        let recorder = &stage.recorder;
        let counts = recorder.counts();
        warnings.extend(files::explain(&counts));
        if let Some(unread) = counts.get("archives-unread") {
            warnings.push(format!("{unread} archives could not be read: nothing is known of what they hold"));
        }
        if stage.is_aborted() {
            warnings.push("the run was ended before its time".to_owned());
        }
        marks.append(&mut stage.marks.lock());
        marks.sort_by_key(|mark| mark.at_ms);
        let mut record = Record {
            form: FORM,
            scenario: scenario.name.clone(),
            about: scenario.about.clone(),
            parameters: scenario.parameters.clone(),
            target: stage.options.target.clone(),
            started_unix_ms: stage.clock.started_unix_ms(),
            phases: phases(scenario) as Vec<PhaseSpan>,
            marks,
            seconds,
            latencies: recorder.latencies(),
            counts,
            machine: Machine::here(env!("CARGO_PKG_VERSION")),
            warnings,
            ..Record::default()
        };
        record.warn_of_generators();
        let book = std::mem::replace(&mut *stage.book.lock(), Book::new(stage.options.run));
        Played { record, book, aborted: stage.is_aborted() }
    }
}
