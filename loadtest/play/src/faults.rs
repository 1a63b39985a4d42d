//! What is done to the server and to connections while sessions play.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use figures::{Mark, Source};
use rand::SeedableRng;
use rand::rngs::StdRng;
use scenario::{Fault, FaultKind};

use crate::stage::Stage;

/// Does all faults of a scenario at their moments, until its last phase ends.
pub(crate) async fn play(stage: Arc<Stage>, faults: Vec<Fault>) {
    let mut tasks = tokio::task::JoinSet::new();
    for (number, fault) in faults.into_iter().enumerate() {
        tasks.spawn(play_one(Arc::clone(&stage), fault, number as u64));
    }
    while tasks.join_next().await.is_some() {}
}

async fn play_one(stage: Arc<Stage>, fault: Fault, number: u64) {
    let mut random = StdRng::seed_from_u64(stage.options.seed ^ number);
    let mut at = fault.at;
    while (at.as_micros() as u64) < stage.script.end_us {
        tokio::time::sleep_until(stage.clock.at(at.as_micros() as u64)).await;
        // What is done to the server is done once, whatever the number of workers.
        let first = stage.options.worker.index == 0;
        let what = match &fault.kind {
            FaultKind::Cut(share) => format!("cut {:.0} %", share * 100.0),
            FaultKind::Hook(name) => name.clone(),
            FaultKind::Kill(name) => format!("kill {name}"),
        };
        stage.marks.lock().push(Mark { at_ms: stage.clock.now_ms(), what });
        match &fault.kind {
            FaultKind::Cut(share) => {
                let cut = stage.seats.cut(*share, &mut random);
                tracing::info!(connections = cut, "connections cut");
            }
            FaultKind::Hook(name) if first => run_hook(&stage.options.hooks, name).await,
            FaultKind::Kill(name) if first => kill(&stage.options.watch, name),
            FaultKind::Hook(_) | FaultKind::Kill(_) => {}
        }
        let Some(every) = fault.every.filter(|every| *every > Duration::ZERO) else { return };
        at += every;
    }
}

/// Runs a command of the operator's by the shell, and waits for it.
async fn run_hook(hooks: &BTreeMap<String, String>, name: &str) {
    let Some(command) = hooks.get(name) else { return };
    let mut shell = tokio::process::Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null());
    match shell.status().await {
        Ok(status) if status.success() => tracing::info!(name, "hook ran"),
        Ok(status) => tracing::warn!(name, %status, "hook failed"),
        Err(error) => tracing::warn!(name, %error, "hook did not run"),
    }
}

fn kill(watched: &BTreeMap<String, Source>, name: &str) {
    let Some(Source::Processes(numbers)) = watched.get(name) else { return };
    for &number in numbers {
        let pid = i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw);
        let killed = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        if killed.is_some_and(|killed| killed.is_ok()) {
            tracing::info!(name, number, "process killed");
        } else {
            tracing::warn!(name, number, "process could not be killed");
        }
    }
}
