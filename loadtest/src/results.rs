//! What is made of runs that are over: reports, and comparisons.

use std::fs;
use std::path::{Path, PathBuf};

use figures::Record;

use crate::arguments::{Compare, Report};
use crate::{Outcome, Refusal};

/// Reads the record of a run.
fn read(path: &Path) -> Result<Record, Refusal> {
    let wrong = |error: &dyn std::fmt::Display| Refusal::wrong(format!("{}: {error}", path.display()));
    let text = fs::read(path).map_err(|error| wrong(&error))?;
    let record: Record = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    if record.form > figures::FORM {
        return Err(wrong(&format!("a record of form {}, which a newer version has written", record.form)));
    }
    Ok(record)
}

/// Writes the report, and the record beside it.
pub(crate) fn write(record: &Record, out: &Path) -> Result<PathBuf, Refusal> {
    let unable = |error: &dyn std::fmt::Display| Refusal::unable(format!("{}: {error}", out.display()));
    fs::write(out, report::html(record)).map_err(|error| unable(&error))?;
    let beside = out.with_extension("json");
    let text = serde_json::to_vec(record).map_err(|error| unable(&error))?;
    fs::write(&beside, text).map_err(|error| unable(&error))?;
    Ok(beside)
}

pub(crate) fn report(Report { record, out, markdown }: &Report) -> Result<Outcome, Refusal> {
    let found = read(record)?;
    if *markdown {
        print!("{}", report::markdown(&found));
        return Ok(Outcome::Right);
    }
    let out = out.clone().unwrap_or_else(|| record.with_extension("html"));
    fs::write(&out, report::html(&found))
        .map_err(|error| Refusal::unable(format!("{}: {error}", out.display())))?;
    println!("{}", out.display());
    Ok(Outcome::Right)
}

pub(crate) fn compare(asked: &Compare) -> Result<Outcome, Refusal> {
    let all = |paths: &[PathBuf]| paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
    let comparison = report::compare(&all(&asked.before)?, &all(&asked.after)?);
    print!("{}", if asked.markdown { comparison.markdown() } else { comparison.text() });
    let regressions = match asked.max_regression {
        Some(percent) => comparison.regressions(percent / 100.0),
        None => Vec::new(),
    };
    Ok(if regressions.is_empty() { Outcome::Right } else { Outcome::Missed })
}
