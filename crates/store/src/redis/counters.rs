//! Counters in Redis: a key each, gone with its window.

use async_trait::async_trait;

use super::{Redis, link::Does};
use crate::{Counters, Result};

/// Adds, and begins the window if there is none.
const ADD: &str = "local count = redis.call('INCRBY', KEYS[1], ARGV[1]) \
                   if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
                   return count";

#[async_trait]
impl Counters for Redis {
    async fn add(&self, counter: &str, n: u64, window_ms: u64) -> Result<u64> {
        let (n, window_ms) = (n.to_string(), window_ms.max(1).to_string());
        let arguments = [n.as_bytes(), window_ms.as_bytes()];
        let key = self.counter_key(counter);
        self.link.run(Does::Write, ADD, &[&key], &arguments).await
    }

    async fn count(&self, counter: &str) -> Result<u64> {
        let mut cmd = ::redis::cmd("GET");
        cmd.arg(self.counter_key(counter));
        let count: Option<u64> = self.link.ask(Does::Read, 0, &cmd).await?;
        Ok(count.unwrap_or_default())
    }
}

impl Redis {
    fn counter_key(&self, counter: &str) -> String {
        format!("{}:{{c:{counter}}}", self.prefix)
    }
}
