//! Accounts in memory.

use async_trait::async_trait;
use std::ops::Bound;
use xmpp::jid::Jid;

use super::Memory;
use crate::{
    Account, Accounts, Activity, Error, Result,
    accounts::{check, check_activity},
};

#[async_trait]
impl Accounts for Memory {
    async fn create(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        let mut state = self.state.lock();
        let key = key(account);
        if state.accounts.contains_key(&key) {
            return Err(Error::Conflict);
        }
        state.accounts.insert(key, record);
        Ok(())
    }

    async fn load(&self, account: &Jid) -> Result<Option<Account>> {
        Ok(self.state.lock().accounts.get(&key(account)).cloned())
    }

    async fn replace(&self, account: &Jid, record: Account) -> Result<()> {
        check(&record)?;
        *self.state.lock().accounts.get_mut(&key(account)).ok_or(Error::Missing)? = record;
        Ok(())
    }

    async fn remove(&self, account: &Jid) -> Result<()> {
        let mut state = self.state.lock();
        state.accounts.remove(&key(account));
        state.kept.remove(account.bare_str());
        state.hibernated.retain(|_, session| session.account.bare_str() != account.bare_str());
        Ok(())
    }

    async fn list(&self, domain: &str, after: Option<&Jid>, limit: usize) -> Result<Vec<Jid>> {
        let start = match after {
            Some(after) => Bound::Excluded((domain.to_owned(), after.node().unwrap_or_default().to_owned())),
            None => Bound::Included((domain.to_owned(), String::new())),
        };
        let state = self.state.lock();
        let found =
            state.accounts.range((start, Bound::Unbounded)).take_while(|((held, _), _)| held == domain);
        found.take(limit).map(|((_, node), _)| jid(node, domain)).collect()
    }

    async fn last_activity(&self, account: &Jid) -> Result<Option<Activity>> {
        Ok(self.read(account, |kept| kept.activity.clone()))
    }

    async fn set_last_activity(&self, account: &Jid, activity: Activity) -> Result<()> {
        check_activity(&activity)?;
        self.write(account, |kept| kept.activity = Some(activity));
        Ok(())
    }
}

fn key(account: &Jid) -> (String, String) {
    (account.domain().to_owned(), account.node().unwrap_or_default().to_owned())
}

fn jid(node: &str, domain: &str) -> Result<Jid> {
    let text = if node.is_empty() { domain.to_owned() } else { format!("{node}@{domain}") };
    Jid::from_prepared(&text).map_err(|error| Error::Corrupt(error.to_string()))
}
