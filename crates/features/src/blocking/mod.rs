//! Blocking command (XEP-0191): who is blocked cannot reach the account, and sees it as if it were not there.
//!
//! The list itself is loaded with the account; what it stands for is [`Account::blocks`](crate::account::Account).

use std::sync::Arc;

use store::Blocklists;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, ErrorKind, Kind, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::account::{Account, Origin, covers};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::iq;
use crate::ports::Ports;

/// Entries of a block list at most.
pub const BLOCKED_MAX: usize = 2_000;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "blocking",
    doc: "Lets users block others, so that neither reaches the other.",
    specs: &[Spec { xep: 191, version: "1.3", note: "subscriptions are kept (polite blocking)" }],
    host_disco: &[ns::BLOCKING],
    account_disco: &[],
    at: &[At::Sent, At::Received, At::Account],
};

/// Keeps the list and what is on it apart.
pub(crate) struct Blocking {
    lists: Arc<dyn Blocklists>,
}

impl Blocking {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { lists: ports.store.blocklists.clone() })
    }

    fn command(&self, cx: &mut Context<'_>, stanza: &Stanza) -> Next {
        if iq::is_get(stanza, ns::BLOCKING, "blocklist") {
            return list(cx, stanza);
        }
        let command = ["block", "unblock"].into_iter().find(|name| iq::is_set(stanza, ns::BLOCKING, name));
        iq::attempt(match command {
            Some("block") => items(stanza, "block").and_then(|jids| self.block(cx, jids)),
            Some(_) => items(stanza, "unblock").map(|jids| self.unblock(cx, jids)),
            None => Ok(Next::Go),
        })
    }

    fn block(&self, cx: &mut Context<'_>, jids: Vec<Jid>) -> Result<Next, StanzaError> {
        if jids.is_empty() {
            // XEP-0191 §3.3.
            return Err(Condition::BadRequest.into());
        }
        let new: Vec<_> = jids.iter().filter(|jid| !cx.account.blocked.contains(jid)).cloned().collect();
        if cx.account.blocked.len() + new.len() > BLOCKED_MAX {
            return Err(StanzaError::from(Condition::ResourceConstraint).with_kind(ErrorKind::Modify));
        }
        let (lists, account) = (self.lists.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            lists.block(&account, &new).await.map_err(iq::stored)?;
            after(move |cx, stanza| {
                leave(cx, &new);
                cx.account.blocked.extend(new);
                iq::done(cx, stanza);
                push(cx, "block", &jids);
                Next::Done
            })
        }))
    }

    /// None named: all (XEP-0191 §3.5).
    fn unblock(&self, cx: &mut Context<'_>, jids: Vec<Jid>) -> Next {
        let (lists, account) = (self.lists.clone(), cx.account.jid.clone());
        Next::later(async move {
            let freed = if jids.is_empty() {
                lists.clear(&account).await.map_err(iq::stored)?
            } else {
                lists.unblock(&account, &jids).await.map_err(iq::stored)?;
                jids.clone()
            };
            after(move |cx, stanza| {
                let before = std::mem::take(&mut cx.account.blocked);
                let (freed, kept) = before.into_iter().partition(|jid| freed.contains(jid));
                cx.account.blocked = kept;
                enter(cx, &freed);
                iq::done(cx, stanza);
                push(cx, "unblock", &jids);
                Next::Done
            })
        })
    }
}

impl Feature for Blocking {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        match (at, cx.session) {
            (At::Sent, _) => match &stanza.to {
                Some(to) if cx.account.blocks(to) => refuse_sent(),
                _ => Next::Go,
            },
            (At::Account, Some(_)) => self.command(cx, stanza),
            // Received, or a question to the account from somebody else.
            _ => match &stanza.from {
                Some(from) if cx.account.blocks(from) => refuse_received(stanza),
                _ => Next::Go,
            },
        }
    }
}

/// XEP-0191 §3.3: the list's owner is told why.
fn refuse_sent() -> Next {
    let blocked = Element::new(ns::BLOCKING_ERRORS, "blocked");
    let error = StanzaError::from(Condition::NotAcceptable).with_kind(ErrorKind::Cancel);
    Next::Refuse(error.with_application(blocked))
}

/// XEP-0191 §3.3: whoever is blocked meets what an account that is not there would answer.
fn refuse_received(stanza: &Stanza) -> Next {
    match (stanza.kind, stanza.ty) {
        (Kind::Presence, _) | (Kind::Iq, Type::Result) | (_, Type::Error) => Next::Done,
        _ => iq::refuse(Condition::ServiceUnavailable),
    }
}

