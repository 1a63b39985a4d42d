//! `throng-load`: loads an XMPP server as a scenario says, and proves what became of every message.

mod arguments;
mod fleet_run;
mod play_run;
mod results;
mod rigs;
mod shipped;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, Chosen, Command, Tsung};

/// How the command ends, for scripts and CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Right = 0,
    /// A goal was missed, or something got worse.
    Missed = 1,
    /// The ledger holds something against the run.
    Offence = 2,
    /// The scenario, an address or an argument is wrong.
    Wrong = 3,
    /// The run could not be made, or was stopped.
    Unable = 4,
}

/// What ends a command early, and is told to people.
#[derive(Debug)]
struct Refusal {
    outcome: Outcome,
    text: String,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // To a pipe that nobody reads any more, nothing can be said.
            let _ = error.print();
            return ExitCode::from(if asked { Outcome::Right } else { Outcome::Wrong } as u8);
        }
    };
    let outcome = perform(arguments.command).unwrap_or_else(|refusal| {
        eprintln!("{}", refusal.text);
        refusal.outcome
    });
    ExitCode::from(outcome as u8)
}

fn perform(command: Command) -> Result<Outcome, Refusal> {
    match command {
        Command::Run(run) => block_on(play_run::run(*run))?,
        Command::Controller(controller) => block_on(fleet_run::control(*controller))?,
        Command::Worker(worker) => block_on(fleet_run::work(worker))?,
        Command::Validate(chosen) => validate(&chosen),
        Command::Explain(chosen) => {
            print!("{}", scenario::explain(&shipped::read(&chosen)?));
            Ok(Outcome::Right)
        }
        Command::List => {
            print!("{}", shipped::list());
            Ok(Outcome::Right)
        }
        Command::Show { name } => {
            let text = shipped::text(&name).ok_or_else(|| Refusal::wrong(shipped::unknown(&name)))?;
            print!("{text}");
            Ok(Outcome::Right)
        }
        Command::Schema => {
            println!("{:#}", scenario::Scenario::schema());
            Ok(Outcome::Right)
        }
        Command::Report(report) => results::report(&report),
        Command::Compare(compare) => results::compare(&compare),
        Command::Tsung(tsung) => convert(&tsung),
        Command::Null(null) => block_on(rigs::null(null))?,
        Command::Faults(faults) => block_on(rigs::faults(faults))?,
    }
}

fn validate(chosen: &Chosen) -> Result<Outcome, Refusal> {
    let scenario = shipped::read(chosen)?;
    println!("{} is a scenario: {}", scenario.name, scenario.about);
    Ok(Outcome::Right)
}

fn convert(Tsung { file, out }: &Tsung) -> Result<Outcome, Refusal> {
    let xml = std::fs::read_to_string(file)
        .map_err(|error| Refusal::wrong(format!("{}: {error}", file.display())))?;
    let name = file.file_stem().map_or_else(|| "tsung".into(), |name| name.to_string_lossy());
    let told = |notes: &[tsung::Note]| {
        notes.iter().map(|note| format!("{}:{note}", file.display())).collect::<Vec<_>>().join("\n")
    };
    let converted = tsung::convert(&xml, &name).map_err(|notes| Refusal::wrong(told(&notes)))?;
    if !converted.notes.is_empty() {
        eprintln!("{}", told(&converted.notes));
    }
    match out {
        Some(out) => std::fs::write(out, &converted.toml)
            .map_err(|error| Refusal::unable(format!("{}: {error}", out.display())))?,
        None => print!("{}", converted.toml),
    }
    Ok(Outcome::Right)
}

fn block_on<F: Future>(future: F) -> Result<F::Output, Refusal> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refusal::unable(format!("no runtime: {error}")))?;
    Ok(runtime.block_on(future))
}

impl Refusal {
    fn wrong(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Wrong, text: text.into() }
    }

    fn unable(text: impl Into<String>) -> Self {
        Self { outcome: Outcome::Unable, text: text.into() }
    }
}
