//! What a feature is given when it meets a stanza, and what it may answer.

use std::pin::Pin;

use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, StanzaError};

use crate::account::{Account, Origin, Session};
use crate::host::Host;

/// Everything a feature may see and touch beside the ports it was granted.
pub struct Context<'a> {
    /// Now, in unix milliseconds.
    pub now_ms: u64,
    /// The hosted domain.
    pub host: &'a Host,
    /// The account in whose lane this happens.
    pub account: &'a mut Account,
    /// The session that sent the stanza (`Sent`, `Account`, `Host`, `Presence`) or is to get it (`Deliver`).
    pub session: Option<Origin>,
    /// What the feature wants done, in order.
    pub outputs: &'a mut Vec<Output>,
}

/// Something to be done by the account's owner.
#[derive(Debug)]
pub enum Output {
    /// A stanza for one session of this account; it is numbered in the account's lane.
    ToSession {
        /// Which.
        stream: Origin,
        /// What; `to` is set to the session's full JID if absent.
        stanza: Stanza,
    },
    /// A stanza from this account into the world, to `to`, or to the stanza's own `to` where that is empty.
    Send {
        /// What; `from` must be set.
        stanza: Stanza,
        /// Bare or full JIDs.
        to: Vec<Jid>,
    },
    /// The session's state has changed and is to be handed to its edge.
    Changed(Origin),
    /// End a session with a stream error condition (RFC 6120 §4.9.3).
    End {
        /// Which.
        stream: Origin,
        /// `conflict`, `not-authorized`, `policy-violation`…
        condition: &'static str,
    },
}

/// A feature's answer.
pub enum Next {
    /// Nothing to say, or said: the next feature.
    Go,
    /// The stanza has been taken care of.
    Done,
    /// The sender gets this error.
    Refuse(StanzaError),
    /// Has to wait for a store. Nothing later of this account starts before it is over.
    Later(Work),
    /// The same, and the work begins when all that has started before has taken effect: what it reads is what the
    /// account's sessions have seen.
    InTurn(Work),
}

/// Work that waits; no context is held meanwhile.
pub type Work = Pin<Box<dyn Future<Output = Result<After, StanzaError>> + Send>>;

/// What follows the work, with the context again; its answer counts as the feature's.
pub type After = Box<dyn FnOnce(&mut Context<'_>, &mut Stanza) -> Next + Send>;

impl Next {
    /// Work, then what follows it.
    pub fn later(work: impl Future<Output = Result<After, StanzaError>> + Send + 'static) -> Self {
        Self::Later(Box::pin(work))
    }

    /// The same, in turn.
    pub fn in_turn(work: impl Future<Output = Result<After, StanzaError>> + Send + 'static) -> Self {
        Self::InTurn(Box::pin(work))
    }
}

/// Wraps what follows work.
///
/// # Errors
/// Never; the `Ok` saves one at each call.
pub fn after(
    then: impl FnOnce(&mut Context<'_>, &mut Stanza) -> Next + Send + 'static,
) -> Result<After, StanzaError> {
    Ok(Box::new(then))
}

impl Context<'_> {
    /// The session of this context.
    pub fn this(&self) -> Option<&Session> {
        self.session.and_then(|stream| self.account.session(stream))
    }

    /// The session of this context, to be changed.
    pub fn this_mut(&mut self) -> Option<&mut Session> {
        self.session.and_then(|stream| self.account.session_mut(stream))
    }

    /// A stanza for one session of this account.
    pub fn to_session(&mut self, stream: Origin, stanza: Stanza) {
        self.outputs.push(Output::ToSession { stream, stanza });
    }

    /// A stanza from this account to its own `to`.
    pub fn send(&mut self, stanza: Stanza) {
        self.outputs.push(Output::Send { stanza, to: Vec::new() });
    }

    /// One stanza from this account to many.
    pub fn send_to(&mut self, stanza: Stanza, to: Vec<Jid>) {
        if !to.is_empty() {
            self.outputs.push(Output::Send { stanza, to });
        }
    }

    /// An answer to `request`: to the session that asked, or to whoever else did.
    pub fn answer(&mut self, answer: Stanza) {
        match self.session {
            Some(stream) => self.to_session(stream, answer),
            None => self.send(answer),
        }
    }

    /// Says that the session's state has changed.
    pub fn changed(&mut self) {
        if let Some(stream) = self.session {
            self.outputs.push(Output::Changed(stream));
        }
    }
}
