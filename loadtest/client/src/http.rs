//! The little of HTTP/1.1 (RFC 9112) that WebSocket and BOSH need: the head of a response.

use std::io;

use memchr::memmem;

/// A head that is longer is none.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The head of a response: everything up to the empty line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    text: &'a str,
    /// Its length with the empty line, in bytes.
    pub(crate) length: usize,
}

impl<'a> Head<'a> {
    /// `None` if it is not complete yet.
    pub(crate) fn parse(input: &'a [u8]) -> io::Result<Option<Head<'a>>> {
        let Some(end) = memmem::find(input, b"\r\n\r\n") else {
            return if input.len() > HEAD_BYTES_MAX {
                Err(invalid("http head without an end"))
            } else {
                Ok(None)
            };
        };
        let text = std::str::from_utf8(&input[..end]).map_err(|_| invalid("http head is not text"))?;
        Ok(Some(Head { text, length: end + 4 }))
    }

    /// The status code; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        self.text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        let fields = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }
}

pub(crate) fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}
