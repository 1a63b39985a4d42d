//! Accounts of those who log in as nobody in particular (RFC 4505, XEP-0175): made for one session, without keys, so
//! that nobody logs in to them again; whoever ends their session removes them.

use store::{Account, Error, Result, Store};
use xmpp::jid::Jid;

use crate::owner::random;

/// What their nodes begin with, so that they are found without reading every account.
const PREFIX: &str = "anonymous-";
/// Accounts looked at in one go.
const PAGE: usize = 256;

/// Whether an account was made for an anonymous session: no other is without keys.
pub(crate) fn is_anonymous(record: &Account) -> bool {
    record.keys.is_empty()
}

/// Makes an account of a domain under a name nobody can guess.
pub(crate) async fn create(store: &Store, domain: &str, now_ms: u64) -> Result<Jid> {
    let node = format!("{PREFIX}{:032x}", u128::from_be_bytes(random()));
    let account = Jid::new(Some(&node), domain, None).map_err(|error| Error::Refused(error.to_string()))?;
    let record = Account { created_ms: now_ms, ..Account::default() };
    store.accounts.create(&account, record).await?;
    Ok(account)
}

/// Removes an account if it was made for an anonymous session; true: it was.
pub(crate) async fn remove(store: &Store, account: &Jid) -> Result<bool> {
    let anonymous = account.node().is_some_and(|node| node.starts_with(PREFIX))
        && store.accounts.load(account).await?.as_ref().is_some_and(is_anonymous);
    if anonymous {
        store.remove_account(account).await?;
    }
    Ok(anonymous)
}

/// Removes those that a process has left behind when it died: at start, before anybody is let in.
pub(crate) async fn sweep(store: &Store, domain: &str) -> Result<usize> {
    let mut removed = 0;
    let Ok(mut after) = Jid::new(Some(PREFIX), domain, None) else { return Ok(removed) };
    loop {
        let page = store.accounts.list(domain, Some(&after), PAGE).await?;
        for account in &page {
            if !account.node().is_some_and(|node| node.starts_with(PREFIX)) {
                return Ok(removed);
            }
            removed += usize::from(remove(store, account).await?);
        }
        match page.into_iter().last() {
            Some(last) => after = last,
            None => return Ok(removed),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const DOMAIN: &str = "capulet.example";

    #[tokio::test]
    async fn what_was_left_behind_goes_and_nothing_else() {
        let store = store::memory::open();
        let mut left = Vec::new();
        for _ in 0..PAGE + 3 {
            left.push(create(&store, DOMAIN, 1).await.unwrap());
        }
        let people =
            ["anonymous-coward", "juliet", "a"].map(|node| Jid::new(Some(node), DOMAIN, None).unwrap());
        for person in &people {
            let record = Account { keys: Bytes::from_static(b"keys"), ..Account::default() };
            store.accounts.create(person, record).await.unwrap();
        }
        assert_eq!(sweep(&store, DOMAIN).await.unwrap(), left.len());
        assert_eq!(store.accounts.list(DOMAIN, None, 1_000).await.unwrap().len(), people.len());
        assert!(!remove(&store, &people[0]).await.unwrap());
    }
}