fn list(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    let list = Element::new(ns::BLOCKING, "blocklist").with_children(cx.account.blocked.iter().map(item));
    if let Some(session) = cx.this_mut()
        && !session.blocklist
    {
        session.blocklist = true;
        cx.changed();
    }
    iq::answer(cx, stanza, &list)
}

/// Tells the sessions that have asked for the list (XEP-0191 §3.3).
fn push(cx: &mut Context<'_>, name: &str, jids: &[Jid]) {
    let payload = Element::new(ns::BLOCKING, name).with_children(jids.iter().map(item));
    let push = Stanza::iq(Type::Set).with_id(format!("blocking-{:x}", cx.now_ms)).with_child(&payload);
    let interested: Vec<_> = cx
        .account
        .sessions
        .iter()
        .filter(|session| session.blocklist)
        .map(|session| session.stream)
        .collect();
    for stream in interested {
        cx.to_session(stream, push.clone());
    }
}

fn item(jid: &Jid) -> Element {
    Element::new(ns::BLOCKING, "item").attr("jid", jid)
}

fn items(stanza: &Stanza, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let command = iq::child(stanza, ns::BLOCKING, name)?;
    let jids = command.children().filter(|child| child.is("item", ns::BLOCKING)).map(|item| {
        let jid = item.attribute("jid").ok_or(Condition::BadRequest)?;
        jid.parse::<Jid>().map_err(|_| Condition::JidMalformed)
    });
    let mut jids = jids.collect::<Result<Vec<_>, Condition>>()?;
    jids.sort();
    jids.dedup();
    Ok(jids)
}

/// Those who see the account's presence and are about to be blocked see it leave.
fn leave(cx: &mut Context<'_>, blocked: &[Jid]) {
    for (stream, seen_by) in watchers(cx.account, blocked) {
        let Some(session) = cx.account.session_mut(stream) else { continue };
        let unavailable = Stanza::presence(Type::Unavailable).with_from(session.jid.clone());
        let directed = session.directed.len();
        session.directed.retain(|jid| !blocked.iter().any(|pattern| covers(pattern, jid)));
        if session.directed.len() != directed {
            cx.outputs.push(crate::context::Output::Changed(stream));
        }
        cx.send_to(unavailable, seen_by);
    }
}

/// Those who may see the account's presence again do, and are asked for theirs, which was dropped meanwhile.
fn enter(cx: &mut Context<'_>, freed: &[Jid]) {
    let contacts = cx.account.roster.contacts().iter().filter(|contact| contact.seen());
    let seen =
        contacts.map(|contact| &contact.jid).filter(|jid| freed.iter().any(|pattern| covers(pattern, jid)));
    let seen: Vec<_> = seen.filter(|jid| !cx.account.blocks(jid)).cloned().collect();
    let available: Vec<_> = cx.account.available().map(|session| session.jid.clone()).collect();
    for from in available {
        cx.send_to(Stanza::presence(Type::Probe).with_from(from), seen.clone());
    }
    for (stream, seen_by) in watchers(cx.account, freed) {
        let presence = cx.account.session(stream).and_then(|session| session.presence.clone());
        if let Some(presence) = presence {
            cx.send_to(*presence, seen_by);
        }
    }
}

/// Whom of those that the patterns stand for each session shows its presence to, and who is not blocked otherwise.
fn watchers(account: &Account, patterns: &[Jid]) -> Vec<(Origin, Vec<Jid>)> {
    let meant = |jid: &Jid| patterns.iter().any(|pattern| covers(pattern, jid)) && !account.blocks(jid);
    // One resource of a contact that is blocked: the contact is told as that resource.
    let full =
        patterns.iter().filter(|jid| jid.is_full() && account.roster.seen_by(jid) && !account.blocks(jid));
    let contacts = account.roster.contacts().iter().filter(|contact| contact.sees());
    let mut watchers: Vec<_> = contacts.map(|contact| &contact.jid).filter(|jid| meant(jid)).collect();
    watchers.extend(full);
    let sessions = account.sessions.iter().map(|session| {
        let broadcast = watchers.iter().copied().filter(|_| session.presence.is_some());
        let directed = session.directed.iter().filter(|jid| meant(jid));
        let mut all: Vec<_> = broadcast.chain(directed).cloned().collect();
        all.sort();
        all.dedup();
        (session.stream, all)
    });
    sessions.filter(|(_, all)| !all.is_empty()).collect()
}

#[cfg(test)]
mod tests;
