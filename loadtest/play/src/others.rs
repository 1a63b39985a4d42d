//! What a worker knows of the others of its run: how far its clock has drifted from theirs, and where their sessions and its
//! own meet. Whoever runs several workers fills this in.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::sync::watch;

use crate::stage::Stage;

/// The other workers of the run.
#[derive(Clone, Debug)]
pub struct Others {
    /// By how many microseconds the clock of this process has gone ahead of the run's since the start. May change at any time.
    pub drift_us: Arc<AtomicI64>,
    /// By barrier: told whenever a session of this worker has come to one.
    pub gathered: watch::Sender<Vec<Gathered>>,
    /// By barrier: how many sessions of this worker have been let through.
    pub passed: watch::Receiver<Vec<u64>>,
}

/// Sessions at a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// How many of this worker's have come, since the run's start.
    pub came: u64,
    /// How many of all workers' open it.
    pub needed: u64,
}

impl Others {
    /// A session has come to the barrier of this number.
    pub(crate) fn gather(&self, number: usize) {
        self.gathered.send_modify(|barriers| {
            if let Some(barrier) = barriers.get_mut(number) {
                barrier.came += 1;
            }
        });
    }
}

/// Tells which barriers there are.
pub(crate) fn begin(stage: &Stage) {
    if let Some(others) = &stage.options.others {
        let barriers = stage.script.barriers.iter();
        let barriers = barriers.map(|barrier| Gathered { came: 0, needed: barrier.needed() });
        others.gathered.send_replace(barriers.collect());
    }
}

/// Opens barriers as it is told, until the run ends.
pub(crate) async fn hear(stage: Arc<Stage>) {
    let Some(others) = &stage.options.others else { return };
    let mut passed = others.passed.clone();
    while passed.changed().await.is_ok() {
        for (barrier, &places) in stage.script.barriers.iter().zip(&*passed.borrow_and_update()) {
            barrier.open(places);
        }
        stage.seats.call_all();
    }
}
