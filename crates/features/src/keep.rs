//! Which messages are kept, and for how long (XEP-0160 §3, XEP-0313 §6.1.1, XEP-0334). Pure, and cheap: it looks at the
//! index of a message's children and parses nothing.

use crate::account::Account;
use crate::host::Host;
use crate::mam::preferences;
use xmpp::ns;
use xmpp::stanza::{Child, Kind, Stanza, Type};

/// What is kept of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Part of the archive that clients see, and waits there until it has been delivered.
    Archive,
    /// Kept until it has been delivered, and no part of the archive.
    Spool,
    /// Kept nowhere, but it must reach a session or come back as an error.
    Hold,
    /// Worth nothing later: may be lost with its owner.
    Transient,
}

impl Keep {
    /// Whether it is written to the store.
    pub fn stored(self) -> bool {
        matches!(self, Self::Archive | Self::Spool)
    }
}

/// What an account keeps of a message that it is sent (XEP-0441 §2.3.3).
pub fn received(account: &Account, host: &Host, stanza: &Stanza) -> Keep {
    rule(stanza, preferences::archives(account, host, stanza.from.as_ref()))
}

/// What an account keeps of a message that it sends (XEP-0441 §2.3.2).
pub fn sent(account: &Account, host: &Host, stanza: &Stanza) -> Keep {
    rule(stanza, preferences::archives(account, host, stanza.to.as_ref()))
}

/// What is kept of a message by an account. `archive`: whether it archives at all, and with the other party of this one.
pub fn rule(stanza: &Stanza, archive: bool) -> Keep {
    match stanza.ty {
        // A room keeps its own history; a headline is of the moment; an error answers what somebody has just done.
        Type::Groupchat | Type::Headline | Type::Error => return Keep::Hold,
        _ => {}
    }
    let seen = Seen::of(stanza);
    if seen.only_chat_state {
        return Keep::Transient;
    }
    // Where hints contradict each other the one that keeps less wins: what was stored cannot be unsaid.
    if seen.no_store || (seen.event && !seen.content && !seen.store) {
        return Keep::Hold;
    }
    let archived = archive && !seen.no_permanent_store && (seen.content || seen.store);
    if archived { Keep::Archive } else { Keep::Spool }
}

/// Whether a stanza may be lost with its owner: undirected presence, chat states, IQs. The rest must arrive or come back.
pub fn transient(stanza: &Stanza) -> bool {
    match stanza.kind {
        Kind::Iq => true,
        Kind::Presence => stanza.to.is_none() && matches!(stanza.ty, Type::Available | Type::Unavailable),
        Kind::Message => {
            !matches!(stanza.ty, Type::Groupchat | Type::Headline | Type::Error)
                && Seen::of(stanza).only_chat_state
        }
    }
}

/// What a look at the index of children tells.
#[derive(Default)]
struct Seen {
    content: bool,
    event: bool,
    store: bool,
    no_store: bool,
    no_permanent_store: bool,
    only_chat_state: bool,
}

impl Seen {
    fn of(stanza: &Stanza) -> Self {
        let mut seen = Self::default();
        let (mut chat_state, mut other) = (false, false);
        for child in stanza.payload.children() {
            match child.ns.as_str() {
                ns::CHAT_STATES => chat_state = true,
                ns::HINTS => seen.hint(child.name.as_str()),
                // Said about a message, not by it.
                ns::SID | ns::DELAY | ns::DELAY_LEGACY => {}
                ns::PUBSUB_EVENT => (seen.event, other) = (true, true),
                ns::NONE | ns::CLIENT if child.name == "thread" => {}
                _ => {
                    other = true;
                    seen.content |= is_content(child);
                }
            }
        }
        seen.only_chat_state = chat_state && !other && !seen.store;
        seen
    }

    fn hint(&mut self, name: &str) {
        match name {
            "store" => self.store = true,
            "no-store" => self.no_store = true,
            "no-permanent-store" => self.no_permanent_store = true,
            // `no-copy` is about carbons, not about time.
            _ => {}
        }
    }
}

/// Namespaces whose elements are all worth keeping.
const CONTENT: &[&str] = &[
    ns::CORRECT,
    ns::EME,
    ns::JINGLE_MESSAGE,
    ns::MODERATE,
    ns::MUC_CONFERENCE,
    ns::OMEMO,
    ns::OMEMO_LEGACY,
    ns::OOB,
    ns::OPENPGP,
    ns::REACTIONS,
    ns::REPLY,
    ns::RETRACT,
    ns::SFS,
];

