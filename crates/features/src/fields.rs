//! Tag-length fields: what is kept of stanzas and sessions outlives releases, so a reader skips tags it does not know.
//!
//! A field is a tag byte, the length of its value as a variable-length integer, and the value.

use bytes::{BufMut, Bytes, BytesMut};

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// They end in the middle of a field.
    #[error("truncated")]
    Truncated,
    /// They were written in a format that this release does not know.
    #[error("unknown format")]
    Format,
    /// A field has a value that makes no sense.
    #[error("malformed field {0}")]
    Field(u8),
}

/// Bytes of a variable-length integer at most.
const VARINT_BYTES_MAX: usize = 10;

/// Bytes that a field needs beside its value, at most.
pub(crate) const OVERHEAD_BYTES: usize = 6;

pub(crate) fn put(out: &mut BytesMut, tag: u8, value: &[u8]) {
    out.put_u8(tag);
    put_varint(out, value.len() as u64);
    out.put_slice(value);
}

/// A field whose value is written by `write`.
pub(crate) fn put_with(out: &mut BytesMut, tag: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    // Most values are short: one byte is left for the length, and the value is moved if that was too little.
    out.put_u8(0);
    write(out);
    let bytes = out.len() - at - 1;
    if bytes < 0x80 {
        out[at] = bytes as u8;
        return;
    }
    let value = out.split_off(at + 1);
    out.truncate(at);
    put_varint(out, bytes as u64);
    out.unsplit(value);
}

pub(crate) fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Takes fields off the front of bytes, without copying their values.
pub(crate) struct Reader {
    left: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { left: bytes }
    }

    /// The next field.
    pub(crate) fn field(&mut self) -> Result<Option<(u8, Bytes)>, Unreadable> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let tag = self.left.split_to(1)[0];
        let bytes = self.varint()?;
        Ok(Some((tag, self.take(bytes)?)))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Unreadable> {
        let mut value = 0;
        for (at, byte) in self.left.iter().enumerate().take(VARINT_BYTES_MAX) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.left = self.left.slice(at + 1..);
                return Ok(value);
            }
        }
        Err(Unreadable::Truncated)
    }

    /// Bytes whose length was just read.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<Bytes, Unreadable> {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.left.len() => Ok(self.left.split_to(bytes)),
            _ => Err(Unreadable::Truncated),
        }
    }

    pub(crate) fn rest(self) -> Bytes {
        self.left
    }
}

/// A value as text.
pub(crate) fn text(tag: u8, value: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(value).map_err(|_| Unreadable::Field(tag))
}

/// A value as a big-endian number of up to eight bytes.
pub(crate) fn number(value: &[u8]) -> u64 {
    value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_length_come_back() {
        for bytes in [0, 1, 127, 128, 300, 70_000] {
            let value = vec![7; bytes];
            let mut out = BytesMut::new();
            put(&mut out, 1, &value);
            put_with(&mut out, 2, |out| out.put_slice(&value));
            let mut reader = Reader::new(out.freeze());
            assert_eq!(reader.field(), Ok(Some((1, value.clone().into()))));
            assert_eq!(reader.field(), Ok(Some((2, value.into()))));
            assert_eq!(reader.field(), Ok(None));
        }
    }

    #[test]
    fn a_cut_field_is_an_error() {
        let mut out = BytesMut::new();
        put(&mut out, 1, &[7; 200]);
        let whole = out.freeze();
        for end in 1..whole.len() {
            assert_eq!(Reader::new(whole.slice(..end)).field(), Err(Unreadable::Truncated), "{end}");
        }
    }
}
