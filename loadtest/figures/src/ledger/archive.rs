//! What archives hold, beside what was delivered (XEP-0313).

use std::collections::BTreeMap;

use super::id::Address;
use super::incoming::Arrived;
use super::log::Finished;
use super::order;
use super::ranges::Ranges;
use super::settle::{Stream, length};
use super::verdict::{Kind, Verdict};

/// The receiver's archive is to hold what was delivered; the sender's that and what was acknowledged, but nothing that was
/// refused to the sender: whether that was stored before it was refused, nobody can know.
pub(super) fn check(
    stream: &Stream<'_>,
    got: &Ranges,
    archives: &BTreeMap<u32, Finished<Arrived>>,
    verdict: &mut Verdict,
) {
    let Address::Account(to) = stream.to else { return };
    let (from, lane) = (stream.sender.from, stream.sender.lane);
    if let Some(archive) = archives.get(&to).filter(|_| to != from) {
        compare(stream, to, archive, (0, from, lane), got, verdict);
    }
    if let Some(archive) = archives.get(&from) {
        let mut refused = stream.failed.clone();
        refused.add_all(&stream.unknown);
        let mut taken = Ranges::default();
        for &(start, end) in got.ranges().iter().chain(stream.acknowledged.ranges()) {
            refused.missing(start, end).iter().for_each(|&(start, end)| taken.add(start, end));
        }
        compare(stream, from, archive, (1, to, lane), &taken, verdict);
    }
}

fn compare(
    stream: &Stream<'_>,
    by: u32,
    archive: &Finished<Arrived>,
    key: (u16, u32, u16),
    due: &Ranges,
    verdict: &mut Verdict,
) {
    let held = order::examine(archive.between(&key, &key).iter().map(|run| (run.start, run.end)));
    verdict.archived += held.got.ranges().iter().map(|&range| length(range)).sum::<u64>();
    for number in held.doubled {
        verdict.found(stream.offence(Kind::ArchivedTwice, by, number));
    }
    for (start, end) in held.moved {
        (start..=end).for_each(|number| verdict.found(stream.offence(Kind::Misfiled, by, number)));
    }
    for (start, end) in due.ranges().iter().flat_map(|&(start, end)| held.got.missing(start, end)) {
        (start..=end).for_each(|number| verdict.found(stream.offence(Kind::Unarchived, by, number)));
    }
}
