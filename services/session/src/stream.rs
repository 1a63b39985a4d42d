//! The numbers of one client's stream: what came in and is finished, what went out and is acknowledged.
//!
//! Inbound, `h` is the end of the contiguous run of finished stanzas. Outbound, the mailbox holds what the client has
//! not acknowledged, or, without stream management, what was not yet written to its socket and somebody waits for.

use std::collections::VecDeque;
use std::mem::take;

use bytes::Bytes;
use features::account::Origin;
use node::carry;
use xmpp::jid::Jid;
use xmpp::stanza::{Payload, Stanza};

use crate::edges::Link;
use crate::hibernation::Saved;
use crate::work::Resume;

/// Numbers that may be left out between two stanzas of a client.
const GAP_MAX: u64 = 65_536;

/// A stream and its numbers.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: Origin,
    /// The edge that has it; none: it hibernates.
    pub(crate) link: Option<Link>,
    pub(crate) generation: u64,
    /// When it hibernates: the end of it, in unix milliseconds.
    pub(crate) deadline_ms: u64,
    pub(crate) managed: bool,
    pub(crate) resume: bool,
    pub(crate) max_s: u32,
    pub(crate) in_base: u64,
    pub(crate) out_base: u64,
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    /// Archive id up to which it was decided what this session gets.
    pub(crate) position: u64,
    /// IQ requests to others that wait for their answer.
    pub(crate) open_iqs: VecDeque<OpenIq>,
    /// Whoever resumes it waits until all that had come in is finished.
    pub(crate) resuming: Option<Box<Resume>>,
    /// Its copy in the store; none: there is none.
    pub(crate) saved: Option<Box<Saved>>,
    /// It was made from that copy: an edge that has it knows better.
    pub(crate) restored: bool,
}

/// What the client sent.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    /// All up to here are finished.
    pub(crate) h: u64,
    /// The highest number that was accepted.
    pub(crate) seen: u64,
    /// `h + 1 ..= seen`, whether finished or not.
    pub(crate) open: VecDeque<Open>,
    /// Finished above `h` under an owner before this one, as the edge said.
    pub(crate) above: Vec<u64>,
    /// Something was left out, as its slot was about to move: nothing is taken until its edge has said it all again.
    pub(crate) torn: bool,
}

/// A stanza of the client that is accepted and perhaps not finished.
#[derive(Debug)]
pub(crate) struct Open {
    /// Parts that must finish: its handling, its own archive entry, its addressee.
    pub(crate) parts: u16,
    pub(crate) since_ms: u64,
    /// It, packed, for an error to answer; empty: one does.
    pub(crate) stanza: Bytes,
    /// That error has not left yet.
    pub(crate) answering: bool,
}

impl Open {
    fn is_finished(&self) -> bool {
        self.parts == 0 && !self.answering
    }
}

/// What goes to the client.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// The last number given.
    pub(crate) n: u64,
    /// The last that left for the edge: what is above waits in the mailbox until the edge takes more.
    pub(crate) sent: u64,
    /// The edge has to hear that counting begins, when all that was given before has left.
    pub(crate) enabling: bool,
    /// The edge has it.
    pub(crate) kept: u64,
    /// The client has it.
    pub(crate) acked: u64,
    pub(crate) mailbox: VecDeque<Mail>,
    pub(crate) bytes: usize,
}

/// Something given to the client.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) n: u64,
    pub(crate) archive_id: u64,
    pub(crate) settles: bool,
    /// Key of what it is a copy of, plus one; 0: it is kept elsewhere, or by nobody.
    pub(crate) held: u32,
    /// Its edge has it.
    pub(crate) kept: bool,
    pub(crate) uid: Option<store::Uid>,
    /// Packed. Empty: it is in the archive, and the mailbox of a slow client is no place for it.
    pub(crate) stanza: Bytes,
}

/// An IQ request of the client to somebody else.
#[derive(Debug)]
pub(crate) struct OpenIq {
    pub(crate) to: Jid,
    pub(crate) id: Box<str>,
    pub(crate) deadline_ms: u64,
}

/// What an arriving number means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Process it.
    New,
    /// Finished or in progress: nothing to do but to say so.
    Known,
}

impl Stream {
    /// The position as its edge may hear it: what has not left for it is not decided, should this owner die.
    pub(crate) fn position_told(&self) -> u64 {
        let first = self.outbound.unsent().find(|mail| mail.archive_id != 0);
        first.map_or(self.position, |mail| self.position.min(mail.archive_id - 1))
    }

