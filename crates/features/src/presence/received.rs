//! Presence that comes for an account, but for subscriptions (RFC 6121 §8.5.2.1.2, §8.5.3).

use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, Type};

use super::probe;
use crate::account::Session;
use crate::context::{Context, Next, Output};

/// Delivers it, `to` as it was written, or answers it.
pub(super) fn received(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    if stanza.ty == Type::Probe {
        probe::answer(cx, stanza);
        return Next::Done;
    }
    let to = stanza.to.as_ref().filter(|to| to.is_full());
    if let Some(from) = &stanza.from
        && matches!(stanza.ty, Type::Unavailable | Type::Error)
    {
        forget(cx, from, to);
    }
    let addressed = |session: &&Session| match to {
        Some(to) => session.jid == *to,
        None => session.presence.is_some(),
    };
    let streams: Vec<_> =
        cx.account.sessions.iter().filter(addressed).map(|session| session.stream).collect();
    for stream in streams {
        cx.to_session(stream, stanza.clone());
    }
    Next::Done
}

/// Whoever has left, or cannot be reached, need not be told when the session leaves.
fn forget(cx: &mut Context<'_>, who: &Jid, to: Option<&Jid>) {
    let mut changed = Vec::new();
    for session in &mut cx.account.sessions {
        let before = session.directed.len();
        if to.is_none_or(|to| session.jid == *to) {
            session.directed.retain(|jid| jid != who);
        }
        if session.directed.len() != before {
            changed.push(session.stream);
        }
    }
    cx.outputs.extend(changed.into_iter().map(Output::Changed));
}
