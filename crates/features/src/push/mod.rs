//! Push notifications (XEP-0357): the account's clients name push services, and those hear of each message that is kept
//! while no client looks.
//!
//! When that is so the account's owner knows, and says it by [`notify`]: once a message, whatever sessions there are.
//! Push services on other servers are not reached yet.

mod registration;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use store::Documents;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{ErrorKind, Kind, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use self::registration::{Put, Registrations};
pub use self::registration::{Registration, document, load, read};
use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::data_form::Form;
use crate::iq;
use crate::ports::Ports;

const SUMMARY: &str = "urn:xmpp:push:summary";

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "push",
    doc: "Tells push services of messages that are kept while none of a user's clients looks.",
    specs: &[Spec {
        xep: 357,
        version: "0.4.1",
        note: "push services of hosted domains; without senders and bodies",
    }],
    host_disco: &[],
    account_disco: &[ns::PUSH],
    at: &[At::Account],
};

/// Keeps which push services there are.
pub(crate) struct Push {
    documents: Arc<dyn Documents>,
}

impl Push {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { documents: ports.store.documents.clone() })
    }

    fn enable(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let registration = Registration::parse(&iq::child(stanza, ns::PUSH, "enable")?)?;
        let mut registrations = cx.account.pushes.clone();
        registrations.put(registration);
        self.keep(cx, registrations, iq::done)
    }

    fn disable(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let disable = iq::child(stanza, ns::PUSH, "disable")?;
        let (service, node) = (registration::service(&disable)?, disable.attribute("node"));
        let mut registrations = cx.account.pushes.clone();
        registrations.retain(|kept| kept.service != service || node.is_some_and(|node| *kept.node != *node));
        self.keep(cx, registrations, iq::done)
    }

    /// §7.1: a push service that refuses is not told any more, unless it says that it will take the next one.
    fn refused(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let transient = StanzaError::of(stanza).is_some_and(|error| error.kind == ErrorKind::Wait);
        let refuses = |kept: &Registration| {
            stanza.from.as_ref() == Some(&kept.service)
                && stanza.id.as_deref().is_some_and(|id| kept.has_made(id))
        };
        let Some(refused) = cx.account.pushes.iter().find(|kept| refuses(kept)).filter(|_| !transient) else {
            return Ok(Next::Go);
        };
        tracing::info!(account = %cx.account.jid, service = %refused.service, "a push service refuses, it is not told any more");
        let registrations = cx.account.pushes.iter().filter(|kept| !refuses(kept)).cloned().collect();
        self.keep(cx, registrations, |_, _| Next::Done)
    }

    /// Keeps what has changed, then says so.
    fn keep(
        &self,
        cx: &Context<'_>,
        registrations: Registrations,
        then: fn(&mut Context<'_>, &Stanza) -> Next,
    ) -> Result<Next, StanzaError> {
        let bytes = document(&registrations)?;
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            match bytes {
                Some(bytes) => documents.put(&account, ns::PUSH, "", bytes).await,
                None => documents.delete(&account, ns::PUSH, "").await,
            }
            .map_err(iq::stored)?;
            after(move |cx, stanza| {
                cx.account.pushes = registrations;
                then(cx, stanza)
            })
        }))
    }
}

impl Feature for Push {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if cx.session.is_none() {
            let answers = stanza.kind == Kind::Iq && stanza.ty == Type::Error;
            return if answers { iq::attempt(self.refused(cx, stanza)) } else { Next::Go };
        }
        if iq::is_set(stanza, ns::PUSH, "enable") {
            return iq::attempt(self.enable(cx, stanza));
        }
        if iq::is_set(stanza, ns::PUSH, "disable") {
            return iq::attempt(self.disable(cx, stanza));
        }
        Next::Go
    }
}

/// Whether a message is worth waking a device for: text, its ciphertext, a call (XEP-0353 §3.1), an invitation. What
/// only says that a message was received or seen is not.
pub fn is_worth(stanza: &Stanza) -> bool {
    stanza.payload.children().iter().any(|child| {
        matches!(
            (child.ns.as_str(), child.name.as_str()),
            (ns::NONE | ns::CLIENT, "body")
                | (ns::OMEMO | ns::OMEMO_LEGACY, "encrypted")
                | (ns::OPENPGP, "openpgp")
                | (ns::JINGLE_MESSAGE, "propose")
                | (ns::MUC_CONFERENCE, "x")
        )
    })
}

/// Tells the account's push services that `unseen` messages wait. `is_served`: whether a domain is hosted here.
pub fn notify(cx: &mut Context<'_>, unseen: usize, is_served: impl Fn(&Jid) -> bool) {
    let mut told = Vec::new();
    for registration in &mut cx.account.pushes {
        if is_served(&registration.service) {
            told.push(publication(registration, &cx.account.jid, cx.now_ms, unseen));
        } else if !std::mem::replace(&mut registration.unreached, true) {
            tracing::info!(account = %cx.account.jid, service = %registration.service, "a push service on another server is not reached");
        }
    }
    for publication in told {
        cx.send(publication);
    }
}

/// §7: a publish request with the summary.
fn publication(registration: &Registration, account: &Jid, now_ms: u64, unseen: usize) -> Stanza {
    let summary = Form::submitting(SUMMARY).tell("message-count", [unseen.to_string()]).into_element();
    let notification = Element::new(ns::PUSH, "notification").with_child(summary);
    let mut publish = Element::new(ns::PUBSUB, "publish");
    if !registration.node.is_empty() {
        publish.set_attribute("node", &registration.node);
    }
    let publish = publish.with_child(Element::new(ns::PUBSUB, "item").with_child(notification));
    let options = registration.options.clone();
    let options = options.map(|form| Element::new(ns::PUBSUB, "publish-options").with_child(form));
    Stanza::iq(Type::Set)
        .with_from(account.clone())
        .with_to(registration.service.clone())
        .with_id(registration.id(now_ms))
        .with_child(&Element::new(ns::PUBSUB, "pubsub").with_child(publish).with_children(options))
}
