//! Taking an archive over.
//!
//! What the new owner does not see at that moment must never be seen, although writes of earlier owners may still be on
//! their way. It erases everything after the last row it sees, with a timestamp below which all earlier epochs are, and
//! writes that down, so that whoever comes after it can repeat it. One that follows an owner which has let go of the archive,
//! and has nothing under way, writes down where that one said it ends, and erases nothing.

use super::{
    Scylla,
    archive::{signed, unsigned},
    cql::Statement,
    pages::End,
    places::{Tail, fence},
};
use crate::{Error, Result};

const HEAD: Statement =
    Statement::serial("SELECT epoch, bucket, last_id FROM archive_heads WHERE archive = ?");
const FIRST: Statement = Statement::decide(
    "INSERT INTO archive_heads (archive, epoch, bucket, last_id) VALUES (?, ?, ?, ?) IF NOT EXISTS",
);
const NEXT: Statement = Statement::decide(
    "UPDATE archive_heads SET epoch = ?, bucket = ?, last_id = ? WHERE archive = ? IF epoch = ?",
);
const INHERIT: Statement = Statement::decide(
    "UPDATE archive_heads SET epoch = ?, bucket = ?, last_id = ? WHERE archive = ? IF epoch < ?",
);
const TAKEN: Statement = Statement::read("SELECT epoch FROM archive_heads WHERE archive = ?");
const FENCE_ROWS: Statement = Statement::write(
    "DELETE FROM archive_rows USING TIMESTAMP ? WHERE archive = ? AND bucket = ? AND id > ?",
);
const FENCE_BUCKETS: Statement =
    Statement::write("DELETE FROM archive_buckets USING TIMESTAMP ? WHERE archive = ? AND bucket > ?");

/// A takeover: rows of earlier epochs after the last one in that bucket do not exist.
struct Head {
    epoch: u64,
    bucket: u64,
    last: u64,
}

impl Scylla {
    pub(super) async fn take_archive_over(&self, archive: &str, epoch: u64) -> Result<u64> {
        let place = self.places.of(archive);
        let mut tail = place.tail.lock().await;
        let known = *place.taken.lock();
        let taken = if known == Some(epoch) { None } else { self.take(archive, epoch).await? };
        let end = match taken {
            Some(end) => end,
            None => self.end(archive).await?,
        };
        *tail = Some(Tail::at(&end));
        *place.taken.lock() = Some(epoch);
        Ok(end.last_id())
    }

    /// Whoever had it has nothing under way, so there is nothing to erase; and where it ends has been said.
    pub(super) async fn inherit_archive(&self, archive: &str, epoch: u64, end: Tail) -> Result<u64> {
        let place = self.places.of(archive);
        let mut tail = place.tail.lock().await;
        let (new, bucket, last) = (epoch.cast_signed(), signed(end.bucket), signed(end.last));
        if !self.cql.decide(&INHERIT, (new, bucket, last, archive, new)).await? {
            drop(tail);
            return self.take_archive_over(archive, epoch).await;
        }
        *tail = Some(end);
        *place.taken.lock() = Some(epoch);
        Ok(end.last)
    }

    /// Answers where it ends, if that had to be found out.
    async fn take(&self, archive: &str, epoch: u64) -> Result<Option<End>> {
        let before: Option<(i64, i64, i64)> = self.cql.row(&HEAD, (archive,)).await?;
        let before = before.map(|(epoch, bucket, last)| Head {
            epoch: epoch.cast_unsigned(),
            bucket: unsigned(bucket),
            last: unsigned(last),
        });
        if let Some(before) = &before {
            if before.epoch > epoch {
                return Err(Error::Refused(format!("the archive was taken over in epoch {}", before.epoch)));
            }
            // Who took it over may have died before it had done this.
            self.fence(archive, before).await?;
            if before.epoch == epoch {
                return Ok(None);
            }
        }
        let end = self.end(archive).await?;
        let head = Head { epoch, bucket: end.bucket, last: end.row };
        let (new, bucket, last) = (epoch.cast_signed(), signed(head.bucket), signed(head.last));
        let first = match &before {
            None => self.cql.decide(&FIRST, (archive, new, bucket, last)).await?,
            Some(before) => {
                self.cql.decide(&NEXT, (new, bucket, last, archive, before.epoch.cast_signed())).await?
            }
        };
        if !first {
            return Err(Error::Refused("the archive is being taken over by another process".into()));
        }
        self.fence(archive, &head).await?;
        // Buckets behind the last row are listed no more.
        Ok(Some(End { newest: end.bucket, ..end }))
    }

    /// Erases what earlier epochs have written after the last row, or will have: rows of its bucket, and later buckets.
    async fn fence(&self, archive: &str, head: &Head) -> Result<()> {
        let (stamp, bucket) = (fence(head.epoch), signed(head.bucket));
        tokio::try_join!(
            self.cql.write(&FENCE_ROWS, (stamp, archive, bucket, signed(head.last))),
            self.cql.write(&FENCE_BUCKETS, (stamp, archive, bucket)),
        )
        .map(drop)
    }

    /// The end of an archive, read if it is not known.
    pub(super) async fn tail<'a>(&self, archive: &str, held: &'a mut Option<Tail>) -> Result<&'a mut Tail> {
        if held.is_none() {
            *held = Some(Tail::at(&self.end(archive).await?));
        }
        Ok(held.get_or_insert_default())
    }

    /// The epoch in which what an account has was last taken over, 0 if it never was.
    pub(super) async fn taken(&self, archive: &str) -> Result<u64> {
        let place = self.places.of(archive);
        if let Some(taken) = *place.taken.lock() {
            return Ok(taken);
        }
        let found: Option<(i64,)> = self.cql.row(&TAKEN, (archive,)).await?;
        let found = found.map_or(0, |(epoch,)| epoch.cast_unsigned());
        Ok(*place.taken.lock().get_or_insert(found))
    }

    /// A timestamp for something else that an account has.
    pub(super) async fn stamp(&self, account: &str) -> Result<i64> {
        Ok(self.places.stamp(self.taken(account).await?))
    }
}
