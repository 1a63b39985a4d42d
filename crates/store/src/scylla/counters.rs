//! Counters, decided by compare-and-set. A cluster keeps them in Redis; this one is for those that have none.

use async_trait::async_trait;

use super::{Scylla, TRIES_MAX, contended, cql::Statement, now_ms};
use crate::{Counters, Result};

const ROW: Statement = Statement::serial("SELECT until_ms, added FROM counters WHERE name = ?");
const FIRST: Statement = Statement::decide(
    "INSERT INTO counters (name, until_ms, added) VALUES (?, ?, ?) IF NOT EXISTS USING TTL ?",
);
const NEXT: Statement = Statement::decide(
    "UPDATE counters USING TTL ? SET until_ms = ?, added = ? WHERE name = ? IF until_ms = ? AND added = ?",
);

/// For how long after its window a counter is kept, and for how long altogether.
const KEPT_AFTER_S: u64 = 3600;
const KEPT_MAX_S: u64 = 365 * 24 * 3600;

#[async_trait]
impl Counters for Scylla {
    async fn add(&self, counter: &str, n: u64, window_ms: u64) -> Result<u64> {
        let _held = self.locks.hold(counter.as_bytes()).await;
        for _ in 0..TRIES_MAX {
            let (before, now) = (self.counter(counter).await?, now_ms());
            let open = before.filter(|(until_ms, _)| *until_ms > now);
            let (until_ms, count) = open.unwrap_or((now.saturating_add(window_ms), 0));
            let count = count.saturating_add(n);
            let left_s = until_ms.saturating_sub(now) / 1000;
            let ttl = left_s.saturating_add(KEPT_AFTER_S).min(KEPT_MAX_S) as i32;
            let (until, added) = (until_ms.cast_signed(), count.cast_signed());
            let counted = match before {
                None => self.cql.decide(&FIRST, (counter, until, added, ttl)).await?,
                Some((until_ms, count)) => {
                    let before = (until_ms.cast_signed(), count.cast_signed());
                    self.cql.decide(&NEXT, (ttl, until, added, counter, before.0, before.1)).await?
                }
            };
            if counted {
                return Ok(count);
            }
        }
        Err(contended())
    }

    async fn count(&self, counter: &str) -> Result<u64> {
        let found = self.counter(counter).await?;
        Ok(found.filter(|(until_ms, _)| *until_ms > now_ms()).map_or(0, |(_, count)| count))
    }
}

impl Scylla {
    /// Until when a counter counts, and where it stands.
    async fn counter(&self, counter: &str) -> Result<Option<(u64, u64)>> {
        let found: Option<(i64, i64)> = self.cql.row(&ROW, (counter,)).await?;
        Ok(found.map(|(until_ms, added)| (until_ms.cast_unsigned(), added.cast_unsigned())))
    }
}
