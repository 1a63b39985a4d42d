//! Finds where elements end, and nothing more: XML as XMPP restricts it (RFC 6120 §11.1) has no comments, no CDATA
//! that matters and no entities of its own, so counting tags is enough.

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr3};

use crate::element::Element;

/// What a stream consists of.
#[derive(Debug)]
pub(crate) enum Framed {
    /// `<stream:stream …>`, which stays open.
    Header,
    /// A complete element at the top of the stream.
    Element(Element),
    /// `</stream:stream>`.
    End,
}

/// The state between two reads: no complete tag is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// Everything before belongs to tags already counted.
    at: usize,
    depth: u32,
    /// Length of the open element's start tag.
    head: usize,
}

/// A tag and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Markup {
    pub(crate) start: usize,
    /// Behind the `>`.
    pub(crate) end: usize,
    pub(crate) shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Open,
    Empty,
    Close,
    /// An XML declaration, or whatever else a stream should not have.
    Other,
}

impl Framer {
    /// Cuts the next thing off `input`; `None` if it is not complete yet.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Option<Framed> {
        while let Some(markup) = markup(input, self.at) {
            if self.depth == 0 && markup.start > 0 {
                // White space between stanzas, as servers send to keep a connection open (RFC 6120 §4.6.1).
                let _ = input.split_to(markup.start);
                self.at = 0;
                continue;
            }
            self.at = markup.end;
            match markup.shape {
                Shape::Other => {
                    if self.depth == 0 {
                        self.cut(input);
                    }
                }
                Shape::Open if self.depth == 0 && is_stream(&input[..markup.end]) => {
                    self.cut(input);
                    return Some(Framed::Header);
                }
                Shape::Open => {
                    if self.depth == 0 {
                        self.head = markup.end;
                    }
                    self.depth += 1;
                }
                Shape::Empty if self.depth == 0 => {
                    return Some(Framed::Element(Element::new(self.cut(input), markup.end)));
                }
                Shape::Empty => {}
                Shape::Close if self.depth == 0 => {
                    self.cut(input);
                    return Some(Framed::End);
                }
                Shape::Close => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(Framed::Element(Element::new(self.cut(input), self.head)));
                    }
                }
            }
        }
        if self.depth == 0 && memchr(b'<', input).is_none() {
            input.clear();
        }
        None
    }

    fn cut(&mut self, input: &mut BytesMut) -> Bytes {
        input.split_to(std::mem::take(&mut self.at)).freeze()
    }
}

/// The next complete tag at or behind `at`.
pub(crate) fn markup(bytes: &[u8], at: usize) -> Option<Markup> {
    let start = at + memchr(b'<', bytes.get(at..)?)?;
    let shape = match bytes.get(start + 1)? {
        b'/' => Shape::Close,
        b'?' | b'!' => Shape::Other,
        _ => Shape::Open,
    };
    let end = tag_end(bytes, start + 1)?;
    let shape = if shape == Shape::Open && bytes[end - 2] == b'/' { Shape::Empty } else { shape };
    Some(Markup { start, end, shape })
}

/// Behind the `>` that ends the tag around `at`; one within quotes does not.
fn tag_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr3(b'>', b'\'', b'"', bytes.get(at..)?)?;
        let found = bytes[at];
        at += 1;
        if found == b'>' {
            return Some(at);
        }
        at += memchr(found, &bytes[at..])? + 1;
    }
}

fn is_stream(tag: &[u8]) -> bool {
    tag.strip_prefix(b"<stream:stream")
        .is_some_and(|rest| matches!(rest[0], b' ' | b'\t' | b'\r' | b'\n' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream id='a>b' xmlns='jabber:client'>\n\
        <stream:features><bind xmlns='b'/></stream:features> <r xmlns='urn:xmpp:sm:3'/>\
        <message to='a'><body>1 > 0</body><x a=\"'>\"/></message></stream:stream>";

    fn framed(chunks: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
        let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
        for chunk in chunks {
            input.extend_from_slice(&chunk);
            while let Some(framed) = framer.next(&mut input) {
                found.push(match framed {
                    Framed::Header => "header".to_owned(),
                    Framed::Element(element) => String::from_utf8(element.bytes().to_vec()).unwrap(),
                    Framed::End => "end".to_owned(),
                });
            }
        }
        assert!(input.is_empty(), "{input:?} is left");
        found
    }

    #[test]
    fn a_stream_is_cut_into_its_elements_however_it_arrives() {
        let expected = [
            "header",
            "<stream:features><bind xmlns='b'/></stream:features>",
            "<r xmlns='urn:xmpp:sm:3'/>",
            "<message to='a'><body>1 > 0</body><x a=\"'>\"/></message>",
            "end",
        ];
        for size in 1..=STREAM.len() {
            assert_eq!(
                framed(STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec)),
                expected,
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn elements_within_elements_of_the_same_name_do_not_end_it() {
        let carbon = "<message><sent><forwarded><message><body/></message></forwarded></sent></message>";
        assert_eq!(framed([carbon.as_bytes().to_vec()].into_iter()), [carbon]);
    }

    #[test]
    fn white_space_that_keeps_a_connection_open_leaves_nothing() {
        assert!(framed([b" ".to_vec(), b"\n".to_vec()].into_iter()).is_empty());
    }
}
