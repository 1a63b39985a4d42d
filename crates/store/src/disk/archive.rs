//! The archive on disk: one entry a row, in the order of ids.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Slice;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
    reading,
    record::{self, Writer},
};
use crate::{Archive, Direction, Error, Result, Row, Uid, archive::PAGE_ROWS_MAX};

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

/// A row in a buffer, whose content is lost.
fn encode(row: &Row, buffer: Vec<u8>) -> Vec<u8> {
    let mut record = Writer::over(buffer)
        .bytes(1, &row.uid.origin)
        .number(2, row.uid.n)
        .number(3, u64::from(row.uid.k))
        .number(4, row.epoch)
        .flag(5, row.direction == Direction::Sent)
        .bytes(6, row.with.as_str().as_bytes());
    if let Some(address) = &row.address {
        record = record.bytes(7, address.as_str().as_bytes());
    }
    record.flag(8, row.deliver).flag(9, row.spool).number(10, row.stamp_ms).bytes(11, &row.stanza).finish()
}

fn decode(archive: Jid, id: u64, bytes: &[u8]) -> Result<Row> {
    let mut with = None;
    let mut row = Row {
        with: archive.clone(),
        archive,
        id,
        uid: Uid::default(),
        epoch: 0,
        direction: Direction::Received,
        address: None,
        deliver: false,
        spool: false,
        stamp_ms: 0,
        stanza: Bytes::new(),
    };
    for field in record::fields(bytes) {
        match field? {
            (1, origin) => row.uid.origin = origin.bytes()?.try_into().map_err(|_| corrupt("origin"))?,
            (2, n) => row.uid.n = n.number()?,
            (3, k) => row.uid.k = u32::try_from(k.number()?).map_err(|_| corrupt("k"))?,
            (4, epoch) => row.epoch = epoch.number()?,
            (5, sent) if sent.flag()? => row.direction = Direction::Sent,
            (6, jid) => with = Some(keys::jid(jid.bytes()?)?),
            (7, jid) => row.address = Some(keys::jid(jid.bytes()?)?),
            (8, deliver) => row.deliver = deliver.flag()?,
            (9, spool) => row.spool = spool.flag()?,
            (10, stamp) => row.stamp_ms = stamp.number()?,
            (11, stanza) => row.stanza = Bytes::copy_from_slice(stanza.bytes()?),
            _ => {}
        }
    }
    row.with = with.ok_or_else(|| corrupt("with"))?;
    Ok(row)
}

fn corrupt(field: &str) -> Error {
    Error::Corrupt(format!("the field {field} of a row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::from_prepared(text).unwrap()
    }

    fn row() -> Row {
        Row {
            archive: jid("juliet@capulet.example"),
            id: 7,
            uid: Uid { origin: [9; 16], n: 300, k: 2 },
            epoch: 5,
            direction: Direction::Sent,
            with: jid("romeo@montague.example/orchard"),
            address: Some(jid("romeo@montague.example")),
            deliver: true,
            spool: true,
            stamp_ms: 1_700_000_000_000,
            stanza: Bytes::from_static(b"<body>hi</body>"),
        }
    }

    /// A row as the first version wrote it, byte for byte. It must be readable for ever: add cases, never change this.
    const FIRST: &[u8] = b"\x0a\x10\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\
        \x10\xac\x02\x18\x02\x20\x05\x28\x01\x32\x1eromeo@montague.example/orchard\
        \x3a\x16romeo@montague.example\x40\x01\x48\x01\x50\x80\xd0\x95\xff\xbc\x31\x5a\x0f<body>hi</body>";

    #[test]
    fn a_row_of_the_first_version_is_still_readable() {
        assert_eq!(decode(jid("juliet@capulet.example"), 7, FIRST).unwrap(), row());
    }

    #[test]
    fn a_row_of_a_later_version_is_readable_without_what_it_added() {
        let later = [FIRST, b"\xa2\x06\x03new\xa8\x06\x01"].concat();
        assert_eq!(decode(jid("juliet@capulet.example"), 7, &later).unwrap(), row());
    }

    #[test]
    fn fields_at_their_default_are_not_written() {
        let plain =
            Row { uid: Uid::default(), epoch: 0, direction: Direction::Received, address: None, ..row() };
        let plain = Row { deliver: false, spool: false, stamp_ms: 0, ..plain };

        let record = encode(&plain, Vec::new());

        assert_eq!(record.len(), 18 + 2 + 30 + 2 + 15);
        assert_eq!(decode(jid("juliet@capulet.example"), 7, &record).unwrap(), plain);
    }

    #[test]
    fn a_row_is_written_as_the_first_version_wrote_it() {
        assert_eq!(encode(&row(), b"before".to_vec()), FIRST);
    }
}
