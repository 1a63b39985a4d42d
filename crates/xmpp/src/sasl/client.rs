//! The client's side of a login, as our tests and load generators need it.

use std::mem;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::hash::{Hash, Secret};
use super::keys::{PasswordError, client_key, salted_password, server_key};
use super::mechanism::{Binding, Mechanism};
use super::message::{ServerFirst, escape, server_signature};

/// More than this a server has no reason to ask for (RFC 5802 §9: a hostile one could keep us busy).
const ITERATIONS_MAX: u32 = 1_000_000;

/// Who wants to log in, and how.
#[derive(Clone)]
pub struct Login {
    /// The user name; unused by ANONYMOUS.
    pub username: String,
    /// The password; unused by ANONYMOUS.
    pub password: Secret,
    /// The address to act as, if it is to be said.
    pub authzid: Option<String>,
    /// What a -PLUS mechanism binds to; with another mechanism, `Some` says that -PLUS was not offered (`y`).
    pub binding: Option<Binding>,
}

/// One attempt to log in.
pub struct Client {
    mechanism: Mechanism,
    login: Login,
    nonce: String,
    state: State,
}

/// What a server hashes a password with (RFC 5802 §3): while it stays the same, so does the salted password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salting<'a> {
    /// The hash function.
    pub hash: Hash,
    /// The account's salt.
    pub salt: &'a [u8],
    /// How often it is hashed.
    pub iterations: u32,
}

impl Salting<'_> {
    /// The salted password, which takes as long as the iterations do.
    pub fn apply(&self, password: &str) -> Result<Secret, PasswordError> {
        salted_password(self.hash, password, self.salt, self.iterations)
    }
}

/// Why a client gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server's message breaks the grammar or the order.
    #[error("the server's message is malformed")]
    Malformed,
    /// The server's nonce does not continue ours.
    #[error("the server's nonce is not ours")]
    Nonce,
    /// The server wants more iterations than is reasonable.
    #[error("the server asks for too many iterations")]
    Iterations,
    /// The server does not know the account: it is somebody else.
    #[error("the server has not proved that it knows the account")]
    Impostor,
    /// A -PLUS mechanism without a binding.
    #[error("there is no channel to bind to")]
    NoBinding,
    /// The password cannot be one.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

enum State {
    Start,
    Opened {
        first_bare: String,
    },
    Proved {
        signature: Secret,
    },
    /// Nothing more to hear, or nothing more to say.
    Over,
}

impl Client {
    /// Begins; `nonce` is fresh, from [`nonce`](super::nonce).
    pub fn start(mechanism: Mechanism, login: Login, nonce: String) -> Result<Client, ClientError> {
        if mechanism.is_plus() && login.binding.is_none() {
            return Err(ClientError::NoBinding);
        }
        Ok(Client { mechanism, login, nonce, state: State::Start })
    }

    /// The initial response.
    pub fn first(&mut self) -> Vec<u8> {
        let Login { username, password, authzid, .. } = &self.login;
        self.state = State::Over;
        match self.mechanism {
            Mechanism::Anonymous => Vec::new(),
            Mechanism::Plain => {
                let authzid = authzid.as_deref().unwrap_or_default();
                [authzid.as_bytes(), b"\0", username.as_bytes(), b"\0", password].concat()
            }
            Mechanism::Scram { .. } => {
                let first_bare = format!("n={},r={}", escape(username), self.nonce);
                let first = self.header() + &first_bare;
                self.state = State::Opened { first_bare };
                first.into_bytes()
            }
        }
    }

