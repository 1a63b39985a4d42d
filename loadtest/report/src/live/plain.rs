//! A line now and then, where there is no terminal.

use std::fmt::Write as _;
use std::io::Write;

use figures::{Record, Second};

use crate::markdown::summary;
use crate::stretch;
use crate::{Observer, words};

/// Writes a line for each interval: what was done in it, how fast, how it was in its last second.
#[derive(Debug)]
pub struct Plain<W> {
    out: W,
    every_s: usize,
    gathered: Vec<Second>,
}

impl<W: Write> Plain<W> {
    /// A line after each `every_s` seconds.
    pub fn new(out: W, every_s: usize) -> Self {
        Self { out, every_s: every_s.max(1), gathered: Vec::new() }
    }

    fn write(&mut self) {
        let Some(last) = self.gathered.last() else { return };
        // What cannot be written is not worth the run.
        let _ = writeln!(self.out, "{}", line(&self.gathered, last));
        self.gathered.clear();
    }
}

impl<W: Write> Observer for Plain<W> {
    fn second(&mut self, second: &Second) {
        self.gathered.push(second.clone());
        if self.gathered.len() >= self.every_s {
            self.write();
        }
    }

    fn end(&mut self, record: &Record) {
        self.write();
        let _ = writeln!(self.out, "{}", summary(record));
    }
}

fn line(gathered: &[Second], last: &Second) -> String {
    let mut sum = gathered[0].clone();
    gathered[1..].iter().for_each(|second| sum.merge(second));
    let rate = |n: u64| words::short(n as f64 / gathered.len() as f64);
    let mut line = format!("{} {} sessions={}", words::clock(last.at_ms), last.phase, last.sessions);
    for name in ["sent", "delivered"] {
        if let Some(n) = sum.counts.get(name) {
            let _ = write!(line, " {name}={}/s", rate(*n));
        }
    }
    for (measure, spread) in &sum.latencies {
        let [p50, p99, max] = [spread.p50_us, spread.p99_us, spread.max_us].map(|us| compact(us as f64));
        let _ = write!(line, " {measure}={}/s,p50={p50},p99={p99},max={max}", rate(spread.count));
    }
    line + &format!(" failed={}", failures(&sum))
}

fn compact(us: f64) -> String {
    words::micros(us).replace(' ', "")
}

/// Of all measures, in this second.
pub(super) fn failures(second: &Second) -> u64 {
    second.counts.iter().filter(|(name, _)| stretch::failure(name).is_some()).map(|(_, n)| n).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn each_interval_is_a_line_and_the_end_is_one() {
        let record = sample::record();
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, 10);
        record.seconds[20..45].iter().for_each(|second| plain.second(second));
        plain.end(&record);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[0].starts_with("0:30 steady sessions=200 sent=200/s delivered=200/s chat=200/s,p50="),
            "{text}"
        );
        assert!(lines[2].starts_with("0:45 steady"), "{text}");
        assert!(lines[3].starts_with("p2p against throng"), "{text}");
    }
}
