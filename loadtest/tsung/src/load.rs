//! Loads: who comes when.

use std::collections::BTreeMap;
use std::time::Duration;

use scenario::{Arrive, Phase, Population};

use crate::notes::Notes;
use crate::xml::Tag;

/// More copies of all phases are a slip of the pen.
const LOOPS_MAX: u32 = 100;
/// What a finish is given beyond the longest script, for logins and answers.
const SLACK: Duration = Duration::from_secs(10);
/// Longer runs are a slip of the pen.
const LASTS_MAX: Duration = Duration::from_hours(50 * 24);

/// The phases of a load, and after them one in which the last sessions come to their end.
pub(crate) fn phases(
    root: Tag<'_, '_>,
    longest: Duration,
    populations: &mut [Population],
    notes: &mut Notes,
) -> Vec<Phase> {
    let Some(load) = root.child("load") else {
        notes.error(root, "there is no <load>");
        return Vec::new();
    };
    let mut tags: Vec<_> = load.children().filter(|tag| tag.name() == "arrivalphase").collect();
    tags.sort_by_key(|tag| tag.whole("phase").unwrap_or_default());
    let once: Vec<Phase> = tags.iter().filter_map(|tag| phase(*tag, populations, notes)).collect();

    let loops = load.size("loop").unwrap_or_default();
    if loops > LOOPS_MAX {
        notes.error(load, format!("{loops} loops over the phases, at most {LOOPS_MAX} are converted"));
        return Vec::new();
    }
    let mut phases = once.clone();
    for again in 0..loops {
        phases.extend(once.iter().cloned().map(|mut phase| {
            phase.name = format!("{}-{}", phase.name, again + 2);
            phase
        }));
    }
    let users: Vec<_> = load.children().filter(|tag| tag.name() == "user").collect();
    let last = users.iter().filter_map(|user| self_started(*user, populations, notes)).max();
    finish(load, longest, last, &mut phases, notes);
    phases
}

fn phase(tag: Tag<'_, '_>, populations: &[Population], notes: &mut Notes) -> Option<Phase> {
    let name = format!("phase-{}", tag.attribute("phase").unwrap_or("1"));
    let Some(lasts) = tag.number("duration").and_then(|number| time(number, tag)) else {
        notes.error(tag, "an <arrivalphase> without a duration");
        return None;
    };
    if tag.is("wait_all_sessions_end", "true") {
        notes.warn(tag, "the next phase begins at its time, whether all sessions have ended or not");
    }
    let mut users = tag.children().filter(|child| child.name() == "users");
    let Some(first) = users.next() else {
        notes.error(tag, "an <arrivalphase> without <users>");
        return None;
    };
    if let Some(second) = users.next() {
        notes.error(second, "two <users> in one phase cannot be converted");
    }
    let unit = unit_seconds(first);
    let interarrival = first.number("interarrival").map(|distance| 1.0 / (distance * unit));
    let rate = interarrival.or_else(|| Some(first.number("arrivalrate")? / unit));
    let Some(rate) = rate.filter(|rate| rate.is_finite() && *rate > 0.0) else {
        notes.error(first, "<users> with neither `interarrival` nor `arrivalrate` above 0");
        return None;
    };
    // The mean of 1 / 0.1 seconds is 10 a second.
    let rate = (rate * 1e9).round() / 1e9;
    let weights = weights(tag, populations, notes);
    let sessions_max = first.whole("maxnumber");
    Some(Phase { name, lasts, arrive: Arrive::Rate(rate), sessions_max, weights })
}

/// What a phase says of sessions by their names, of which the end may be a star.
fn weights(phase: Tag<'_, '_>, populations: &[Population], notes: &mut Notes) -> BTreeMap<String, f64> {
    let mut weights = BTreeMap::new();
    for setup in phase.children().filter(|tag| tag.name() == "session_setup") {
        let weight = setup.number("weight").or_else(|| setup.number("probability")).unwrap_or(1.0);
        let names = named(setup.attribute("name").unwrap_or_default(), populations);
        if names.is_empty() {
            notes.error(setup, "no session has the name of this <session_setup>");
        }
        weights.extend(names.into_iter().map(|at| (populations[at].name.clone(), weight)));
    }
    weights
}

/// A session that begins at a moment of its own; the moment.
fn self_started(user: Tag<'_, '_>, populations: &mut [Population], notes: &mut Notes) -> Option<Duration> {
    let at = time(user.number("start_time").unwrap_or_default(), user)?;
    let named = named(user.attribute("session").unwrap_or_default(), populations);
    if named.is_empty() {
        notes.error(user, "no session has the name of this <user>");
    }
    for population in named {
        populations[population].at.push(at);
    }
    Some(at)
}

/// The last sessions come to their end, or the run is over when the load says.
fn finish(
    load: Tag<'_, '_>,
    longest: Duration,
    last_start: Option<Duration>,
    phases: &mut Vec<Phase>,
    notes: &mut Notes,
) {
    let all: Duration = phases.iter().map(|phase| phase.lasts).sum();
    let rest = match load.number("duration").and_then(|number| time(number, load)) {
        Some(lasts) if lasts <= all => {
            cut(phases, lasts);
            return;
        }
        Some(lasts) => lasts.saturating_sub(all),
        None => {
            let end = all.max(last_start.unwrap_or_default()) + longest.mul_f64(1.1) + SLACK;
            let rest = Duration::from_secs(end.saturating_sub(all).as_secs());
            let seconds = rest.as_secs();
            notes.info(
                load,
                format!("phase `finish` gives the last sessions {seconds} s to come to their end"),
            );
            rest
        }
    };
    let nobody = Phase {
        name: "finish".to_owned(),
        lasts: rest,
        arrive: Arrive::Nobody,
        sessions_max: None,
        weights: BTreeMap::new(),
    };
    phases.push(nobody);
    if all + rest > LASTS_MAX {
        notes.error(load, "the run would last for more than 50 days");
    }
}

fn cut(phases: &mut Vec<Phase>, lasts: Duration) {
    let mut left = lasts;
    for phase in phases.iter_mut() {
        phase.lasts = phase.lasts.min(left);
        left -= phase.lasts;
    }
    phases.retain(|phase| !phase.lasts.is_zero());
}

/// The populations of this name.
fn named(pattern: &str, populations: &[Population]) -> Vec<usize> {
    let fits = |name: &str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    };
    (0..populations.len()).filter(|at| fits(&populations[*at].name)).collect()
}

fn time(number: f64, tag: Tag<'_, '_>) -> Option<Duration> {
    Duration::try_from_secs_f64(number * unit_seconds(tag)).ok()
}

fn unit_seconds(tag: Tag<'_, '_>) -> f64 {
    match tag.attribute("unit") {
        Some("hour") => 3600.0,
        Some("minute") => 60.0,
        Some("millisecond") => 0.001,
        _ => 1.0,
    }
}
