//! A session's presence to nobody in particular: it becomes available, changes, and leaves (RFC 6121 §4.2, §4.4, §4.5).

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, Stanza, Type};

use super::priority;
use crate::account::{Account, Origin};
use crate::context::{Context, Next};
use crate::iq::refuse;
use crate::roster::Contact;
use crate::stored;

/// A session has sent presence without an addressee.
pub(super) fn changed(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    match stanza.ty {
        Type::Available => available(cx, stanza),
        Type::Unavailable => {
            if let Some(stream) = cx.session {
                unavailable(cx, stanza);
                cx.to_session(stream, stanza.clone()); // §4.5.2: itself included
                cx.changed();
            }
            Next::Done
        }
        // The server's business, or nothing that could be answered.
        Type::Probe | Type::Error => Next::Done,
        _ => refuse(Condition::BadRequest),
    }
}

/// A session is over; the stanza stands for what it did not say itself.
pub(super) fn ended(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    unavailable(cx, stanza);
    Next::Go
}

fn available(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    let priority = match priority(stanza) {
        Ok(priority) => priority,
        Err(condition) => return refuse(condition),
    };
    let mut kept = Box::new(stanza.clone());
    kept.payload.detach();
    let Some(session) = cx.this_mut() else { return Next::Done };
    let initial = session.presence.is_none();
    session.presence = Some(kept);
    session.priority = priority;
    let (stream, jid) = (session.stream, session.jid.clone());
    cx.changed();
    let observers = contacts(cx.account, Contact::sees);
    cx.send_to(stanza.clone(), observers);
    // §4.2.2, §4.4.2: also to the account's own sessions, this one included.
    for to in available_streams(cx.account) {
        cx.to_session(to, stanza.clone());
    }
    if initial {
        welcome(cx, stream, jid);
    }
    Next::Done
}

/// What a session is told when it becomes available: who else is there, and who asks to be told.
fn welcome(cx: &mut Context<'_>, stream: Origin, jid: Jid) {
    let others = cx.account.available().filter(|session| session.stream != stream);
    let presences: Vec<_> = others.filter_map(|session| session.presence.clone()).collect();
    for presence in presences {
        cx.to_session(stream, *presence);
    }
    // §4.3.1. From the full JID, so that the answers reach this session only.
    let seen = contacts(cx.account, Contact::seen);
    cx.send_to(Stanza::presence(Type::Probe).with_from(jid), seen);
    // §3.1.3: each time until it is answered.
    let requests = cx.account.roster.requests().iter().filter(|request| !cx.account.blocks(&request.from));
    let requests: Vec<_> = requests.filter_map(|request| stored::decode(&request.stanza).ok()).collect();
    for request in requests {
        cx.to_session(stream, request);
    }
}

/// §4.5.2: the contacts, the account's own sessions, and whoever else this session had shown itself to.
fn unavailable(cx: &mut Context<'_>, stanza: &Stanza) {
    let Some(session) = cx.this_mut() else { return };
    let was_available = session.presence.take().is_some();
    session.priority = 0;
    let mut observers = std::mem::take(&mut session.directed);
    if was_available {
        let contacts = contacts(cx.account, Contact::sees);
        observers
            .retain(|jid| contacts.binary_search_by(|contact| contact.as_str().cmp(jid.bare_str())).is_err());
        observers.extend(contacts);
        for to in available_streams(cx.account) {
            cx.to_session(to, stanza.clone());
        }
    }
    observers.retain(|jid| !cx.account.blocks(jid));
    cx.send_to(stanza.clone(), observers);
}

/// The contacts that are told, or that tell; none that is blocked (XEP-0191 §3.2).
fn contacts(account: &Account, which: impl Fn(&Contact) -> bool) -> Vec<Jid> {
    let contacts = account.roster.contacts().iter().filter(|contact| which(contact));
    contacts.map(|contact| contact.jid.clone()).filter(|jid| !account.blocks(jid)).collect()
}

fn available_streams(account: &Account) -> Vec<Origin> {
    account.available().map(|session| session.stream).collect()
}
