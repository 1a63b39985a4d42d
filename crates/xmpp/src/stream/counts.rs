//! Stream management's numbers (XEP-0198 §4): absolute inside, modulo 2³² on the stream.

use super::{Output, StreamError};
use crate::ns::SM as NS;

/// What was counted on a stream. All numbers count from the first stanza after the resource was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stanzas that came from the client.
    pub arrived: u64,
    /// Of those, the contiguous run that the owner is done with.
    pub handled: u64,
    /// The number at `<enable/>`.
    pub in_base: u64,
    /// The last stanza given to the client.
    pub given: u64,
    /// The number at `<enabled/>`.
    pub out_base: u64,
    /// The last stanza that the client said it has.
    pub acked: u64,
}

/// How far stream management has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    Off,
    /// Between `<enable/>` and `<enabled/>`; `asked`: an `<r/>` came meanwhile.
    Asked {
        r: bool,
    },
    On,
}

/// What an `<a/>` means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// This far, absolute.
    Upto(u64),
    /// Not more than was known.
    Old,
    /// More than was given.
    TooHigh(StreamError),
}

impl Counts {
    /// `h` of what is handled.
    pub fn h(&self) -> u32 {
        // Truncation is the specification: XEP-0198 §4, reset after 2^32 - 1.
        self.handled.saturating_sub(self.in_base) as u32
    }

    pub(super) fn write_ack(&self, out: &mut Output) {
        out.push(&["<a xmlns='", NS, "' h='", &self.h().to_string(), "'/>"]);
        out.end();
    }

    /// The absolute number of a client's `h`, which can only be between what it said last and what it was given.
    pub(super) fn ack(&self, h: u32) -> Ack {
        let sent = self.given.saturating_sub(self.out_base);
        let said = self.acked.saturating_sub(self.out_base);
        let more = u64::from(h.wrapping_sub(said as u32));
        let less = u64::from((said as u32).wrapping_sub(h));
        if more == 0 {
            Ack::Old
        } else if more <= sent - said {
            Ack::Upto(self.out_base + said + more)
        } else if less < more && less <= said {
            Ack::Old
        } else {
            Ack::TooHigh(StreamError::handled_count_too_high(h, sent as u32))
        }
    }
}

pub(super) fn write_request(out: &mut Output) {
    out.push(&["<r xmlns='", NS, "'/>"]);
    out.end();
}

/// `condition` is one of the stanza errors (XEP-0198 §6).
pub(super) fn write_failed(out: &mut Output, condition: &str, h: Option<u32>) {
    out.push(&["<failed xmlns='", NS, "'"]);
    if let Some(h) = h {
        out.attribute("h", &h.to_string());
    }
    out.push(&["><", condition, " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"]);
    out.end();
}

/// `resume`: the id to resume with and the seconds that it is valid.
pub(super) fn write_enabled(out: &mut Output, resume: Option<(&str, u32)>) {
    out.push(&["<enabled xmlns='", NS, "'"]);
    if let Some((id, max_s)) = resume {
        out.attribute("id", id);
        out.attribute("resume", "true");
        out.attribute("max", &max_s.to_string());
    }
    out.push(&["/>"]);
    out.end();
}

pub(super) fn write_resumed(out: &mut Output, previd: &str, h: u32) {
    out.push(&["<resumed xmlns='", NS, "'"]);
    out.attribute("previd", previd);
    out.attribute("h", &h.to_string());
    out.push(&["/>"]);
    out.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(given: u64, acked: u64) -> Counts {
        Counts { given: given + 7, acked: acked + 7, out_base: 7, ..Counts::default() }
    }

    #[test]
    fn an_ack_is_read_between_the_last_one_and_what_was_given() {
        assert_eq!(counts(8, 3).ack(5), Ack::Upto(12));
        assert_eq!(counts(8, 3).ack(8), Ack::Upto(15));
        assert_eq!(counts(8, 3).ack(3), Ack::Old);
        assert_eq!(counts(8, 3).ack(2), Ack::Old);
        assert!(matches!(counts(8, 3).ack(9), Ack::TooHigh(_)));
        assert!(matches!(counts(8, 3).ack(u32::MAX), Ack::TooHigh(_)));
    }

    #[test]
    fn numbers_wrap_at_two_to_the_thirty_second() {
        let wrap = 1 << 32;
        assert_eq!(counts(wrap + 2, wrap - 1).ack(1), Ack::Upto(wrap + 1 + 7));
        assert_eq!(counts(wrap + 2, wrap - 1).ack(0), Ack::Upto(wrap + 7));
        assert_eq!(counts(wrap + 2, wrap + 1).ack(u32::MAX), Ack::Old);
        assert!(matches!(counts(wrap + 2, wrap - 1).ack(3), Ack::TooHigh(_)));
        let counts = Counts { handled: wrap + 9, in_base: 4, ..Counts::default() };
        assert_eq!(counts.h(), 5);
    }
}
