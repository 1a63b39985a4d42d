//! What changed between two sides of one or more runs each, and how sure that is.
//!
//! Intervals are of 95 %, by bootstrap: runs of a side are drawn again, and within each run stretches of some seconds, as
//! seconds that follow each other are alike. One run a side shows how steady that run was, not how much runs differ: for that
//! give several, alternating. Memory, which differs by run, is judged from three runs a side on only. From four runs a side on, a change must also pass the test of Mann and Whitney.

mod figure;
mod statistics;
mod table;

use figures::Record;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use figure::Figure;

use crate::words;

/// How often both sides are drawn again.
const RESAMPLES: usize = 400;
/// Of a chance result that is taken for a change.
const LEVEL: f64 = 0.05;
/// From as many runs a side on, ranks alone can show a change at this level.
const RANKED_RUNS_MIN: usize = 4;

/// What is compared, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Scenario and target of each side.
    pub names: [String; 2],
    /// How many runs each side has.
    pub runs: [usize; 2],
    /// By phase, then what.
    pub rows: Vec<Row>,
    /// What kept the sides from being compared fairly: other parameters, another scenario, losses.
    pub notes: Vec<String>,
}

/// One figure of both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `chat p99`, `server CPU a delivery`.
    pub what: String,
    /// In which phase.
    pub phase: String,
    /// In which direction it gets better.
    pub better: Better,
    /// Of the first side: microseconds, a second, or bytes.
    pub a: f64,
    /// Of the second side.
    pub b: f64,
    /// The second as a multiple of the first, and the ends of its interval.
    pub ratio: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How likely ranks as different as these are by chance, with several runs a side.
    pub chance: Option<f64>,
    /// What can be said.
    pub change: Change,
    unit: figure::Unit,
}

/// Which way a figure gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Latencies, costs.
    Lower,
    /// Rates.
    Higher,
}

/// What can be said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The second side is better, and not by chance.
    Better,
    /// It is worse, and not by chance.
    Worse,
    /// Neither is shown.
    NotShown,
}

/// Compares the runs of both sides, over the phases and measures that all of them have.
pub fn compare(a: &[Record], b: &[Record]) -> Comparison {
    let mut dice = SmallRng::seed_from_u64(1);
    let mut rows: Vec<Row> = Vec::new();
    let phases = a.first().map(|record| record.phases.as_slice()).unwrap_or_default();
    for phase in
        phases.iter().filter(|phase| all(a, b, |run| run.phases.iter().any(|it| it.name == phase.name)))
    {
        for figure in figure::of_phase(a, b, &phase.name) {
            rows.extend(row(&figure, &phase.name, &mut dice));
        }
    }
    Comparison { names: [named(a), named(b)], runs: [a.len(), b.len()], rows, notes: notes(a, b) }
}

impl Comparison {
    /// What got worse by more than this share (0.05: 5 %), and not by chance.
    pub fn regressions(&self, share_max: f64) -> Vec<&Row> {
        self.rows.iter().filter(|row| row.change == Change::Worse && row.loss() > share_max).collect()
    }

    /// A table for a terminal.
    pub fn text(&self) -> String {
        table::text(self)
    }

    /// A table in Markdown.
    pub fn markdown(&self) -> String {
        table::markdown(self)
    }
}

impl Row {
    /// By which share the second side is worse.
    fn loss(&self) -> f64 {
        match self.better {
            Better::Lower => self.ratio - 1.0,
            Better::Higher => 1.0 / self.ratio - 1.0,
        }
    }
}

