//! Runs of several processes: workers, and who hands out their shares.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use figures::Second;
use fleet::{Clock, Error, Fleet};
use play::{Options, Played};
use scenario::Scenario;
use tokio::process::{Child, Command};

use crate::arguments::{Controller, Run, Worker, addresses};
use crate::play_run::{log_to_stderr, play, stop_when_interrupted};
use crate::{Outcome, Refusal};

/// Workers of this machine find the controller here: on any port that is free.
const NEARBY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// How long workers of this machine may take to come.
const NEARBY_PATIENCE: Duration = Duration::from_secs(30);

/// Workers that are to come.
pub(crate) struct Players {
    controller: fleet::Controller,
    workers: usize,
    patience: Duration,
    children: Vec<Child>,
}

/// Workers that are there.
pub(crate) struct Present {
    fleet: Fleet,
    /// They end with this process, however it ends.
    _children: Vec<Child>,
}

/// Plays with workers that are started on this machine.
pub(crate) async fn spread(run: &Run) -> Result<Outcome, Refusal> {
    let mut players = listen(NEARBY, run.workers, NEARBY_PATIENCE).await?;
    let address = players.controller.address().map_err(|error| Refusal::unable(error.to_string()))?;
    players.children = start(run.workers, &address.to_string())?;
    play(run, Some(players)).await
}

/// Plays with workers that dial from anywhere.
pub(crate) async fn control(asked: Controller) -> Result<Outcome, Refusal> {
    let players = listen(asked.listen, asked.run.workers, asked.patience).await?;
    play(&asked.run, Some(players)).await
}

/// Plays a share for a controller.
pub(crate) async fn work(asked: Worker) -> Result<Outcome, Refusal> {
    if !asked.quiet {
        log_to_stderr();
    }
    let stop = Arc::default();
    stop_when_interrupted(&stop);
    let worker = fleet::Worker {
        controller: asked.controller,
        patience: asked.patience,
        sources: addresses(&asked.source),
        clock: Clock::new(),
        stop,
    };
    worker.work().await.map_err(|error| Refusal::unable(error.to_string()))?;
    Ok(Outcome::Right)
}

impl Players {
    /// Waits until all have come.
    pub(crate) async fn come(self, stop: &AtomicBool) -> Result<Present, Refusal> {
        let Self { controller, workers, patience, children } = self;
        let progress = |came: usize| eprintln!("{came} of {workers} workers have come");
        let fleet =
            controller.muster(workers, patience, stop, progress).await.map_err(|error| refused(&error))?;
        Ok(Present { fleet, _children: children })
    }
}

impl Present {
    /// Has the scenario played.
    pub(crate) async fn play(
        self,
        scenario: &Scenario,
        options: &Options,
        authorities: Option<&[u8]>,
        observer: impl FnMut(&Second),
    ) -> Result<Played, Refusal> {
        self.fleet.play(scenario, options, authorities, observer).await.map_err(|error| refused(&error))
    }
}

async fn listen(address: SocketAddr, workers: usize, patience: Duration) -> Result<Players, Refusal> {
    let controller = fleet::Controller::listen(address).await;
    let controller = controller.map_err(|error| Refusal::unable(format!("{address}: {error}")))?;
    Ok(Players { controller, workers, patience, children: Vec::new() })
}

/// Workers as processes of this machine.
fn start(workers: usize, controller: &str) -> Result<Vec<Child>, Refusal> {
    let unable = |error: std::io::Error| Refusal::unable(format!("no worker can be started: {error}"));
    let own = std::env::current_exe().map_err(unable)?;
    let worker = || {
        let mut command = Command::new(&own);
        command
            .args(["worker", "--quiet", "--controller", controller])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command.spawn().map_err(unable)
    };
    (0..workers).map(|_| worker()).collect()
}

fn refused(error: &Error) -> Refusal {
    match error {
        Error::Refused { .. } | Error::Nobody => Refusal::wrong(error.to_string()),
        _ => Refusal::unable(error.to_string()),
    }
}
