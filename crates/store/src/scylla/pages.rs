//! Reading an archive: the bucket that an id is in, and then rows of it and of its neighbours.

use std::ops::RangeInclusive;

use xmpp::jid::Jid;

use super::{
    Scylla,
    archive::{signed, unsigned},
    cql::{Statement, rows},
};
use crate::{
    Result, Row,
    archive::{PAGE_ROWS_MAX, record::decode},
};

const BUCKET_OF: Statement = Statement::read(
    "SELECT bucket FROM archive_buckets WHERE archive = ? AND bucket <= ? ORDER BY bucket DESC LIMIT 1",
);
const BUCKET_AFTER: Statement = Statement::read(
    "SELECT bucket FROM archive_buckets WHERE archive = ? AND bucket > ? ORDER BY bucket ASC LIMIT 1",
);
const DOWN: Statement = Statement::read(
    "SELECT id, message FROM archive_rows WHERE archive = ? AND bucket = ? AND id >= ? AND id <= ? \
     ORDER BY id DESC LIMIT ?",
);
const UP: Statement = Statement::read(
    "SELECT id, message FROM archive_rows WHERE archive = ? AND bucket = ? AND id >= ? AND id <= ? \
     ORDER BY id ASC LIMIT ?",
);
const NEWEST: Statement = Statement::read(
    "SELECT id, filled FROM archive_rows WHERE archive = ? AND bucket = ? ORDER BY id DESC LIMIT 1",
);
const END: Statement = Statement::read(
    "SELECT bucket, used_to FROM archive_buckets WHERE archive = ? ORDER BY bucket DESC LIMIT 1",
);

/// Rows that one read asks for: a page as clients want it, and no answer that is too large to hold.
const READ_ROWS_MAX: usize = 100;

/// Where to begin to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

/// Where an archive ends.
pub(super) struct End {
    /// The last bucket that is listed.
    pub(super) newest: u64,
    /// The bucket of the last row, 0 without one.
    pub(super) bucket: u64,
    /// The id of the last row, 0 without one.
    pub(super) row: u64,
    /// The bytes in the bucket up to that row.
    pub(super) filled: u64,
    /// The greatest id of a row that is gone.
    pub(super) used_to: u64,
}

impl End {
    pub(super) fn last_id(&self) -> u64 {
        self.row.max(self.used_to)
    }
}

impl Scylla {
    /// The bucket that an id is in.
    pub(super) async fn bucket_of(&self, archive: &str, id: u64) -> Result<u64> {
        let bucket: Option<(i64,)> = self.cql.row(&BUCKET_OF, (archive, signed(id))).await?;
        Ok(bucket.map_or(0, |(bucket,)| unsigned(bucket)))
    }

    /// Rows with these ids, as far as they are in one bucket; at most [`READ_ROWS_MAX`].
    pub(super) async fn some_rows(
        &self,
        archive: &Jid,
        bucket: u64,
        ids: RangeInclusive<u64>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let statement = match order {
            Order::OldestFirst => &UP,
            Order::NewestFirst => &DOWN,
        };
        let archive = archive.bare();
        let limit = rows(limit.min(READ_ROWS_MAX));
        let values = (archive.as_str(), signed(bucket), signed(*ids.start()), signed(*ids.end()), limit);
        let found: Vec<(i64, Vec<u8>)> = self.cql.rows(statement, values).await?;
        found.iter().map(|(id, message)| decode(archive.clone(), unsigned(*id), message)).collect()
    }

    /// The newest rows up to an id and down to the first older than `since_ms`, ascending.
    pub(super) async fn rows_to(
        &self,
        archive: &Jid,
        last: u64,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let (mut rows, limit) = (Vec::new(), limit.min(PAGE_ROWS_MAX));
        let (mut high, mut bucket) = (last, None);
        while rows.len() < limit {
            let at = match bucket {
                Some(at) => at,
                None => self.bucket_of(archive.bare_str(), high).await?,
            };
            let wanted = (limit - rows.len()).min(READ_ROWS_MAX);
            let found = self.some_rows(archive, at, 0..=high, Order::NewestFirst, wanted).await?;
            // A bucket read to its beginning is followed by the one before.
            let (whole, lowest) = (found.len() < wanted, found.last().map(|row| row.id));
            let older = found.iter().position(|row| row.stamp_ms < since_ms);
            rows.extend(found.into_iter().take(older.unwrap_or(wanted)));
            bucket = if whole { None } else { Some(at) };
            let next = if whole { Some(at) } else { lowest }.and_then(|next| next.checked_sub(1));
            let (None, Some(next)) = (older, next) else { break };
            high = next;
        }
        rows.reverse();
        Ok(rows)
    }

    /// The oldest rows after an id, ascending.
    pub(super) async fn rows_after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        let (mut rows, limit) = (Vec::new(), limit.min(PAGE_ROWS_MAX));
        let Some(mut low) = id.checked_add(1).filter(|_| limit > 0) else { return Ok(rows) };
        let mut bucket = self.bucket_of(archive.bare_str(), low).await?;
        while rows.len() < limit {
            let wanted = (limit - rows.len()).min(READ_ROWS_MAX);
            let found = self.some_rows(archive, bucket, low..=u64::MAX, Order::OldestFirst, wanted).await?;
            let whole = found.len() < wanted;
            rows.extend(found);
            if whole {
                let next: Option<(i64,)> =
                    self.cql.row(&BUCKET_AFTER, (archive.bare_str(), signed(bucket))).await?;
                let Some((next,)) = next else { break };
                bucket = unsigned(next);
                low = low.max(bucket);
            } else {
                let Some(next) = rows.last().and_then(|row: &Row| row.id.checked_add(1)) else { break };
                low = next;
            }
        }
        Ok(rows)
    }

    /// The id of a bucket's last row, and the bytes up to it.
    pub(super) async fn newest_row(&self, archive: &str, bucket: u64) -> Result<Option<(u64, u64)>> {
        let found: Option<(i64, Option<i64>)> = self.cql.row(&NEWEST, (archive, signed(bucket))).await?;
        Ok(found.map(|(id, filled)| (unsigned(id), filled.unwrap_or_default().cast_unsigned())))
    }

    pub(super) async fn end(&self, archive: &str) -> Result<End> {
        let listed: Option<(Option<i64>, Option<i64>)> = self.cql.row(&END, (archive,)).await?;
        let (newest, used_to) = listed.unwrap_or_default();
        let newest = newest.map_or(0, unsigned);
        let used_to = used_to.map_or(0, unsigned);
        let mut bucket = newest;
        loop {
            if let Some((row, filled)) = self.newest_row(archive, bucket).await? {
                return Ok(End { newest, bucket, row, filled, used_to });
            }
            let Some(below) = bucket.checked_sub(1) else {
                return Ok(End { newest, bucket: 0, row: 0, filled: 0, used_to });
            };
            bucket = self.bucket_of(archive, below).await?;
        }
    }
}
