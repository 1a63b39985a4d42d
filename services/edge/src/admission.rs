//! How many logins and resumptions begin in a second: whoever comes when there are more waits for its turn, and beyond
//! a bound is sent away, so that clients which come back all at once don't take the owners from those who are there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{client::Client, config::Limits, metrics};

/// Between two looks at those who wait.
const PACE: Duration = Duration::from_millis(20);

/// The budget of an edge, and those who wait for it.
pub(crate) struct Admission {
    queue: Mutex<Queue>,
    /// Somebody waits.
    waits: Notify,
}

struct Queue {
    bucket: Bucket,
    /// What the edge's options say; what the owners say goes before it.
    own_per_s: u32,
    waiting_max: usize,
    /// The longest that anyone should wait.
    patience: Duration,
    next: u64,
    waiting: BTreeMap<u64, Weak<Client>>,
}

/// Where a login stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Now,
    /// With this ticket.
    Later(u64),
    /// There are too many already.
    Never,
}

/// A budget that is there again with time; none where it is 0 a second.
#[derive(Debug)]
struct Bucket {
    per_s: u32,
    burst: u32,
    left: f64,
    at: Instant,
}

impl Admission {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        let queue = Queue {
            bucket: Bucket::new(limits.logins_per_s, limits.logins_burst, now),
            own_per_s: limits.logins_per_s,
            waiting_max: limits.logins_waiting,
            // The other half is for the login.
            patience: Duration::from_secs(limits.login_s) / 2,
            next: 0,
            waiting: BTreeMap::new(),
        };
        Self { queue: Mutex::new(queue), waits: Notify::new() }
    }

    /// The owners say how many a second; 0: they say nothing.
    pub(crate) fn share(&self, per_s: u32) {
        let mut queue = self.queue.lock();
        queue.bucket.per_s = if per_s == 0 { queue.own_per_s } else { per_s };
    }

    /// A client wants to log in.
    pub(crate) fn ask(&self, client: &Arc<Client>, now: Instant) -> Turn {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() && queue.bucket.take(now) {
            return Turn::Now;
        }
        if queue.waiting.len() >= queue.room() {
            metrics::LOGINS_REFUSED.inc();
            return Turn::Never;
        }
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.insert(ticket, Arc::downgrade(client));
        metrics::LOGINS_DELAYED.inc();
        metrics::LOGINS_WAITING.inc();
        self.waits.notify_one();
        Turn::Later(ticket)
    }

    /// It does not wait any more.
    pub(crate) fn leave(&self, ticket: u64) {
        if self.queue.lock().waiting.remove(&ticket).is_some() {
            metrics::LOGINS_WAITING.dec();
        }
    }

    /// Lets those in who wait, in the order in which they came, for as long as it is polled.
    pub(crate) async fn run(&self) {
        loop {
            self.waits.notified().await;
            while self.admit(Instant::now()) {
                tokio::time::sleep(PACE).await;
            }
        }
    }

    /// Whether somebody waits still.
    fn admit(&self, now: Instant) -> bool {
        let mut due = Vec::new();
        let more = {
            let mut queue = self.queue.lock();
            while !queue.waiting.is_empty() && queue.bucket.take(now) {
                due.extend(queue.waiting.pop_first());
                metrics::LOGINS_WAITING.dec();
            }
            !queue.waiting.is_empty()
        };
        for (ticket, client) in due {
            if let Some(client) = client.upgrade() {
                client.admitted(ticket);
            }
        }
        more
    }
}

impl Queue {
    /// How many may wait.
    fn room(&self) -> usize {
        let in_time = u64::from(self.bucket.per_s).saturating_mul(self.patience.as_secs());
        self.waiting_max.min(usize::try_from(in_time).unwrap_or(usize::MAX))
    }
}

impl Bucket {
    fn new(per_s: u32, burst: u32, now: Instant) -> Self {
        Self { per_s, burst, left: f64::from(burst), at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.per_s == 0 {
            return true;
        }
        let new = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(self.per_s);
        self.at = self.at.max(now);
        self.left = (self.left + new).min(f64::from(self.burst.max(1)));
        let some = self.left >= 1.0;
        if some {
            self.left -= 1.0;
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_there_again_with_time_and_saved_up_to_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3, start);
        let mut taken = |ms| {
            let now = start + Duration::from_millis(ms);
            std::iter::from_fn(|| bucket.take(now).then_some(())).take(100).count()
        };
        assert_eq!(taken(0), 3);
        assert_eq!(taken(150), 1);
        assert_eq!(taken(250), 1);
        assert_eq!(taken(10_000), 3);
    }

    #[test]
    fn without_a_budget_nobody_waits() {
        let now = Instant::now();
        let mut bucket = Bucket::new(0, 1, now);
        assert!((0..1_000).all(|_| bucket.take(now)));
    }
}
