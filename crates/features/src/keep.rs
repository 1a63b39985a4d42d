//! Which messages are kept, and for how long (XEP-0160 §3, XEP-0313 §5.1.3, XEP-0334). Pure, and cheap: it looks at the
//! index of a message's children and parses nothing.

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
    match archive && !seen.no_permanent_store && (seen.content || seen.store) {
        true => Keep::Archive,
        false => Keep::Spool,
    }
}

/// Whether a stanza may be lost with its owner: undirected presence, chat states, IQs. The rest must arrive or come back.
pub fn transient(stanza: &Stanza) -> bool {
    match stanza.kind {
        Kind::Iq => true,
        Kind::Presence => stanza.to.is_none() && matches!(stanza.ty, Type::Available | Type::Unavailable),
        Kind::Message => {
            !matches!(stanza.ty, Type::Groupchat | Type::Headline | Type::Error) && Seen::of(stanza).only_chat_state
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

/// Whether somebody who was not there will want to see it: text, its ciphertext, what refers to earlier messages, calls
/// and invitations. All else of type chat or normal is kept only until it has been delivered.
fn is_content(child: &Child) -> bool {
    match child.ns.as_str() {
        ns::NONE | ns::CLIENT => matches!(child.name.as_str(), "body" | "subject"),
        ns::RECEIPTS => child.name == "received",
        ns::CHAT_MARKERS => child.name != "markable",
        ns::OMEMO | ns::OMEMO_LEGACY | ns::OPENPGP | ns::EME => true,
        ns::REACTIONS | ns::RETRACT | ns::CORRECT | ns::MODERATE | ns::REPLY => true,
        ns::JINGLE_MESSAGE | ns::MUC_CONFERENCE | ns::OOB | ns::SFS => true,
        _ => false,
    }
}
