//! Blocklists in memory.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Blocklists, Result};

#[async_trait]
impl Blocklists for Memory {
    async fn load(&self, account: &Jid) -> Result<Vec<Jid>> {
        Ok(self.read(account, |kept| kept.blocked.values().cloned().collect()))
    }

    async fn block(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        let blocked = jids.iter().map(|jid| (jid.as_str().to_owned(), jid.clone()));
        self.write(account, |kept| kept.blocked.extend(blocked));
        Ok(())
    }

    async fn unblock(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        self.write(account, |kept| {
            kept.blocked.retain(|held, _| !jids.iter().any(|jid| jid.as_str() == held));
        });
        Ok(())
    }

    async fn clear(&self, account: &Jid) -> Result<Vec<Jid>> {
        Ok(self.write(account, |kept| std::mem::take(&mut kept.blocked).into_values().collect()))
    }
}
