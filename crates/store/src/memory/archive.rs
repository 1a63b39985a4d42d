//! Archive in memory.

use std::ops::Bound;

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Archive, Result, Row, archive::PAGE_ROWS_MAX};

#[async_trait]
impl Archive for Memory {
    async fn append(&self, rows: &[Row]) -> Result<()> {
        rows.iter().try_for_each(Row::check)?;
        let mut state = self.state.lock();
        for row in rows {
            let kept = state.kept.entry(row.archive.bare_str().to_owned()).or_default();
            kept.last_id = kept.last_id.max(row.id);
            kept.rows.insert(row.id, row.clone());
        }
        Ok(())
    }

    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()> {
        self.write(archive, |kept| {
            for id in ids {
                kept.rows.remove(id);
                kept.last_id = kept.last_id.max(*id);
            }
        });
        Ok(())
    }

    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>> {
        Ok(self.read(archive, |kept| kept.rows.get(&id).cloned()))
    }

    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        Ok(self.read(archive, |kept| {
            let rows = kept.rows.range((Bound::Excluded(id), Bound::Unbounded));
            rows.map(|(_, row)| row.clone()).take(limit.min(PAGE_ROWS_MAX)).collect()
        }))
    }

    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        Ok(self.read(archive, |kept| ascending(kept.rows.range(..id).rev().map(|(_, row)| row), limit)))
    }

    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>> {
        Ok(self.read(archive, |kept| {
            ascending(kept.rows.values().rev().take_while(|row| row.stamp_ms >= since_ms), limit)
        }))
    }

    async fn last_id(&self, archive: &Jid) -> Result<u64> {
        Ok(self.read(archive, |kept| kept.last_id))
    }
}

/// A page of rows that come newest first.
fn ascending<'a>(descending: impl Iterator<Item = &'a Row>, limit: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = descending.take(limit.min(PAGE_ROWS_MAX)).cloned().collect();
    rows.reverse();
    rows
}
