//! Where sessions write what they measure: sharded, so that they do not wait for each other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use hdrhistogram::Histogram;
use parking_lot::{Mutex, RwLock};

use crate::spread;
use crate::{PhaseSpan, Second, Spread};

/// Different measures at most; what goes beyond shares the last one.
pub const MEASURES_MAX: usize = 256;
const SHARDS: usize = 8;

/// The name of something that takes time, as a small number; from [`Recorder::measure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Measure(u16);

/// Takes latencies and counts of all sessions of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    phases: Vec<PhaseSpan>,
    measures: RwLock<Vec<String>>,
    shards: [Mutex<Shard>; SHARDS],
    totals: Mutex<Totals>,
    sessions: AtomicI64,
    lag_us: AtomicU64,
}

/// What came in through some of the threads since the last cut.
#[derive(Debug, Default)]
struct Shard {
    /// By measure, then phase.
    spreads: Vec<Vec<Option<Histogram<u32>>>>,
    counts: HashMap<&'static str, u64>,
    failures: HashMap<(u16, Box<str>), u64>,
}

/// What came in until the last cut.
#[derive(Debug, Default)]
struct Totals {
    spreads: Vec<Vec<Option<Histogram<u64>>>>,
    counts: BTreeMap<String, u64>,
}

impl Recorder {
    /// `phases` in their order, without gaps: latencies belong to the phase in which they were intended to begin.
    pub fn new(phases: Vec<PhaseSpan>) -> Self {
        let shared = Shared {
            phases,
            measures: RwLock::default(),
            shards: Default::default(),
            totals: Mutex::default(),
            sessions: AtomicI64::new(0),
            lag_us: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The measure of this name, which is made if it is new. Ask once and keep it.
    pub fn measure(&self, name: &str) -> Measure {
        let mut measures = self.shared.measures.write();
        let known = measures.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            if measures.len() < MEASURES_MAX {
                measures.push(name.to_owned());
            }
            measures.len() - 1
        });
        Measure(at as u16)
    }

    /// Something that was to begin at `intended_us` since the run's start took `took_us` from then.
    pub fn record(&self, measure: Measure, intended_us: u64, took_us: u64) {
        let phase = self.phase_at(intended_us / 1000);
        let mut shard = self.shard().lock();
        slot(&mut shard.spreads, usize::from(measure.0), phase).saturating_record(took_us.max(1));
    }

    /// Something ended with an error: `condition` is the stanza error's, the stream error's, or `timeout`.
    pub fn failed(&self, measure: Measure, condition: &str) {
        let mut shard = self.shard().lock();
        *shard.failures.entry((measure.0, condition.into())).or_default() += 1;
    }

    /// Adds to a count: `sent`, `bytes-in`, …
    pub fn count(&self, name: &'static str, n: u64) {
        *self.shard().lock().counts.entry(name).or_default() += n;
    }

    /// A session is logged in.
    pub fn session_opened(&self) {
        self.shared.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A session that was logged in is not any more.
    pub fn session_closed(&self) {
        self.shared.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Something was done this much later than intended, by the generator's own fault.
    pub fn lag(&self, lag_us: u64) {
        self.shared.lag_us.fetch_max(lag_us, Ordering::Relaxed);
    }

    /// The longest lag since it was last taken, in microseconds.
    pub fn take_lag(&self) -> u64 {
        self.shared.lag_us.swap(0, Ordering::Relaxed)
    }

    /// What came in since the last cut, to be called once a second. `at_ms` is its end since the run's start. Watched
    /// processes and the generator itself are for the caller to add.
    pub fn cut(&self, at_ms: u64) -> Second {
        let measures = self.shared.measures.read().clone();
        let mut spreads: Vec<Option<Histogram<u64>>> = Vec::new();
        let mut counts = BTreeMap::new();
        let mut totals = self.shared.totals.lock();
        for shard in &self.shared.shards {
            let taken = shard.lock().take(&measures, &mut counts);
            for (measure, phases) in taken.iter().enumerate() {
                for (phase, part) in phases.iter().enumerate() {
                    let Some(part) = part else { continue };
                    add(slot(&mut totals.spreads, measure, phase), part);
                    add(grown(&mut spreads, measure).get_or_insert_with(spread::empty), part);
                }
            }
        }
        for (name, n) in &counts {
            *totals.counts.entry(name.clone()).or_default() += n;
        }
        Second {
            at_ms,
            phase: self.phase_name(self.phase_at(at_ms.saturating_sub(1))),
            sessions: self.shared.sessions.load(Ordering::Relaxed).max(0).cast_unsigned(),
            counts,
            latencies: spreads
                .iter()
                .zip(&measures)
                .filter_map(|(spread, name)| Some((name.clone(), Spread::from(spread.as_ref()?))))
                .collect(),
            ..Second::default()
        }
    }

    /// By measure and phase, all that was cut.
    pub fn latencies(&self) -> BTreeMap<String, BTreeMap<String, Spread>> {
        let measures = self.shared.measures.read();
        let totals = self.shared.totals.lock();
        let by_phase = |phases: &[Option<Histogram<u64>>]| {
            let recorded = phases.iter().enumerate();
            recorded
                .filter_map(|(phase, spread)| Some((self.phase_name(phase), Spread::from(spread.as_ref()?))))
                .collect::<BTreeMap<_, _>>()
        };
        let all = measures.iter().zip(&totals.spreads);
        all.map(|(name, phases)| (name.clone(), by_phase(phases))).filter(|(_, by)| !by.is_empty()).collect()
    }

    /// By name, all that was cut.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.totals.lock().counts.clone()
    }

    fn shard(&self) -> &Mutex<Shard> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        &self.shared.shards[OWN.get()]
    }

