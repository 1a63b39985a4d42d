//! What rooms share that answer IQs: is it this question, may they know, and how it is refused.

use xmpp::jid::Jid;
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use crate::account::Account;
use crate::context::{Context, Next};

/// Whether this is an IQ get for `name` of `ns`.
pub(crate) fn is_get(stanza: &Stanza, ns: &str, name: &str) -> bool {
    stanza.kind == Kind::Iq && stanza.ty == Type::Get && stanza.payload.has(ns, name)
}

/// Whether this is an IQ set for `name` of `ns`.
pub(crate) fn is_set(stanza: &Stanza, ns: &str, name: &str) -> bool {
    stanza.kind == Kind::Iq && stanza.ty == Type::Set && stanza.payload.has(ns, name)
}

/// The child `name` of `ns` of a stanza, read.
///
/// # Errors
/// It is not there, or cannot be read.
pub(crate) fn child(stanza: &Stanza, ns: &str, name: &str) -> Result<Element, StanzaError> {
    let child = stanza.payload.find(ns, name).ok_or(StanzaError::from(Condition::BadRequest))?;
    stanza.payload.element(child).map_err(|_| StanzaError::from(Condition::BadRequest))
}

/// Whether an account's presence may be seen by another (RFC 6121 §2.1.2.5): what is told of the account beyond what
/// everybody may know is told to these and to itself only.
pub(crate) fn sees(account: &Account, who: &Jid) -> bool {
    who.same_bare(&account.jid) || account.roster.seen_by(who)
}

/// Whether a question to the account comes from somebody who [`sees`] it.
pub(crate) fn may_ask(cx: &Context<'_>, stanza: &Stanza) -> bool {
    cx.session.is_some() || stanza.from.as_ref().is_some_and(|from| sees(cx.account, from))
}

/// An answer with a payload.
pub(crate) fn answer(cx: &mut Context<'_>, stanza: &Stanza, payload: &Element) -> Next {
    cx.answer(stanza.reply().with_child(payload));
    Next::Done
}

/// An answer that says no more than that it is done.
pub(crate) fn done(cx: &mut Context<'_>, stanza: &Stanza) -> Next {
    cx.answer(stanza.reply());
    Next::Done
}

/// A refusal without further words.
pub(crate) fn refuse(condition: Condition) -> Next {
    Next::Refuse(StanzaError::from(condition))
}

/// Does what may fail with a stanza error.
pub(crate) fn attempt(result: Result<Next, StanzaError>) -> Next {
    result.unwrap_or_else(Next::Refuse)
}

/// What the sender is told when a store fails: nothing of the store, but whether to come again.
pub(crate) fn stored(error: store::Error) -> StanzaError {
    match error {
        store::Error::Conflict => Condition::Conflict.into(),
        store::Error::Missing => Condition::ItemNotFound.into(),
        store::Error::TooLarge { .. } => Condition::PolicyViolation.into(),
        error => {
            tracing::warn!(%error, "a store failed");
            Condition::InternalServerError.into()
        }
    }
}
