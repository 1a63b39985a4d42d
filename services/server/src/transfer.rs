//! The commands that move everything that is kept: to a file, from a file, from one store to another.

use std::fs::File;
use std::io::{self, BufRead as _, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncWriteExt as _, DuplexStream};

use crate::cli::Source;
use crate::configuration::Configuration;
use crate::control::{Access, Answer, Digest, Next, Request};

/// Bytes between the two halves of a copy.
const PIPE_BYTES: usize = 256 * 1024;

/// `throng export`
pub(crate) async fn export(file: PathBuf, source: &Source) -> anyhow::Result<()> {
    let access = Access::open(&Configuration::load(source, None)?).await?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(if is_stream(&file) {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create_new(&file).with_context(|| format!("{} cannot be made", file.display()))?)
    });
    let (bar, mut given) = (progress_bar("read"), Digest::default());
    let told = access.ask(&Request::Export, |answer| {
        match answer {
            Answer::Record(record) => {
                given.add(&record)?;
                writeln!(out, "{record}")?;
            }
            answer => show(&bar, &answer),
        }
        Ok(())
    });
    let told = told.await?;
    bar.finish_and_clear();
    out.flush().with_context(|| format!("{} cannot be written", file.display()))?;
    eprint!("{}", given.table());
    eprintln!("{told}");
    Ok(())
}

/// `throng import`
pub(crate) async fn import(file: PathBuf, source: &Source) -> anyhow::Result<()> {
    let access = Access::open(&Configuration::load(source, None)?).await?;
    let bar = progress_bar("written");
    let path = if is_stream(&file) { Path::new("/dev/stdin") } else { &file };
    let opened = tokio::fs::File::open(path).await;
    let opened = opened.with_context(|| format!("{} cannot be read", file.display()))?;
    let told = access.import(opened, |answer| {
        show(&bar, &answer);
        Ok(())
    });
    let told = told.await;
    bar.finish_and_clear();
    eprintln!("{}", told?);
    // What came by a pipe has passed; a file can be read again.
    if is_stream(&file) {
        return Ok(());
    }
    let given = tokio::task::spawn_blocking(move || digest_of(&file)).await??;
    check(&given, &access).await
}

/// `throng copy`
pub(crate) async fn copy(from: PathBuf, to: PathBuf) -> anyhow::Result<()> {
    let open = async |file: PathBuf| {
        let source = Source { config: Some(file.clone()), ..Source::default() };
        let opened = async { Access::open(&Configuration::load(&source, None)?).await }.await;
        opened.with_context(|| format!("what {} says cannot be used", file.display()))
    };
    let (source, target) = (open(from).await?, open(to).await?);
    let told = move_all(&source, &target).await?;
    eprintln!("{told}");
    Ok(())
}

/// Copies everything, and checks it.
async fn move_all(source: &Access, target: &Access) -> anyhow::Result<String> {
    let (sender, lines) = tokio::io::duplex(PIPE_BYTES);
    let bar = progress_bar("copied");
    let shown = |answer: Answer| {
        show(&bar, &answer);
        Ok(())
    };
    let (given, told) = tokio::join!(give(source, sender), target.import(lines, shown));
    bar.finish_and_clear();
    // Whoever gives fails too when nobody takes any more.
    let told = told?;
    check(&given?, target).await?;
    Ok(told)
}

/// Gives every record away, and says what they amount to.
async fn give(source: &Access, mut sender: DuplexStream) -> anyhow::Result<Digest> {
    let mut given = Digest::default();
    let mut conversation = source.begin(&Request::Export).await?;
    loop {
        match conversation.next().await? {
            Next::Answer(Answer::Record(mut record)) => {
                given.add(&record)?;
                record.push('\n');
                sender.write_all(record.as_bytes()).await.context("nobody takes what is copied")?;
            }
            Next::Answer(_) => {}
            Next::Done(_) => {
                sender.shutdown().await?;
                return Ok(given);
            }
        }
    }
}

/// Reads everything back that was given, and shows whether it is the same.
async fn check(given: &Digest, target: &Access) -> anyhow::Result<()> {
    let (bar, mut taken) = (progress_bar("checked"), Digest::default());
    let told = target.ask(&Request::Export, |answer| {
        match answer {
            Answer::Record(record) => taken.add_common(&record, given)?,
            answer => show(&bar, &answer),
        }
        Ok(())
    });
    told.await?;
    bar.finish_and_clear();
    let (table, same) = given.compare(&taken);
    eprint!("{table}");
    if !same {
        bail!(
            "not everything is the same: accounts that existed were left as they were, or something has changed meanwhile"
        );
    }
    Ok(())
}

fn digest_of(file: &Path) -> anyhow::Result<Digest> {
    let mut digest = Digest::default();
    for line in io::BufReader::new(File::open(file)?).lines() {
        digest.add(&line?)?;
    }
    Ok(digest)
}

fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// On a terminal; otherwise nothing is shown.
fn progress_bar(done: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "{{wide_bar}} {{pos}} of {{len}} accounts {done}, {{eta}} left"
    ));
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, answer: &Answer) {
    if let Answer::Progress(done, of) = answer {
        bar.set_length(*of);
        bar.set_position(*done);
    }
}

#[cfg(test)]
mod tests;
