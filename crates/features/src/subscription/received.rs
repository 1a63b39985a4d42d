//! What contacts say about subscriptions (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3, §3.4.3).

use std::sync::Arc;

use bytes::Bytes;
use store::Rosters;
use store::rosters::REQUEST_BYTES_MAX;
use xmpp::jid::Jid;
use xmpp::stanza::{Payload, Stanza, Type};

use super::table::Verb;
use super::{Standing, hide, show};
use crate::account::Session;
use crate::context::{Context, Next};
use crate::roster::{REQUESTS_MAX, change, push};
use crate::stored;

/// One of the four presences has come for the account.
pub(crate) fn received(rosters: &Arc<dyn Rosters>, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
    let Some((verb, contact)) = Verb::of(stanza.ty).zip(stanza.from.as_ref().map(Jid::bare)) else {
        return Next::Done;
    };
    if contact == cx.account.jid {
        return Next::Done;
    }
    // Both bare, whichever resource a server of another mind named.
    stanza.from = Some(contact.clone());
    stanza.to = Some(cx.account.jid.clone());
    let before = Standing::of(&cx.account.roster, &contact);
    if verb == Verb::Subscribe {
        return subscribe(rosters, cx, stanza, contact, before);
    }
    let step = before.state.received(verb);
    if !step.passes {
        return Next::Done;
    }
    let then = Standing { state: step.then, ..before };
    let changes = then.changes(&cx.account.roster, &contact, Bytes::new);
    let lost = before.state.is_seen() && !then.state.is_seen();
    change(rosters, cx, stanza, changes, move |cx, stanza, pushes| {
        deliver(cx, stanza, |session| session.interested);
        if pushes {
            push(cx, &contact);
        }
        if lost {
            hide(cx, &contact); // §3.3.3
        }
        Next::Done
    })
}

/// §3.1.3: the account is asked, unless its answer is known.
fn subscribe(
    rosters: &Arc<dyn Rosters>,
    cx: &mut Context<'_>,
    stanza: &mut Stanza,
    contact: Jid,
    before: Standing,
) -> Next {
    let step = before.state.received(Verb::Subscribe);
    if before.state.is_seen() {
        // Said once more, as the contact's server seems not to know; what it missed is shown again.
        grant(cx, &contact);
        show(cx, &contact);
        return Next::Done;
    }
    if before.approved {
        let then = Standing { state: step.then.sent(Verb::Subscribed).then, ..before };
        let changes = then.changes(&cx.account.roster, &contact, Bytes::new);
        return change(rosters, cx, stanza, changes, move |cx, _, _| {
            grant(cx, &contact);
            push(cx, &contact);
            show(cx, &contact);
            Next::Done
        });
    }
    if !step.passes {
        return Next::Done; // asked before, and not answered
    }
    if cx.account.roster.requests().len() >= REQUESTS_MAX {
        tracing::debug!(account = %cx.account.jid, "too many subscription requests wait, one dropped");
        return Next::Done;
    }
    let then = Standing { state: step.then, ..before };
    let changes = then.changes(&cx.account.roster, &contact, || request(stanza));
    change(rosters, cx, stanza, changes, |cx, stanza, _| {
        deliver(cx, stanza, |session| session.presence.is_some());
        Next::Done
    })
}

/// The whole stanza, as it is delivered until it is answered; without its payload if that is larger than can be kept.
fn request(stanza: &Stanza) -> Bytes {
    let whole = stored::encode(stanza);
    if whole.len() <= REQUEST_BYTES_MAX {
        return whole;
    }
    stored::encode(&Stanza { payload: Payload::default(), ..stanza.clone() })
}

/// The account's server answers for it.
fn grant(cx: &mut Context<'_>, contact: &Jid) {
    let own = cx.account.jid.clone();
    cx.send(Stanza::presence(Type::Subscribed).with_from(own).with_to(contact.clone()));
}

fn deliver(cx: &mut Context<'_>, stanza: &Stanza, to: impl Fn(&Session) -> bool) {
    let streams: Vec<_> =
        cx.account.sessions.iter().filter(|session| to(session)).map(|session| session.stream).collect();
    for stream in streams {
        cx.to_session(stream, stanza.clone());
    }
}
