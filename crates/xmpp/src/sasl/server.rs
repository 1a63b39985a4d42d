//! The server's side of a login: one [`Exchange`] per attempt.

use std::mem;

use zeroize::Zeroizing;

use super::condition::Condition;
use super::hash::Hash;
use super::keys::{Credentials, Decoy};
use super::mechanism::{Binding, Mechanism};
use super::scram::{Opening, Proof};
use crate::jid::Jid;

/// The longest message of a client, in bytes before base64.
pub const MESSAGE_BYTES_MAX: usize = 8192;

/// The hash whose keys check a password that comes in PLAIN.
const PLAIN_HASH: Hash = Hash::Sha256;

/// What is settled before a login begins.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The domain of the stream, where accounts are looked for.
    pub domain: String,
    /// What the stream's features said: nothing else is accepted, and SCRAM notices if somebody changed it.
    pub offered: Vec<Mechanism>,
    /// The channel bindings of the connection.
    pub bindings: Vec<Binding>,
    /// Fresh for this login, from [`nonce`](super::nonce).
    pub nonce: String,
}

/// One attempt to log in.
///
/// [`step`](Exchange::step) takes what the client sent; when it wants credentials, the caller looks them up
/// and goes on with [`credentials`](Exchange::credentials).
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    terms: Terms,
    state: State,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look up the account's keys for `hash` and give them to [`Exchange::credentials`].
    NeedCredentials {
        /// The bare address of the account, prepared.
        account: Jid,
        /// Which of its keys.
        hash: Hash,
    },
    /// Send these bytes as a challenge; the client's response goes to [`Exchange::step`].
    Challenge(Vec<u8>),
    /// The client is in.
    Success {
        /// As whom.
        identity: Identity,
        /// What goes into `<success/>`.
        data: Option<Vec<u8>>,
    },
    /// The attempt is over.
    Failure(Condition),
}

/// Who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The account with this bare address.
    Account(Jid),
    /// Nobody in particular: the caller makes up a node.
    Anonymous,
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet; `asked` once an empty challenge has been sent for the first message.
    Start {
        asked: bool,
    },
    /// PLAIN waits for the account's keys.
    Password {
        account: Jid,
        password: Password,
    },
    /// SCRAM waits for the account's keys.
    Opened(Opening),
    /// SCRAM waits for the client's proof.
    Proving(Proof),
    Over,
}

/// A password on its way to be checked, wiped afterwards and never shown.
struct Password(Zeroizing<String>);

impl Exchange {
    /// Begins; a mechanism that was not offered is refused, known or not.
    pub fn start(mechanism: Mechanism, terms: Terms) -> Result<Exchange, Condition> {
        if !terms.offered.contains(&mechanism) {
            return Err(Condition::InvalidMechanism);
        }
        Ok(Exchange { mechanism, terms, state: State::Start { asked: false } })
    }

    /// Takes the client's next message, without its base64; empty if it sent no initial response.
    pub fn step(&mut self, message: &[u8]) -> Step {
        if message.len() > MESSAGE_BYTES_MAX {
            return self.over(Condition::MalformedRequest);
        }
        match mem::replace(&mut self.state, State::Over) {
            State::Start { asked } => self.first(message, asked),
            State::Proving(proof) => match proof.check(message) {
                Ok((account, verifier)) => {
                    Step::Success { identity: Identity::Account(account), data: Some(verifier) }
                }
                Err(condition) => Step::Failure(condition),
            },
            State::Password { .. } | State::Opened(_) | State::Over => {
                Step::Failure(Condition::MalformedRequest)
            }
        }
    }

    /// Goes on with the keys asked for, or with `None` if there is no such account: the client cannot tell.
    /// For PLAIN this hashes the password, which takes milliseconds: not for a thread that others wait for.
    pub fn credentials(&mut self, found: Option<Credentials>, decoy: &Decoy) -> Step {
        let known = found.is_some();
        match mem::replace(&mut self.state, State::Over) {
            State::Password { account, password } => {
                let keys = found.unwrap_or_else(|| decoy.credentials(PLAIN_HASH, account.as_str()));
                if keys.matches(PLAIN_HASH, &password.0) & known {
                    Step::Success { identity: Identity::Account(account), data: None }
                } else {
                    Step::Failure(Condition::NotAuthorized)
                }
            }
            State::Opened(opening) => {
                let keys = found.unwrap_or_else(|| decoy.credentials(opening.hash, opening.account.as_str()));
                let (challenge, proof) = opening.challenge(keys, known, &self.terms.nonce);
                self.state = State::Proving(proof);
                Step::Challenge(challenge)
            }
            State::Start { .. } | State::Proving(_) | State::Over => {
                Step::Failure(Condition::TemporaryAuthFailure)
            }
        }
    }

    fn first(&mut self, message: &[u8], asked: bool) -> Step {
        match self.mechanism {
            // The trace information (RFC 4505 §2) is nobody's business.
            Mechanism::Anonymous => Step::Success { identity: Identity::Anonymous, data: None },
            _ if message.is_empty() && !asked => {
                self.state = State::Start { asked: true };
                Step::Challenge(Vec::new())
            }
            Mechanism::Plain => match plain(message, &self.terms.domain) {
                Ok((account, password)) => {
                    self.state = State::Password { account: account.clone(), password };
                    Step::NeedCredentials { account, hash: PLAIN_HASH }
                }
                Err(condition) => Step::Failure(condition),
            },
            Mechanism::Scram { hash, plus } => match Opening::read(hash, plus, message, &self.terms) {
                Ok(opening) => {
                    let account = opening.account.clone();
                    self.state = State::Opened(opening);
                    Step::NeedCredentials { account, hash }
                }
                Err(condition) => Step::Failure(condition),
            },
        }
    }

    fn over(&mut self, condition: Condition) -> Step {
        self.state = State::Over;
        Step::Failure(condition)
    }
}

/// The account a simple user name means (RFC 6120 §6.3.7); a name that cannot be one has no account.
pub(super) fn account_of(name: &str, domain: &str) -> Result<Jid, Condition> {
    let name = stringprep::saslprep(name).map_err(|_| Condition::NotAuthorized)?;
    Jid::new(Some(&name), domain, None).map_err(|_| Condition::NotAuthorized)
}

/// One acts as oneself only (RFC 6120 §6.3.8).
pub(super) fn authorise(authzid: Option<&str>, account: &Jid) -> Result<(), Condition> {
    match authzid.map(str::parse::<Jid>) {
        None => Ok(()),
        Some(Ok(identity)) if identity == *account => Ok(()),
        Some(_) => Err(Condition::InvalidAuthzid),
    }
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
fn plain(message: &[u8], domain: &str) -> Result<(Jid, Password), Condition> {
    let text = std::str::from_utf8(message).map_err(|_| Condition::MalformedRequest)?;
    let fields: Vec<&str> = text.split('\0').collect();
    match fields[..] {
        [authzid, name, password] if !name.is_empty() && !password.is_empty() => {
            let account = account_of(name, domain)?;
            authorise(Some(authzid).filter(|authzid| !authzid.is_empty()), &account)?;
            Ok((account, Password(Zeroizing::new(password.to_owned()))))
        }
        _ => Err(Condition::MalformedRequest),
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}