    fn phase_at(&self, at_ms: u64) -> usize {
        let phases = &self.shared.phases;
        phases.iter().position(|phase| at_ms < phase.to_ms).unwrap_or(phases.len().saturating_sub(1))
    }

    fn phase_name(&self, at: usize) -> String {
        self.shared.phases.get(at).map(|phase| phase.name.clone()).unwrap_or_default()
    }
}

impl Shard {
    /// Takes the histograms out, and adds the counts to `counts`. The tables stay, as they are needed in the next second.
    fn take(
        &mut self,
        measures: &[String],
        counts: &mut BTreeMap<String, u64>,
    ) -> Vec<Vec<Option<Histogram<u32>>>> {
        for (name, n) in &mut self.counts {
            if *n > 0 {
                *counts.entry((*name).to_owned()).or_default() += std::mem::take(n);
            }
        }
        for ((measure, condition), n) in self.failures.drain() {
            let measure = measures.get(usize::from(measure)).map_or("", String::as_str);
            *counts.entry(format!("failed.{measure}.{condition}")).or_default() += n;
        }
        std::mem::take(&mut self.spreads)
    }
}

fn slot<C: hdrhistogram::Counter>(
    spreads: &mut Vec<Vec<Option<Histogram<C>>>>,
    measure: usize,
    phase: usize,
) -> &mut Histogram<C> {
    grown(grown(spreads, measure), phase).get_or_insert_with(spread::empty)
}

fn grown<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if list.len() <= at {
        list.resize_with(at + 1, T::default);
    }
    &mut list[at]
}

fn add(sum: &mut Histogram<u64>, part: &Histogram<u32>) {
    for bucket in part.iter_recorded() {
        sum.saturating_record_n(bucket.value_iterated_to(), u64::from(bucket.count_at_value()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn two_phases() -> Recorder {
        let phase = |name: &str, from_ms, to_ms| PhaseSpan { name: name.to_owned(), from_ms, to_ms };
        Recorder::new(vec![phase("ramp", 0, 1000), phase("steady", 1000, 3000)])
    }

    #[test]
    fn a_latency_belongs_to_the_second_it_ended_in_and_to_the_phase_it_was_intended_in() {
        let recorder = two_phases();
        let chat = recorder.measure("chat");
        recorder.record(chat, 900_000, 50_000);
        assert_eq!(recorder.cut(1000).latencies["chat"].count, 1);

        recorder.record(chat, 990_000, 400_000);
        recorder.record(chat, 1_500_000, 10_000);
        let second = recorder.cut(2000);
        assert_eq!((second.phase.as_str(), second.latencies["chat"].count), ("steady", 2));

        let chat = &recorder.latencies()["chat"];
        assert_eq!((chat["ramp"].count, chat["steady"].count), (2, 1));
        assert!((399_000..=401_000).contains(&chat["ramp"].max_us));
    }

    #[test]
    fn counts_are_of_the_second_and_of_the_run() {
        let recorder = two_phases();
        let login = recorder.measure("login");
        recorder.count("sent", 2);
        recorder.failed(login, "not-authorized");
        recorder.session_opened();
        let second = recorder.cut(1000);
        assert_eq!((second.counts["sent"], second.counts["failed.login.not-authorized"]), (2, 1));
        assert_eq!(second.sessions, 1);

        recorder.count("sent", 3);
        recorder.session_closed();
        let second = recorder.cut(2000);
        assert_eq!((second.counts["sent"], second.counts.len(), second.sessions), (3, 1, 0));
        assert_eq!(recorder.counts()["sent"], 5);
    }

    #[test]
    fn threads_lose_nothing() {
        let recorder = two_phases();
        let chat = recorder.measure("chat");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|took| recorder.record(chat, 0, took)));
            }
            (0..20).for_each(|at| drop(recorder.cut(at)));
        });
        recorder.cut(1000);
        assert_eq!(recorder.latencies()["chat"]["ramp"].count, 40_000);
    }

    #[test]
    fn names_are_known_again_and_limited() {
        let recorder = two_phases();
        assert_eq!(recorder.measure("chat"), recorder.measure("chat"));
        for n in 0..2 * MEASURES_MAX {
            recorder.measure(&n.to_string());
        }
        assert_eq!(recorder.measure("one more"), Measure(MEASURES_MAX as u16 - 1));
    }

    /// Not judged unoptimised: `cargo test --release -p figures -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures"]
    fn what_a_record_costs() {
        let recorder = two_phases();
        let chat = recorder.measure("chat");
        let records = 5_000_000_u64;
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..records).for_each(|took| recorder.record(chat, 0, took % 100_000)));
            }
        });
        println!("{} ns a record, two threads", start.elapsed().as_nanos() / u128::from(records));
    }
}