fn row(figure: &Figure, phase: &str, dice: &mut SmallRng) -> Option<Row> {
    let [a, b] = figure.whole()?;
    let ratio = b / a;
    let mut ratios = figure.resampled(RESAMPLES, dice);
    if !ratio.is_finite() || ratios.is_empty() {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[words::whole((ratios.len() - 1) as f64 * share)];
    let (low, high) = (at(LEVEL / 2.0).min(ratio), at(1.0 - LEVEL / 2.0).max(ratio));
    let [runs_a, runs_b] = figure.by_run();
    let enough = runs_a.len().min(runs_b.len()) >= RANKED_RUNS_MIN;
    let chance = enough.then(|| statistics::mann_whitney(&runs_a, &runs_b));
    let apart = figure.is_enough() && (low > 1.0 || high < 1.0);
    let shown = apart && chance.is_none_or(|chance| chance < LEVEL);
    let change = match (shown, (ratio < 1.0) == (figure.better == Better::Lower)) {
        (false, _) => Change::NotShown,
        (true, true) => Change::Better,
        (true, false) => Change::Worse,
    };
    let (what, better, unit) = (figure.what.clone(), figure.better, figure.unit);
    Some(Row { what, phase: phase.to_owned(), better, a, b, ratio, low, high, chance, change, unit })
}

fn notes(a: &[Record], b: &[Record]) -> Vec<String> {
    let mut notes = Vec::new();
    let (Some(first), false) = (a.first(), b.is_empty()) else {
        return vec!["one side has no run".to_owned()];
    };
    if !all(a, b, |run| run.scenario == first.scenario) {
        notes.push("the runs are of different scenarios".to_owned());
    }
    if !all(a, b, |run| run.parameters == first.parameters) {
        notes.push("the runs have different parameters".to_owned());
    }
    if !all(a, b, |run| run.machine == first.machine) {
        notes.push("the runs were made on different machines or by different versions".to_owned());
    }
    for (side, runs) in [("A", a), ("B", b)] {
        if runs.iter().any(|run| !run.ledger.is_clean()) {
            notes.push(format!("the ledger has found something on side {side}"));
        }
        if runs.iter().any(|run| !run.warnings.is_empty()) {
            notes.push(format!("the generator was at its limits on side {side}"));
        }
    }
    notes
}

fn named(runs: &[Record]) -> String {
    runs.first().map(|run| format!("{} against {}", run.scenario, run.target)).unwrap_or_default()
}

fn all(a: &[Record], b: &[Record], holds: impl Fn(&Record) -> bool) -> bool {
    a.iter().chain(b).all(holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn another_run_of_the_same_is_no_regression() {
        let comparison = compare(&[sample::played(1, 1.0)], &[sample::played(2, 1.0)]);
        assert!(comparison.rows.len() > 20);
        assert!(comparison.regressions(0.05).is_empty(), "{}", comparison.text());
    }

    #[test]
    fn a_slower_server_is_found_in_latency_and_in_cpu_time() {
        let comparison = compare(&[sample::played(1, 1.0)], &[sample::played(2, 1.2)]);
        let regressions = comparison.regressions(0.05);
        let found =
            |what: &str, phase: &str| regressions.iter().any(|row| row.what == what && row.phase == phase);
        assert!(found("chat p50", "steady") && found("chat p90", "steady"), "{}", comparison.text());
        assert!(found("server CPU a delivery", "steady"), "{}", comparison.text());
        assert!(!regressions.iter().any(|row| row.what.ends_with("a second")), "{}", comparison.text());
        let p50 = comparison.rows.iter().find(|row| row.what == "chat p50" && row.phase == "steady").unwrap();
        assert!((1.15..1.25).contains(&p50.ratio) && p50.low > 1.1 && p50.high < 1.3, "{p50:?}");

        assert!(comparison.regressions(0.5).is_empty(), "a gate of 50 % lets 20 % pass");
    }

    #[test]
    fn a_faster_server_is_better() {
        let comparison = compare(&[sample::played(1, 1.0)], &[sample::played(2, 0.7)]);
        let p50 = comparison.rows.iter().find(|row| row.what == "chat p50" && row.phase == "steady").unwrap();
        assert_eq!(p50.change, Change::Better);
        assert!(comparison.regressions(0.0).is_empty());
    }

    #[test]
    fn several_runs_a_side_are_ranked() {
        let side = |first: u64, factor| {
            (first..first + 4).map(|seed| sample::played(seed, factor)).collect::<Vec<_>>()
        };
        let comparison = compare(&side(1, 1.0), &side(11, 1.15));
        let p90 = comparison.rows.iter().find(|row| row.what == "chat p90" && row.phase == "steady").unwrap();
        assert_eq!((p90.change, comparison.runs), (Change::Worse, [4, 4]));
        assert!(p90.chance.unwrap() < 0.03, "{p90:?}");
    }

    #[test]
    fn a_few_seconds_and_the_memory_of_one_run_show_nothing() {
        let mut short = [sample::played(1, 1.0), sample::played(2, 2.0)];
        for run in &mut short {
            run.seconds.truncate(28);
        }
        short[1].seconds.iter_mut().flat_map(|it| it.server.values_mut()).for_each(|it| it.memory_bytes *= 2);
        let comparison = compare(&short[..1], &short[1..]);
        let of = |what: &str| comparison.rows.iter().filter(|row| row.what == what).collect::<Vec<_>>();
        let steady = of("chat p50").into_iter().find(|row| row.phase == "steady").unwrap();
        assert_eq!((steady.change, steady.ratio > 1.8), (Change::NotShown, true), "eight seconds");
        assert!(of("server memory").iter().all(|row| row.change == Change::NotShown && row.ratio > 1.9));
    }

    #[test]
    fn unlike_runs_are_compared_with_a_note() {
        let mut other = sample::played(2, 1.0);
        other.parameters.insert("rate".to_owned(), 1.0);
        let notes = compare(&[sample::record()], &[other]).notes;
        assert!(notes.iter().any(|note| note.contains("different parameters")), "{notes:?}");
        assert_eq!(compare(&[], &[]).notes, ["one side has no run"]);
    }

    #[test]
    fn tables_say_it_in_words() {
        let comparison = compare(&[sample::played(1, 1.0)], &[sample::played(2, 1.2)]);
        let text = comparison.text();
        let line = text.lines().find(|line| line.contains("chat p50") && line.contains("steady")).unwrap();
        assert!(line.contains("ms") && line.contains("worse") && line.contains('+'), "{line}");
        let markdown = comparison.markdown();
        assert!(markdown.contains("| chat p50 | steady |") && markdown.contains("**worse**"), "{markdown}");
    }
}
