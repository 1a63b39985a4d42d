//! Private XML storage (XEP-0049): elements that a client keeps at its account, for nobody else.

use std::sync::Arc;

use bytes::Bytes;
use store::Documents;
use store::documents::{BYTES_MAX, NAME_BYTES_MAX};
use xmpp::ns;
use xmpp::stanza::{Condition, Stanza, StanzaError};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::iq;
use crate::ports::Ports;

/// Elements that an account may keep.
pub(crate) const ELEMENTS_MAX: usize = 128;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "private-storage",
    doc: "Keeps small XML documents for a user's clients.",
    specs: &[Spec { xep: 49, version: "1.2", note: "" }],
    host_disco: &[ns::PRIVATE],
    account_disco: &[],
    at: &[At::Account],
};

/// Keeps elements, each under its name and namespace.
pub(crate) struct PrivateStorage {
    documents: Arc<dyn Documents>,
}

impl PrivateStorage {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { documents: ports.store.documents.clone() })
    }

    fn read(&self, cx: &Context<'_>, wanted: Element) -> Result<Next, StanzaError> {
        let key = key(&wanted)?;
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            let found = documents.read(&account, ns::PRIVATE, &key).await.map_err(iq::stored)?;
            let found = found.and_then(|bytes| Element::parse(&bytes, ns::PRIVATE).ok());
            // What was never stored is told as it was asked for.
            let query = Element::new(ns::PRIVATE, "query").with_child(found.unwrap_or(wanted));
            after(move |cx, stanza| iq::answer(cx, stanza, &query))
        }))
    }

    fn write(&self, cx: &Context<'_>, elements: Vec<Element>) -> Result<Next, StanzaError> {
        let mut writes = Vec::new();
        for element in elements {
            let bytes = element.to_bytes(ns::PRIVATE);
            if bytes.len() > BYTES_MAX {
                return Err(Condition::PolicyViolation.into());
            }
            writes.push((key(&element)?, Bytes::from(bytes)));
        }
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            let kept = documents.list(&account, ns::PRIVATE).await.map_err(iq::stored)?;
            let new = writes.iter().filter(|(key, _)| !kept.contains(key)).count();
            if kept.len() + new > ELEMENTS_MAX {
                return Err(Condition::ResourceConstraint.into());
            }
            for (key, bytes) in writes {
                documents.put(&account, ns::PRIVATE, &key, bytes).await.map_err(iq::stored)?;
            }
            after(|cx, stanza| iq::done(cx, stanza))
        }))
    }
}

impl Feature for PrivateStorage {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        let get = iq::is_get(stanza, ns::PRIVATE, "query");
        // From others it is service-unavailable, which §2.2 allows: the answer of accounts that are not there.
        if cx.session.is_none() || !(get || iq::is_set(stanza, ns::PRIVATE, "query")) {
            return Next::Go;
        }
        iq::attempt(elements(stanza).and_then(|mut elements| match (get, elements.len()) {
            (true, 1) => self.read(cx, elements.remove(0)),
            // §2.2: one in a get, and no fewer than one at all.
            (true, 2..) => Err(Condition::BadRequest.into()),
            (_, 0) => Err(Condition::NotAcceptable.into()),
            (false, _) => self.write(cx, elements),
        }))
    }
}

fn elements(stanza: &Stanza) -> Result<Vec<Element>, StanzaError> {
    Ok(iq::child(stanza, ns::PRIVATE, "query")?.children().cloned().collect())
}

/// What an element is kept under. A name has no space in it.
///
/// # Errors
/// The namespace is one that is not for this (§2.2), or too long.
fn key(element: &Element) -> Result<String, StanzaError> {
    let reserved = ["jabber:", "http://jabber.org/"].iter().any(|prefix| element.ns().starts_with(prefix));
    if reserved || element.ns() == ns::VCARD {
        return Err(Condition::NotAcceptable.into());
    }
    let key = format!("{} {}", element.name(), element.ns());
    if key.len() > NAME_BYTES_MAX { Err(Condition::PolicyViolation.into()) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Stage;

    fn iq(ty: &str, inner: &str) -> String {
        format!("<iq id='1' type='{ty}'><query xmlns='jabber:iq:private'>{inner}</query></iq>")
    }

    #[test]
    fn hamlet_keeps_his_preferences() {
        let mut stage = Stage::of("hamlet@shakespeare.example");
        let denmark = Some(stage.bind("denmark"));
        let room = stage.room(PrivateStorage::build);
        let prefs = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>";
        let asked = iq("get", "<exodus xmlns='exodus:prefs'/>");
        let query = |inner: &str| format!("<query xmlns='jabber:iq:private'>{inner}</query>");
        assert_eq!(stage.ask(&*room, At::Account, denmark, &asked), query("<exodus xmlns='exodus:prefs'/>"));
        assert_eq!(stage.ask(&*room, At::Account, denmark, &iq("set", prefs)), "");
        assert_eq!(stage.ask(&*room, At::Account, denmark, &asked), query(prefs));
    }

    #[test]
    fn nobody_else_reads_or_writes() {
        let mut stage = Stage::new();
        let room = stage.room(PrivateStorage::build);
        for ty in ["get", "set"] {
            assert_eq!(stage.ask(&*room, At::Account, None, &iq(ty, "<a xmlns='b'/>")), "go");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(PrivateStorage::build);
        let large = format!("<a xmlns='b'>{}</a>", "x".repeat(BYTES_MAX));
        for (ty, inner, error) in [
            ("get", "", "not-acceptable"),
            ("set", "", "not-acceptable"),
            ("get", "<a xmlns='b'/><c xmlns='d'/>", "bad-request"),
            ("set", "<vCard xmlns='vcard-temp'/>", "not-acceptable"),
            ("get", "<query xmlns='jabber:iq:roster'/>", "not-acceptable"),
            ("get", "<a/>", "not-acceptable"),
            ("set", large.as_str(), "policy-violation"),
        ] {
            let answer = stage.ask(&*room, At::Account, chamber, &iq(ty, inner));
            assert_eq!(answer, format!("error {error}"), "{ty}");
        }
    }

    #[test]
    fn an_account_keeps_only_so_many() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(PrivateStorage::build);
        let all = (0..ELEMENTS_MAX).fold(String::new(), |all, at| all + &format!("<a xmlns='urn:{at}'/>"));
        assert_eq!(stage.ask(&*room, At::Account, chamber, &iq("set", &all)), "");
        let more = iq("set", "<a xmlns='urn:more'/>");
        assert_eq!(stage.ask(&*room, At::Account, chamber, &more), "error resource-constraint");
        assert_eq!(stage.ask(&*room, At::Account, chamber, &iq("set", "<a xmlns='urn:1'/>")), "");
    }
}
