//! Subscriptions to presence (RFC 6121 §3): who asked whom, and what is told when the answer comes.
//!
//! Every change is stored first; then the roster in memory, pushes, and what others are told follow in one order.

mod received;
mod sent;
mod table;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use store::{Change, Item, Request};
use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, Type};

pub(crate) use self::received::received;
pub(crate) use self::sent::sent;
use self::table::{State, Verb};
use crate::context::Context;
use crate::roster::{Contact, Roster};

/// Whether a presence is about a subscription.
pub(crate) fn is_about(ty: Type) -> bool {
    Verb::of(ty).is_some()
}

/// Where account and contact stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    state: State,
    /// The contact may subscribe without asking (§3.4).
    approved: bool,
}

impl Standing {
    fn of(roster: &Roster, contact: &Jid) -> Self {
        let requested = roster.request(contact).is_some();
        let item = roster.contact(contact);
        let (subscription, ask) = item.map_or_else(Default::default, |item| (item.subscription, item.ask));
        Self {
            state: State::of(subscription, ask, requested),
            approved: item.is_some_and(|item| item.approved),
        }
    }

    /// What has to be changed in a roster so that they stand here; `request` is kept if it now waits for an answer.
    fn changes(self, roster: &Roster, contact: &Jid, request: impl FnOnce() -> Bytes) -> Vec<Change> {
        let mut changes = Vec::new();
        let before = roster.contact(contact).map_or_else(|| Item::new(contact.clone()), Contact::item);
        let (subscription, ask) = (self.state.subscription(), self.state.asks());
        let item = Item { subscription, ask, approved: self.approved, ..before.clone() };
        if item != before {
            changes.push(Change::Put(item));
        }
        match (roster.request(contact).is_some(), self.state.is_asked()) {
            (false, true) => {
                changes.push(Change::Ask(Request { from: contact.clone(), stanza: request() }));
            }
            (true, false) => changes.push(Change::Answer(contact.clone())),
            _ => {}
        }
        changes
    }
}

/// Tells a contact what it would see if it had subscribed before the account's sessions became available (§3.1.5).
pub(crate) fn show(cx: &mut Context<'_>, contact: &Jid) {
    let presences: Vec<_> = cx.account.available().filter_map(|session| session.presence.clone()).collect();
    for presence in presences {
        cx.send(presence.with_to(contact.clone()));
    }
}

/// Tells a contact that the account's sessions are gone, as it is no longer to see them (§3.2.2, §3.3.3).
pub(crate) fn hide(cx: &mut Context<'_>, contact: &Jid) {
    let sessions: Vec<_> = cx.account.available().map(|session| session.jid.clone()).collect();
    for session in sessions {
        cx.send(Stanza::presence(Type::Unavailable).with_from(session).with_to(contact.clone()));
    }
}
