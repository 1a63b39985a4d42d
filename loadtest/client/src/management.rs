//! The client's half of stream management (XEP-0198): counts of stanzas, and copies of those that are not acknowledged.
//! Counts wrap at 2^32 (§4).

use std::collections::VecDeque;

use bytes::Bytes;

use crate::element::Element;
use crate::plan;

/// Asks how much has been handled (XEP-0198 §4).
pub(crate) const REQUEST: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// What is left of a session whose connection is lost, to resume it with (XEP-0198 §5).
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) jid: String,
    pub(crate) management: Management,
    /// What attempts to resume have heard of, and nobody has been told yet, for they failed later.
    acknowledged: u32,
}

/// The counts of one session.
#[derive(Clone, Debug)]
pub(crate) struct Management {
    settings: plan::Management,
    /// What the server has sent and the caller has been given.
    received: u32,
    /// What the server has told that it handled.
    acknowledged: u32,
    /// What was sent since.
    outstanding: u32,
    since_request: u32,
    /// The stream's id, and the copies, if the session can be resumed.
    resumable: Option<Box<Resumable>>,
}

#[derive(Clone, Debug)]
struct Resumable {
    id: String,
    location: Option<String>,
    copies: VecDeque<Bytes>,
}

/// The server claims to have handled what it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl State {
    pub(crate) fn new(jid: String, management: Management) -> State {
        State { jid, management, acknowledged: 0 }
    }

    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<(), TooMany> {
        self.acknowledged += self.management.acknowledge(h)?;
        Ok(())
    }

    pub(crate) fn take_acknowledged(&mut self) -> u32 {
        std::mem::take(&mut self.acknowledged)
    }

    /// The full JID of the session.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// Where the server would like to be resumed, as it says it (XEP-0198 §3).
    pub fn location(&self) -> Option<&str> {
        self.management.resumable.as_ref()?.location.as_deref()
    }

    /// How many stanzas have been sent and are not acknowledged.
    pub fn unacknowledged(&self) -> u32 {
        self.management.outstanding
    }
}

impl Management {
    /// Counting begins with the server's `<enabled/>`.
    pub(crate) fn enabled(settings: plan::Management, enabled: &Element) -> Management {
        let tag = enabled.tag();
        let may_resume = settings.resume && matches!(tag.attribute("resume"), Some("true" | "1"));
        let id = tag.attribute("id").filter(|_| may_resume);
        let location = tag.attribute("location").map(str::to_owned);
        let resumable = id.map(|id| Resumable { id: id.to_owned(), location, copies: VecDeque::new() });
        let resumable = resumable.map(Box::new);
        Management { settings, received: 0, acknowledged: 0, outstanding: 0, since_request: 0, resumable }
    }

    pub(crate) fn can_resume(&self) -> bool {
        self.resumable.is_some()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.outstanding < self.settings.unacknowledged_max
    }

    pub(crate) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Counts a stanza that is sent; whether it is time to ask for an acknowledgement.
    pub(crate) fn sent(&mut self, stanza: &[u8]) -> bool {
        if let Some(resumable) = &mut self.resumable {
            resumable.copies.push_back(Bytes::copy_from_slice(stanza));
        }
        self.outstanding += 1;
        self.since_request += 1;
        let is_due = self.settings.request_every > 0 && self.since_request >= self.settings.request_every;
        if is_due {
            self.since_request = 0;
        }
        is_due
    }

    /// Counts a stanza that is given to the caller.
    pub(crate) fn received(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// The answer to `<r/>`.
    pub(crate) fn answer(&self) -> String {
        format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.received)
    }

    /// Takes the server's count; how many stanzas it acknowledges.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<u32, TooMany> {
        let count = h.wrapping_sub(self.acknowledged);
        if count > self.outstanding {
            return Err(TooMany);
        }
        self.acknowledged = h;
        self.outstanding -= count;
        if let Some(resumable) = &mut self.resumable {
            resumable.copies.drain(..count as usize);
            if resumable.copies.is_empty() {
                resumable.copies = VecDeque::new();
            }
        }
        Ok(count)
    }

    /// Asks to go on with the session (XEP-0198 §5); `None` if it cannot be.
    pub(crate) fn resume(&self) -> Option<String> {
        let id = &self.resumable.as_ref()?.id;
        Some(format!("<resume xmlns='urn:xmpp:sm:3' h='{}' previd='{id}'/>", self.received))
    }

    /// What has to be sent again.
    pub(crate) fn copies(&self) -> impl Iterator<Item = &Bytes> {
        self.resumable.iter().flat_map(|resumable| &resumable.copies)
    }
}

/// The `h` of an element.
pub(crate) fn h(element: &Element) -> Option<u32> {
    element.tag().attribute("h")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn enabled() -> Management {
        let text = "<enabled xmlns='urn:xmpp:sm:3' id='s' resume='true'/>";
        Management::enabled(plan::Management::default(), &Element::new(Bytes::from(text), text.len()))
    }

    #[test]
    fn what_is_acknowledged_is_not_sent_again() {
        let mut management = enabled();
        for stanza in ["1", "2", "3"] {
            management.sent(stanza.as_bytes());
        }
        assert_eq!(management.acknowledge(2), Ok(2));
        assert_eq!(management.copies().collect::<Vec<_>>(), ["3"]);
        assert_eq!(management.acknowledge(2), Ok(0));
        assert_eq!(management.acknowledge(4), Err(TooMany));
        assert_eq!(management.outstanding(), 1);
    }

    #[test]
    fn counts_go_on_behind_the_largest_number() {
        let mut management = Management { acknowledged: u32::MAX - 1, received: u32::MAX, ..enabled() };
        (0..4).for_each(|_| {
            management.sent(b"x");
        });
        assert_eq!(management.acknowledge(1), Ok(3));
        assert_eq!(management.acknowledge(0), Err(TooMany));
        management.received();
        assert_eq!(management.answer(), "<a xmlns='urn:xmpp:sm:3' h='0'/>");
    }

    #[test]
    fn an_acknowledgement_is_asked_for_every_so_often() {
        let mut management = enabled();
        let asked: Vec<bool> = (0..10).map(|_| management.sent(b"x")).collect();
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 2);
        assert!(asked[4] && asked[9]);
    }
}
