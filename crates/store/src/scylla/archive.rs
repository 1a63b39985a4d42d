//! The archive: rows in buckets, each one partition.
//!
//! A bucket is named by the id it begins with and reaches to the beginning of the next one. The owner begins a new one
//! when [`super::appending::BUCKET_BYTES_MAX`] are in the last; the first begins at 0 and is written down nowhere, so a
//! small archive is one partition. `archive_buckets` lists the others and remembers which ids were used by rows that
//! are gone; `archive_heads` has the last takeover ([`super::ownership`]).

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{Scylla, cql::Statement, pages::Order, places::Tail};
use crate::{Archive, Result, Row};

const ERASE: Statement = Statement::write(
    "DELETE FROM archive_rows USING TIMESTAMP ? WHERE archive = ? AND bucket = ? AND id = ?",
);
const ERASE_BUCKET: Statement =
    Statement::write("DELETE FROM archive_rows USING TIMESTAMP ? WHERE archive = ? AND bucket = ?");
const UNLIST: Statement =
    Statement::write("DELETE FROM archive_buckets USING TIMESTAMP ? WHERE archive = ? AND bucket = ?");
const UNLIST_ALL: Statement =
    Statement::write("DELETE FROM archive_buckets USING TIMESTAMP ? WHERE archive = ?");
const USED: Statement =
    Statement::write("UPDATE archive_buckets USING TIMESTAMP ? SET used_to = ? WHERE archive = ?");
const BEHEAD: Statement = Statement::decide("DELETE FROM archive_heads WHERE archive = ? IF EXISTS");

/// Rows that one write deletes.
const ERASED_MAX: usize = 500;

#[async_trait]
impl Archive for Scylla {
    async fn append(&self, rows: &[Row]) -> Result<()> {
        rows.iter().try_for_each(Row::check)?;
        self.append_to_each(rows).await
    }

    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()> {
        let Some(newest) = ids.iter().copied().max().filter(|newest| *newest > 0) else { return Ok(()) };
        let archive = archive.bare_str();
        let place = self.places.of(archive);
        let mut held = place.tail.lock().await;
        let tail = self.tail(archive, &mut held).await?;
        let epoch = self.taken(archive).await?;
        // Were the newest id forgotten, it could be given again, and lie below a cursor.
        if newest >= tail.last {
            tail.last = newest;
            self.cql.write(&USED, (self.places.stamp(epoch), signed(newest), archive)).await?;
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        while let Some(id) = ids.last() {
            let bucket = self.bucket_of(archive, *id).await?;
            let inside = ids.split_off(ids.partition_point(|id| *id < bucket));
            self.erase(archive, bucket, &inside, epoch).await?;
            if bucket > 0 && bucket != tail.bucket && self.newest_row(archive, bucket).await?.is_none() {
                self.unlist(archive, bucket, epoch).await?;
            }
        }
        Ok(())
    }

    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>> {
        let bucket = self.bucket_of(archive.bare_str(), id).await?;
        let rows = self.some_rows(archive, bucket, id..=id, Order::OldestFirst, 1).await?;
        Ok(rows.into_iter().next())
    }

    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        self.rows_after(archive, id, limit).await
    }

    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        let Some(last) = id.checked_sub(1) else { return Ok(Vec::new()) };
        self.rows_to(archive, last, 0, limit).await
    }

    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>> {
        self.rows_to(archive, u64::MAX, since_ms, limit).await
    }

    async fn take_over(&self, archive: &Jid, epoch: u64) -> Result<u64> {
        self.take_archive_over(archive.bare_str(), epoch).await
    }

    fn known_end(&self, archive: &Jid) -> Option<Bytes> {
        let place = self.places.of(archive.bare_str());
        let tail = place.tail.try_lock().ok()?.as_ref()?.encode();
        Some(tail.into())
    }

    async fn inherit(&self, archive: &Jid, epoch: u64, end: &[u8]) -> Result<u64> {
        match Tail::decode(end) {
            Some(tail) => self.inherit_archive(archive.bare_str(), epoch, tail).await,
            None => self.take_over(archive, epoch).await,
        }
    }

    async fn last_id(&self, archive: &Jid) -> Result<u64> {
        Ok(self.end(archive.bare_str()).await?.last_id())
    }
}

impl Scylla {
    async fn erase(&self, archive: &str, bucket: u64, ids: &[u64], epoch: u64) -> Result<()> {
        for some in ids.chunks(ERASED_MAX) {
            let stamp = self.places.stamp(epoch);
            let values = some.iter().map(|id| (stamp, archive, signed(bucket), signed(*id))).collect();
            self.cql.write_all(&ERASE, values).await?;
        }
        Ok(())
    }

    /// Takes away a bucket without rows, so that nobody looks into it again. It becomes part of the one before.
    async fn unlist(&self, archive: &str, bucket: u64, epoch: u64) -> Result<()> {
        self.cql.write(&UNLIST, (self.places.stamp(epoch), archive, signed(bucket))).await?;
        self.cql.write(&ERASE_BUCKET, (self.places.stamp(epoch), archive, signed(bucket))).await
    }

    /// Removes an archive with everything that is known of it.
    pub(super) async fn remove_archive(&self, archive: &str) -> Result<()> {
        let place = self.places.of(archive);
        let mut held = place.tail.lock().await;
        let epoch = self.taken(archive).await?;
        let mut bucket = self.bucket_of(archive, u64::MAX).await?;
        loop {
            self.cql.write(&ERASE_BUCKET, (self.places.stamp(epoch), archive, signed(bucket))).await?;
            let Some(below) = bucket.checked_sub(1) else { break };
            bucket = self.bucket_of(archive, below).await?;
        }
        self.cql.write(&UNLIST_ALL, (self.places.stamp(epoch), archive)).await?;
        self.cql.decide(&BEHEAD, (archive,)).await?;
        *held = Some(Tail { opened: true, ..Tail::default() });
        Ok(())
    }
}

/// A number without a sign as one with a sign, in the same order.
pub(super) fn signed(id: u64) -> i64 {
    (id ^ 1 << 63).cast_signed()
}

pub(super) fn unsigned(id: i64) -> u64 {
    id.cast_unsigned() ^ 1 << 63
}
