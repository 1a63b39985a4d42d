//! Keyspaces and the keys in them.
//!
//! A key of something of an account is its bare JID, a nul, and what tells it from its neighbours. No JID has a nul
//! (RFC 7622 §3.1), so accounts never mix, and a removal finds everything under one prefix.

use fjall::Slice;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The keyspaces, in the order of [`Noun::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Noun {
    /// domain, nul, node → account.
    Accounts,
    /// → activity.
    Activity,
    /// bare JID → nothing: an account that is being removed.
    Removals,
    /// nothing → version; `i`, contact → item; `r`, contact → request.
    Rosters,
    /// JID → nothing.
    Blocklists,
    /// namespace, nul, key → document.
    Documents,
    /// id → row.
    Archive,
    /// → the greatest id deleted.
    LastIds,
    /// → cursor.
    Cursors,
    /// member → epoch.
    Epochs,
    /// origin → session.
    Hibernated,
    /// origin → deadline and bare JID of a session.
    Deadlines,
}

impl Noun {
    pub(super) const ALL: [Self; 12] = [
        Self::Accounts,
        Self::Activity,
        Self::Removals,
        Self::Rosters,
        Self::Blocklists,
        Self::Documents,
        Self::Archive,
        Self::LastIds,
        Self::Cursors,
        Self::Epochs,
        Self::Hibernated,
        Self::Deadlines,
    ];

    /// Those whose keys begin with the bare JID and a nul: what is removed with an account.
    pub(super) const OF_ACCOUNT: [Self; 8] = [
        Self::Activity,
        Self::Rosters,
        Self::Blocklists,
        Self::Documents,
        Self::Archive,
        Self::LastIds,
        Self::Cursors,
        Self::Hibernated,
    ];

    /// The name in the files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Activity => "activity",
            Self::Removals => "removals",
            Self::Rosters => "rosters",
            Self::Blocklists => "blocklists",
            Self::Documents => "documents",
            Self::Archive => "archive",
            Self::LastIds => "last_ids",
            Self::Cursors => "cursors",
            Self::Epochs => "epochs",
            Self::Hibernated => "hibernated",
            Self::Deadlines => "deadlines",
        }
    }
}

/// The key of what an account has once, and the prefix of everything of it.
pub(super) fn of(account: &Jid) -> Vec<u8> {
    joined(account, &[])
}

/// The key of what an account has under these names, which follow each other without a separator.
pub(super) fn joined(account: &Jid, names: &[&[u8]]) -> Vec<u8> {
    let names_bytes: usize = names.iter().map(|name| name.len()).sum();
    let mut key = Vec::with_capacity(account.bare_str().len() + 1 + names_bytes);
    join(account, names, &mut key);
    key
}

/// As [`joined`], in the place of what a buffer held.
pub(super) fn join(account: &Jid, names: &[&[u8]], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(account.bare_str().as_bytes());
    key.push(0);
    for name in names {
        key.extend_from_slice(name);
    }
}

/// Reads a number that was written in big-endian bytes.
pub(super) fn number(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.try_into().map_err(|_| Error::Corrupt("a number is not of eight bytes".into()))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Reads a text that was written as its bytes.
pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::Corrupt("a text is not UTF-8".into()))
}

/// Reads a JID that was written as its text.
pub(super) fn jid(bytes: &[u8]) -> Result<Jid> {
    Jid::from_prepared(text(bytes)?).map_err(|error| Error::Corrupt(error.to_string()))
}

/// The part of a key after a prefix of this length.
pub(super) fn after(key: &Slice, length: usize) -> Result<&[u8]> {
    key.get(length..).ok_or_else(|| Error::Corrupt("a key is too short".into()))
}
