//! The archive on disk: one entry a row, in the order of ids.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use fjall::Slice;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
    reading,
};
use crate::{
    Archive, Result, Row,
    archive::{
        PAGE_ROWS_MAX,
        record::{decode, encode},
    },
};

/// What most rows take at most.
const ROW_BYTES: usize = 1024;

#[async_trait]
impl Archive for Disk {
    async fn append(&self, rows: &[Row]) -> Result<()> {
        rows.iter().try_for_each(Row::check)?;
        let mut ops = Vec::with_capacity(rows.len());
        // One buffer for all: each slice is allocated by itself, and of its own size.
        let mut buffer = Vec::with_capacity(ROW_BYTES);
        for row in rows {
            keys::join(&row.archive, &[&row.id.to_be_bytes()], &mut buffer);
            let key = Slice::new(&buffer);
            buffer = encode(row, buffer);
            ops.push(Op::put(Noun::Archive, key, Slice::new(&buffer)));
        }
        self.write(ops, Vec::new()).await
    }

    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()> {
        let held = self.locks.hold(archive.bare_str().as_bytes()).await;
        let mut ops: Vec<Op> = ids.iter().map(|id| Op::delete(Noun::Archive, key(archive, *id))).collect();
        // Were the newest id forgotten, it could be given again, and lie below a cursor.
        let newest = ids.iter().copied().max().unwrap_or_default();
        if newest > 0 && newest >= self.last_id(archive).await? {
            ops.push(Op::put(Noun::LastIds, keys::of(archive), newest.to_be_bytes()));
        }
        self.write(ops, held).await
    }

    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>> {
        let value = self.value(Noun::Archive, &key(archive, id))?;
        value.map(|bytes| decode(archive.bare(), id, &bytes)).transpose()
    }

    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        let Some(first) = id.checked_add(1) else { return Ok(Vec::new()) };
        self.rows(archive, first..=u64::MAX, Order::OldestFirst, 0, limit).await
    }

    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        let Some(last) = id.checked_sub(1) else { return Ok(Vec::new()) };
        self.rows(archive, 0..=last, Order::NewestFirst, 0, limit).await
    }

    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>> {
        self.rows(archive, 0..=u64::MAX, Order::NewestFirst, since_ms, limit).await
    }

    async fn last_id(&self, archive: &Jid) -> Result<u64> {
        let prefix = keys::of(archive);
        let deleted = self.value(Noun::LastIds, &prefix)?.map_or(Ok(0), |value| keys::number(&value))?;
        let newest = match self.keyspaces.of(Noun::Archive).prefix(&prefix).next_back() {
            Some(entry) => keys::number(keys::after(&entry.key().map_err(reading)?, prefix.len())?)?,
            None => 0,
        };
        Ok(newest.max(deleted))
    }
}

/// Where to begin to read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl Disk {
    /// Rows of these ids, read in this order up to the limit or the first older than `since_ms`, given ascending.
    async fn rows(
        &self,
        archive: &Jid,
        ids: RangeInclusive<u64>,
        order: Order,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let archive = archive.bare();
        self.scan(move |keyspaces| {
            let prefix_length = archive.as_str().len() + 1;
            let mut entries =
                keyspaces.of(Noun::Archive).range(key(&archive, *ids.start())..=key(&archive, *ids.end()));
            let next = || match order {
                Order::OldestFirst => entries.next(),
                Order::NewestFirst => entries.next_back(),
            };
            let mut rows = Vec::new();
            for entry in std::iter::from_fn(next).take(limit.min(PAGE_ROWS_MAX)) {
                let (key, value) = entry.into_inner().map_err(reading)?;
                let id = keys::number(keys::after(&key, prefix_length)?)?;
                let row = decode(archive.clone(), id, &value)?;
                if row.stamp_ms < since_ms {
                    break;
                }
                rows.push(row);
            }
            if order == Order::NewestFirst {
                rows.reverse();
            }
            Ok(rows)
        })
        .await
    }
}

fn key(archive: &Jid, id: u64) -> Vec<u8> {
    keys::joined(archive, &[&id.to_be_bytes()])
}
