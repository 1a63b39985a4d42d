//! `jabber:iq:roster`: a client reads and changes its account's roster (RFC 6121 §2.2–§2.6).

use std::collections::HashSet;
use std::sync::Arc;

use store::rosters::ITEM_BYTES_MAX;
use store::{Change, Item};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use super::change::{change, item, push, version};
use super::{CONTACTS_MAX, Contact};
use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;
use crate::subscription;

/// The bytes of a contact's name, or of a group's, at most.
const NAME_BYTES_MAX: usize = 1_023;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "roster",
    doc: "Keeps the contacts of users and tells all their clients of changes.",
    specs: &[
        Spec { xep: 0, version: "RFC 6121 §2", note: "" },
        Spec { xep: 237, version: "1.3", note: "now RFC 6121 §2.6; a changed roster is sent whole" },
    ],
    host_disco: &[],
    account_disco: &[],
    at: &[At::Account],
};

/// Reads and changes rosters.
pub(crate) struct Rosters {
    rosters: Arc<dyn store::Rosters>,
}

impl Rosters {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { rosters: ports.store.rosters.clone() })
    }

    fn set(&self, cx: &mut Context<'_>, stanza: &mut Stanza) -> Result<Next, StanzaError> {
        let wish = Wish::read(&iq::child(stanza, ns::ROSTER, "query")?)?;
        if wish.jid.same_bare(&cx.account.jid) {
            return Err(Condition::NotAllowed.into());
        }
        let known = cx.account.roster.contact(&wish.jid);
        if wish.remove {
            let contact = known.ok_or(Condition::ItemNotFound)?.clone();
            return Ok(self.remove(cx, stanza, contact));
        }
        if known.is_none() && cx.account.roster.contacts().len() >= CONTACTS_MAX {
            return Err(Condition::ResourceConstraint.into());
        }
        // Everything but name and groups is the server's (§2.1.2).
        let before = known.map_or_else(|| Item::new(wish.jid.clone()), Contact::item);
        let changes = vec![Change::Put(Item { name: wish.name, groups: wish.groups, ..before })];
        Ok(change(&self.rosters, cx, stanza, changes, move |cx, stanza, _| {
            push(cx, &wish.jid);
            iq::done(cx, stanza)
        }))
    }

    /// §2.5: whoever is removed neither sees nor is seen any more.
    fn remove(&self, cx: &mut Context<'_>, stanza: &mut Stanza, contact: Contact) -> Next {
        let changes = vec![Change::Remove(contact.jid.clone())];
        change(&self.rosters, cx, stanza, changes, move |cx, stanza, _| {
            push(cx, &contact.jid);
            iq::done(cx, stanza);
            let (own, other) = (cx.account.jid.clone(), contact.jid.bare());
            let say = |ty| Stanza::presence(ty).with_from(own.clone()).with_to(other.clone());
            if contact.seen() || contact.ask {
                cx.send(say(Type::Unsubscribe));
            }
            if contact.sees() {
                subscription::hide(cx, &other);
                cx.send(say(Type::Unsubscribed));
            }
            Next::Done
        })
    }
}

impl Feature for Rosters {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        let (get, set) = (iq::is_get(stanza, ns::ROSTER, "query"), iq::is_set(stanza, ns::ROSTER, "query"));
        match cx.session {
            Some(_) if get => iq::attempt(show(cx, stanza)),
            Some(_) if set => iq::attempt(self.set(cx, stanza)),
            None if set => iq::refuse(Condition::Forbidden), // §2.3.3
            None if get => iq::refuse(Condition::ServiceUnavailable),
            _ => Next::Go,
        }
    }
}

/// §2.2, and §2.6: a client that has the current version gets an empty result.
fn show(cx: &mut Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
    let query = iq::child(stanza, ns::ROSTER, "query")?;
    if let Some(session) = cx.this_mut()
        && !session.interested
    {
        session.interested = true;
        cx.changed();
    }
    let roster = &cx.account.roster;
    let current = version(roster.version);
    let held = query.attribute("ver");
    if held == Some(current.as_str()) {
        return Ok(iq::done(cx, stanza));
    }
    let mut whole = Element::new(ns::ROSTER, "query");
    if held.is_some() {
        whole.set_attribute("ver", &current);
    }
    let whole = whole.with_children(roster.contacts().iter().map(item));
    Ok(iq::answer(cx, stanza, &whole))
}

/// What a client wants of one contact.
struct Wish {
    jid: Jid,
    name: Option<String>,
    groups: Vec<String>,
    remove: bool,
}

impl Wish {
    /// §2.3.3: what a roster set may be refused for whatever the roster holds.
    fn read(query: &Element) -> Result<Self, Condition> {
        let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
        let (Some(item), None) = (items.next(), items.next()) else { return Err(Condition::BadRequest) };
        let jid = item.attribute("jid").and_then(|jid| jid.parse().ok()).ok_or(Condition::BadRequest)?;
        let name = item.attribute("name").filter(|name| !name.is_empty()).map(str::to_owned);
        let groups: Vec<_> =
            item.children().filter(|child| child.is("group", ns::ROSTER)).map(Element::text).collect();
        let too_long = |text: &String| text.len() > NAME_BYTES_MAX;
        let bytes = item.attribute("jid").map_or(0, str::len)
            + name.iter().chain(&groups).map(String::len).sum::<usize>();
        if name.as_ref().is_some_and(too_long)
            || groups.iter().any(|group| group.is_empty() || too_long(group))
            || bytes > ITEM_BYTES_MAX
        {
            return Err(Condition::NotAcceptable);
        }
        if groups.iter().collect::<HashSet<_>>().len() != groups.len() {
            return Err(Condition::BadRequest);
        }
        let remove = item.attribute("subscription") == Some("remove");
        Ok(Self { jid, name, groups, remove })
    }
}
