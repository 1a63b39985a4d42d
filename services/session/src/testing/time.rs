//! What time it is under test: tokio's, which is the system's until a clock is paused.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// When the tests began, and what time that was.
static BEGAN: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    (Instant::now(), unix_ms)
});

/// Unix milliseconds.
pub(crate) fn unix_ms() -> u64 {
    BEGAN.1 + since()
}

/// As if the machine had been started a day before the tests.
pub(crate) fn boot_ms() -> u64 {
    86_400_000 + since()
}

fn since() -> u64 {
    let began = BEGAN.0;
    tokio::time::Instant::now().into_std().saturating_duration_since(began).as_millis() as u64
}
