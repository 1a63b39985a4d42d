//! Cursors in memory.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Cursor, Cursors, Result};

#[async_trait]
impl Cursors for Memory {
    async fn load(&self, account: &Jid) -> Result<Cursor> {
        Ok(self.read(account, |kept| kept.cursor.clone()))
    }

    async fn save(&self, cursors: &[(Jid, Cursor)]) -> Result<()> {
        cursors.iter().try_for_each(|(_, cursor)| cursor.check())?;
        for (account, cursor) in cursors {
            self.write(account, |kept| kept.cursor = cursor.clone());
        }
        Ok(())
    }
}
