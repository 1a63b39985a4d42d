//! In-band registration (XEP-0077): accounts are made before login, and changed and removed by those who own them.

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, Payload, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::account::Account;
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::credentials;
use crate::data_form::{FieldType, Form, Submission};
use crate::host::Host;
use crate::iq;
use crate::ports::Ports;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "registration",
    doc: "Lets users make an account where that is configured, change its password and remove it.",
    specs: &[Spec { xep: 77, version: "2.4", note: "no old-style error codes" }],
    host_disco: &[ns::REGISTER],
    account_disco: &[],
    at: &[At::Host, At::Account],
};

const INSTRUCTIONS: &str = "Choose a username and a password.";

/// Changes and removes one's own account.
pub(crate) struct Registration {
    ports: Ports,
}

/// Who, and with what password.
struct Wish {
    username: String,
    password: String,
}

/// Answers a question before login (§3.1.1): what is needed to register, or the registration. How often one may ask is the
/// caller's business, and whether to offer it at all that of [`Host::registration`].
pub async fn before_login(ports: &Ports, host: &Host, now_ms: u64, stanza: &Stanza) -> Stanza {
    let answer = if !host.registration {
        Err(Condition::NotAllowed.into())
    } else if iq::is_get(stanza, ns::REGISTER, "query") {
        Ok(stanza.reply().with_child(&fields()))
    } else if iq::is_set(stanza, ns::REGISTER, "query") {
        register(ports, host, now_ms, stanza).await.map(|()| stanza.reply())
    } else {
        Err(Condition::ServiceUnavailable.into())
    };
    let answer = answer.unwrap_or_else(|error: StanzaError| {
        // §3.3: a password is not sent back.
        Stanza { ty: Type::Error, ..stanza.reply() }.with_child(&error.to_element())
    });
    answer.with_from(host.domain.clone())
}

async fn register(ports: &Ports, host: &Host, now_ms: u64, stanza: &Stanza) -> Result<(), StanzaError> {
    let query = iq::child(stanza, ns::REGISTER, "query")?;
    // §3.1.1: what is left out makes it not acceptable.
    let wish = Wish::of(&query).ok_or(Condition::NotAcceptable)?;
    let account = wish.account(host).ok_or(Condition::NotAcceptable)?;
    credentials::create(ports, &account, &wish.password, now_ms).await
}

/// For old clients fields, for others the form (§4, §6).
fn fields() -> Element {
    let form = Form::asking(ns::REGISTER, "Registration", INSTRUCTIONS)
        .ask("username", FieldType::TextSingle, "Username", true)
        .ask("password", FieldType::TextPrivate, "Password", true);
    Element::new(ns::REGISTER, "query")
        .with_child(Element::new(ns::REGISTER, "instructions").with_text(INSTRUCTIONS))
        .with_child(Element::new(ns::REGISTER, "username"))
        .with_child(Element::new(ns::REGISTER, "password"))
        .with_child(form.into_element())
}

impl Wish {
    /// The form goes before the fields (§6). None: something is missing.
    fn of(query: &Element) -> Option<Self> {
        if let Some(form) = Submission::inside(query) {
            let first = |var| form.first(var).map(str::to_owned);
            return Some(Self { username: first("username")?, password: first("password")? });
        }
        let text = |name| query.child(name, ns::REGISTER).map(Element::text).filter(|text| !text.is_empty());
        Some(Self { username: text("username")?, password: text("password")? })
    }

    fn account(&self, host: &Host) -> Option<Jid> {
        Jid::new(Some(&self.username), host.domain.domain(), None).ok()
    }
}

impl Registration {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { ports: ports.clone() })
    }

    fn set(&self, cx: &Context<'_>, stanza: &mut Stanza) -> Result<Next, StanzaError> {
        let query = iq::child(stanza, ns::REGISTER, "query")?;
        // §3.3: an error does not bring the password back.
        stanza.payload = Payload::default();
        if query.child("remove", ns::REGISTER).is_some() {
            let alone = query.children().count() == 1;
            return if alone { Ok(self.remove(cx)) } else { Err(Condition::BadRequest.into()) };
        }
        let wish = Wish::of(&query).ok_or(Condition::BadRequest)?;
        if wish.account(cx.host).as_ref() != Some(&cx.account.jid) {
            return Err(Condition::NotAllowed.into());
        }
        let (ports, account) = (self.ports.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            credentials::change(&ports, &account, &wish.password).await?;
            after(|cx, stanza| iq::done(cx, stanza))
        }))
    }

    /// §3.2: with all that is kept of it; then its sessions end.
    fn remove(&self, cx: &Context<'_>) -> Next {
        let (ports, account) = (self.ports.clone(), cx.account.jid.clone());
        Next::later(async move {
            ports.store.remove_account(&account).await.map_err(iq::stored)?;
            tracing::info!(%account, "account removed by its owner");
            // The sessions end behind this answer: they are closed in the account's lane.
            ports.directory.end(&account, "not-authorized", true).await;
            after(|cx, stanza| {
                iq::done(cx, stanza);
                for presence in farewell(cx.account) {
                    cx.send(presence);
                }
                Next::Done
            })
        })
    }
}

impl Feature for Registration {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if cx.session.is_none() {
            return Next::Go;
        }
        if iq::is_set(stanza, ns::REGISTER, "query") {
            return iq::attempt(self.set(cx, stanza));
        }
        if !iq::is_get(stanza, ns::REGISTER, "query") {
            return Next::Go;
        }
        // §3.1: whoever is logged in is registered.
        let username =
            Element::new(ns::REGISTER, "username").with_text(cx.account.jid.node().unwrap_or_default());
        let query = Element::new(ns::REGISTER, "query")
            .with_child(Element::new(ns::REGISTER, "registered"))
            .with_child(username)
            .with_child(Element::new(ns::REGISTER, "password"));
        iq::answer(cx, stanza, &query)
    }
}

/// Cancels all subscriptions of an account that goes (§3.2).
fn farewell(account: &Account) -> Vec<Stanza> {
    let say = |ty, to: &Jid| Stanza::presence(ty).with_from(account.jid.clone()).with_to(to.clone());
    let mut farewell = Vec::new();
    for contact in account.roster.contacts() {
        if contact.seen() || contact.ask {
            farewell.push(say(Type::Unsubscribe, &contact.jid));
        }
        if contact.sees() {
            farewell.push(say(Type::Unsubscribed, &contact.jid));
        }
    }
    farewell.extend(account.roster.requests().iter().map(|request| say(Type::Unsubscribed, &request.from)));
    farewell
}

#[cfg(test)]
mod tests;
