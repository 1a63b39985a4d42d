//! Whose a slot is: fixed by configuration, or agreed on by all owners over the durable store (docs/delivery.md §7).
//!
//! Where it is agreed on, each owner beats in the store, and reads the table of slots some times a second. One of them, the
//! first by name of those that are there, writes who is to have what. Whoever is not heard of is fenced in the store before
//! its slots are given away, and a lease is waited for: it has noticed by then that it must not do anything.
mod assignments;
mod moving;
mod watch;

use std::sync::{Arc, Weak};
use std::time::Duration;

pub(crate) use assignments::{Assignments, Life};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::lease::{self, LEASE_MS};
use crate::metrics;
use crate::owner::Owner;

/// Between looks at the table of slots, in milliseconds.
const LOOK_MS: u64 = 250;

/// The same while slots of others are on their way here: nobody serves them meanwhile.
const LOOK_SOON_MS: u64 = 25;

/// Between beats, in milliseconds.
const BEAT_MS: u64 = 1_000;

/// A call to the store that takes longer has failed, in milliseconds.
const CALL_MS_MAX: u64 = 2_000;

/// How long one is there after it was last heard of, in milliseconds.
const THERE_MS: u64 = 2_000;

/// Beats, for as long as there is an owner that is a member.
pub(crate) async fn beat(owner: Weak<Owner>) {
    let mut interval = interval(Duration::from_millis(BEAT_MS / 2));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0_u64.. {
        interval.tick().await;
        let Some(owner) = owner.upgrade() else { return };
        if owner.fenced.is_cancelled() {
            return;
        }
        say_there(&owner);
        if turn % 2 == 1 && owner.lease.holds() {
            continue;
        }
        let began_ms = lease::now_ms();
        let call = owner.store.members.beat(&owner.config.member, owner.epoch, turn + 1);
        match timeout(Duration::from_millis(CALL_MS_MAX), call).await {
            Ok(Ok(true)) => owner.lease.renew(began_ms),
            Ok(Ok(false)) => return owner.end_fenced(),
            Ok(Err(error)) => owner.lease.adrift(&error.to_string()),
            Err(_) => owner.lease.adrift("it does not answer"),
        }
    }
}

/// Makes suspicion fast; nobody waits for it.
fn say_there(owner: &Arc<Owner>) {
    let (liveness, member) = (Arc::clone(&owner.store.liveness), owner.config.member.clone());
    tokio::spawn(async move {
        let said = timeout(Duration::from_millis(CALL_MS_MAX), liveness.say(&member, THERE_MS)).await;
        if let Ok(Err(error)) = said {
            tracing::debug!(%error, "liveness could not be said");
        }
    });
}

/// Looks at the table and does what it says, for as long as there is an owner that is a member.
pub(crate) async fn look(owner: Weak<Owner>) {
    let mut watch = watch::Watch::default();
    let (mut seen, mut pause_ms, mut coordinated_ms) = (None, LOOK_SOON_MS, 0);
    loop {
        sleep(Duration::from_millis(pause_ms)).await;
        let Some(owner) = owner.upgrade() else { return };
        // One that leaves looks for itself.
        if owner.fenced.is_cancelled() || owner.leaving.is_cancelled() {
            return;
        }
        let Some(table) = owner.read_table().await else { continue };
        let (are_coming, are_going) = (table.are_coming(&owner.life()), table.are_asked_for(&owner.life()));
        pause_ms = match (are_coming, are_going) {
            (true, _) => LOOK_SOON_MS,
            (false, true) => moving::PACE_MS,
            (false, false) => LOOK_MS,
        };
        // First who is gone, then what is this owner's: that may take a while, and change the table.
        if owner.lease.holds() && lease::now_ms() >= coordinated_ms + LOOK_MS {
            coordinated_ms = lease::now_ms();
            if watch.coordinate(&owner, &table).await {
                continue;
            }
        }
        if seen.replace(table.version) != Some(table.version) || owner.is_moving() || are_going {
            owner.adopt(&table, owner.config.hand_over_per_s).await;
        }
    }
}

impl Owner {
    /// This life of this member.
    pub(crate) fn life(&self) -> Life {
        Life { name: self.config.member.clone(), incarnation: self.epoch }
    }

    /// Completes when this owner must not do anything any more: others have its slots. Its process ends.
    pub async fn fenced(&self) {
        self.fenced.cancelled().await;
    }

    /// Others have, or will have, what was this owner's: nothing it has under way counts.
    pub(crate) fn end_fenced(&self) {
        metrics::FENCED.inc();
        tracing::error!(member = self.config.member, "this owner was fenced: others have its slots");
        self.lease.end();
        self.fenced.cancel();
    }

    /// The table of slots; none: the store does not answer.
    pub(crate) async fn read_table(&self) -> Option<Assignments> {
        let call = self.store.members.table();
        let (version, bytes) = match timeout(Duration::from_millis(CALL_MS_MAX), call).await {
            Ok(Ok(table)) => table,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the table of slots could not be read");
                return None;
            }
            Err(_) => return None,
        };
        Assignments::decode(version, &bytes)
            .inspect_err(|error| tracing::error!(%error, version, "another version wrote the table of slots"))
            .ok()
    }

    /// Replaces the table; false: somebody else was faster, or the store does not answer.
    pub(crate) async fn write_table(&self, table: &Assignments) -> bool {
        let call = self.store.members.replace_table(table.version, table.encode());
        match timeout(Duration::from_millis(CALL_MS_MAX), call).await {
            Ok(Ok(replaced)) => replaced,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the table of slots could not be written");
                false
            }
            Err(_) => false,
        }
    }
}

/// For how long after one was fenced its slots are nobody's, in milliseconds: it may believe in its lease for so long.
pub(crate) const FENCED_MS: u64 = LEASE_MS;
