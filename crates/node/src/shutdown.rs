//! How a process ends: it is told to drain, has a grace period for it, and is gone.
//!
//! The first SIGTERM or SIGINT begins the drain; a second one, or the end of the grace period, ends the process at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The status of a process that was ended before it had drained.
pub const STATUS_HURRIED: i32 = 130;

/// Tells whoever holds it that the process drains. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// Begins the drain. Dropping it begins it too.
#[derive(Debug)]
pub struct Drainer(watch::Sender<bool>);

impl Drain {
    /// A drain that begins when one says so.
    pub fn new() -> (Drainer, Drain) {
        let (sender, receiver) = watch::channel(false);
        (Drainer(sender), Drain(receiver))
    }

    /// A drain that begins with the first signal, after which this process has `grace` left.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn on_signals(grace: Duration) -> std::io::Result<Drain> {
        let (drainer, drain) = Self::new();
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            let name = tokio::select! { _ = term.recv() => "SIGTERM", _ = int.recv() => "SIGINT" };
            tracing::info!(signal = name, grace_s = grace.as_secs(), "draining");
            drainer.begin();
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                () = tokio::time::sleep(grace) => {}
            }
            tracing::warn!("ended before everything was drained");
            std::process::exit(STATUS_HURRIED);
        });
        Ok(drain)
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        // An error means that the drainer is gone, which begins it too.
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }
}

impl Drainer {
    /// Begins the drain.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_drain_hears_of_it() {
        let (drainer, drain) = Drain::new();
        let waits = drain.clone();
        let waiter = tokio::spawn(async move { waits.begun().await });
        assert!(!drain.has_begun());

        drainer.begin();

        waiter.await.unwrap();
        assert!(drain.has_begun());
        drain.begun().await;
    }

    #[tokio::test]
    async fn a_drainer_that_is_dropped_begins_the_drain() {
        let (drainer, drain) = Drain::new();

        drop(drainer);

        drain.begun().await;
        assert!(drain.has_begun());
    }
}