    /// Answers a challenge.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is of one lifetime of salts"
        )]
        self.respond_with(challenge, |salting, password| salting.apply(password))
    }

    /// Answers a challenge with a salted password from elsewhere, for somebody who keeps them.
    pub fn respond_with(
        &mut self,
        challenge: &[u8],
        salted: impl FnOnce(&Salting<'_>, &str) -> Result<Secret, PasswordError>,
    ) -> Result<Vec<u8>, ClientError> {
        match (mem::replace(&mut self.state, State::Over), self.mechanism) {
            // The server had not seen the initial response, and asks for it.
            (State::Start, _) if challenge.is_empty() => Ok(self.first()),
            (State::Opened { first_bare }, Mechanism::Scram { hash, .. }) => {
                self.prove(hash, &first_bare, challenge, salted)
            }
            _ => Err(ClientError::Malformed),
        }
    }

    /// Checks what came with the success: only who knows the account's keys can have made it.
    pub fn finish(&mut self, data: &[u8]) -> Result<(), ClientError> {
        match mem::replace(&mut self.state, State::Over) {
            State::Proved { signature } => {
                let claimed = server_signature(data).ok_or(ClientError::Malformed)?;
                bool::from(signature.ct_eq(&claimed)).then_some(()).ok_or(ClientError::Impostor)
            }
            State::Over if !matches!(self.mechanism, Mechanism::Scram { .. }) => Ok(()),
            _ => Err(ClientError::Impostor),
        }
    }

    fn prove(
        &mut self,
        hash: Hash,
        first_bare: &str,
        challenge: &[u8],
        salted: impl FnOnce(&Salting<'_>, &str) -> Result<Secret, PasswordError>,
    ) -> Result<Vec<u8>, ClientError> {
        let server = ServerFirst::parse(challenge).ok_or(ClientError::Malformed)?;
        if server.nonce.len() <= self.nonce.len() || !server.nonce.starts_with(&self.nonce) {
            return Err(ClientError::Nonce);
        }
        if server.iterations > ITERATIONS_MAX {
            return Err(ClientError::Iterations);
        }
        let password = std::str::from_utf8(&self.login.password).map_err(|_| PasswordError)?;
        let salting = Salting { hash, salt: &server.salt, iterations: server.iterations };
        let salted = salted(&salting, password)?;
        let key = client_key(hash, &salted);

        let binding = STANDARD.encode([self.header().as_bytes(), self.channel()].concat());
        let without_proof = format!("c={binding},r={}", server.nonce);
        let server_first = String::from_utf8_lossy(challenge);
        let auth_message = format!("{first_bare},{server_first},{without_proof}");

        let signature = hash.hmac(&hash.digest(&key), auth_message.as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature.iter()).map(|(k, s)| k ^ s).collect();
        let signature = hash.hmac(&server_key(hash, &salted), auth_message.as_bytes());
        self.state = State::Proved { signature };
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)).into_bytes())
    }

    fn header(&self) -> String {
        let flag = match &self.login.binding {
            Some(binding) if self.mechanism.is_plus() => format!("p={}", binding.kind),
            Some(_) => "y".to_owned(),
            None => "n".to_owned(),
        };
        let authzid = self.login.authzid.as_deref().map(|id| format!("a={}", escape(id))).unwrap_or_default();
        format!("{flag},{authzid},")
    }

    fn channel(&self) -> &[u8] {
        match &self.login.binding {
            Some(binding) if self.mechanism.is_plus() => &binding.bytes,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(challenge: &str) -> Result<Vec<u8>, ClientError> {
        let mut client = scram();
        client.first();
        client.respond(challenge.as_bytes())
    }

    fn scram() -> Client {
        let password = b"pencil".to_vec().into();
        let login = Login { username: "juliet".into(), password, authzid: None, binding: None };
        Client::start(Mechanism::Scram { hash: Hash::Sha256, plus: false }, login, "mine".into()).unwrap()
    }

    #[test]
    fn a_server_that_repeats_or_replaces_our_nonce_gets_no_proof() {
        assert!(asked("r=mineyours,s=AAAA,i=1").is_ok());
        assert_eq!(asked("r=mine,s=AAAA,i=1"), Err(ClientError::Nonce));
        assert_eq!(asked("r=yours,s=AAAA,i=1"), Err(ClientError::Nonce));
    }

    #[test]
    fn a_server_cannot_keep_us_busy() {
        assert_eq!(asked("r=mineyours,s=AAAA,i=1000001"), Err(ClientError::Iterations));
        for iterations in ["0", "-1", "", "x", "99999999999"] {
            let challenge = format!("r=mineyours,s=AAAA,i={iterations}");
            assert_eq!(asked(&challenge), Err(ClientError::Malformed), "{iterations:?}");
        }
    }

    #[test]
    fn a_server_that_does_not_know_the_account_is_found_out() {
        let mut client = scram();
        client.first();
        client.respond(b"r=mineyours,s=AAAA,i=1").unwrap();
        assert_eq!(client.finish(b"v=AAAA"), Err(ClientError::Impostor));
        // Success before the proof was asked for proves nothing.
        let mut client = scram();
        client.first();
        assert_eq!(client.finish(b""), Err(ClientError::Impostor));
    }

    #[test]
    fn a_plus_mechanism_wants_a_channel() {
        let plus = Mechanism::Scram { hash: Hash::Sha1, plus: true };
        assert_eq!(Client::start(plus, scram().login, "mine".into()).err(), Some(ClientError::NoBinding));
    }
}
