//! Rosters in memory.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Change, Item, Result, Roster, Rosters};

#[async_trait]
impl Rosters for Memory {
    async fn load(&self, account: &Jid) -> Result<Roster> {
        Ok(self.read(account, |kept| Roster {
            version: kept.version,
            items: kept.items.values().cloned().collect(),
            requests: kept.requests.values().cloned().collect(),
        }))
    }

    async fn item(&self, account: &Jid, contact: &Jid) -> Result<Option<Item>> {
        Ok(self.read(account, |kept| kept.items.get(contact.as_str()).cloned()))
    }

    async fn apply(&self, account: &Jid, changes: Vec<Change>) -> Result<u64> {
        changes.iter().try_for_each(Change::check)?;
        Ok(self.write(account, |kept| {
            kept.version += u64::from(changes.iter().any(Change::moves_version));
            for change in changes {
                match change {
                    Change::Put(item) => _ = kept.items.insert(item.jid.as_str().to_owned(), item),
                    Change::Remove(jid) => _ = kept.items.remove(jid.as_str()),
                    Change::Ask(ask) => _ = kept.requests.insert(ask.from.as_str().to_owned(), ask),
                    Change::Answer(jid) => _ = kept.requests.remove(jid.as_str()),
                }
            }
            kept.version
        }))
    }
}
