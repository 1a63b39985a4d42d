//! The report: one file that needs nothing else, neither a network nor a script to be read.

mod plot;
mod spectrum;
mod tables;
mod time;

use std::fmt::Write as _;

use figures::Record;

use crate::markdown::headline;
use crate::stretch::{self, Stretch};
use crate::words;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Everything there is to see of a run, verdict first.
pub fn html(record: &Record) -> String {
    let axis = time::Axis::new(record);
    let title = format!("{} against {}", record.scenario, record.target);
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style><body><main>",
        escape(&title)
    );
    head(record, &mut out);
    out += &tables::goals(record);
    out += &tables::offences(record);
    out += &time::latencies(&axis, record);
    out += &spectrum::spectrum(record);
    out += &time::rates(&axis, record);
    out += &time::failures(&axis, record);
    out += &time::server(&axis);
    out += &time::generator(&axis);
    out += &tables::latencies(record);
    out += &tables::costs(record);
    out += &tables::counts(record);
    out += &tables::setting(record);
    let _ = write!(out, "</main><script>{SCRIPT}</script></body></html>");
    out
}

/// The verdict, what matters most as large figures, warnings.
fn head(record: &Record, out: &mut String) {
    let lasted_ms = record.seconds.last().map_or(0, |second| second.at_ms);
    let _ = write!(
        out,
        "<header><h1>{}</h1><p class=about>{}</p><p class=facts>{} · {} · {}</p>",
        escape(&record.scenario),
        escape(&record.about),
        escape(&record.target),
        words::date(record.started_unix_ms),
        words::clock(lasted_ms),
    );
    let missed = record.goals.iter().filter(|goal| !goal.reached).count();
    let (class, word) =
        if record.ledger.is_clean() && missed == 0 { ("good", "passed") } else { ("bad", "failed") };
    let goals = match (record.goals.len(), missed) {
        (0, _) => String::new(),
        (all, 0) => format!(" · all {all} goals reached"),
        (all, missed) => format!(" · {missed} of {all} goals missed"),
    };
    let headline = escape(&headline(&record.ledger));
    let _ = write!(out, "<p class=\"verdict {class}\"><span class=state>{word}</span> {headline}{goals}</p>");
    for warning in &record.warnings {
        let _ = write!(out, "<p class=warning><span class=state>warning</span> {}</p>", escape(warning));
    }
    out.push_str("<dl class=tiles>");
    for (name, value, note) in tiles(record) {
        let _ = write!(
            out,
            "<div><dt>{}<dd>{}<small>{}</small></div>",
            escape(&name),
            escape(&value),
            escape(&note)
        );
    }
    out.push_str("</dl>");
    ledger(record, out);
    out.push_str("</header>");
}

/// Name, figure, note; of the phase in which most was done.
fn tiles(record: &Record) -> Vec<(String, String, String)> {
    let completed =
        |phase| stretch::measures(record).iter().map(|(name, _)| record.spread(name, phase).count).sum();
    let phases = record.phases.iter().map(|phase| phase.name.as_str());
    let done = phases.map(|phase| {
        let stretch = Stretch::of(record, Some(phase));
        (stretch.work(completed(Some(phase))), phase, stretch)
    });
    let mut tiles = Vec::new();
    if let Some((work, phase, stretch)) = done.max_by_key(|(work, ..)| *work).filter(|(work, ..)| *work > 0) {
        if let Some((name, _)) = stretch::measures(record).first() {
            let spread = record.spread(name, Some(phase));
            let note = format!("half within {}", words::micros(spread.p50_us as f64));
            tiles.push((format!("{name}, p99 in {phase}"), words::micros(spread.p99_us as f64), note));
        }
        let best = record.seconds.iter().filter_map(|second| second.counts.get("delivered")).max();
        let note = best.map(|best| format!("at most {}", words::short(*best as f64))).unwrap_or_default();
        tiles.push((format!("deliveries a second in {phase}"), words::short(stretch.rate(work)), note));
        if let Some(cpu_us) = stretch.server_cpu_us {
            let note = format!("{} of memory", words::bytes(stretch.server_memory_bytes_max as f64));
            tiles.push((
                "server CPU a delivery".to_owned(),
                words::micros(cpu_us as f64 / work as f64),
                note,
            ));
        }
    }
    let sessions = record.seconds.iter().map(|second| second.sessions).max().unwrap_or(0);
    tiles.push(("sessions".to_owned(), words::count(sessions), "at most".to_owned()));
    let failures = Stretch::of(record, None).failures(None);
    let attempts: u64 = failures + completed(None);
    let share = failures as f64 / attempts.max(1) as f64;
    tiles.push(("failures".to_owned(), words::count(failures), format!("{} of all", words::percent(share))));
    tiles
}

