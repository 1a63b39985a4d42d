//! Accounts: who exists here, what proves it, and when they were last seen.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of an account's keys at most.
pub const KEYS_BYTES_MAX: usize = 16 * 1024;

/// The bytes of a status at most.
pub const STATUS_BYTES_MAX: usize = 4 * 1024;

/// An account, without what other nouns keep of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What a client's proof is checked against: salted and hashed keys, encoded by whoever checks. Never a password,
    /// never interpreted here, at most [`KEYS_BYTES_MAX`].
    pub keys: Bytes,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// Nobody may log in, everything else stays.
    pub disabled: bool,
}

/// When an account was last there (XEP-0012 §4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// When its last session ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// The status of its last unavailable presence, empty if it had none, at most [`STATUS_BYTES_MAX`].
    pub status: String,
}

/// The accounts of every domain served here.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Creates an account; [`crate::Error::Conflict`] if there is one of that name, or if one is still being removed.
    async fn create(&self, account: &Jid, record: Account) -> Result<()>;

    /// The record of an account; `None` if it does not exist. Never slow, so it is also the test of existence.
    async fn load(&self, account: &Jid) -> Result<Option<Account>>;

    /// Replaces the record of an account; [`crate::Error::Missing`] if it does not exist.
    async fn replace(&self, account: &Jid, record: Account) -> Result<()>;

    /// Removes an account and everything that any noun keeps of it, its archive too; it need not exist.
    ///
    /// From the start it does not exist for [`Self::load`]; if the process dies midway, the rest is removed when the
    /// store is next opened. Nothing may write to other nouns of this account meanwhile.
    async fn remove(&self, account: &Jid) -> Result<()>;

    /// The accounts of a domain, ordered by the bytes of their nodes: at most `limit` after the one given.
    async fn list(&self, domain: &str, after: Option<&Jid>, limit: usize) -> Result<Vec<Jid>>;

    /// When the account was last there; `None` if that was never recorded.
    async fn last_activity(&self, account: &Jid) -> Result<Option<Activity>>;

    /// Records when the account was last there. The account need not exist.
    async fn set_last_activity(&self, account: &Jid, activity: Activity) -> Result<()>;
}

pub(crate) fn check(record: &Account) -> Result<()> {
    Error::if_larger("the keys of an account in bytes", record.keys.len(), KEYS_BYTES_MAX)
}

pub(crate) fn check_activity(activity: &Activity) -> Result<()> {
    Error::if_larger("a status in bytes", activity.status.len(), STATUS_BYTES_MAX)
}
