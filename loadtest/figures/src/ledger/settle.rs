//! Compares what was sent with what came.

use std::collections::HashMap;
use std::time::Duration;

use super::id::{self, Address};
use super::log::Run as _;
use super::order::{self, Examined};
use super::outgoing::{Fate, Sent};
use super::ranges::Ranges;
use super::verdict::{Kind, Offence, Verdict};
use super::{Book, End, Receiver, Sender, archive, rooms};

pub(super) fn settle(mut book: Book, patience: Duration) -> Verdict {
    let mut verdict = std::mem::take(&mut book.found);
    let patience_ms = patience.as_millis() as u32;
    let seats = rooms::seats(&book);
    for sender in &book.senders {
        let mut doubtful = Vec::new();
        let mut proof_ms = None;
        for sent in sender.sent.runs.chunk_by(|one, next| one.to == next.to) {
            let stream = Stream::new(sender, sent);
            verdict.sent += u64::from(stream.last);
            match stream.to {
                Address::Account(account) => {
                    let receivers = book.receivers.get(&account).map_or(&[][..], Vec::as_slice);
                    let got = direct(&stream, receivers, &mut verdict);
                    archive::check(&stream, &got.all, &book.archives, &mut verdict);
                    proof_ms = proof_ms.max(got.all.last().map(|number| stream.sent_between(number).0));
                    doubtful.push((stream, receivers, got));
                }
                Address::Room(room) => rooms::settle(&stream, seats.of(room), &mut verdict),
            }
        }
        for (stream, receivers, got) in &doubtful {
            missing(&Absence { stream, receivers, got, proof_ms, patience_ms }, &mut verdict);
        }
    }
    never_sent(&book, &mut verdict);
    verdict.cut();
    verdict
}

/// What one session has sent to one address: numbers 1 to `last`.
pub(super) struct Stream<'a> {
    pub(super) sender: &'a Sender,
    pub(super) to: Address,
    pub(super) last: u32,
    sent: &'a [Sent],
    pub(super) failed: Ranges,
    pub(super) unknown: Ranges,
    pub(super) acknowledged: Ranges,
}

impl<'a> Stream<'a> {
    fn new(sender: &'a Sender, sent: &'a [Sent]) -> Self {
        let to = sent[0].to;
        let told = |fate| {
            let mut ranges = Ranges::default();
            let runs = sender.fates.between(&(to, fate, 0), &(to, fate, u32::MAX));
            for run in runs {
                ranges.add(run.start, run.end);
            }
            ranges
        };
        Self {
            sender,
            to,
            last: sent[sent.len() - 1].end,
            sent,
            failed: told(Fate::Failed),
            unknown: told(Fate::Unknown),
            acknowledged: told(Fate::Acknowledged),
        }
    }

    /// What came of it in a session: in a stay there, or (0) sent to the account.
    pub(super) fn examine(&self, receiver: &Receiver, stay: u16) -> Examined {
        let key = (stay, self.sender.from, self.sender.lane);
        order::examine(receiver.arrived.between(&key, &key).iter().map(|run| (run.start, run.end)))
    }

    /// Not before and not after, in milliseconds.
    pub(super) fn sent_between(&self, number: u32) -> (u32, u32) {
        let run = self.run_of(number);
        let at = |at_ms| if run.start == run.end { run.first_ms } else { at_ms };
        (at(run.first_ms), at(run.last_ms))
    }

    pub(super) fn offence(&self, kind: Kind, by: u32, number: u32) -> Offence {
        Offence {
            kind,
            from: self.sender.from,
            to: self.to,
            by,
            seq: id::seq(self.sender.lane, number),
            at_ms: u64::from(self.run_of(number).at_ms(number)),
        }
    }

    /// Names what came twice or out of order.
    pub(super) fn name(&self, by: u32, examined: &Examined, verdict: &mut Verdict) {
        for &number in &examined.doubled {
            verdict.found(self.offence(Kind::Doubled, by, number));
        }
        for &(start, end) in &examined.moved {
            (start..=end).for_each(|number| verdict.found(self.offence(Kind::Reordered, by, number)));
        }
    }

    /// The run that the number is in; the last one for a number that was not sent.
    fn run_of(&self, number: u32) -> &Sent {
        let at = self.sent.partition_point(|run| run.end < number);
        &self.sent[at.min(self.sent.len() - 1)]
    }
}

/// What came of a stream to an account.
struct Got {
    all: Ranges,
    /// For each of the account's sessions: the last number it got.
    lasts: Vec<Option<u32>>,
}

