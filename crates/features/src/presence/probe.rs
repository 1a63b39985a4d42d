//! Probes: another server asks for an account's presence on behalf of a user (RFC 6121 §4.3.2).
//!
//! Whoever may not see the account gets no answer, as do those whom it blocks and those who ask for an account that does
//! not exist: the three look the same.

use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, Type};

use crate::account::Session;
use crate::context::Context;
use crate::iq;

/// Answers a probe, if its sender may know.
pub(super) fn answer(cx: &mut Context<'_>, stanza: &Stanza) {
    let (Some(from), Some(to)) = (&stanza.from, &stanza.to) else { return };
    if iq::sees(cx.account, from) {
        let asked = |session: &&Session| to.is_bare() || session.jid == *to;
        let presences: Vec<_> =
            cx.account.available().filter(asked).filter_map(|session| session.presence.clone()).collect();
        if presences.is_empty() {
            cx.send(Stanza::presence(Type::Unavailable).with_from(to.clone()).with_to(from.clone()));
        }
        for presence in presences {
            cx.send(presence.with_to(from.clone()));
        }
    } else if let Some(session) = shown(cx, from, to) {
        // §4.6.6: it learns no more than it knows, that the session is there.
        cx.send(Stanza::presence(Type::Available).with_from(session).with_to(from.clone()));
    }
}

/// The session asked for, if it has shown itself to the one who asks.
fn shown(cx: &Context<'_>, from: &Jid, to: &Jid) -> Option<Jid> {
    let session = cx.account.sessions.iter().find(|session| session.jid == *to)?;
    let knows = session.directed.iter().any(|jid| jid == from || jid.as_str() == from.bare_str());
    knows.then(|| session.jid.clone())
}
