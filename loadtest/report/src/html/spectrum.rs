//! The percentile spectrum: how long how many take, with as much room for the slowest as for all others.

use figures::{Record, Spread};

use super::plot::{Plot, Scale, Series, Unit};
use super::section;
use crate::{stretch, words};

const POINTS: u32 = 160;
/// Of a hundred thousand, one.
const NINES_MAX: f64 = 5.0;
const COLOURS: usize = 8;
/// Shown at first.
const SHOWN: usize = 4;

/// One plot of all measures over the whole run, and one for each phase.
pub(super) fn spectrum(record: &Record) -> String {
    let measures: Vec<&str> =
        stretch::measures(record).into_iter().map(|(name, _)| name).take(COLOURS).collect();
    if measures.is_empty() {
        return String::new();
    }
    let phases: Vec<&str> = record.phases.iter().map(|phase| phase.name.as_str()).collect();
    let whole = if phases.len() == 1 { &[][..] } else { &phases[..] };
    let names: Vec<&str> = std::iter::once("whole run").chain(whole.iter().copied()).collect();
    let plots = names.iter().enumerate().map(|(at, name)| {
        let phase = (at > 0).then_some(*name);
        draw(&format!("spectrum-{at}"), measures.iter().map(|name| (*name, record.spread(name, phase))))
    });
    let about = "How long the given share took at most. To the right each step is ten times as rare. Both axes are logarithmic.";
    section("Percentile spectrum", about, &super::tabs(&names, plots))
}

fn draw<'a>(id: &str, measures: impl Iterator<Item = (&'a str, Spread)>) -> String {
    let measures: Vec<_> = measures.collect();
    let most = measures.iter().map(|(_, spread)| spread.count).max().unwrap_or(0);
    let nines = (most.max(10) as f64).log10().clamp(1.0, NINES_MAX);
    let positions: Vec<f64> = (0..=POINTS).map(|at| f64::from(at) / f64::from(POINTS)).collect();
    let share = |position: f64| 1.0 - 10_f64.powf(-position * nines);
    let series: Vec<Series> = measures
        .iter()
        .enumerate()
        .map(|(at, (name, spread))| {
            let histogram = spread.unpack().ok().filter(|histogram| !histogram.is_empty());
            let value = |&position: &f64| {
                let histogram = histogram.as_ref()?;
                // Beyond one of all that were recorded there is nothing to tell apart.
                let known = (1.0 - share(position)) * histogram.len() as f64 >= 0.999;
                known.then(|| histogram.value_at_quantile(share(position)) as f64)
            };
            let line =
                Series::line(name, &format!("c{at}"), Unit::Micros, positions.iter().map(value).collect());
            Series { hidden: at >= SHOWN, ..line }
        })
        .collect();
    let values: Vec<f64> = series.iter().flat_map(|series| series.values.iter().flatten().copied()).collect();
    let labels: Vec<String> = positions.iter().map(|&position| percentile(share(position))).collect();
    let named = [0.0_f64, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
    let ticks: Vec<(f64, String)> = named
        .into_iter()
        .map(|share| (-(1.0 - share).log10() / nines, percentile(share)))
        .filter(|(at, _)| *at <= 1.0 + 1e-9)
        .collect();
    Plot {
        id,
        positions: &positions,
        labels: &labels,
        series: &series,
        scale: Scale::log(values.into_iter()),
        right: None,
        ticks: &ticks,
        stretches: &[],
        marks: &[],
    }
    .draw()
}

/// `99.9 %`, with as many nines as there are.
fn percentile(share: f64) -> String {
    let rare = 1.0 - share;
    let places = words::whole((-rare.log10()).ceil()).max(2) - 2;
    let text = format!("{:.*}", places + usize::from(share > 0.9 && places > 0), share * 100.0);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_their_nines() {
        let words = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999].map(percentile);
        assert_eq!(words, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]);
    }
}