    /// Gives back the room of what has become empty: an idle stream holds none.
    pub(crate) fn release(&mut self) {
        release(&mut self.inbound.open);
        release(&mut self.outbound.mailbox);
        release(&mut self.open_iqs);
    }
}

fn release<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
}

impl Inbound {
    /// A stanza with number `n` has come.
    pub(crate) fn arrive(&mut self, n: u64, stanza: Bytes, now_ms: u64) -> Arrived {
        if n <= self.seen || n - self.seen > GAP_MAX {
            return Arrived::Known;
        }
        // What an owner before this one has finished is not said again.
        while self.seen + 1 < n {
            self.skip();
        }
        let known = self.above.contains(&n);
        if !known {
            self.seen = n;
            self.open.push_back(Open { parts: 1, since_ms: now_ms, stanza, answering: false });
        }
        while self.above.contains(&(self.seen + 1)) {
            self.skip();
        }
        self.advance();
        if known { Arrived::Known } else { Arrived::New }
    }

    fn skip(&mut self) {
        self.seen += 1;
        self.open.push_back(Open { parts: 0, since_ms: 0, stanza: Bytes::new(), answering: false });
    }

    /// One more part of `n` has to finish.
    pub(crate) fn more(&mut self, n: u64) {
        if let Some(open) = self.open_mut(n) {
            open.parts += 1;
        }
    }

    /// A part of `n` is finished. Answers whether that changed what the edge has to be told.
    pub(crate) fn finish(&mut self, n: u64) -> bool {
        let Some(open) = self.open_mut(n) else { return false };
        if open.parts == 0 {
            return false;
        }
        open.parts -= 1;
        if !open.is_finished() {
            return false;
        }
        self.advance();
        true
    }

    /// `n` is refused, and not finished before the client's answer has left.
    pub(crate) fn answering(&mut self, n: u64) {
        if let Some(open) = self.open_mut(n) {
            open.answering = true;
        }
    }

    /// The answer to `n` has left. Answers whether that changed what the edge has to be told.
    pub(crate) fn answered(&mut self, n: u64) -> bool {
        let Some(open) = self.open_mut(n).filter(|open| open.answering) else { return false };
        open.answering = false;
        let finished = open.is_finished();
        self.advance();
        finished
    }

    /// What an error answer to `n` is made from, if `n` is not finished: once, however many of its parts are refused.
    /// Without its payload.
    pub(crate) fn take_stanza(&mut self, n: u64) -> Option<Stanza> {
        let packed = take(&mut self.open_mut(n).filter(|open| open.parts > 0)?.stanza);
        let stanza = carry::unpack(&packed).ok()?;
        Some(Stanza { payload: Payload::default(), ..stanza })
    }

    /// Ends whatever `n` still waits for, but for its answer.
    pub(crate) fn abandon(&mut self, n: u64) -> bool {
        let Some(open) = self.open_mut(n).filter(|open| open.parts > 0) else { return false };
        open.parts = 0;
        let finished = open.is_finished();
        self.advance();
        finished
    }

    /// Numbers that have waited since before `ms`.
    pub(crate) fn older_than(&self, ms: u64) -> Vec<u64> {
        let numbers = self.h + 1..;
        numbers
            .zip(&self.open)
            .take_while(|(_, o)| o.since_ms < ms)
            .filter(|(_, o)| o.parts > 0)
            .map(|(n, _)| n)
            .collect()
    }

    /// Finished above `h`.
    pub(crate) fn finished_above(&self) -> impl Iterator<Item = u64> {
        (self.h + 1..).zip(&self.open).filter(|(_, open)| open.is_finished()).map(|(n, _)| n)
    }

    /// How many are not finished.
    pub(crate) fn unfinished(&self) -> usize {
        self.open.len()
    }

    fn open_mut(&mut self, n: u64) -> Option<&mut Open> {
        let at = n.checked_sub(self.h + 1)?;
        self.open.get_mut(usize::try_from(at).ok()?)
    }

    fn advance(&mut self) {
        while self.open.front().is_some_and(Open::is_finished) {
            self.open.pop_front();
            self.h += 1;
        }
    }
}

