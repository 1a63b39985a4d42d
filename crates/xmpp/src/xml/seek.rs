//! Where a token ends that is still arriving.

use super::tag::CDATA;

/// Finds the end of a token over many arrivals of input, and looks at each byte once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seek {
    /// Bytes of the token already looked at; 0: no search is under way.
    seen: u32,
    /// Inside a tag: the quote of the value the search is in.
    quote: u8,
}

impl Seek {
    pub(crate) fn is_under_way(self) -> bool {
        self.seen != 0
    }

    /// The end of the token at `start`; `None` if the buffer ends before it.
    pub(crate) fn end(&mut self, buffer: &[u8], start: usize) -> Option<usize> {
        let token = &buffer[start..];
        let end = match token {
            // Refused at sight.
            [b'<', b'?', ..] => Some(2),
            [b'<', b'!', ..] => self.section_end(token),
            [b'<', ..] => self.tag_end(token),
            _ => memchr::memchr(b'<', &token[self.seen as usize..]).map(|at| at + self.seen as usize),
        };
        self.settle(token, end).map(|end| start + end)
    }

    /// The end of the tag, or of the XML declaration, with which `buffer` begins.
    pub(crate) fn tag(&mut self, buffer: &[u8]) -> Option<usize> {
        let end = self.tag_end(buffer);
        self.settle(buffer, end)
    }

    fn settle(&mut self, token: &[u8], end: Option<usize>) -> Option<usize> {
        match end {
            Some(_) => *self = Seek::default(),
            None => self.seen = token.len() as u32,
        }
        end
    }

    fn tag_end(&mut self, token: &[u8]) -> Option<usize> {
        let mut at = self.seen as usize;
        loop {
            let rest = &token[at..];
            if self.quote == 0 {
                at += memchr::memchr3(b'>', b'"', b'\'', rest)?;
                if token[at] == b'>' {
                    return Some(at + 1);
                }
                self.quote = token[at];
            } else {
                at += memchr::memchr(self.quote, rest)?;
                self.quote = 0;
            }
            at += 1;
        }
    }

    fn section_end(&mut self, token: &[u8]) -> Option<usize> {
        // What is no CDATA section is refused at the first byte that differs, so it needs no end.
        let seen = token.len().min(CDATA.len());
        if token[..seen] != CDATA[..seen] {
            return Some(seen);
        }
        let from = (self.seen as usize).saturating_sub(2).max(CDATA.len());
        memchr::memmem::find(token.get(from..)?, b"]]>").map(|at| from + at + 3)
    }
}
