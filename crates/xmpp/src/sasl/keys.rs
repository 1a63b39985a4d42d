//! What is kept of a password: salted keys for each hash, from which nobody can log in elsewhere or read
//! the password (RFC 5802 §9).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hash::{Hash, Secret};

/// The length of the salts made here, in bytes.
pub const SALT_BYTES: usize = 16;
/// How often a password is hashed unless configured otherwise.
pub const ITERATIONS_DEFAULT: u32 = 10_000;

/// The salted keys of one password for one hash (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The salt, shown to whoever asks to log in.
    pub salt: Vec<u8>,
    /// How often the password was hashed.
    pub iterations: u32,
    /// `H(ClientKey)`: a client proves that it knows `ClientKey`.
    pub stored_key: Secret,
    /// `ServerKey`: the server proves that it knows the account.
    pub server_key: Secret,
}

/// The salted keys of one password for every hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// For SCRAM-SHA-1.
    pub sha1: Credentials,
    /// For SCRAM-SHA-256 and PLAIN.
    pub sha256: Credentials,
    /// For SCRAM-SHA-512.
    pub sha512: Credentials,
}

/// What an unknown account answers with, so that it looks like a known one (RFC 5802 §5.1): always the same
/// salt on every process that has the cluster's secret.
#[derive(Clone)]
pub struct Decoy {
    secret: Secret,
    iterations: u32,
}

/// A password that cannot be one: empty, or with characters that `SASLprep` forbids (RFC 4013 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("password is empty or has forbidden characters")]
pub struct PasswordError;

impl Keys {
    /// Salts and hashes a password for every hash; `salt` is asked for fresh randomness for each. Takes as
    /// long as logins by PLAIN do, three times over.
    pub fn from_password(
        password: &str,
        mut salt: impl FnMut() -> [u8; SALT_BYTES],
        iterations: u32,
    ) -> Result<Keys, PasswordError> {
        let mut derive = |hash| Credentials::derive(hash, password, &salt(), iterations);
        Ok(Keys { sha1: derive(Hash::Sha1)?, sha256: derive(Hash::Sha256)?, sha512: derive(Hash::Sha512)? })
    }

    /// The keys for one hash.
    pub fn of(&self, hash: Hash) -> &Credentials {
        match hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
            Hash::Sha512 => &self.sha512,
        }
    }
}

impl Credentials {
    /// Salts and hashes a password for one hash.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Result<Self, PasswordError> {
        let salted = salted_password(hash, password, salt, iterations)?;
        Ok(Credentials {
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&client_key(hash, &salted)),
            server_key: server_key(hash, &salted),
        })
    }

    /// Whether this is the password; takes as long as making the keys did.
    pub fn matches(&self, hash: Hash, password: &str) -> bool {
        Credentials::derive(hash, password, &self.salt, self.iterations)
            .is_ok_and(|derived| bool::from(derived.stored_key.ct_eq(&self.stored_key)))
    }
}

impl Decoy {
    /// `secret` is the same for the whole cluster and known to nobody else; `iterations` is what new
    /// passwords get.
    pub fn new(secret: &[u8], iterations: u32) -> Decoy {
        Decoy { secret: Zeroizing::new(secret.to_vec()), iterations }
    }

    /// Keys that no password has, for an account that is not there.
    pub(super) fn credentials(&self, hash: Hash, account: &str) -> Credentials {
        let derive = |what: &str| {
            let label = format!("{what}\0{}\0{account}", hash.output_bytes());
            Hash::Sha512.hmac(&self.secret, label.as_bytes())
        };
        let cut = |secret: Secret, bytes: usize| Zeroizing::new(secret[..bytes].to_vec());
        Credentials {
            salt: derive("salt")[..SALT_BYTES].to_vec(),
            iterations: self.iterations,
            stored_key: cut(derive("stored key"), hash.output_bytes()),
            server_key: cut(derive("server key"), hash.output_bytes()),
        }
    }
}

/// `SaltedPassword` (RFC 5802 §3), of the password as `SASLprep` makes it.
pub(super) fn salted_password(
    hash: Hash,
    password: &str,
    salt: &[u8],
    iterations: u32,
) -> Result<Secret, PasswordError> {
    let password = stringprep::saslprep(password).map_err(|_| PasswordError)?;
    if password.is_empty() {
        return Err(PasswordError);
    }
    let password = Zeroizing::new(password.into_owned());
    Ok(hash.stretch(password.as_bytes(), salt, iterations))
}

pub(super) fn client_key(hash: Hash, salted: &[u8]) -> Secret {
    hash.hmac(salted, b"Client Key")
}

pub(super) fn server_key(hash: Hash, salted: &[u8]) -> Secret {
    hash.hmac(salted, b"Server Key")
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoy").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}
