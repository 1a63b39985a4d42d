//! Writing rows: archives side by side, the rows of one archive one write after the other.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{
    Scylla,
    archive::signed,
    cql::Statement,
    places::{Tail, fence},
};
use crate::{Error, Result, Row, archive::record::encode};

/// The bytes of a bucket beyond which the next row begins another one.
pub(super) const BUCKET_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What a row takes beside its stanza, about.
const ROW_BYTES: u64 = 200;
/// Rows that one write holds; an append of more to one archive is several.
const WRITTEN_MAX: usize = 10_000;

const WRITE: Statement = Statement::write(
    "INSERT INTO archive_rows (archive, bucket, id, message, filled) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
);
const ERASE_BUCKET: Statement =
    Statement::write("DELETE FROM archive_rows USING TIMESTAMP ? WHERE archive = ? AND bucket = ?");
const LIST: Statement =
    Statement::write("INSERT INTO archive_buckets (archive, bucket) VALUES (?, ?) USING TIMESTAMP ?");

impl Scylla {
    pub(super) async fn append_to_each(&self, rows: &[Row]) -> Result<()> {
        let mut archives: Vec<(&str, Vec<&Row>)> = Vec::new();
        for row in rows {
            match archives.iter_mut().find(|(archive, _)| *archive == row.archive.bare_str()) {
                Some((_, of)) => of.push(row),
                None => archives.push((row.archive.bare_str(), vec![row])),
            }
        }
        if let [(archive, rows)] = &archives[..] {
            return self.append_to(archive, rows).await;
        }
        outcome(join_all(archives.iter().map(|(archive, rows)| self.append_to(archive, rows))).await)
    }

    async fn append_to(&self, archive: &str, rows: &[&Row]) -> Result<()> {
        let place = self.places.of(archive);
        let mut held = place.tail.lock().await;
        let tail = self.tail(archive, &mut held).await?;
        let epoch = self.taken(archive).await?;
        let lowest = rows.iter().map(|row| row.id).min().unwrap_or_default();
        if lowest > tail.last && tail.filled >= BUCKET_BYTES_MAX && tail.opened {
            *tail = Tail { bucket: lowest, filled: 0, opened: false, ..*tail };
        }
        if !tail.opened {
            self.open_bucket(archive, tail.bucket, epoch).await?;
            tail.opened = true;
        }
        tail.last = rows.iter().map(|row| row.id).fold(tail.last, u64::max);
        let (new, old): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.id >= tail.bucket);
        self.rewrite(archive, old, epoch).await?;
        self.write_rows(archive, tail.bucket, &new, &mut tail.filled, epoch).await
    }

    /// Begins a bucket. First whatever owners of earlier epochs may have written, or may yet write, into one of that
    /// name is erased, then it is listed, and only then written to.
    async fn open_bucket(&self, archive: &str, bucket: u64, epoch: u64) -> Result<()> {
        self.cql.write(&ERASE_BUCKET, (fence(epoch), archive, signed(bucket))).await?;
        self.cql.write(&LIST, (archive, signed(bucket), self.places.stamp(epoch))).await
    }

    /// Writes rows of buckets before the last one.
    async fn rewrite(&self, archive: &str, mut rows: Vec<&Row>, epoch: u64) -> Result<()> {
        rows.sort_by_key(|row| row.id);
        while let Some(last) = rows.last() {
            let bucket = self.bucket_of(archive, last.id).await?;
            let inside = rows.split_off(rows.partition_point(|row| row.id < bucket));
            self.write_rows(archive, bucket, &inside, &mut 0, epoch).await?;
        }
        Ok(())
    }

    async fn write_rows(
        &self,
        archive: &str,
        bucket: u64,
        rows: &[&Row],
        filled: &mut u64,
        epoch: u64,
    ) -> Result<()> {
        for some in rows.chunks(WRITTEN_MAX) {
            let stamp = self.places.stamp(epoch);
            let values = some.iter().map(|row| {
                *filled += row.stanza.len() as u64 + ROW_BYTES;
                let message =
                    Bytes::from(encode(row, Vec::with_capacity(row.stanza.len() + ROW_BYTES as usize)));
                (archive, signed(bucket), signed(row.id), message, filled.cast_signed(), stamp)
            });
            self.cql.write_all(&WRITE, values.collect()).await?;
        }
        Ok(())
    }
}

/// The outcome of writes side by side: nothing was written only if none of them wrote.
pub(super) fn outcome(outcomes: Vec<Result<()>>) -> Result<()> {
    let written = outcomes.iter().any(Result::is_ok);
    let mut failures = outcomes.into_iter().filter_map(Result::err);
    let Some(first) = failures.next() else { return Ok(()) };
    match failures.chain([first.clone()]).find(|error| matches!(error, Error::Unknown(_))) {
        Some(unknown) => Err(unknown),
        None if written => Err(Error::Unknown(first.to_string())),
        None => Err(first),
    }
}
