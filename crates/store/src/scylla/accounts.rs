//! Accounts, decided by compare-and-set. An account that is being removed keeps its row until nothing else is left, so
//! that nobody takes its name meanwhile ([`super::removal`]).

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{Scylla, cql::Statement, listing::shard};
use crate::{
    Account, Accounts, Activity, Error, Result,
    accounts::{check, check_activity},
};

const CREATE: Statement = Statement::decide(
    "INSERT INTO accounts (domain, shard, node, verifiers, created_ms, disabled, removing) \
     VALUES (?, ?, ?, ?, ?, ?, false) IF NOT EXISTS",
);
const LOAD: Statement = Statement::read(
    "SELECT verifiers, created_ms, disabled, removing FROM accounts WHERE domain = ? AND shard = ? AND node = ?",
);
const REPLACE: Statement = Statement::decide(
    "UPDATE accounts SET verifiers = ?, created_ms = ?, disabled = ? \
     WHERE domain = ? AND shard = ? AND node = ? IF removing = false",
);
const ACTIVITY: Statement = Statement::read("SELECT at_ms, status FROM activity WHERE account = ?");
const SET_ACTIVITY: Statement =
    Statement::write("INSERT INTO activity (account, at_ms, status) VALUES (?, ?, ?) USING TIMESTAMP ?");

#[async_trait]
impl Accounts for Scylla {
    async fn create(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        let _held = self.locks.hold(account.bare_str().as_bytes()).await;
        let (domain, shard, node) = key(account);
        let values = (domain, shard, node, record.keys, record.created_ms.cast_signed(), record.disabled);
        if self.cql.decide(&CREATE, values).await? { Ok(()) } else { Err(Error::Conflict) }
    }

    async fn load(&self, account: &Jid) -> Result<Option<Account>> {
        type Found = (Option<Bytes>, Option<i64>, Option<bool>, Option<bool>);
        let found: Option<Found> = self.cql.row(&LOAD, key(account)).await?;
        let found = found.filter(|(.., removing)| *removing != Some(true));
        Ok(found.map(|(keys, created_ms, disabled, _)| Account {
            keys: keys.unwrap_or_default(),
            created_ms: created_ms.unwrap_or_default().cast_unsigned(),
            disabled: disabled.unwrap_or_default(),
        }))
    }

    async fn replace(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        let _held = self.locks.hold(account.bare_str().as_bytes()).await;
        let (domain, shard, node) = key(account);
        let values = (record.keys, record.created_ms.cast_signed(), record.disabled, domain, shard, node);
        if self.cql.decide(&REPLACE, values).await? { Ok(()) } else { Err(Error::Missing) }
    }

    async fn remove(&self, account: &Jid) -> Result<()> {
        self.remove_whole_account(&account.bare()).await
    }

    async fn list(&self, domain: &str, after: Option<&Jid>, limit: usize) -> Result<Vec<Jid>> {
        self.list_accounts(domain, after, limit).await
    }

    async fn last_activity(&self, account: &Jid) -> Result<Option<Activity>> {
        let found: Option<(i64, String)> = self.cql.row(&ACTIVITY, (account.bare_str(),)).await?;
        Ok(found.map(|(at_ms, status)| Activity { at_ms: at_ms.cast_unsigned(), status }))
    }

    async fn set_last_activity(&self, account: &Jid, activity: Activity) -> Result<()> {
        check_activity(&activity)?;
        let account = account.bare_str();
        let stamp = self.stamp(account).await?;
        self.cql.write(&SET_ACTIVITY, (account, activity.at_ms.cast_signed(), activity.status, stamp)).await
    }
}

/// The key of an account's row.
pub(super) fn key(account: &Jid) -> (&str, i32, &str) {
    let node = account.node().unwrap_or_default();
    (account.domain(), shard(node), node)
}
