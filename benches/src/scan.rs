//! Finds where top-level elements of a client's stream end, without parsing: the load must be cheaper than the server.
//!
//! It trusts its server: names are told apart by a letter or two, and no element contains another of its own name.

use memchr::{memchr, memmem};

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message,
    /// A message of type `error`: something that was sent did not arrive.
    Bounced,
    Presence,
    Iq,
    /// `<r/>` (XEP-0198 §4).
    Request,
    /// `<a/>` (XEP-0198 §4).
    Acknowledgement,
    /// Something that a conversation does not have: a stream error, the end of the stream.
    Other,
}

/// Searchers, made once.
pub(crate) struct Scanner {
    message: memmem::Finder<'static>,
    error: memmem::Finder<'static>,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { message: memmem::Finder::new(b"</message>"), error: memmem::Finder::new(b" type='error'") }
    }

    /// The first element and its length, with white space before it; `None` if it is not whole.
    pub(crate) fn first(&self, bytes: &[u8]) -> Option<(Seen, usize)> {
        let start = bytes.iter().position(|byte| *byte == b'<')?;
        let element = &bytes[start..];
        let (seen, length) = match element.get(1)? {
            b'm' => {
                let length = self.message.find(element)? + b"</message>".len();
                let bounced = self.error.find(&element[..length]).is_some();
                (if bounced { Seen::Bounced } else { Seen::Message }, length)
            }
            b'p' => (Seen::Presence, end(element, b"</presence>")?),
            b'i' => (Seen::Iq, end(element, b"</iq>")?),
            b'r' => (Seen::Request, memchr(b'>', element)? + 1),
            b'a' => (Seen::Acknowledgement, memchr(b'>', element)? + 1),
            _ => (Seen::Other, element.len()),
        };
        Some((seen, start + length))
    }
}

/// The end of an element that may be empty.
fn end(element: &[u8], closing: &[u8]) -> Option<usize> {
    let tag = memchr(b'>', element)?;
    if element[tag - 1] == b'/' {
        return Some(tag + 1);
    }
    Some(memmem::find(element, closing)? + closing.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_told_apart_and_measured() {
        let stream = " <message to='a'><body>1</body></message><message type='error'></message><presence/>\
                      <presence><show/></presence><iq type='result'/><r xmlns='urn:xmpp:sm:3'/><a h='1'/>";
        let scanner = Scanner::new();
        let mut rest = stream.as_bytes();
        let mut seen = Vec::new();
        while let Some((kind, length)) = scanner.first(rest) {
            seen.push(kind);
            rest = &rest[length..];
        }
        assert_eq!(
            seen,
            [
                Seen::Message,
                Seen::Bounced,
                Seen::Presence,
                Seen::Presence,
                Seen::Iq,
                Seen::Request,
                Seen::Acknowledgement
            ]
        );
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_not_whole_has_to_wait() {
        let scanner = Scanner::new();
        let whole = b"<message><body/></message>";
        assert!((0..whole.len()).all(|length| scanner.first(&whole[..length]).is_none()));
    }
}
