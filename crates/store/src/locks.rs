//! Locks for what is read, decided and written back: one at a time for a name.
//!
//! A lock travels with the write it protects and is let go when the outcome can be read, so a caller that stops waiting
//! lets nobody in too early. Names share a fixed number of locks.

use std::{hash::BuildHasher, sync::Arc};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// Locks held; let go when dropped.
pub(crate) type Held = Vec<OwnedMutexGuard<()>>;

const LOCKS: usize = 256;

pub(crate) struct Locks {
    locks: Vec<Arc<Mutex<()>>>,
    hasher: foldhash::fast::RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        let locks = (0..LOCKS).map(|_| Arc::default()).collect();
        Self { locks, hasher: foldhash::fast::RandomState::default() }
    }
}

impl Locks {
    pub(crate) async fn hold(&self, name: &[u8]) -> Held {
        self.hold_all([name]).await
    }

    /// Takes the locks in one order, so two who take several never wait for each other.
    pub(crate) async fn hold_all<'a>(&self, names: impl IntoIterator<Item = &'a [u8]>) -> Held {
        let at = |name: &[u8]| self.hasher.hash_one(name) as usize % LOCKS;
        let mut chosen: Vec<usize> = names.into_iter().map(at).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let mut held = Held::with_capacity(chosen.len());
        for at in chosen {
            held.push(self.locks[at].clone().lock_owned().await);
        }
        held
    }
}
