//! Cuts a stream into its pieces: stanzas, headers, the space between. It trusts that the XML is well-formed, for it is told
//! nothing else, and looks at every byte once.

use memchr::{memchr, memchr3, memmem};

/// Cuts one direction of one stream. The caller keeps the bytes, and takes away each piece that was found.
#[derive(Debug, Default)]
pub struct Scanner {
    /// How far into the caller's bytes was looked.
    at: usize,
    /// Elements that are open, the stream's own not counted.
    depth: u32,
    tag: Option<Tag>,
}

/// A tag whose end has not come.
#[derive(Clone, Copy, Debug)]
struct Tag {
    start: usize,
    quote: Option<u8>,
}

impl Scanner {
    /// The length of the first piece, once all of it is there. The next call must be given what follows it.
    pub fn piece(&mut self, bytes: &[u8]) -> Option<usize> {
        let length = self.seek(bytes)?;
        self.at = 0;
        Some(length)
    }

    fn seek(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let tag = match self.tag {
                Some(tag) => tag,
                None => match memchr(b'<', &bytes[self.at..]) {
                    Some(0) if self.depth == 0 => self.open(0),
                    None if self.depth == 0 && !bytes.is_empty() => return Some(bytes.len()),
                    Some(space) if self.depth == 0 => return Some(space),
                    Some(text) => self.open(self.at + text),
                    None => {
                        self.at = bytes.len();
                        return None;
                    }
                },
            };
            let end = self.tag_end(bytes, tag)?;
            self.tag = None;
            self.at = end;
            if self.leaves_nothing_open(&bytes[tag.start..end]) {
                return Some(end);
            }
        }
    }

    fn open(&mut self, start: usize) -> Tag {
        let tag = Tag { start, quote: None };
        self.at = start + 1;
        self.tag = Some(tag);
        tag
    }

    /// Where the tag is over, or `None`, and then where to go on is kept.
    fn tag_end(&mut self, bytes: &[u8], mut tag: Tag) -> Option<usize> {
        const CDATA: &[u8] = b"<![CDATA[";
        let rest = &bytes[tag.start..];
        if rest.starts_with(CDATA) {
            return memmem::find(rest, b"]]>").map(|at| tag.start + at + 3);
        }
        if CDATA.starts_with(rest) {
            return None;
        }
        loop {
            let found = match tag.quote {
                Some(quote) => memchr(quote, &bytes[self.at..]),
                None => memchr3(b'>', b'\'', b'"', &bytes[self.at..]),
            };
            let Some(found) = found else {
                self.at = bytes.len();
                self.tag = Some(tag);
                return None;
            };
            let byte = bytes[self.at + found];
            self.at += found + 1;
            match tag.quote {
                Some(_) => tag.quote = None,
                None if byte == b'>' => return Some(self.at),
                None => tag.quote = Some(byte),
            }
        }
    }

    fn leaves_nothing_open(&mut self, tag: &[u8]) -> bool {
        let stands_alone = tag.ends_with(b"/>") || tag.starts_with(b"<?") || tag.starts_with(b"<!");
        if tag.starts_with(b"</") {
            self.depth = self.depth.saturating_sub(1);
        } else if !(stands_alone || self.depth == 0 && tag.starts_with(b"<stream:stream")) {
            self.depth += 1;
        }
        self.depth == 0
    }
}

/// An attribute of a piece's first tag, as it is written.
pub fn attribute<'a>(piece: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = piece;
    loop {
        // Names end at `=`; values hold no bare `<`, and the tag ends at the first `>` outside of them.
        let equals = memchr(b'=', rest)?;
        let key = rest[..equals].trim_ascii();
        if memchr(b'>', key).is_some() {
            return None;
        }
        let value = rest[equals + 1..].trim_ascii_start();
        let (quote, value) = value.split_first()?;
        let end = memchr(*quote, value)?;
        if key.rsplit(u8::is_ascii_whitespace).next() == Some(name.as_bytes()) {
            return Some(&value[..end]);
        }
        rest = &value[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream to='a>b' xmlns='jabber:client'>\n \
        <message id='1' to=\"o'b\"><body>a &gt; b<![CDATA[</message>]]></body><x y='/>'/></message><r/>\
        <stream:features><a/></stream:features></stream:stream>";
    const PIECES: &[&str] = &[
        "<?xml version='1.0'?>",
        "<stream:stream to='a>b' xmlns='jabber:client'>",
        "\n ",
        "<message id='1' to=\"o'b\"><body>a &gt; b<![CDATA[</message>]]></body><x y='/>'/></message>",
        "<r/>",
        "<stream:features><a/></stream:features>",
        "</stream:stream>",
    ];

    fn cut(stream: &str, chunk_bytes: usize) -> Vec<String> {
        let mut scanner = Scanner::default();
        let mut kept: Vec<u8> = Vec::new();
        let mut pieces = Vec::new();
        for chunk in stream.as_bytes().chunks(chunk_bytes) {
            kept.extend_from_slice(chunk);
            while let Some(length) = scanner.piece(&kept) {
                pieces
                    .push(String::from_utf8(kept.drain(..length).collect()).expect("cut between characters"));
            }
        }
        assert!(kept.is_empty(), "left: {}", String::from_utf8_lossy(&kept));
        pieces
    }

    #[test]
    fn a_stream_is_cut_at_its_stanzas_however_it_arrives() {
        assert_eq!(cut(STREAM, STREAM.len()), PIECES);
        for chunk_bytes in 1..40 {
            let pieces = cut(STREAM, chunk_bytes);
            // Space goes as it comes.
            let elements: Vec<&str> =
                pieces.iter().map(String::as_str).filter(|piece| !piece.trim().is_empty()).collect();
            let wanted: Vec<&str> = PIECES.iter().copied().filter(|piece| !piece.trim().is_empty()).collect();
            assert_eq!(elements, wanted, "in chunks of {chunk_bytes}");
        }
    }

    #[test]
    fn attributes_are_those_of_the_first_tag() {
        let message = b"<message xml:id='no' id = \"tl.1\" to='a=b'><x type='no'/></message>";
        assert_eq!(attribute(message, "id"), Some(&b"tl.1"[..]));
        assert_eq!(attribute(message, "to"), Some(&b"a=b"[..]));
        assert_eq!(attribute(message, "type"), None);
        assert_eq!(attribute(b"<presence/>", "id"), None);
    }
}
