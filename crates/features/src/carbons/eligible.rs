//! Which messages are copied (XEP-0280 §6.1).

use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};

/// Which way a message goes, seen from the account whose sessions get copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Sent,
    Received,
}

/// Whether a message is copied. Looks at the index of its children; parses an invitation only.
pub(super) fn eligible(stanza: &Stanza, direction: Direction) -> bool {
    let payload = &stanza.payload;
    if stanza.kind != Kind::Message
        // §9, and the hint of XEP-0334 §4.3 by itself; §11: a copy is not copied.
        || payload.children().iter().any(|child| child.ns == ns::CARBONS)
        || payload.has(ns::HINTS, "no-copy")
    {
        return false;
    }
    if direction == Direction::Received && from_occupant(stanza) {
        return false;
    }
    match stanza.ty {
        Type::Chat => true,
        Type::Normal => payload.has(ns::CLIENT, "body") || is_im(stanza),
        // A room sends to every session that is in it; a headline is for whoever looks; who caused an error got it.
        _ => false,
    }
}

/// A private message from an occupant: the room has sent it to all sessions that are in it. It carries the room's `x`
/// (XEP-0045 §7.5), as does an invitation, which is copied: it comes from the room itself.
fn from_occupant(stanza: &Stanza) -> bool {
    let from_full = stanza.from.as_ref().is_some_and(xmpp::jid::Jid::is_full);
    from_full && stanza.payload.has(ns::MUC_USER, "x")
}

/// Whether it has what instant messaging is made of beside bodies: receipts, chat states, markers, calls (XEP-0353),
/// invitations.
fn is_im(stanza: &Stanza) -> bool {
    const NAMESPACES: &[&str] =
        &[ns::RECEIPTS, ns::CHAT_STATES, ns::CHAT_MARKERS, ns::JINGLE_MESSAGE, ns::MUC_CONFERENCE];
    stanza.payload.children().iter().any(|child| NAMESPACES.contains(&&*child.ns)) || invites(stanza)
}

/// A mediated invitation (XEP-0045 §7.8.2).
fn invites(stanza: &Stanza) -> bool {
    let x = stanza.payload.find_element(ns::MUC_USER, "x");
    x.is_some_and(|x| x.child("invite", ns::MUC_USER).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stanza;

    const MUC: &str = "<x xmlns='http://jabber.org/protocol/muc#user'";

    fn copied(direction: Direction, attributes: &str, payload: &str) -> bool {
        eligible(&stanza(&format!("<message {attributes}>{payload}</message>")), direction)
    }

    #[test]
    fn the_rules_of_section_six() {
        for (attributes, payload, yes) in [
            ("type='chat'", "", true),
            ("", "<body>x</body>", true),
            ("", "<subject>x</subject>", false),
            ("", "<received xmlns='urn:xmpp:receipts' id='1'/>", true),
            ("", "<composing xmlns='http://jabber.org/protocol/chatstates'/>", true),
            ("", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true),
            ("", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>", true),
            ("", "<x xmlns='jabber:x:conference' jid='room@muc.example'/>", true),
            ("type='groupchat'", "<body>x</body>", false),
            ("type='headline'", "<body>x</body>", false),
            ("type='error'", "<body>x</body>", false),
            ("type='chat'", "<private xmlns='urn:xmpp:carbons:2'/>", false),
            ("type='chat'", "<no-copy xmlns='urn:xmpp:hints'/>", false),
            ("type='chat'", "<sent xmlns='urn:xmpp:carbons:2'/>", false),
        ] {
            for direction in [Direction::Sent, Direction::Received] {
                assert_eq!(copied(direction, attributes, payload), yes, "{attributes} {payload}");
            }
        }
    }

    #[test]
    fn private_messages_in_rooms_are_copied_on_the_way_out_only() {
        let occupant = "type='chat' from='room@muc.example/romeo'";
        let muc = format!("<body>x</body>{MUC}/>");
        assert!(copied(Direction::Sent, "type='chat'", &muc));
        assert!(!copied(Direction::Received, occupant, &muc));
        let invitation = format!("{MUC}><invite from='romeo@montague.example'/></x>");
        assert!(copied(Direction::Received, "from='room@muc.example'", &invitation));
    }
}