fn direct(stream: &Stream<'_>, receivers: &[Receiver], verdict: &mut Verdict) -> Got {
    let Address::Account(to) = stream.to else { unreachable!("streams to rooms are settled elsewhere") };
    let mut got = Got { all: Ranges::default(), lasts: Vec::with_capacity(receivers.len()) };
    for receiver in receivers {
        let examined = stream.examine(receiver, 0);
        stream.name(to, &examined, verdict);
        got.lasts.push(examined.got.last());
        got.all.add_all(&examined.got);
    }
    let missing: u64 = got.all.missing(1, stream.last).iter().map(|&range| length(range)).sum();
    verdict.owed += u64::from(stream.last);
    verdict.delivered += u64::from(stream.last) - missing;
    verdict.unknown_delivered += common(&stream.unknown, &got.all);
    got
}

/// What is known of messages that did not come to an account.
struct Absence<'a> {
    stream: &'a Stream<'a>,
    receivers: &'a [Receiver],
    got: &'a Got,
    /// The server has worked off what this sender sent until then: something sent later was delivered.
    proof_ms: Option<u32>,
    patience_ms: u32,
}

fn missing(absence: &Absence<'_>, verdict: &mut Verdict) {
    let Absence { stream, got, .. } = absence;
    let Address::Account(to) = stream.to else { return };
    for (start, end) in got.all.missing(1, stream.last) {
        for number in start..=end {
            if stream.failed.contains(number) {
                verdict.failed += 1;
            } else if stream.unknown.contains(number)
                || !absence.was_processed(number)
                || absence.went_down(number)
            {
                verdict.unknown += 1;
            } else if absence.is_unread(number) {
                verdict.unread += 1;
            } else {
                verdict.found(stream.offence(Kind::Lost, to, number));
            }
        }
    }
}

impl Absence<'_> {
    /// Whether the server must have taken it from the sender's stream, if that has broken.
    fn was_processed(&self, number: u32) -> bool {
        let stream = self.stream;
        stream.sender.end != End::Broken
            || stream.acknowledged.contains(number)
            || self.got.all.last().is_some_and(|last| last > number)
            || self.proof_ms.is_some_and(|proof_ms| stream.sent_between(number).1 < proof_ms)
    }

    /// Whether it may have been under way to a session whose connection broke.
    fn went_down(&self, number: u32) -> bool {
        let (low, high) = self.stream.sent_between(number);
        let away = !self.receivers.iter().any(|other| other.from_ms <= high && high <= other.to_ms);
        self.receivers.iter().zip(&self.got.lasts).any(|(receiver, last)| {
            // What was kept for an account that was away is sent when it comes back.
            let high = if away { high.max(receiver.from_ms) } else { high };
            let back_ms =
                self.receivers.iter().map(|other| other.from_ms).filter(|&from| from > receiver.to_ms).min();
            receiver.end == End::Broken
                && last.is_none_or(|last| last < number)
                && high >= receiver.to_ms.saturating_sub(self.patience_ms)
                && back_ms.is_none_or(|back_ms| low <= back_ms)
        })
    }

    /// Whether no session of the account was there late enough to get it.
    fn is_unread(&self, number: u32) -> bool {
        let high = self.stream.sent_between(number).1;
        let long_enough = high.saturating_add(self.patience_ms);
        !self.receivers.iter().any(|session| session.end == End::Finished || session.to_ms >= long_enough)
    }
}

/// Names what came although nobody of the run has sent it.
fn never_sent(book: &Book, verdict: &mut Verdict) {
    let senders: HashMap<_, _> =
        book.senders.iter().map(|sender| ((sender.from, sender.lane), sender)).collect();
    for (&account, receivers) in &book.receivers {
        for (receiver, run) in
            receivers.iter().flat_map(|one| one.arrived.runs.iter().map(move |run| (one, run)))
        {
            let (stay, ..) = run.key();
            let to = match usize::from(stay).checked_sub(1).and_then(|at| receiver.stays.get(at)) {
                Some(stay) => Address::Room(stay.room),
                None => Address::Account(account),
            };
            let last = senders.get(&(run.from, run.lane)).and_then(|sender| {
                sender.sent.between(&(to, 0), &(to, u32::MAX)).last().map(|sent| sent.end)
            });
            let last = last.unwrap_or(0);
            for number in run.start.max(last + 1)..=run.end {
                let (from, seq) = (run.from, run.seq(number));
                verdict.found(Offence { kind: Kind::Astray, from, to, by: account, seq, at_ms: 0 });
            }
        }
    }
}

/// How many numbers are in both.
pub(super) fn common(one: &Ranges, other: &Ranges) -> u64 {
    let of = |&(start, end): &(u32, u32)| {
        length((start, end)) - other.missing(start, end).iter().map(|&range| length(range)).sum::<u64>()
    };
    one.ranges().iter().map(of).sum()
}

pub(super) fn length((start, end): (u32, u32)) -> u64 {
    u64::from(end - start) + 1
}
