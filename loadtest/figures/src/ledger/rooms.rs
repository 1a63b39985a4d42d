//! Messages to rooms and nodes: each is owed to every session that is there.

use std::collections::BTreeMap;

use super::incoming::Stay;
use super::ranges::Ranges;
use super::settle::{Stream, common, length};
use super::verdict::{Kind, Verdict};
use super::{Book, End, Receiver};

/// Who was in which room.
pub(super) struct Seats<'a>(BTreeMap<u32, Vec<Seat<'a>>>);

/// One stay of one session.
pub(super) struct Seat<'a> {
    account: u32,
    receiver: &'a Receiver,
    stay: &'a Stay,
    /// As entries of its log call it.
    number: u16,
}

pub(super) fn seats(book: &Book) -> Seats<'_> {
    let mut rooms: BTreeMap<u32, Vec<Seat<'_>>> = BTreeMap::new();
    for (&account, receivers) in &book.receivers {
        for receiver in receivers {
            for (stay, number) in receiver.stays.iter().zip(1..) {
                rooms.entry(stay.room).or_default().push(Seat { account, receiver, stay, number });
            }
        }
    }
    Seats(rooms)
}

impl<'a> Seats<'a> {
    pub(super) fn of(&self, room: u32) -> &[Seat<'a>] {
        self.0.get(&room).map_or(&[], Vec::as_slice)
    }
}

pub(super) fn settle(stream: &Stream<'_>, seats: &[Seat<'_>], verdict: &mut Verdict) {
    let mut all = Ranges::default();
    let mut absent = Vec::new();
    for seat in seats {
        let examined = stream.examine(seat.receiver, seat.number);
        stream.name(seat.account, &examined, verdict);
        let delivered = common(&examined.got, &everything(stream));
        verdict.delivered += delivered;
        verdict.owed += delivered;
        absent.extend(owed_and_missing(stream, seat, &examined.got).map(|number| (seat.account, number)));
        all.add_all(&examined.got);
    }
    for told in [(&stream.failed, &mut verdict.failed), (&stream.unknown, &mut verdict.unknown)] {
        let nowhere: u64 =
            told.0.ranges().iter().map(|&range| length(range)).sum::<u64>() - common(told.0, &all);
        *told.1 += nowhere;
        verdict.owed += nowhere;
    }
    verdict.unknown_delivered += common(&stream.unknown, &all);

    for (account, number) in absent {
        let excused = stream.failed.contains(number) || stream.unknown.contains(number);
        let taken = stream.sender.end != End::Broken
            || stream.acknowledged.contains(number)
            || all.last().is_some_and(|last| last >= number);
        if taken && !excused {
            verdict.owed += 1;
            verdict.found(stream.offence(Kind::Lost, account, number));
        }
    }
}

fn everything(stream: &Stream<'_>) -> Ranges {
    let mut all = Ranges::default();
    all.add(1, stream.last);
    all
}

/// Numbers that did not come in a stay although they should: between others that came; sent after the session was in, and
/// before one that came; and at the end, if the session stayed until the run was over.
fn owed_and_missing(stream: &Stream<'_>, seat: &Seat<'_>, got: &Ranges) -> impl Iterator<Item = u32> {
    let stayed = seat.receiver.end == End::Finished && !seat.stay.left;
    let (first, last) = (got.first(), got.last());
    let until = if stayed { stream.last } else { last.unwrap_or(0).min(stream.last) };
    let missing = if until == 0 { Vec::new() } else { got.missing(1, until) };
    missing.into_iter().flat_map(|(start, end)| start..=end).filter(move |&number| {
        first.is_some_and(|first| number > first) || stream.sent_between(number).0 >= seat.stay.from_ms
    })
}
