//! How a row is encoded, by every backend that keeps bytes.

use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{
    Direction, Error, Result, Row, Uid,
    record::{self, Writer},
};

/// A row in a buffer, whose content is lost.
pub(crate) fn encode(row: &Row, buffer: Vec<u8>) -> Vec<u8> {
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

pub(crate) fn decode(archive: Jid, id: u64, bytes: &[u8]) -> Result<Row> {
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
            (6, jid) => with = Some(jid.jid()?),
            (7, jid) => row.address = Some(jid.jid()?),
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
