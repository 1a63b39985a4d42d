//! The commands that change, list, export and import accounts.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Source, User};
use crate::configuration::Configuration;
use crate::control::{Access, Answer, Request};
use crate::password;

/// `throng user …`
pub(crate) async fn user(command: User) -> anyhow::Result<()> {
    let (source, request) = match command {
        User::Add(named) => {
            let password = password::ask(&named.account)?;
            (named.source, Request::Add { account: named.account, password })
        }
        User::Passwd(named) => {
            let password = password::ask(&named.account)?;
            (named.source, Request::Passwd { account: named.account, password })
        }
        User::Remove(named) => (named.source, Request::Remove { account: named.account }),
        User::List { only, source } => (source, Request::List { domain: only }),
    };
    let listing = matches!(request, Request::List { .. });
    let access = Access::open(&Configuration::load(&source, None)?).await?;
    let mut out = io::stdout().lock();
    let told = access.ask(&request, |answer| {
        if let Answer::Account(account) = answer {
            writeln!(out, "{account}")?;
        }
        Ok(())
    });
    let told = told.await?;
    // A list is for other programs too: what it amounts to is not part of it.
    if listing {
        eprintln!("{told}");
    } else {
        println!("{told}");
    }
    Ok(())
}

/// `throng export`
pub(crate) async fn export(file: PathBuf, source: &Source) -> anyhow::Result<()> {
    let access = Access::open(&Configuration::load(source, None)?).await?;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(if is_stream(&file) {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create_new(&file).with_context(|| format!("{} cannot be made", file.display()))?)
    });
    let bar = progress_bar();
    let told = access.ask(&Request::Export, |answer| {
        match answer {
            Answer::Record(record) => writeln!(out, "{record}")?,
            answer => show(&bar, &answer),
        }
        Ok(())
    });
    let told = told.await?;
    bar.finish_and_clear();
    out.flush().with_context(|| format!("{} cannot be written", file.display()))?;
    eprintln!("{told}");
    Ok(())
}

/// `throng import`
pub(crate) async fn import(file: PathBuf, source: &Source) -> anyhow::Result<()> {
    let access = Access::open(&Configuration::load(source, None)?).await?;
    let bar = progress_bar();
    let seen = |answer: Answer| {
        show(&bar, &answer);
        Ok(())
    };
    let path = if is_stream(&file) { Path::new("/dev/stdin") } else { &file };
    let opened = tokio::fs::File::open(path).await;
    let told =
        access.import(opened.with_context(|| format!("{} cannot be read", file.display()))?, seen).await;
    bar.finish_and_clear();
    eprintln!("{}", told?);
    Ok(())
}

fn is_stream(file: &Path) -> bool {
    file == Path::new("-")
}

/// On a terminal; otherwise nothing is shown.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} accounts, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, answer: &Answer) {
    if let Answer::Progress(done, of) = answer {
        bar.set_length(*of);
        bar.set_position(*done);
    }
}
