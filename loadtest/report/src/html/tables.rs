//! What is better read than seen: the ledger's findings, goals, latencies, costs, the machine.

use std::fmt::Write as _;

use figures::{Offence, Record};

use super::{escape, section};
use crate::markdown::numbered;
use crate::stretch::{self, Stretch};
use crate::words;

/// Rows of offences; more are in the JSON.
const OFFENCES_MAX: usize = 200;

/// A table; the first `words` columns are texts, the others figures.
pub(super) fn table(head: &[&str], words: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<div class=scroll><table><thead><tr>");
    let class = |at: usize| if at < words { "" } else { " class=n" };
    for (at, name) in head.iter().enumerate() {
        let _ = write!(out, "<th{}>{}", class(at), escape(name));
    }
    out.push_str("<tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}", class(at), escape(cell));
        }
    }
    out.push_str("</table></div>");
    out
}

pub(super) fn goals(record: &Record) -> String {
    if record.goals.is_empty() {
        return String::new();
    }
    let mut out = String::from("<ul class=goals>");
    for goal in &record.goals {
        let (class, word) = if goal.reached { ("good", "reached") } else { ("bad", "missed") };
        let _ = write!(
            out,
            "<li class={class}><span class=state>{word}</span> <span>{}</span> <b>{}</b>",
            escape(&goal.goal),
            escape(&goal.measured)
        );
    }
    section("Goals", "", &(out + "</ul>"))
}

pub(super) fn offences(record: &Record) -> String {
    let offences = &record.ledger.offences;
    if offences.is_empty() {
        return String::new();
    }
    let row = |offence: &Offence| {
        vec![
            offence.kind.to_string(),
            offence.from.to_string(),
            offence.to.to_string(),
            offence.by.to_string(),
            numbered(offence.seq),
            words::clock(offence.at_ms) + &format!(".{:03}", offence.at_ms % 1000),
        ]
    };
    let head = ["what", "from account", "to", "seen at account", "number", "sent at"];
    let shown = table(&head, 1, offences.iter().take(OFFENCES_MAX).map(row));
    let more = offences.len().saturating_sub(OFFENCES_MAX);
    let about = match more {
        0 => "By sender, addressee and number in their order of sending.".to_owned(),
        more => {
            format!("The first {OFFENCES_MAX}; {} more are named in the JSON.", words::count(more as u64))
        }
    };
    section("Named by the ledger", &about, &shown)
}

pub(super) fn latencies(record: &Record) -> String {
    let mut rows = Vec::new();
    for (measure, whole) in stretch::measures(record) {
        let phases = record
            .phases
            .iter()
            .map(|phase| (phase.name.as_str(), record.spread(measure, Some(&phase.name))));
        let mut parts: Vec<_> = phases.filter(|(_, spread)| spread.count > 0).collect();
        if parts.len() > 1 {
            parts.push(("whole run", whole));
        }
        for (phase, spread) in parts {
            let lasted = Stretch::of(record, (phase != "whole run").then_some(phase));
            let mut row = vec![measure.to_owned(), phase.to_owned(), words::count(spread.count)];
            row.push(words::short(lasted.rate(spread.count)));
            row.push(words::micros(spread.mean_us));
            let shares =
                [spread.p50_us, spread.p90_us, spread.p95_us, spread.p99_us, spread.p999_us, spread.max_us];
            row.extend(shares.map(|us| words::micros(us as f64)));
            rows.push(row);
        }
    }
    let head = ["measure", "phase", "count", "a second", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"];
    section("Latencies", "By the phase in which each was intended to begin.", &table(&head, 2, rows))
}

pub(super) fn costs(record: &Record) -> String {
    let names = record.phases.iter().map(|phase| Some(phase.name.as_str())).chain([None]);
    let rows = names.map(|phase| {
        let stretch = Stretch::of(record, phase);
        let completed =
            stretch::measures(record).iter().map(|(name, _)| record.spread(name, phase).count).sum();
        let work = stretch.work(completed);
        let each =
            |cpu_us: f64| if work > 0 { words::micros(cpu_us / work as f64) } else { "–".to_owned() };
        let cores = |cpu_us: f64| words::short(cpu_us / (stretch.lasted_ms.max(1) as f64 * 1000.0));
        let server = stretch.server_cpu_us.map(|us| us as f64);
        let own = stretch.generator_cpu_us as f64;
        vec![
            phase.unwrap_or("whole run").to_owned(),
            words::count(work),
            words::short(stretch.rate(work)),
            server.map_or("–".to_owned(), each),
            server.map_or("–".to_owned(), cores),
            server.map_or("–".to_owned(), |_| words::bytes(stretch.server_memory_bytes_max as f64)),
            each(own),
            cores(own),
        ]
    });
    let head = [
        "phase",
        "deliveries",
        "a second",
        "server CPU each",
        "server cores",
        "server memory, most",
        "generator CPU each",
        "generator cores",
    ];
    section(
        "What it cost",
        "Where nothing is delivered, what was completed stands for it.",
        &table(&head, 1, rows),
    )
}

pub(super) fn counts(record: &Record) -> String {
    let (failed, other): (Vec<_>, Vec<_>) =
        record.counts.iter().partition(|(name, _)| stretch::failure(name).is_some());
    let mut out = String::from("<div class=pair>");
    if !failed.is_empty() {
        let rows = failed.into_iter().filter_map(|(name, n)| {
            let (measure, condition) = stretch::failure(name)?;
            Some(vec![measure.to_owned(), condition.to_owned(), words::count(*n)])
        });
        out += &table(&["failed", "condition", "times"], 2, rows);
    }
    out += &table(
        &["count", "in all"],
        1,
        other.into_iter().map(|(name, n)| vec![name.clone(), words::count(*n)]),
    );
    section("Counts", "", &(out + "</div>"))
}

pub(super) fn setting(record: &Record) -> String {
    let machine = &record.machine;
    let rows = [
        ("target", record.target.clone()),
        ("processors", format!("{} of {}", machine.cpus, machine.cpu_model)),
        ("memory", words::bytes(machine.memory_bytes as f64)),
        ("kernel", machine.kernel.clone()),
        ("throng-load", machine.version.clone()),
    ];
    let mut rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    for (name, value) in &record.parameters {
        rows.push(vec![format!("parameter {name}"), format!("{value}")]);
    }
    for phase in &record.phases {
        let span = format!("{} to {}", words::clock(phase.from_ms), words::clock(phase.to_ms));
        rows.push(vec![format!("phase {}", phase.name), span]);
    }
    for mark in &record.marks {
        rows.push(vec![format!("at {}", words::clock(mark.at_ms)), mark.what.clone()]);
    }
    section("Setting", "", &table(&["what", ""], 2, rows))
}
