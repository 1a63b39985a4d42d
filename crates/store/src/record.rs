//! The encoding of what is stored: fields behind numbered tags, those of Protocol Buffers (so `protoc --decode_raw`
//! reads them).
//!
//! A field at its default costs nothing, one that a reader does not know is passed over. So a field can be added at any
//! time: every record written before is still readable, also by the version before. A tag is never used again.

use xmpp::jid::Jid;

use crate::{Error, Result};

/// The kinds of fields, in the low bits of each tag.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Writes fields one after the other.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// A record of about this many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// A record in the place of what a buffer held.
    pub(crate) fn over(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self(buffer)
    }

    /// A number, left out if 0.
    pub(crate) fn number(self, tag: u32, value: u64) -> Self {
        if value == 0 { self } else { self.element(tag, value) }
    }

    /// One of several numbers with this tag, also if 0.
    pub(crate) fn element(mut self, tag: u32, value: u64) -> Self {
        self.varint(u64::from(tag) << 3 | VARINT);
        self.varint(value);
        self
    }

    /// Bytes, also if there are none of them.
    pub(crate) fn bytes(mut self, tag: u32, value: &[u8]) -> Self {
        self.varint(u64::from(tag) << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A flag, left out if not set.
    pub(crate) fn flag(self, tag: u32, value: bool) -> Self {
        self.number(tag, u64::from(value))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The content of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Result<u64> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Bytes(_) => Err(Error::Corrupt("a field has bytes where a number is due".into())),
        }
    }

    pub(crate) fn flag(self) -> Result<bool> {
        Ok(self.number()? != 0)
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Number(_) => Err(Error::Corrupt("a field has a number where bytes are due".into())),
        }
    }

    pub(crate) fn text(self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|error| Error::Corrupt(error.to_string()))
    }

    pub(crate) fn jid(self) -> Result<Jid> {
        Jid::from_prepared(self.text()?).map_err(|error| Error::Corrupt(error.to_string()))
    }
}

/// The fields of a record with their tags, in the order they were written; ends after the first error.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>)>> {
    let mut rest = record;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest).ok_or_else(|| Error::Corrupt("a record is cut off".into()));
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    let head = varint(rest)?;
    let value = match head & 7 {
        VARINT => Value::Number(varint(rest)?),
        FIXED64 => Value::Bytes(take(rest, 8)?),
        LENGTH => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        FIXED32 => Value::Bytes(take(rest, 4)?),
        _ => return None,
    };
    Some((u32::try_from(head >> 3).ok()?, value))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_written() {
        let record =
            Writer::with_capacity(64).number(1, u64::MAX).number(2, 0).bytes(3, b"abc").flag(100, true);
        let record = record.finish();
        let fields: Vec<_> = fields(&record).collect::<Result<_>>().unwrap();

        assert_eq!(
            fields,
            [(1, Value::Number(u64::MAX)), (3, Value::Bytes(b"abc")), (100, Value::Number(1))]
        );
    }

    #[test]
    fn a_record_cut_off_is_an_error_and_never_a_panic() {
        let record = Writer::with_capacity(64).number(1, 300).bytes(2, b"abc").finish();
        for length in [1, 2, 4, 5, 6, 7] {
            let read = fields(&record[..length]).collect::<Result<Vec<_>>>();
            assert!(read.is_err(), "{length} bytes of {record:?}");
        }
    }

    #[test]
    fn fields_of_kinds_used_by_nobody_yet_are_passed_over() {
        let record = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 7];
        let fields: Vec<_> = fields(&record).collect::<Result<_>>().unwrap();

        assert_eq!(fields[2], (3, Value::Number(7)));
    }
}
