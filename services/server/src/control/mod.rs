//! Administration of accounts: a conversation in lines of JSON, the same whether the server runs or not.
//!
//! A server that runs answers on a socket in its data folder, which only its own user can open. If none runs, the
//! command opens the store itself and talks to the same [`Admin`] in memory.

mod access;
mod admin;
mod digest;
mod listen;
mod record;
mod transfer;

use serde::{Deserialize, Serialize};

pub(crate) use access::{Access, Next};
pub(crate) use admin::{Admin, now_ms};
pub(crate) use digest::Digest;
pub(crate) use listen::listen;

/// The socket's name in the data folder.
pub(crate) const SOCKET: &str = "control.sock";

/// A line at most, in bytes: the largest hibernated session in base64, and what goes with it.
const LINE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The one thing that is asked in a conversation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Adds an account.
    Add { account: String, password: String },
    /// Gives an account another password.
    Passwd { account: String, password: String },
    /// Removes an account with everything that is kept of it.
    Remove { account: String },
    /// Lists accounts, of one domain or of all.
    List { domain: Option<String> },
    /// Gives every record.
    Export,
    /// Takes records, which follow as lines until the asker closes its side.
    Import,
}

/// What is answered, a line each; the last is `Done` or `Refused`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// An account.
    Account(String),
    /// A record, as a line of the file of an export.
    Record(String),
    /// So many accounts are done, of so many.
    Progress(u64, u64),
    /// It is done; in words.
    Done(String),
    /// It was not done, for this reason.
    Refused(String),
}
