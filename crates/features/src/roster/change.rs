//! How a roster changes: in the store, then in memory, then what follows, in the account's lane.

use std::sync::Arc;

use store::{Change, Error, Result};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;

use super::Contact;
use crate::context::{Context, Next, after};
use crate::iq;

/// How often a write of unknown outcome is made: repeating it does no harm.
const ATTEMPTS_MAX: usize = 3;

/// Stores `changes`, does them in memory, and goes on with `then`, which is told whether clients are to learn of it.
pub(crate) fn change(
    rosters: &Arc<dyn store::Rosters>,
    cx: &mut Context<'_>,
    stanza: &mut Stanza,
    changes: Vec<Change>,
    then: impl FnOnce(&mut Context<'_>, &mut Stanza, bool) -> Next + Send + 'static,
) -> Next {
    if changes.is_empty() {
        return then(cx, stanza, false);
    }
    let (rosters, account) = (rosters.clone(), cx.account.jid.clone());
    Next::later(async move {
        let version = apply(&*rosters, &account, &changes).await.map_err(iq::stored)?;
        after(move |cx, stanza| {
            let pushes = changes.iter().any(|change| matches!(change, Change::Put(_) | Change::Remove(_)));
            cx.account.roster.apply(version, changes);
            then(cx, stanza, pushes)
        })
    })
}

async fn apply(rosters: &dyn store::Rosters, account: &Jid, changes: &[Change]) -> Result<u64> {
    for _ in 1..ATTEMPTS_MAX {
        match rosters.apply(account, changes.to_vec()).await {
            Err(Error::Unknown(_)) => {}
            known => return known,
        }
    }
    rosters.apply(account, changes.to_vec()).await
}

/// Tells the interested sessions what has become of a contact (RFC 6121 §2.1.6). Their answers say nothing.
pub(crate) fn push(cx: &mut Context<'_>, contact: &Jid) {
    let roster = &cx.account.roster;
    let item = roster.contact(contact).map_or_else(|| removed(contact), item);
    let query = Element::new(ns::ROSTER, "query").attr("ver", version(roster.version)).with_child(item);
    let push = Stanza::iq(Type::Set).with_id(format!("push-{}", roster.version)).with_child(&query);
    let interested: Vec<_> = cx
        .account
        .sessions
        .iter()
        .filter(|session| session.interested)
        .map(|session| session.stream)
        .collect();
    for stream in interested {
        cx.to_session(stream, push.clone());
    }
}

/// A contact as clients see it (§2.1.2).
pub(super) fn item(contact: &Contact) -> Element {
    let mut item = Element::new(ns::ROSTER, "item").attr("jid", contact.jid.as_str());
    if let Some(name) = contact.name() {
        item.set_attribute("name", name);
    }
    item.set_attribute("subscription", subscription(contact));
    if contact.ask {
        item.set_attribute("ask", "subscribe");
    }
    if contact.approved {
        item.set_attribute("approved", "true");
    }
    item.with_children(contact.groups().map(|group| Element::new(ns::ROSTER, "group").with_text(group)))
}

/// A version as clients see it: opaque to them (§2.6.1).
pub(super) fn version(version: u64) -> String {
    version.to_string()
}

fn removed(contact: &Jid) -> Element {
    Element::new(ns::ROSTER, "item").attr("jid", contact.as_str()).attr("subscription", "remove")
}

fn subscription(contact: &Contact) -> &'static str {
    match (contact.seen(), contact.sees()) {
        (false, false) => "none",
        (true, false) => "to",
        (false, true) => "from",
        (true, true) => "both",
    }
}
