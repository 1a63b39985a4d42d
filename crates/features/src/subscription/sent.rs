//! What an account says about subscriptions (RFC 6121 §3.1.2, §3.1.5, §3.2.2, §3.3.2, §3.4.2).

use std::sync::Arc;

use bytes::Bytes;
use store::{Change, Rosters};
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, Stanza};

use super::table::{State, Verb};
use super::{Standing, hide, show};
use crate::context::{Context, Next};
use crate::iq::refuse;
use crate::roster::{CONTACTS_MAX, change, push};

/// A session of the account sends one of the four presences. The core routes it behind whatever is sent here, so that its
/// sender learns what became of it; but where the contact is then shown who is there, it is sent here as well, as what
/// shows that must not overtake it.
pub(crate) fn sent(rosters: &Arc<dyn Rosters>, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
    let Some((verb, contact)) = Verb::of(stanza.ty).zip(stanza.to.as_ref().map(Jid::bare)) else {
        return Next::Go;
    };
    if contact == cx.account.jid {
        return refuse(Condition::NotAllowed); // everybody sees themselves (§4.2.2)
    }
    // §3.1.2 and the like: from bare to bare, whichever resources were meant.
    stanza.from = Some(cx.account.jid.clone());
    stanza.to = Some(contact.clone());
    let before = Standing::of(&cx.account.roster, &contact);
    let (passes, then) = before.sent(verb);
    let changes = then.changes(&cx.account.roster, &contact, Bytes::new);
    let roster = &cx.account.roster;
    let adds =
        roster.contact(&contact).is_none() && changes.iter().any(|change| matches!(change, Change::Put(_)));
    if adds && roster.contacts().len() >= CONTACTS_MAX {
        return refuse(Condition::ResourceConstraint);
    }
    let (seen, sees) = (before.state.is_seen(), then.state.is_seen());
    change(rosters, cx, stanza, changes, move |cx, stanza, pushes| {
        if seen && !sees {
            hide(cx, &contact); // §3.2.2: while the contact is still subscribed
        }
        if pushes {
            push(cx, &contact);
        }
        if sees && !seen {
            cx.send(stanza.clone());
            show(cx, &contact);
            return Next::Done;
        }
        if passes { Next::Go } else { Next::Done }
    })
}

impl Standing {
    /// Whether it is routed, and where they stand then. A contact that has not asked may be approved before it does, and
    /// learns of neither that nor of its end (§3.4.2).
    fn sent(self, verb: Verb) -> (bool, Self) {
        let step = self.state.sent(verb);
        let approved = match verb {
            Verb::Subscribed => {
                self.approved || matches!(self.state, State::None | State::NonePendingOut | State::To)
            }
            Verb::Unsubscribed => false,
            Verb::Subscribe | Verb::Unsubscribe => self.approved,
        };
        (step.passes, Self { state: step.then, approved })
    }
}
