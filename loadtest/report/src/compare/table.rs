//! A comparison as people read it.

use std::fmt::Write as _;

use super::figure::Unit;
use super::{Change, Comparison, Row};
use crate::words;

pub(super) fn text(comparison: &Comparison) -> String {
    let mut out = head(comparison);
    let rows: Vec<[String; 8]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(comparison.rows.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..HEAD.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if at < 2 || at == 7 {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out + &sums(comparison)
}

/// `3 worse, 1 better, of 27 no change is shown`.
fn sums(comparison: &Comparison) -> String {
    let of = |change| comparison.rows.iter().filter(|row| row.change == change).count();
    let (worse, better, neither) = (of(Change::Worse), of(Change::Better), of(Change::NotShown));
    format!("{worse} worse, {better} better, of {neither} no change is shown\n")
}

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut out = head(comparison);
    let _ = writeln!(out, "\n| {} |\n|---|---|---:|---:|---:|---:|---:|---|", HEAD.join(" | "));
    for row in &comparison.rows {
        let mut cells = cells(row);
        if row.change != Change::NotShown {
            cells[7] = format!("**{}**", cells[7]);
        }
        let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out + "\n" + &sums(comparison)
}

const HEAD: [&str; 8] = ["figure", "phase", "A", "B", "change", "95 % interval", "by chance", ""];

fn head(comparison: &Comparison) -> String {
    let Comparison { names: [a, b], runs: [runs_a, runs_b], notes, .. } = comparison;
    let of = |runs: &usize| if *runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
    let mut out = format!("A: {a}, {}\nB: {b}, {}\n", of(runs_a), of(runs_b));
    for note in notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn cells(row: &Row) -> [String; 8] {
    let value = |value: f64| match row.unit {
        Unit::Micros => words::micros(value),
        Unit::PerSecond => format!("{}/s", words::short(value)),
        Unit::Bytes => words::bytes(value),
    };
    let share = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
    [
        row.what.clone(),
        row.phase.clone(),
        value(row.a),
        value(row.b),
        share(row.ratio),
        format!("{} … {}", share(row.low), share(row.high)),
        row.chance.map(words::percent).unwrap_or_default(),
        match row.change {
            Change::Better => "better".to_owned(),
            Change::Worse => "worse".to_owned(),
            Change::NotShown => String::new(),
        },
    ]
}
