//! Which sessions of an account get a stanza (RFC 6121 §8.5). Pure; docs/rules.md has the table.
//!
//! A message for the bare JID goes to every available session of non-negative priority. §8.5.2.1.1 would also allow
//! "the most available" one, but a client that is not among those would then have to learn of the message from a
//! carbon, and one without carbons would miss it: a copy for each is what clients have come to expect.

use smallvec::SmallVec;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, Stanza, Type};

use crate::account::{Account, Origin, Session};
use crate::keep::Keep;

/// Streams of sessions; most accounts have few.
pub type Streams = SmallVec<[Origin; 3]>;

/// Where a stanza for an account goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To these sessions, each once; there is at least one.
    Sessions(Streams),
    /// To the account itself: an IQ for the bare JID.
    Account,
    /// To nobody now: it is kept, and waits for a session of non-negative priority.
    Wait,
    /// Back to the sender, as this error.
    Refuse(Condition),
    /// Nowhere, silently.
    Drop,
}

/// Where a message for `account` goes, given what [`crate::keep::rule`] says of it (RFC 6121 §8.5.2, §8.5.3).
pub fn message(account: &Account, stanza: &Stanza, keep: Keep) -> Route {
    let resource = stanza.to.as_ref().and_then(Jid::resource);
    if let Some(session) = resource.and_then(|resource| account.resource(resource)) {
        return Route::one(session); // §8.5.3.1: whatever its type, its priority or its presence
    }
    match stanza.ty {
        Type::Error => Route::Drop,
        Type::Groupchat => Route::Refuse(Condition::ServiceUnavailable),
        Type::Headline if resource.is_some() => Route::Drop,
        // The room has to learn that its occupant is gone (XEP-0045 §18.2); another resource would not know the room.
        _ if resource.is_some() && stanza.payload.has(ns::MUC_USER, "x") => {
            Route::Refuse(Condition::ServiceUnavailable)
        }
        _ => bare(account, stanza.ty, keep),
    }
}

/// Where an IQ for `account` goes (RFC 6121 §8.5.2.1.3, §8.5.3).
pub fn iq(account: &Account, stanza: &Stanza) -> Route {
    let Some(resource) = stanza.to.as_ref().and_then(Jid::resource) else { return Route::Account };
    match account.resource(resource) {
        Some(session) => Route::one(session),
        None if matches!(stanza.ty, Type::Get | Type::Set) => Route::Refuse(Condition::ServiceUnavailable),
        None => Route::Drop,
    }
}

fn bare(account: &Account, ty: Type, keep: Keep) -> Route {
    let streams: Streams = account.sessions.iter().filter(|session| session.eligible()).map(|session| session.stream).collect();
    match keep {
        _ if !streams.is_empty() => Route::Sessions(streams),
        _ if ty == Type::Headline => Route::Drop,
        Keep::Archive | Keep::Spool => Route::Wait,
        Keep::Hold => Route::Refuse(Condition::ServiceUnavailable),
        // Nobody is told that somebody who is not there cannot see them typing.
        Keep::Transient => Route::Drop,
    }
}

impl Route {
    fn one(session: &Session) -> Self {
        Self::Sessions(Streams::from_slice(&[session.stream]))
    }
}
