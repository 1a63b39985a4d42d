//! What all sessions of a run share.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use figures::{Book, Mark, Measure, Recorder};
use memchr::memmem::Finder;
use parking_lot::Mutex;
use scenario::LedgerRules;
use tokio::sync::{OnceCell, Semaphore};

use crate::accounts::{Free, Names};
use crate::acts::Script;
use crate::clock::Clock;
use crate::data::Tables;
use crate::measures::Measures;
use crate::options::Options;
use crate::seats::Seats;

/// Archives that are read at once.
const READERS_MAX: usize = 50;
/// The longest body that is made up, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 1024 * 1024;
const FILLING: &[u8] = b"the quick brown fox jumps over the lazy dog and runs away through the night ";

/// The run as its sessions see it.
pub(crate) struct Stage {
    pub clock: Clock,
    pub recorder: Recorder,
    pub measures: Measures,
    pub script: Script,
    pub names: Names,
    pub free: Free,
    pub tables: Arc<Tables>,
    pub seats: Seats,
    /// Sessions that play, by population.
    pub present: Box<[AtomicU32]>,
    pub book: Mutex<Book>,
    pub options: Options,
    pub rules: LedgerRules,
    /// How the ids of this run's messages begin, wherever they stand.
    pub mark: Finder<'static>,
    /// What bodies are made of.
    pub filling: Box<[u8]>,
    pub archive_readers: Semaphore,
    /// The JID of the service that takes files, once somebody has asked for it.
    pub upload_service: OnceCell<Option<String>>,
    /// What was done to the server or to connections.
    pub marks: Mutex<Vec<Mark>>,
    /// Connections made, for addresses in turn.
    connections: AtomicU64,
    ended: AtomicBool,
    aborted: AtomicBool,
}

impl Stage {
    pub(crate) fn new(shared: Shared) -> Self {
        let Shared { clock, recorder, script, names, tables, options, rules } = shared;
        Self {
            measures: Measures::new(&recorder),
            free: Free::new(&names, options.worker),
            seats: Seats::new(&names, options.worker),
            present: script.roles.iter().map(|_| AtomicU32::new(0)).collect(),
            book: Mutex::new(Book::new(options.run)),
            mark: Finder::new(&mark(options.run)).into_owned(),
            filling: FILLING.iter().copied().cycle().take(BODY_BYTES_MAX).collect(),
            archive_readers: Semaphore::new(READERS_MAX),
            upload_service: OnceCell::new(),
            marks: Mutex::default(),
            connections: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            clock,
            recorder,
            script,
            names,
            tables,
            options,
            rules,
        }
    }

    /// The number of a new connection.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Everything has been played and has arrived: sessions may go.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.seats.call_all();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// A script has ended the run.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.seats.call_all();
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Something that was to begin then is done now.
    pub(crate) fn done(&self, measure: Measure, intended_us: u64) {
        self.recorder.record(measure, intended_us, self.clock.now_us().saturating_sub(intended_us));
    }

    pub(crate) fn failed(&self, measure: Measure, condition: &str) {
        self.recorder.failed(measure, condition);
    }

    /// So many bytes of text.
    pub(crate) fn filling(&self, bytes: u32) -> &[u8] {
        &self.filling[..(bytes as usize).min(BODY_BYTES_MAX)]
    }
}

/// What a stage is made from.
pub(crate) struct Shared {
    pub clock: Clock,
    pub recorder: Recorder,
    pub script: Script,
    pub names: Names,
    pub tables: Arc<Tables>,
    pub options: Options,
    pub rules: LedgerRules,
}

/// `tl.<run>.`
fn mark(run: u32) -> Vec<u8> {
    let id = figures::MessageId { run, from: 0, to: figures::Address::Account(0), seq: 0, at_us: 0 };
    let text = id.to_string();
    let end = text.match_indices('.').nth(1).map_or(text.len(), |(at, _)| at + 1);
    text.as_bytes()[..end].to_vec()
}

/// The text without references to characters that XML has written otherwise.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Cow::Owned(plain.replace("&amp;", "&"))
}
