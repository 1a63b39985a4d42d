//! The work that passwords cost: milliseconds each, done beside the threads that serve everybody, as many at a time as
//! there are cores. Whoever floods the server with logins waits for other logins, never for a message.

use std::num::NonZero;
use std::thread::available_parallelism;

use async_trait::async_trait;
use features::ports::Passwords;
use tokio::sync::Semaphore;
use xmpp::sasl::Keys;
use zeroize::Zeroizing;

use crate::keys;

/// Hashes passwords.
#[derive(Debug)]
pub(crate) struct Hashes {
    rounds: u32,
    turns: Semaphore,
}

impl Hashes {
    /// New passwords are hashed `rounds` times.
    pub(crate) fn new(rounds: u32) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self { rounds: rounds.max(1), turns: Semaphore::new(cores) }
    }

    /// How often new passwords are hashed.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Does work that hashes when it is its turn; none: it did not end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.turns.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[async_trait]
impl Passwords for Hashes {
    async fn keys(&self, password: &str) -> Option<Keys> {
        let (password, rounds) = (Zeroizing::new(password.to_owned()), self.rounds);
        self.run(move || keys::from_password(&password, rounds)).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn keys_have_the_rounds_that_are_configured() {
        let keys = Hashes::new(7).keys("R0m30").await.unwrap();
        assert_eq!((keys.sha1.iterations, keys.sha512.iterations), (7, 7));
        assert_eq!(Hashes::new(7).keys("").await, None);
    }

    #[tokio::test]
    async fn no_more_are_at_work_than_there_are_cores() {
        let hashes = Hashes::new(1);
        let cores = hashes.turns.available_permits();
        let (at_work, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        join_all((0..cores * 4).map(|_| {
            let (at_work, most) = (Arc::clone(&at_work), Arc::clone(&most));
            hashes.run(move || {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                at_work.fetch_sub(1, Ordering::SeqCst);
            })
        }))
        .await;
        assert_eq!(most.load(Ordering::SeqCst), cores);
    }
}
