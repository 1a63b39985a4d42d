//! A run: by this process alone, or by workers.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use client::Tls;
use figures::{GoalOutcome, Record, Second};
use play::{Endpoint, Options, Part};
use report::{Live, Observer, Otlp, Plain, Plan, Prometheus};
use scenario::Scenario;

use crate::arguments::{self, Run, Target};
use crate::fleet_run::{self, Players};
use crate::{Outcome, Refusal, results, shipped};

/// Whom the system trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where a server listens if nobody says.
const USUAL_ADDRESS: &str = "127.0.0.1:5222";
/// A line of a log is written once in so many seconds.
const LOG_EVERY_S: usize = 1;

pub(crate) async fn run(run: Run) -> Result<Outcome, Refusal> {
    match run.workers {
        1 => play(&run, None).await,
        _ => fleet_run::spread(&run).await,
    }
}

/// Has a scenario played, shows it, and tells how it was.
pub(crate) async fn play(run: &Run, players: Option<Players>) -> Result<Outcome, Refusal> {
    let scenario = shipped::read(&run.chosen)?;
    let options = options(run, &scenario).await?;
    stop_when_interrupted(&options.stop);
    let present = match players {
        Some(players) => Some(players.come(&options.stop).await?),
        None => None,
    };
    let mut observers = observers(run, &scenario, &options).await?;
    let observer = |second: &Second| observers.second(second);
    let played = if let Some(present) = present {
        let authorities = authorities(&run.target)?;
        present.play(&scenario, &options, authorities.as_deref(), observer).await?
    } else {
        let played = play::run(&scenario, options, observer).await;
        played.map_err(|error| Refusal::wrong(error.to_string()))?
    };
    let aborted = played.aborted;
    let mut record = played.settle(&scenario.ledger);
    record.goals = report::judge(&record, &scenario);
    record.goals.extend(unread_archives(&record));
    observers.end(&record);
    drop(observers);
    conclude(&record, run.report.as_deref(), aborted)
}

/// An interrupt ends a run in order; it is all the same to whoever has ended already.
pub(crate) fn stop_when_interrupted(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.store(true, Ordering::Release);
        }
    });
}

/// Of an archive that could not be read, nothing is proved.
fn unread_archives(record: &Record) -> Option<GoalOutcome> {
    let unread = record.counts.get("archives-unread")?;
    let (goal, measured) = ("every archive can be read".to_owned(), format!("{unread} could not"));
    Some(GoalOutcome { goal, measured, reached: false })
}

/// Tells how it was, and writes the report.
fn conclude(record: &Record, report: Option<&Path>, aborted: bool) -> Result<Outcome, Refusal> {
    print!("{}", report::markdown(record));
    if let Some(out) = report {
        let beside = results::write(record, out)?;
        println!("\n{}, {}", out.display(), beside.display());
    }
    Ok(if aborted {
        Outcome::Unable
    } else if !record.ledger.is_clean() {
        Outcome::Offence
    } else if record.goals.iter().any(|goal| !goal.reached) {
        Outcome::Missed
    } else {
        Outcome::Right
    })
}

/// What the operator says, with what the scenario says where he does not.
async fn options(run: &Run, scenario: &Scenario) -> Result<Options, Refusal> {
    let Target { connect, domain, called, source, .. } = &run.target;
    let mut addresses = if connect.is_empty() { scenario.target.addresses.clone() } else { connect.clone() };
    if addresses.is_empty() {
        addresses.push(USUAL_ADDRESS.to_owned());
    }
    let mut endpoints = Vec::with_capacity(addresses.len());
    for address in &addresses {
        endpoints.push(Endpoint::resolve(address).await.map_err(Refusal::wrong)?);
    }
    let domain = domain.as_ref().or(scenario.target.domain.as_ref());
    Ok(Options {
        endpoints,
        target: called.clone().unwrap_or_else(|| addresses[0].clone()),
        domain: domain.map_or("localhost", String::as_str).to_owned(),
        tls: tls(&run.target)?,
        sources: arguments::addresses(source),
        watch: run.watch.iter().cloned().collect(),
        metrics: run.metrics.clone(),
        hooks: run.hook.iter().cloned().collect(),
        seed: run.seed,
        worker: Part::WHOLE,
        others: None,
        run: run_number(),
        start: None,
        stop: Arc::default(),
    })
}

fn tls(target: &Target) -> Result<Tls, Refusal> {
    match authorities(target)? {
        None => Tls::insecure().map_err(|error| Refusal::unable(error.to_string())),
        Some(pem) => Tls::trusting(&pem).map_err(|error| {
            Refusal::wrong(format!(
                "{}: {error}",
                target.ca.as_deref().unwrap_or(SYSTEM_AUTHORITIES.as_ref()).display()
            ))
        }),
    }
}

/// Certificates, in PEM, of who is trusted; `None` if anybody is.
fn authorities(target: &Target) -> Result<Option<Vec<u8>>, Refusal> {
    match &target.ca {
        _ if target.insecure => Ok(None),
        Some(path) => {
            let read = std::fs::read(path);
            read.map(Some).map_err(|error| Refusal::wrong(format!("{}: {error}", path.display())))
        }
        // Where the system trusts nobody, neither do we; who does not use TLS does not mind.
        None => Ok(Some(std::fs::read(SYSTEM_AUTHORITIES).unwrap_or_default())),
    }
}

/// Another one for each run, so that messages of different runs are told apart.
fn run_number() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_millis() as u32) ^ std::process::id().rotate_left(16)
}

/// Who is shown the run while it is on.
type Observers = Vec<Box<dyn Observer + Send>>;

async fn observers(run: &Run, scenario: &Scenario, options: &Options) -> Result<Observers, Refusal> {
    let unable = |error: &dyn std::fmt::Display| Refusal::unable(error.to_string());
    let mut observers: Observers = Vec::new();
    if !run.quiet && std::io::stdout().is_terminal() {
        let plan = Plan {
            scenario: scenario.name.clone(),
            target: options.target.clone(),
            phases: play::phases(scenario),
        };
        observers.push(Box::new(Live::start(plan).map_err(|error| unable(&error))?));
    } else {
        log_to_stderr();
        if !run.quiet {
            observers.push(Box::new(Plain::new(std::io::stderr(), LOG_EVERY_S)));
        }
    }
    if let Some(address) = run.prometheus {
        let serving =
            Prometheus::serve(address).await.map_err(|error| unable(&format!("{address}: {error}")))?;
        observers.push(Box::new(serving));
    }
    if let Some(endpoint) = &run.otlp {
        let pushing = Otlp::push(endpoint, &scenario.name, &options.target);
        observers.push(Box::new(pushing.map_err(|error| Refusal::wrong(format!("{endpoint}: {error}")))?));
    }
    Ok(observers)
}

/// Where there is no view that it would disturb, the engine may say what it does.
pub(crate) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,fleet=info,play=info"));
    // Set already: by whoever runs this as a part of something else.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
