//! A book as bytes, for the controller: numbers of seven bits a byte, the low ones first, the last without its top bit.

use std::collections::BTreeMap;

use super::incoming::{Arrived, Stay};
use super::log::Finished;
use super::outgoing::{Fate, Sent, Told};
use super::verdict::Verdict;
use super::{Address, Book, End, Receiver, Sender};

const VERSION: u64 = 1;

pub(super) fn write(book: &Book) -> Vec<u8> {
    let mut out = Vec::new();
    [VERSION, u64::from(book.run)].put(&mut out);
    list(&mut out, book.lanes.iter(), |(&account, &lanes), out| [account, lanes.into()].put(out));
    list(&mut out, book.senders.iter(), |sender, out| {
        [sender.from, sender.lane.into(), sender.end as u32].put(out);
        list(out, sender.sent.runs.iter(), |run, out| {
            address(run.to, out);
            [run.start, run.end - run.start, run.first_ms, run.last_ms - run.first_ms].put(out);
        });
        list(out, sender.fates.runs.iter(), |run, out| {
            address(run.to, out);
            [run.fate as u32, run.start, run.end - run.start].put(out);
        });
    });
    list(&mut out, book.receivers.iter(), |(&account, receivers), out| {
        [account].put(out);
        list(out, receivers.iter(), |receiver, out| {
            [receiver.from_ms, receiver.to_ms, receiver.end as u32].put(out);
            list(out, receiver.stays.iter(), |stay, out| {
                [stay.room, stay.from_ms, stay.left.into()].put(out);
            });
            arrivals(&receiver.arrived, out);
        });
    });
    list(&mut out, book.archives.iter(), |(&account, held), out| {
        [account].put(out);
        arrivals(held, out);
    });
    // Few and rarely: their own form will do.
    let found = serde_json::to_vec(&book.found).unwrap_or_default();
    list(&mut out, found.iter(), |&byte, out| out.push(byte));
    out
}

/// `None` for what was cut, or is of another version.
pub(super) fn read(bytes: &[u8]) -> Option<Book> {
    let input = &mut { bytes };
    if number(input)? != VERSION {
        return None;
    }
    let run = small(input)?;
    let lanes = listed(input, |input| Some((small(input)?, lane(input)?)))?;
    let senders = listed(input, |input| {
        let (from, lane, end) = (small(input)?, lane(input)?, ended(input)?);
        Some(Sender { from, lane, end, sent: runs(input, sent)?, fates: runs(input, told)? })
    })?;
    let receivers = listed(input, |input| Some((small(input)?, listed(input, receiver)?)))?;
    let archives = listed(input, |input| Some((small(input)?, runs(input, arrived)?)))?;
    let found: Vec<u8> = listed(input, byte)?;
    let found: Verdict = serde_json::from_slice(&found).ok()?;
    input.is_empty().then_some(Book {
        run,
        lanes: lanes.into_iter().collect(),
        senders,
        receivers: receivers.into_iter().collect::<BTreeMap<_, Vec<_>>>(),
        archives: archives.into_iter().collect(),
        found,
    })
}

fn receiver(input: &mut &[u8]) -> Option<Receiver> {
    let (from_ms, to_ms, end) = (small(input)?, small(input)?, ended(input)?);
    let stays = listed(input, |input| {
        Some(Stay { room: small(input)?, from_ms: small(input)?, left: small(input)? != 0 })
    })?;
    Some(Receiver { from_ms, to_ms, end, stays, arrived: runs(input, arrived)? })
}

fn sent(input: &mut &[u8]) -> Option<Sent> {
    let (to, start, more) = (addressed(input)?, small(input)?, small(input)?);
    let (first_ms, lasted_ms) = (small(input)?, small(input)?);
    Some(Sent {
        to,
        start,
        end: start.checked_add(more)?,
        first_ms,
        last_ms: first_ms.checked_add(lasted_ms)?,
    })
}

fn told(input: &mut &[u8]) -> Option<Told> {
    let to = addressed(input)?;
    let fate = match number(input)? {
        0 => Fate::Acknowledged,
        1 => Fate::Unknown,
        2 => Fate::Failed,
        _ => return None,
    };
    let (start, more) = (small(input)?, small(input)?);
    Some(Told { to, fate, start, end: start.checked_add(more)? })
}

fn arrived(input: &mut &[u8]) -> Option<Arrived> {
    let (from, lane, stay) = (small(input)?, lane(input)?, lane(input)?);
    let (start, more) = (small(input)?, small(input)?);
    Some(Arrived { from, lane, stay, start, end: start.checked_add(more)? })
}

fn arrivals(arrived: &Finished<Arrived>, out: &mut Vec<u8>) {
    list(out, arrived.runs.iter(), |run, out| {
        [run.from, run.lane.into(), run.stay.into(), run.start, run.end - run.start].put(out);
    });
}

fn ended(input: &mut &[u8]) -> Option<End> {
    Some(match number(input)? {
        0 => End::Finished,
        1 => End::Left,
        2 => End::Broken,
        _ => return None,
    })
}

fn address(address: Address, out: &mut Vec<u8>) {
    let (number, is_room) = match address {
        Address::Account(number) => (number, 0),
        Address::Room(number) => (number, 1),
    };
    [u64::from(number) << 1 | is_room].put(out);
}

fn addressed(input: &mut &[u8]) -> Option<Address> {
    let coded = number(input)?;
    let number = u32::try_from(coded >> 1).ok()?;
    Some(if coded & 1 == 1 { Address::Room(number) } else { Address::Account(number) })
}

fn list<T>(
    out: &mut Vec<u8>,
    items: impl ExactSizeIterator<Item = T>,
    mut item: impl FnMut(T, &mut Vec<u8>),
) {
    [items.len() as u64].put(out);
    items.for_each(|one| item(one, out));
}

fn listed<T>(input: &mut &[u8], mut item: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = number(input)?;
    // Nothing takes less than a byte: a count that promises more than is there reserves nothing.
    if count > input.len() as u64 {
        return None;
    }
    (0..count).map(|_| item(input)).collect()
}

fn runs<R>(input: &mut &[u8], run: impl FnMut(&mut &[u8]) -> Option<R>) -> Option<Finished<R>> {
    Some(Finished { runs: listed(input, run)? })
}

trait Numbers {
    fn put(self, out: &mut Vec<u8>);
}

impl<N: Into<u64>, const COUNT: usize> Numbers for [N; COUNT] {
    fn put(self, out: &mut Vec<u8>) {
        for number in self {
            let mut number = number.into();
            while number >= 0x80 {
                out.push(number as u8 | 0x80);
                number >>= 7;
            }
            out.push(number as u8);
        }
    }
}

fn number(input: &mut &[u8]) -> Option<u64> {
    let mut sum = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(input)?;
        sum |= u64::from(next & 0x7F) << shift;
        if next < 0x80 {
            return Some(sum);
        }
    }
    None
}

fn small(input: &mut &[u8]) -> Option<u32> {
    number(input)?.try_into().ok()
}

fn lane(input: &mut &[u8]) -> Option<u16> {
    number(input)?.try_into().ok()
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = input.split_first()?;
    *input = rest;
    Some(first)
}
