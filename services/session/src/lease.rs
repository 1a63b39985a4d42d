//! The lease: for how long after the store last said so this process may believe that it is a member.
//!
//! It is counted from the start of that read, in time that goes on while the process or the machine is stopped: whoever
//! wakes up after its slots were given away does nothing any more.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A lease is over this long after the start of the last read that said "live", in milliseconds.
pub(crate) const LEASE_MS: u64 = 3_000;

/// A store that was away is busy for a while: slots that need not move stay for so long, in milliseconds.
const STEADY_MS: u64 = 5_000;

const FOR_EVER: u64 = u64::MAX;

/// A process's lease. Fixed owners have one that never ends.
pub(crate) struct Lease {
    until_ms: AtomicU64,
    /// The store cannot be asked: what needs no lease goes on.
    adrift: AtomicBool,
    /// Until when its being away counts.
    unsteady_until_ms: AtomicU64,
}

impl Lease {
    pub(crate) fn for_ever() -> Self {
        Self::until(FOR_EVER)
    }

    pub(crate) fn none_yet() -> Self {
        Self::until(0)
    }

    fn until(ms: u64) -> Self {
        Self {
            until_ms: AtomicU64::new(ms),
            adrift: AtomicBool::default(),
            unsteady_until_ms: AtomicU64::default(),
        }
    }

    /// The store said "live" to a read that began then ([`now_ms`]).
    pub(crate) fn renew(&self, began_ms: u64) {
        self.until_ms.fetch_max(began_ms + LEASE_MS, Ordering::AcqRel);
        if self.adrift.swap(false, Ordering::AcqRel) {
            self.unsteady_until_ms.store(now_ms() + STEADY_MS, Ordering::Release);
            tracing::info!("the store answers again");
        }
    }

    /// The store could not be asked, for this reason.
    pub(crate) fn adrift(&self, error: &str) {
        if !self.adrift.swap(true, Ordering::AcqRel) {
            crate::metrics::ADRIFT.inc();
            tracing::warn!(error, "the store cannot be asked whether this owner is one still");
        }
    }

    /// There is none any more.
    pub(crate) fn end(&self) {
        self.until_ms.store(0, Ordering::Release);
        self.adrift.store(false, Ordering::Release);
    }

    /// Whether anything may be done at all: not by one that may have slept, and does not know what has become of it.
    pub(crate) fn awake(&self) -> bool {
        self.holds() || self.adrift.load(Ordering::Acquire)
    }

    /// Whether the store has answered for a while.
    pub(crate) fn is_steady(&self) -> bool {
        self.holds() && now_ms() >= self.unsteady_until_ms.load(Ordering::Acquire)
    }

    /// Whether anything may be acknowledged now.
    pub(crate) fn holds(&self) -> bool {
        let until_ms = self.until_ms.load(Ordering::Acquire);
        until_ms == FOR_EVER || now_ms() < until_ms
    }
}

#[cfg(test)]
pub(crate) use crate::testing::time::boot_ms as now_ms;

/// Milliseconds since the machine was started, those included that it slept.
#[cfg(not(test))]
pub(crate) fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_itself_and_is_counted_from_the_start_of_the_read() {
        let lease = Lease::none_yet();
        assert!(!lease.holds());
        lease.renew(now_ms().saturating_sub(LEASE_MS - 60));
        assert!(lease.holds());
        lease.renew(0);
        assert!(lease.holds(), "an answer that was late takes nothing back");
        std::thread::sleep(std::time::Duration::from_millis(70));
        assert!(!lease.holds());
        assert!(Lease::for_ever().holds());
    }

    #[test]
    fn one_that_cannot_ask_is_awake_and_may_acknowledge_nothing() {
        let lease = Lease::none_yet();
        assert!(!lease.awake());
        lease.adrift("no answer");
        assert!(lease.awake() && !lease.holds());
        lease.renew(now_ms());
        assert!(lease.holds() && !lease.is_steady(), "it was away a moment ago");
        lease.end();
        assert!(!lease.awake());
    }
}
