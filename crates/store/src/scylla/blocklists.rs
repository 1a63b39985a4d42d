//! Block lists: one partition each.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::{Scylla, cql::Statement, jid};
use crate::{Blocklists, Result};

const LOAD: Statement = Statement::read("SELECT blocked FROM blocklists WHERE account = ?");
const BLOCK: Statement =
    Statement::write("INSERT INTO blocklists (account, blocked) VALUES (?, ?) USING TIMESTAMP ?");
const UNBLOCK: Statement =
    Statement::write("DELETE FROM blocklists USING TIMESTAMP ? WHERE account = ? AND blocked = ?");

#[async_trait]
impl Blocklists for Scylla {
    async fn load(&self, account: &Jid) -> Result<Vec<Jid>> {
        let blocked: Vec<(String,)> = self.cql.rows(&LOAD, (account.bare_str(),)).await?;
        blocked.iter().map(|(blocked,)| jid(blocked)).collect()
    }

    async fn block(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        if jids.is_empty() {
            return Ok(());
        }
        let account = account.bare_str();
        let stamp = self.stamp(account).await?;
        let values = jids.iter().map(|blocked| (account, blocked.as_str(), stamp)).collect();
        self.cql.write_all(&BLOCK, values).await
    }

    async fn unblock(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        if jids.is_empty() {
            return Ok(());
        }
        let account = account.bare_str();
        let stamp = self.stamp(account).await?;
        let values = jids.iter().map(|blocked| (stamp, account, blocked.as_str())).collect();
        self.cql.write_all(&UNBLOCK, values).await
    }

    async fn clear(&self, account: &Jid) -> Result<Vec<Jid>> {
        let blocked = Blocklists::load(self, account).await?;
        self.unblock(account, &blocked).await?;
        Ok(blocked)
    }
}
