//! Login (RFC 6120 §6), both sides, as machines without I/O: client bytes and credentials go in, [`Step`]s
//! come out. The caller does the base64 of the stream, finds the credentials and supplies all randomness.
//!
//! The story: [`offered`] names the mechanisms of a stream; [`Exchange`] runs the one a client chose against
//! the salted keys of an account ([`Credentials`]); [`Client`] is the other side, for tests and load.

mod client;
mod condition;
mod hash;
mod keys;
mod mechanism;
mod message;
mod scram;
mod server;

pub use client::{Client, ClientError, Login, Salting};
pub use condition::Condition;
pub use hash::{Hash, Secret};
pub use keys::{Credentials, Decoy, ITERATIONS_DEFAULT, Keys, PasswordError, SALT_BYTES};
pub use mechanism::{Binding, BindingKind, Mechanism, offered};
pub use server::{Exchange, Identity, MESSAGE_BYTES_MAX, Step, Terms};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How much randomness makes a nonce, in bytes.
pub const NONCE_BYTES: usize = 18;

/// A nonce (RFC 5802 §5.1) of fresh randomness; each exchange needs its own.
pub fn nonce(random: [u8; NONCE_BYTES]) -> String {
    STANDARD.encode(random)
}
