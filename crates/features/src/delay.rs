//! Delayed delivery (XEP-0203): says when a stanza would have come, had it not been kept.

use xmpp::jid::Jid;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use crate::about::{About, Spec};

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "delay",
    doc: "Stamps what was kept with the time at which it came.",
    specs: &[Spec { xep: 203, version: "2.0", note: "" }],
    host_disco: &[],
    account_disco: &[],
    at: &[],
};

/// Says that `by`, our domain, has had this stanza since `at_ms` (unix milliseconds, UTC). A stamp of ours that is there
/// already says more and stays: the first delay is the one that counts.
pub fn stamp(stanza: &mut Stanza, by: &Jid, at_ms: u64) {
    if is_stamped(stanza, by) {
        return;
    }
    let delay = Element::new(ns::DELAY, "delay").attr("from", by).attr("stamp", datetime::write(at_ms));
    stanza.payload.push(&delay);
}

/// Whether `by` has stamped this stanza. What others claim in our name is removed when it comes in.
pub fn is_stamped(stanza: &Stanza, by: &Jid) -> bool {
    stanza
        .payload
        .children()
        .iter()
        .any(|child| child.is(ns::DELAY, "delay") && claims(stanza.payload.raw(child), "from", by))
}

/// Whether a child says in an attribute that it is of `by`.
pub(crate) fn claims(raw: &[u8], attribute: &str, by: &Jid) -> bool {
    let Ok(element) = Element::parse(raw, ns::CLIENT) else { return false };
    // Compared as addresses: another spelling of ours is ours.
    element
        .attribute(attribute)
        .and_then(|text| text.parse::<Jid>().ok())
        .is_some_and(|claimed| claimed == *by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW_MS, jid, payload, stanza};

    #[test]
    fn a_letter_is_stamped_once() {
        let mut letter = stanza("<message><body>come</body></message>");
        let domain = jid("capulet.example");
        stamp(&mut letter, &domain, NOW_MS + 1_500);
        stamp(&mut letter, &domain, NOW_MS + 9_000);
        assert_eq!(
            payload(&letter),
            "<body>come</body><delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2026-01-01T00:00:01.500Z'/>"
        );
    }

    #[test]
    fn the_stamp_of_another_is_not_ours() {
        let letter =
            stanza("<message><delay xmlns='urn:xmpp:delay' from='montague.example' stamp='x'/></message>");
        assert!(!is_stamped(&letter, &jid("capulet.example")));
    }
}