impl Outbound {
    /// Forgets mail up to `n` and gives it back.
    pub(crate) fn take_until(&mut self, n: u64) -> Vec<Mail> {
        let mut taken = Vec::new();
        while self.mailbox.front().is_some_and(|mail| mail.n <= n) {
            if let Some(mail) = self.mailbox.pop_front() {
                self.bytes = self.bytes.saturating_sub(mail.bytes());
                taken.push(mail);
            }
        }
        taken
    }

    /// Whether all that is above `n` can be given again.
    pub(crate) fn is_whole(&self, n: u64) -> bool {
        self.mailbox.iter().all(|mail| mail.n <= n || !mail.stanza.is_empty())
    }

    /// The archive has what was given last: the mailbox need not.
    pub(crate) fn forget_last(&mut self) {
        if let Some(mail) = self.mailbox.back_mut() {
            self.bytes -= mail.stanza.len();
            mail.stanza = Bytes::new();
        }
    }

    /// What has to leave next.
    pub(crate) fn next(&self) -> Option<&Mail> {
        self.unsent().next()
    }

    fn unsent(&self) -> impl Iterator<Item = &Mail> {
        self.mailbox.range(self.mailbox.partition_point(|mail| mail.n <= self.sent)..)
    }

    pub(crate) fn put(&mut self, mail: Mail) {
        self.bytes += mail.bytes();
        self.mailbox.push_back(mail);
    }
}

impl Mail {
    fn bytes(&self) -> usize {
        64 + self.stanza.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza() -> Bytes {
        carry::pack(&Stanza::message(xmpp::stanza::Type::Chat))
    }

    #[test]
    fn h_is_the_end_of_the_contiguous_run() {
        let mut inbound = Inbound::default();
        for n in 1..=3 {
            assert_eq!(inbound.arrive(n, stanza(), 0), Arrived::New);
        }
        assert!(inbound.finish(2));
        assert_eq!((inbound.h, inbound.finished_above().count()), (0, 1));
        inbound.finish(1);
        assert_eq!(inbound.h, 2);
        inbound.more(3);
        assert!(!inbound.finish(3), "one part is left");
        assert!(inbound.finish(3));
        assert_eq!(inbound.h, 3);
    }

    #[test]
    fn what_is_refused_is_finished_when_its_answer_has_left() {
        let mut inbound = Inbound::default();
        inbound.arrive(1, stanza(), 0);
        inbound.answering(1);
        assert!(!inbound.finish(1));
        assert!(!inbound.abandon(1));
        assert_eq!((inbound.h, inbound.finished_above().count()), (0, 0));
        assert!(inbound.answered(1));
        assert_eq!(inbound.h, 1);
        assert!(!inbound.answered(1), "once");
    }

    #[test]
    fn a_second_copy_joins_the_first() {
        let mut inbound = Inbound::default();
        inbound.arrive(1, stanza(), 0);
        assert_eq!(inbound.arrive(1, stanza(), 0), Arrived::Known);
        inbound.finish(1);
        assert_eq!(inbound.arrive(1, stanza(), 0), Arrived::Known);
        assert_eq!(inbound.h, 1);
    }

    #[test]
    fn what_was_finished_above_h_is_counted_and_not_done_again() {
        let mut inbound = Inbound { h: 4, seen: 4, above: vec![6], ..Inbound::default() };
        assert_eq!(inbound.arrive(5, stanza(), 0), Arrived::New);
        assert_eq!(inbound.arrive(6, stanza(), 0), Arrived::Known);
        inbound.finish(5);
        assert_eq!(inbound.h, 6);
    }

    #[test]
    fn what_was_finished_above_h_need_not_come_again() {
        let mut inbound = Inbound { h: 4, seen: 4, above: vec![6, 8], ..Inbound::default() };
        for n in [5, 7] {
            assert_eq!(inbound.arrive(n, stanza(), 0), Arrived::New);
        }
        inbound.finish(7);
        assert_eq!(inbound.h, 4);
        inbound.finish(5);
        assert_eq!(inbound.h, 8);
        assert_eq!(inbound.arrive(9, stanza(), 0), Arrived::New);
    }

    #[test]
    fn an_abandoned_stanza_moves_h() {
        let mut inbound = Inbound::default();
        inbound.arrive(1, stanza(), 5);
        inbound.arrive(2, stanza(), 50);
        assert_eq!(inbound.older_than(10), vec![1]);
        assert!(inbound.abandon(1));
        assert_eq!(inbound.h, 1);
    }
}