fn ledger(record: &Record, out: &mut String) {
    let ledger = &record.ledger;
    if ledger.sent == 0 {
        return;
    }
    let wrong = "wrong";
    let counts = [
        ("sent", ledger.sent, ""),
        ("owed", ledger.owed, ""),
        ("delivered", ledger.delivered, ""),
        ("lost", ledger.lost, wrong),
        ("doubled", ledger.doubled, wrong),
        ("reordered", ledger.reordered, wrong),
        ("astray", ledger.astray, wrong),
        ("archive ≠ delivered", ledger.archive_differences, wrong),
        ("delayed", ledger.delayed, ""),
        ("failed", ledger.failed, ""),
        ("unknown", ledger.unknown, ""),
        ("unknown, yet delivered", ledger.unknown_delivered, ""),
        ("unread", ledger.unread, ""),
    ];
    out.push_str("<ul class=ledger aria-label=\"the ledger\">");
    for (name, n, class) in counts {
        let class = if n == 0 { "none" } else { class };
        let _ = write!(out, "<li class=\"{class}\"><b>{}</b> {name}", words::count(n));
    }
    out.push_str("</ul>");
}

/// Plots of which one is shown, chosen by name.
fn tabs(names: &[&str], plots: impl Iterator<Item = String>) -> String {
    let mut out = String::from("<div class=tabs><div class=chips>");
    for (at, name) in names.iter().enumerate() {
        let _ = write!(out, "<button type=button aria-pressed={}>{}</button>", at == 0, escape(name));
    }
    out.push_str("</div>");
    for (name, plot) in names.iter().zip(plots) {
        let _ = write!(out, "<div class=tab><h3>{}</h3>{plot}</div>", escape(name));
    }
    out + "</div>"
}

fn section(title: &str, about: &str, content: &str) -> String {
    let about = if about.is_empty() { String::new() } else { format!("<p>{}</p>", escape(about)) };
    format!("<section><h2>{}</h2>{about}{content}</section>", escape(title))
}

/// For text and for attributes in quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn the_report_has_everything_and_needs_nothing() {
        let page = html(&sample::record());
        for title in [
            "Goals",
            "Named by the ledger",
            "Latency over time",
            "Percentile spectrum",
            "Failures by condition",
        ] {
            assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
        }
        assert!(page.contains(
            "<span class=state>failed</span> 3 lost, 1 doubled, 1 reordered · 1 of 2 goals missed"
        ));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.len() < 1_500_000, "{} bytes", page.len());
    }

    #[test]
    fn names_from_outside_stay_text() {
        let mut record = sample::record();
        record.target = "<script>alert(1)</script>".to_owned();
        record.phases[0].name = "\"><img>".to_owned();
        record.seconds[0].phase = "</script><b>".to_owned();
        let page = html(&record);
        assert!(!page.contains("<script>alert") && !page.contains("<img>") && !page.contains("</script><b>"));
    }

    #[test]
    fn a_run_of_nothing_has_a_report_too() {
        let page = html(&Record::default());
        assert!(page.contains("no message followed") && !page.contains("NaN"), "{page}");
    }

    #[test]
    fn several_watched_processes_are_drawn_each() {
        let mut record = sample::record();
        for second in &mut record.seconds {
            let sample = second.server["throng"].clone();
            second.server.insert("database".to_owned(), sample);
        }
        let page = html(&record);
        assert!(page.contains("</i>database <b>") && page.contains("</i>throng <b>"));
        assert!(!html(&sample::record()).contains("</i>throng <b>"), "one alone is the sum");
    }

    #[test]
    fn a_long_run_is_drawn_with_few_points() {
        let mut record = sample::record();
        let minute = record.seconds.clone();
        for round in 1..12 {
            record.seconds.extend(minute.iter().cloned().map(|mut second| {
                second.at_ms += round * 120_000;
                second
            }));
        }
        assert!(html(&record).len() < 2_500_000);
    }

    /// For people who look: `REPORT=/tmp/report.html cargo test -p report -- --ignored written`.
    #[test]
    #[ignore = "writes a file for people to look at"]
    fn written_to_be_looked_at() {
        let path = std::env::var("REPORT").unwrap_or_else(|_| "/tmp/report.html".to_owned());
        std::fs::write(path, html(&sample::record())).unwrap();
    }
}
