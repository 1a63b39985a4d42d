//! A summary in Markdown: for a pull request, a chat, a terminal.

use std::fmt::Write as _;

use figures::{Record, Verdict};

use crate::stretch::{self, Stretch};
use crate::words;

const OFFENCES_MAX: usize = 10;

/// The verdict, the goals, a table of latencies by measure and phase, failures, and what it cost.
pub fn markdown(record: &Record) -> String {
    let mut out = format!("# {}\n\n{}\n\n", record.scenario, summary(record));
    for warning in &record.warnings {
        let _ = writeln!(out, "> **Warning:** {warning}\n");
    }
    goals(record, &mut out);
    ledger(&record.ledger, &mut out);
    latencies(record, &mut out);
    failures(record, &mut out);
    cost(record, &mut out);
    out
}

/// One line: what, where, how long, how it went.
pub(crate) fn summary(record: &Record) -> String {
    let lasted_ms = record.seconds.last().map_or(0, |second| second.at_ms);
    format!(
        "{} against {}, {}, on {} for {}.",
        record.scenario,
        record.target,
        headline(&record.ledger),
        words::date(record.started_unix_ms),
        words::clock(lasted_ms),
    )
}

/// `nothing lost`, or what was.
pub(crate) fn headline(ledger: &Verdict) -> String {
    let found = [
        (ledger.lost, "lost"),
        (ledger.doubled, "doubled"),
        (ledger.reordered, "reordered"),
        (ledger.astray, "astray"),
        (ledger.archive_differences, "archived wrongly"),
    ];
    let found: Vec<String> = found
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", words::count(*n)))
        .collect();
    match (found.is_empty(), ledger.owed) {
        (false, _) => found.join(", "),
        (true, 0) => "no message followed".to_owned(),
        (true, owed) => format!("nothing lost, doubled or reordered among {}", words::count(owed)),
    }
}

fn goals(record: &Record, out: &mut String) {
    if record.goals.is_empty() {
        return;
    }
    out.push_str("| goal | measured | |\n|---|---|---|\n");
    for goal in &record.goals {
        let reached = if goal.reached { "reached" } else { "**missed**" };
        let _ = writeln!(out, "| {} | {} | {reached} |", cell(&goal.goal), cell(&goal.measured));
    }
    out.push('\n');
}

fn ledger(ledger: &Verdict, out: &mut String) {
    if ledger.sent == 0 {
        return;
    }
    out.push_str(
        "| sent | owed | delivered | lost | doubled | reordered | delayed | failed | unknown | unread |\n",
    );
    out.push_str("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let Verdict { sent, owed, delivered, lost, doubled, reordered, delayed, failed, unknown, unread, .. } =
        ledger;
    for n in [sent, owed, delivered, lost, doubled, reordered, delayed, failed, unknown, unread] {
        let _ = write!(out, "| {} ", words::count(*n));
    }
    out.push_str("|\n\n");
    for offence in ledger.offences.iter().take(OFFENCES_MAX) {
        let _ = writeln!(
            out,
            "- {}: from {} to {}, number {}, at {}",
            offence.kind,
            offence.from,
            offence.to,
            numbered(offence.seq),
            words::clock(offence.at_ms)
        );
    }
    if ledger.offences.len() > OFFENCES_MAX {
        let _ = writeln!(out, "- … {} more are named in the JSON", ledger.offences.len() - OFFENCES_MAX);
    }
    out.push('\n');
}

/// A sequence number, with the sender's session before it if it was not the account's first.
pub(crate) fn numbered(seq: u64) -> String {
    match (seq >> 32, seq & u64::from(u32::MAX)) {
        (0, number) => number.to_string(),
        (session, number) => format!("{session}/{number}"),
    }
}

fn latencies(record: &Record, out: &mut String) {
    out.push_str("| measure | phase | count | p50 | p90 | p99 | p99.9 | max |\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (measure, _) in stretch::measures(record) {
        for phase in &record.phases {
            let spread = record.spread(measure, Some(&phase.name));
            if spread.count == 0 {
                continue;
            }
            let _ =
                write!(out, "| {} | {} | {} ", cell(measure), cell(&phase.name), words::count(spread.count));
            for us in [spread.p50_us, spread.p90_us, spread.p99_us, spread.p999_us, spread.max_us] {
                let _ = write!(out, "| {} ", words::micros(us as f64));
            }
            out.push_str("|\n");
        }
    }
    out.push('\n');
}

fn failures(record: &Record, out: &mut String) {
    let failed: Vec<_> =
        record.counts.iter().filter_map(|(name, n)| Some((stretch::failure(name)?, *n))).collect();
    if failed.is_empty() {
        return;
    }
    out.push_str("| failed | condition | times |\n|---|---|---:|\n");
    for ((measure, condition), n) in failed {
        let _ = writeln!(out, "| {} | {} | {} |", cell(measure), cell(condition), words::count(n));
    }
    out.push('\n');
}

fn cost(record: &Record, out: &mut String) {
    let whole = Stretch::of(record, None);
    let completed = stretch::measures(record).iter().map(|(_, spread)| spread.count).sum();
    let work = whole.work(completed);
    if let Some(cpu_us) = whole.server_cpu_us.filter(|_| work > 0) {
        let _ = writeln!(
            out,
            "Server: {} of CPU for each of {} deliveries, at most {}. Generator: {} of CPU each.",
            words::micros(cpu_us as f64 / work as f64),
            words::count(work),
            words::bytes(whole.server_memory_bytes_max as f64),
            words::micros(whole.generator_cpu_us as f64 / work as f64),
        );
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_summary_says_what_a_reader_asks_first() {
        let text = markdown(&sample::record());
        assert!(
            text.contains("p2p against throng on 127.0.31.1, 3 lost, 1 doubled, 1 reordered, on 2026-11-23")
        );
        assert!(text.contains("- lost: from 12 to 13, number 417, at 0:55"), "{text}");
        assert!(text.contains("> **Warning:** the generator was late"));
        assert!(text.contains("| p99 of chat below 250 ms in steady | 14.2 ms | reached |"));
        assert!(text.contains("| chat | remote-server-timeout | 21 |"), "{text}");
        assert!(text.contains("of CPU for each of"));
    }

    #[test]
    fn every_table_has_as_many_cells_in_each_row() {
        let text = markdown(&sample::record());
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let widths: Vec<usize> = table.lines().map(|row| row.matches('|').count()).collect();
            assert!(widths.iter().all(|&width| width == widths[0]), "{table}");
        }
    }

    #[test]
    fn a_run_that_followed_nothing_claims_nothing() {
        assert!(markdown(&Record::default()).contains("no message followed"));
        assert_eq!(numbered((2 << 32) + 17), "2/17");
    }
}
