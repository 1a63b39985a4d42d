//! What this process knows of each archive, and the timestamps of what it writes for it.
//!
//! A timestamp is `epoch << 40 | moment`: whatever an owner writes, however late it comes, loses against what owners of
//! later epochs have written or deleted. Moments are milliseconds, and grow with every write of this process.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use super::pages::End;
use crate::record::{self, Writer};

/// The bits of a timestamp below the epoch: 34 years of milliseconds.
const MOMENT_BITS: u32 = 40;
/// The greatest epoch that fits above them.
const EPOCH_MAX: u64 = (1 << 22) - 1;
/// The first moment: the beginning of 2025, in milliseconds since 1970.
const FIRST_MS: u64 = 1_735_689_600_000;

const PARTS: usize = 64;
/// The archives remembered, in each part; what is forgotten is read again.
const PART_ARCHIVES_MAX: usize = 16_384;

/// The places of all archives.
pub(super) struct Places {
    parts: Vec<Mutex<HashMap<Box<str>, Arc<Place>>>>,
    hasher: foldhash::fast::RandomState,
    moment: AtomicU64,
}

/// What is known of one archive.
#[derive(Default)]
pub(super) struct Place {
    /// The epoch in which it was last taken over, if known.
    pub(super) taken: Mutex<Option<u64>>,
    /// Its end, if known. Locked while something is written: rows of one archive are written one after the other.
    pub(super) tail: tokio::sync::Mutex<Option<Tail>>,
}

/// The end of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The bucket that new rows go to: the id it begins with.
    pub(super) bucket: u64,
    /// The greatest id that a row may have.
    pub(super) last: u64,
    /// The bytes in that bucket.
    pub(super) filled: u64,
    /// The bucket is listed for certain.
    pub(super) opened: bool,
}

impl Tail {
    pub(super) fn at(end: &End) -> Self {
        Self {
            bucket: end.newest,
            last: end.last_id(),
            filled: if end.bucket == end.newest { end.filled } else { 0 },
            opened: true,
        }
    }

    /// For the archive's next owner.
    pub(super) fn encode(self) -> Vec<u8> {
        let record = Writer::with_capacity(32).number(1, self.bucket).number(2, self.last);
        record.number(3, self.filled).flag(4, self.opened).finish()
    }

    /// From what the archive's owner before this one has written; none if that cannot be read.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut tail = Self::default();
        for field in record::fields(bytes) {
            match field.ok()? {
                (1, bucket) => tail.bucket = bucket.number().ok()?,
                (2, last) => tail.last = last.number().ok()?,
                (3, filled) => tail.filled = filled.number().ok()?,
                (4, opened) => tail.opened = opened.number().ok()? != 0,
                _ => {}
            }
        }
        (!bytes.is_empty()).then_some(tail)
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            moment: AtomicU64::new(0),
        }
    }
}

impl Places {
    pub(super) fn of(&self, archive: &str) -> Arc<Place> {
        let mut part = self.parts[self.hasher.hash_one(archive) as usize % PARTS].lock();
        if let Some(place) = part.get(archive) {
            return place.clone();
        }
        if part.len() >= PART_ARCHIVES_MAX {
            // Who holds one is writing to it.
            let idle = part.iter().find(|(_, place)| Arc::strong_count(place) == 1);
            if let Some(idle) = idle.map(|(archive, _)| archive.clone()) {
                part.remove(&idle);
            }
        }
        part.entry(archive.into()).or_default().clone()
    }

    /// The timestamp of a write in this epoch, greater than every one given before in it.
    pub(super) fn stamp(&self, epoch: u64) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(FIRST_MS);
        let next = |last: u64| Some(now.max(last + 1));
        let last = self.moment.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(now);
        stamp(epoch, now.max(last + 1))
    }
}

/// The timestamp of a fence: whatever was written in earlier epochs is older, and what is in this one is not.
pub(super) fn fence(epoch: u64) -> i64 {
    stamp(epoch, 0) - 1
}

fn stamp(epoch: u64, moment: u64) -> i64 {
    let moment = moment.min((1 << MOMENT_BITS) - 1);
    (epoch.min(EPOCH_MAX) << MOMENT_BITS | moment).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_grow_with_every_write_and_with_the_epoch() {
        let places = Places::default();
        let stamps: Vec<i64> = (0..1000).map(|_| places.stamp(3)).collect();
        assert!(stamps.is_sorted_by(|one, next| one < next));
        assert!(fence(3) < stamps[0]);
        assert!(stamps[999] < fence(4));
        assert!(places.stamp(u64::MAX) > 0);
    }

    #[test]
    fn an_end_is_what_it_was_for_the_next_owner() {
        let tail = Tail { bucket: 0, last: 1 << 60, filled: 300, opened: true };
        assert_eq!(Tail::decode(&tail.encode()), Some(tail));
        assert_eq!(Tail::decode(b""), None);
        assert_eq!(Tail::decode(b"what cannot be read"), None);
    }

    #[test]
    fn places_are_forgotten_beyond_a_number_unless_somebody_holds_them() {
        let places = Places::default();
        let held = places.of("held");
        *held.taken.lock() = Some(7);
        for at in 0..PARTS * PART_ARCHIVES_MAX + 10_000 {
            places.of(&at.to_string());
        }
        let known: usize = places.parts.iter().map(|part| part.lock().len()).sum();
        assert!(known <= PARTS * PART_ARCHIVES_MAX);
        assert_eq!(*places.of("held").taken.lock(), Some(7));
    }
}