/// Whether somebody who was not there will want to see it: text, its ciphertext, what refers to earlier messages, calls
/// and invitations. All else of type chat or normal is kept only until it has been delivered.
fn is_content(child: &Child) -> bool {
    match child.ns.as_str() {
        ns::NONE | ns::CLIENT => matches!(child.name.as_str(), "body" | "subject"),
        ns::RECEIPTS => child.name == "received",
        ns::CHAT_MARKERS => child.name != "markable",
        ns => CONTENT.contains(&ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stanza;

    const BODY: &str = "<body>hi</body>";
    const TYPING: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";

    fn message(ty: &str, payload: &str) -> Stanza {
        stanza(&format!("<message type='{ty}'>{payload}</message>"))
    }

    fn hint(name: &str) -> String {
        format!("<{name} xmlns='urn:xmpp:hints'/>")
    }

    #[test]
    fn what_somebody_will_want_to_see_is_archived() {
        for payload in [
            BODY,
            "<subject>Feud</subject>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<x xmlns='jabber:x:conference' jid='ball@rooms.capulet.example'/>",
        ] {
            for ty in ["chat", "normal"] {
                assert_eq!(rule(&message(ty, payload), true), Keep::Archive, "{payload}");
                assert_eq!(rule(&message(ty, payload), false), Keep::Spool, "{payload}");
            }
        }
    }

    #[test]
    fn other_chat_and_normal_messages_are_kept_until_delivered() {
        for payload in [
            "",
            "<thread>t</thread>",
            "<x xmlns='urn:example:game'/>",
            "<request xmlns='urn:xmpp:receipts'/>",
        ] {
            assert_eq!(rule(&message("normal", payload), true), Keep::Spool, "{payload}");
        }
    }

    #[test]
    fn groupchat_headline_error_and_events_are_not_kept() {
        let store = format!("{BODY}{}", hint("store"));
        for ty in ["groupchat", "headline", "error"] {
            assert_eq!(rule(&message(ty, &store), true), Keep::Hold, "{ty}");
            assert!(!transient(&message(ty, TYPING)), "{ty}");
        }
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'/>";
        assert_eq!(rule(&message("normal", event), true), Keep::Hold);
        assert_eq!(rule(&message("normal", &format!("{event}{BODY}")), true), Keep::Archive);
    }

    #[test]
    fn hints_are_heeded() {
        let with = |hints: &[&str]| {
            let hints: String = hints.iter().map(|name| hint(name)).collect();
            rule(&message("chat", &format!("{BODY}{hints}")), true)
        };
        assert_eq!(with(&["no-store"]), Keep::Hold);
        assert_eq!(with(&["no-store", "store"]), Keep::Hold);
        assert_eq!(with(&["no-permanent-store"]), Keep::Spool);
        assert_eq!(with(&["no-copy"]), Keep::Archive);
        assert_eq!(rule(&message("chat", &hint("store")), true), Keep::Archive, "without a body");
    }

    #[test]
    fn chat_states_alone_are_transient() {
        let thread = "<thread>t</thread>";
        for payload in [TYPING.to_owned(), format!("{TYPING}{thread}{}", hint("no-store"))] {
            assert_eq!(rule(&message("chat", &payload), true), Keep::Transient);
            assert!(transient(&message("chat", &payload)));
        }
        for payload in [format!("{BODY}{TYPING}"), format!("{TYPING}{}", hint("store"))] {
            assert_eq!(rule(&message("chat", &payload), true), Keep::Archive);
            assert!(!transient(&message("chat", &payload)));
        }
        assert!(!transient(&message("chat", "")));
    }

    #[test]
    fn queries_and_undirected_presence_are_transient_and_directed_presence_is_not() {
        assert!(transient(&stanza("<iq id='1' type='set' to='juliet@capulet.example'/>")));
        assert!(transient(&stanza("<presence/>")) && transient(&stanza("<presence type='unavailable'/>")));
        assert!(!transient(&stanza("<presence to='ball@rooms.capulet.example/masked'/>")));
        assert!(!transient(&stanza("<presence type='subscribe' to='juliet@capulet.example'/>")));
    }
}
