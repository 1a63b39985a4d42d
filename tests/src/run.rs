//! Running plays: each on every topology, some at once; a line for each, and the transcript of those that fail.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::server::{Server, Topology, build};
use crate::stage::Stage;

/// Plays at once, unless `--jobs N` says otherwise: they wait more than they work.
const JOBS: usize = 6;
/// A play that takes longer hangs.
const DURATION_MAX: Duration = Duration::from_secs(100);

/// Something that must go as written.
#[derive(Clone, Copy)]
pub struct Play {
    /// Its file and function.
    pub name: &'static str,
    /// The function.
    pub run: fn(Stage) -> Performance,
}

/// A play that goes on.
pub type Performance = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A list of plays from the names of their functions, which take a [`Stage`].
#[macro_export]
macro_rules! plays {
    ($($name:ident),* $(,)?) => {
        &[$($crate::run::Play {
            name: concat!(module_path!(), "::", stringify!($name)),
            run: |stage| Box::pin($name(stage)),
        }),*]
    };
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// What was asked for on the command line.
#[derive(Default)]
struct Asked {
    /// Parts of `topology file::play`; none: all.
    filters: Vec<String>,
    jobs: Option<usize>,
    list: bool,
}

/// Runs what the command line asks for.
pub fn main(plays: &[&[Play]]) -> ExitCode {
    let asked = asked();
    let all = Topology::ALL
        .into_iter()
        .flat_map(|topology| plays.iter().copied().flatten().map(move |play| (topology, *play)));
    let chosen: Vec<(Topology, Play)> = all.filter(|(topology, play)| asked.has(*topology, play)).collect();
    if asked.list {
        for (topology, play) in &chosen {
            println!("{}: test", label(*topology, play));
        }
        return ExitCode::SUCCESS;
    }
    let chosen = possible(chosen);
    if let Err(error) = build() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    // What a play panics with is told with its transcript.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    runtime.block_on(async {
        tokio::select! {
            code = perform(chosen, asked.jobs.unwrap_or(JOBS)) => code,
            // Whatever was started is dropped, and so ended.
            _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        }
    })
}

/// Those whose topology can be had here; of the others it is said why not.
fn possible(chosen: Vec<(Topology, Play)>) -> Vec<(Topology, Play)> {
    for topology in Topology::ALL {
        let count = chosen.iter().filter(|(on, _)| *on == topology).count();
        if let Some(why) = topology.missing().filter(|_| count > 0) {
            println!("skipped {count} plays on {}: {why}", topology.name());
        }
    }
    chosen.into_iter().filter(|(topology, _)| topology.missing().is_none()).collect()
}

async fn perform(chosen: Vec<(Topology, Play)>, jobs: usize) -> ExitCode {
    let begun = Instant::now();
    let mut servers = BTreeMap::new();
    for topology in Topology::ALL {
        if chosen.iter().any(|(on, _)| *on == topology) {
            match Server::start(topology, &[]).await {
                Ok(server) => drop(servers.insert(topology.name(), Arc::new(server))),
                Err(error) => {
                    println!("{} does not start: {error:#}", topology.name());
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    let places = Arc::new(Semaphore::new(jobs.max(1)));
    let told = Arc::new(Mutex::new([0_usize; 3]));
    let mut running = JoinSet::new();
    for (topology, play) in chosen {
        let (places, told) = (Arc::clone(&places), Arc::clone(&told));
        let stage = Stage::new(Arc::clone(&servers[topology.name()]));
        running.spawn(async move {
            let _place = places.acquire().await;
            let begun = Instant::now();
            let outcome = performed(play, stage).await;
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told[tell(&label(topology, &play), &outcome, begun.elapsed())] += 1;
        });
    }
    while running.join_next().await.is_some() {}
    let [passed, skipped, failed] = *told.lock().unwrap_or_else(PoisonError::into_inner);
    let panics: Vec<String> = servers.values().flat_map(|server| server.panics()).collect();
    for line in &panics {
        println!("the server panicked: {line}");
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped in {:.1?}", begun.elapsed());
    if failed == 0 && panics.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn performed(play: Play, stage: Stage) -> Outcome {
    let performance = AssertUnwindSafe((play.run)(stage.clone())).catch_unwind();
    let reason = match tokio::time::timeout(DURATION_MAX, performance).await {
        Ok(Ok(())) if stage.is_skipped() => return Outcome::Skipped(stage.cast.transcript().join(", ")),
        Ok(Ok(())) => return Outcome::Passed,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
        }
        Err(_) => "it takes too long".to_owned(),
    };
    let transcript = stage.cast.transcript();
    Outcome::Failed(format!("  {}\n  {reason}", transcript.join("\n  ")))
}

/// A line; which of passed, skipped and failed it is.
fn tell(label: &str, outcome: &Outcome, took: Duration) -> usize {
    match outcome {
        Outcome::Passed => {
            println!("ok      {label} ({took:.1?})");
            0
        }
        Outcome::Skipped(why) => {
            println!("skipped {label}: {why}");
            1
        }
        Outcome::Failed(story) => {
            println!("FAILED  {label} ({took:.1?})\n{story}\n");
            2
        }
    }
}

fn label(topology: Topology, play: &Play) -> String {
    let name = play.name.split_once("::").map_or(play.name, |(_, name)| name);
    format!("{} {name}", topology.name())
}

fn asked() -> Asked {
    let mut asked = Asked::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--jobs" => asked.jobs = arguments.next().and_then(|count| count.parse().ok()),
            "--list" => asked.list = true,
            // What `cargo test` is told for other tests.
            flag if flag.starts_with('-') => {}
            filter => asked.filters.push(filter.to_owned()),
        }
    }
    asked
}

impl Asked {
    fn has(&self, topology: Topology, play: &Play) -> bool {
        let label = label(topology, play);
        self.filters.is_empty() || self.filters.iter().any(|filter| label.contains(filter.as_str()))
    }
}
