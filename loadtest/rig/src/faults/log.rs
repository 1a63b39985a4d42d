//! What was planted, one JSON object a line.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A fault that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planted {
    /// What was done.
    pub kind: Kind,
    /// The stanza's id; empty if it was all of them.
    pub id: String,
    /// For how long it was held back, in milliseconds.
    pub held_ms: u64,
}

/// What is done to a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It never arrives.
    Drop,
    /// It arrives twice, one after the other.
    Double,
    /// It arrives later.
    Delay,
    /// It arrives later because one before it, of the same pair, is delayed: their order is kept.
    Behind,
    /// It arrives after the next one of its pair.
    Reorder,
    /// Everything stood still.
    Stall,
}

/// Where faults are logged.
pub struct Log {
    to: Mutex<Box<dyn Write + Send>>,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Milliseconds since 1970.
    at_unix_ms: u64,
    #[serde(flatten)]
    planted: &'a Planted,
}

impl Log {
    /// Into a file, which is made or emptied.
    pub fn create(path: &Path) -> io::Result<Log> {
        Ok(Log::new(File::create(path)?))
    }

    /// Into anything.
    pub fn new(to: impl Write + Send + 'static) -> Log {
        Log { to: Mutex::new(Box::new(to)) }
    }

    /// Writes a line, at once: the log must be whole when the proxy is killed.
    pub(super) fn write(&self, planted: &Planted) -> io::Result<()> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = serde_json::to_vec(&Line { at_unix_ms: since_epoch.as_millis() as u64, planted })?;
        line.push(b'\n');
        let mut to = self.to.lock();
        to.write_all(&line)?;
        to.flush()
    }
}
