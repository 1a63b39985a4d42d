//! Cursors on disk: one entry an account.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
    record::{self, Writer},
};
use crate::{Cursor, Cursors, Result};

#[async_trait]
impl Cursors for Disk {
    async fn load(&self, account: &Jid) -> Result<Cursor> {
        let value = self.value(Noun::Cursors, &keys::of(account))?;
        Ok(value.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default())
    }

    async fn save(&self, cursors: &[(Jid, Cursor)]) -> Result<()> {
        cursors.iter().try_for_each(|(_, cursor)| cursor.check())?;
        let ops = cursors.iter().map(|(account, cursor)| {
            let record = Writer::with_capacity(16 + 10 * cursor.above.len()).number(1, cursor.lowest);
            let record = cursor.above.iter().fold(record, |record, id| record.element(2, *id));
            Op::put(Noun::Cursors, keys::of(account), record.finish())
        });
        self.write(ops.collect(), Vec::new()).await
    }
}

fn decode(bytes: &[u8]) -> Result<Cursor> {
    let mut cursor = Cursor::default();
    for field in record::fields(bytes) {
        match field? {
            (1, lowest) => cursor.lowest = lowest.number()?,
            (2, id) => cursor.above.push(id.number()?),
            _ => {}
        }
    }
    Ok(cursor)
}
