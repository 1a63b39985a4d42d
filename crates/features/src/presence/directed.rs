//! Presence of a session to somebody in particular: a room, a stranger, a contact (RFC 6121 §4.6).

use xmpp::stanza::{Condition, Stanza, Type};

use crate::account::DIRECTED_MAX;
use crate::context::{Context, Next};
use crate::iq::refuse;

/// Remembers whom a session has shown itself to, so that they learn when it leaves; the core routes the presence.
pub(super) fn sent(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    let Some(to) = stanza.to.clone() else { return Next::Go };
    let told_anyway = to.same_bare(&cx.account.jid) || cx.account.roster.seen_by(&to);
    let Some(session) = cx.this_mut() else { return Next::Go };
    let known = session.directed.iter().position(|jid| *jid == to);
    match (stanza.ty, known) {
        (Type::Available, None) if !(told_anyway && session.presence.is_some()) => {
            if session.directed.len() >= DIRECTED_MAX {
                return refuse(Condition::ResourceConstraint);
            }
            session.directed.push(to);
            cx.changed();
        }
        (Type::Unavailable, Some(at)) => {
            session.directed.remove(at);
            cx.changed();
        }
        _ => {}
    }
    Next::Go
}
