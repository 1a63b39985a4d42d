//! The server's side of SCRAM (RFC 5802 §3, §5, §6) in two steps: [`Opening`], then [`Proof`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::condition::Condition;
use super::hash::Hash;
use super::keys::Credentials;
use super::mechanism::BindingKind;
use super::message::{ClientFinal, ClientFirst, Flag};
use super::server::{Terms, account_of, authorise};
use crate::jid::Jid;

/// What a client's first message asked for.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) hash: Hash,
    pub(super) account: Jid,
    first_bare: String,
    client_nonce: String,
    /// What `c=` must be: the header and the channel's bytes.
    binding: String,
}

/// What a client has to prove.
#[derive(Debug)]
pub(super) struct Proof {
    hash: Hash,
    account: Jid,
    credentials: Credentials,
    /// Without an account the exchange goes on to its end, where no proof is good enough.
    known: bool,
    binding: String,
    nonce: String,
    /// The first two messages of `AuthMessage`.
    so_far: String,
}

impl Opening {
    pub(super) fn read(hash: Hash, plus: bool, message: &[u8], terms: &Terms) -> Result<Self, Condition> {
        let first = ClientFirst::parse(message).ok_or(Condition::MalformedRequest)?;
        let channel = channel_bytes(first.flag, plus, terms)?;
        let account = account_of(&first.name, &terms.domain)?;
        authorise(first.authzid.as_deref(), &account)?;
        Ok(Opening {
            hash,
            account,
            first_bare: first.bare.to_owned(),
            client_nonce: first.nonce.to_owned(),
            binding: STANDARD.encode([first.header.as_bytes(), channel].concat()),
        })
    }

    /// The `server-first-message`, and what is to be proved now.
    pub(super) fn challenge(self, credentials: Credentials, known: bool, nonce: &str) -> (Vec<u8>, Proof) {
        let nonce = format!("{}{nonce}", self.client_nonce);
        let salt = STANDARD.encode(&credentials.salt);
        let server_first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        let so_far = format!("{},{server_first}", self.first_bare);
        let Opening { hash, account, binding, .. } = self;
        (server_first.into_bytes(), Proof { hash, account, credentials, known, binding, nonce, so_far })
    }
}

impl Proof {
    /// Checks the `client-final-message`; the answer is the `server-final-message`.
    pub(super) fn check(self, message: &[u8]) -> Result<(Jid, Vec<u8>), Condition> {
        let last = ClientFinal::parse(message).ok_or(Condition::MalformedRequest)?;
        if last.nonce != self.nonce || last.binding != self.binding {
            return Err(Condition::NotAuthorized);
        }
        let auth_message = format!("{},{}", self.so_far, last.without_proof);
        let signature = self.hash.hmac(&self.credentials.stored_key, auth_message.as_bytes());
        if last.proof.len() != signature.len() {
            return Err(Condition::MalformedRequest);
        }
        let client_key: super::Secret =
            signature.iter().zip(&last.proof).map(|(s, p)| s ^ p).collect::<Vec<u8>>().into();
        let proved = self.hash.digest(&client_key).ct_eq(&self.credentials.stored_key);
        if !(bool::from(proved) & self.known) {
            return Err(Condition::NotAuthorized);
        }
        let verifier = self.hash.hmac(&self.credentials.server_key, auth_message.as_bytes());
        Ok((self.account, format!("v={}", STANDARD.encode(&*verifier)).into_bytes()))
    }
}

/// The bytes of the channel the client binds to (RFC 5802 §6); empty without -PLUS.
fn channel_bytes<'t>(flag: Flag<'_>, plus: bool, terms: &'t Terms) -> Result<&'t [u8], Condition> {
    match flag {
        Flag::Type(name) if plus => {
            let kind = BindingKind::parse(name).ok_or(Condition::NotAuthorized)?;
            let binding = terms.bindings.iter().find(|binding| binding.kind == kind);
            binding.map(|binding| &*binding.bytes).ok_or(Condition::NotAuthorized)
        }
        // It saw no -PLUS where we offered one: somebody took it from the list.
        Flag::Unoffered if !plus && terms.offered.iter().any(|m| m.is_plus()) => {
            Err(Condition::NotAuthorized)
        }
        Flag::Unsupported | Flag::Unoffered if !plus => Ok(&[]),
        _ => Err(Condition::MalformedRequest),
    }
}
