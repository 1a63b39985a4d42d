//! Accounts on disk.
//!
//! A removal is marked together with the end of the account, deletes everything else in pieces, and takes the mark away
//! last; what a crash left of it is done when the store is next opened.

use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Database;
use xmpp::jid::Jid;

use super::{
    Disk, Keyspaces,
    commit::{Op, perform},
    keys::{self, Noun},
    reading,
    record::{self, Writer},
};
use crate::{
    Account, Accounts, Activity, Error, Result,
    accounts::{check, check_activity},
};

/// The entries that one step of a removal deletes.
const STEP_ENTRIES: usize = 1000;

#[async_trait]
impl Accounts for Disk {
    async fn create(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        let bare = account.bare_str().as_bytes();
        let held = self.locks.hold(bare).await;
        let key = key(account);
        if self.value(Noun::Accounts, &key)?.is_some() || self.value(Noun::Removals, bare)?.is_some() {
            return Err(Error::Conflict);
        }
        self.write(vec![Op::put(Noun::Accounts, key, encode(&record))], held).await
    }

    async fn load(&self, account: &Jid) -> Result<Option<Account>> {
        self.value(Noun::Accounts, &key(account))?.map(|bytes| decode(&bytes)).transpose()
    }

    async fn replace(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        let held = self.locks.hold(account.bare_str().as_bytes()).await;
        let key = key(account);
        self.value(Noun::Accounts, &key)?.ok_or(Error::Missing)?;
        self.write(vec![Op::put(Noun::Accounts, key, encode(&record))], held).await
    }

    async fn remove(&self, account: &Jid) -> Result<()> {
        let bare = account.bare_str().as_bytes();
        let held = self.locks.hold(bare).await;
        let gone = vec![Op::delete(Noun::Accounts, key(account)), Op::put(Noun::Removals, bare, b"")];
        self.write(gone, held).await?;
        loop {
            let prefix = keys::of(account);
            let step = self.scan(move |keyspaces| step(keyspaces, &prefix)).await?;
            if step.is_empty() {
                break;
            }
            self.write(step, Vec::new()).await?;
        }
        self.write(vec![Op::delete(Noun::Removals, bare)], Vec::new()).await
    }

    async fn list(&self, domain: &str, after: Option<&Jid>, limit: usize) -> Result<Vec<Jid>> {
        let prefix = of_domain(domain);
        let start = match after.and_then(Jid::node) {
            Some(node) => Bound::Excluded([&prefix, node.as_bytes()].concat()),
            None if after.is_some() => Bound::Excluded(prefix.clone()),
            None => Bound::Included(prefix.clone()),
        };
        let mut end = prefix.clone();
        *end.last_mut().ok_or(Error::Missing)? = 1;
        self.scan(move |keyspaces| {
            let found = keyspaces.of(Noun::Accounts).range((start, Bound::Excluded(end))).take(limit);
            found.map(|entry| jid(&entry.key().map_err(reading)?, prefix.len())).collect()
        })
        .await
    }

    async fn last_activity(&self, account: &Jid) -> Result<Option<Activity>> {
        self.value(Noun::Activity, &keys::of(account))?.map(|bytes| decode_activity(&bytes)).transpose()
    }

    async fn set_last_activity(&self, account: &Jid, activity: Activity) -> Result<()> {
        check_activity(&activity)?;
        let record = Writer::with_capacity(16 + activity.status.len()).number(1, activity.at_ms);
        let record = record.bytes(2, activity.status.as_bytes()).finish();
        self.write(vec![Op::put(Noun::Activity, keys::of(account), record)], Vec::new()).await
    }
}

/// Does what is left of removals when the store is opened.
pub(super) fn finish_removals(database: &Database, keyspaces: &Keyspaces) -> Result<()> {
    let failed = |error: fjall::Error| Error::Refused(format!("a removal cannot be finished: {error}"));
    for removal in keyspaces.prefix(Noun::Removals, b"") {
        let (bare, _) = removal?;
        tracing::info!("an account's removal is being finished");
        let prefix = keys::of(&keys::jid(&bare)?);
        loop {
            let step = step(keyspaces, &prefix)?;
            if step.is_empty() {
                break;
            }
            perform(database, keyspaces, step).map_err(failed)?;
        }
        perform(database, keyspaces, vec![Op::delete(Noun::Removals, bare)]).map_err(failed)?;
    }
    Ok(())
}

/// The next entries to delete of what begins with the prefix; none when nothing is left.
fn step(keyspaces: &Keyspaces, prefix: &[u8]) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for noun in Noun::OF_ACCOUNT {
        for entry in keyspaces.of(noun).prefix(prefix).take(STEP_ENTRIES - ops.len()) {
            ops.push(Op::delete(noun, entry.key().map_err(reading)?));
        }
    }
    Ok(ops)
}

fn key(account: &Jid) -> Vec<u8> {
    [&of_domain(account.domain()), account.node().unwrap_or_default().as_bytes()].concat()
}

fn of_domain(domain: &str) -> Vec<u8> {
    [domain.as_bytes(), b"\0"].concat()
}

/// The JID of a key whose domain, with its nul, has this length.
fn jid(key: &[u8], length: usize) -> Result<Jid> {
    let (domain, node) = key.split_at(length);
    match node {
        [] => keys::jid(&domain[..length - 1]),
        node => keys::jid(&[node, b"@", &domain[..length - 1]].concat()),
    }
}

fn encode(account: &Account) -> Vec<u8> {
    let record = Writer::with_capacity(32 + account.keys.len()).bytes(1, &account.keys);
    record.number(2, account.created_ms).flag(3, account.disabled).finish()
}

fn decode(bytes: &[u8]) -> Result<Account> {
    let mut account = Account::default();
    for field in record::fields(bytes) {
        match field? {
            (1, keys) => account.keys = Bytes::copy_from_slice(keys.bytes()?),
            (2, created) => account.created_ms = created.number()?,
            (3, disabled) => account.disabled = disabled.flag()?,
            _ => {}
        }
    }
    Ok(account)
}

fn decode_activity(bytes: &[u8]) -> Result<Activity> {
    let mut activity = Activity::default();
    for field in record::fields(bytes) {
        match field? {
            (1, at) => activity.at_ms = at.number()?,
            (2, status) => keys::text(status.bytes()?)?.clone_into(&mut activity.status),
            _ => {}
        }
    }
    Ok(activity)
}
