//! A machine: one thread's worth of a process, on a clock that goes on as it is told to.
//!
//! All machines of a simulation share one thread and take turns, a step at a time. Each has a runtime of its own, so that
//! it can be killed at once, and frozen: then it does nothing while its clock goes on, as after a SIGSTOP.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, advance, sleep_until};

/// A step, in milliseconds.
pub(super) const STEP_MS: u64 = 4;

/// The time of a simulation: since it began.
#[derive(Clone, Copy)]
pub(super) struct Time {
    began: Instant,
    pub(super) ms: u64,
}

pub(super) struct Machine {
    runtime: Runtime,
    frozen: bool,
}

impl Time {
    pub(super) fn begin() -> Self {
        // Clocks start at what it really is, and can only be put forward.
        Self { began: Instant::now() + Duration::from_hours(1), ms: 0 }
    }

    fn instant(self) -> Instant {
        self.began + Duration::from_millis(self.ms)
    }
}

impl Machine {
    pub(super) fn start(now: Time) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let machine = Self { runtime, frozen: false };
        machine.catch_up(now);
        machine
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Does all there is to be done until then.
    pub(super) fn run_until(&self, now: Time) {
        if !self.frozen {
            self.runtime.block_on(async { sleep_until(now.instant()).await });
        }
    }

    pub(super) fn freezes(&mut self) {
        self.frozen = true;
    }

    /// It is late for everything at once.
    pub(super) fn wakes(&mut self, now: Time) {
        self.frozen = false;
        self.catch_up(now);
    }

    fn catch_up(&self, now: Time) {
        self.runtime.block_on(async {
            advance(now.instant().saturating_duration_since(Instant::now())).await;
        });
    }
}
