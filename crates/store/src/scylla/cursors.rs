//! Cursors: one row an account.

use async_trait::async_trait;
use futures_util::future::join_all;
use xmpp::jid::Jid;

use super::{Scylla, appending::outcome, cql::Statement};
use crate::{Cursor, Cursors, Result};

const LOAD: Statement = Statement::read("SELECT lowest, above FROM cursors WHERE account = ?");
const SAVE: Statement =
    Statement::write("INSERT INTO cursors (account, lowest, above) VALUES (?, ?, ?) USING TIMESTAMP ?");

#[async_trait]
impl Cursors for Scylla {
    async fn load(&self, account: &Jid) -> Result<Cursor> {
        let found: Option<(i64, Option<Vec<i64>>)> = self.cql.row(&LOAD, (account.bare_str(),)).await?;
        Ok(found.map_or_else(Cursor::default, |(lowest, above)| Cursor {
            lowest: lowest.cast_unsigned(),
            above: above.unwrap_or_default().into_iter().map(i64::cast_unsigned).collect(),
        }))
    }

    async fn save(&self, cursors: &[(Jid, Cursor)]) -> Result<()> {
        cursors.iter().try_for_each(|(_, cursor)| cursor.check())?;
        outcome(join_all(cursors.iter().map(|(account, cursor)| self.save_one(account, cursor))).await)
    }
}

impl Scylla {
    async fn save_one(&self, account: &Jid, cursor: &Cursor) -> Result<()> {
        let account = account.bare_str();
        let above: Vec<i64> = cursor.above.iter().map(|id| id.cast_signed()).collect();
        let stamp = self.stamp(account).await?;
        self.cql.write(&SAVE, (account, cursor.lowest.cast_signed(), above, stamp)).await
    }
}
