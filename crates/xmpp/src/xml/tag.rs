//! A start tag, a run of text, a CDATA section: the tokens of a document, each read in one go.
//!
//! Every function takes the buffer and the offset at which the token begins, and answers `None` when the buffer ends
//! before the token does. Then [`Seek`](super::seek::Seek) finds the end without looking twice at any byte.

use std::borrow::Cow;

use super::{
    XmlError,
    chars::{self, NAME, NAME_START, SPACE, is},
    text,
};

/// Where the parts of an attribute are in the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute {
    /// From here the attribute can be cut out: the space before it.
    pub(crate) cut: u32,
    pub(crate) name: u32,
    /// Offset of the colon, 0 if there is none.
    pub(crate) colon: u32,
    pub(crate) name_end: u32,
    pub(crate) value: u32,
    pub(crate) value_end: u32,
    /// The value means what is written: it has neither references nor white space to normalise.
    pub(crate) plain: bool,
}

impl Attribute {
    pub(crate) fn name<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        &buffer[self.name as usize..self.name_end as usize]
    }

    pub(crate) fn prefix<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        if self.colon == 0 { b"" } else { &buffer[self.name as usize..self.colon as usize] }
    }

    pub(crate) fn local<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let start = if self.colon == 0 { self.name } else { self.colon + 1 };
        &buffer[start as usize..self.name_end as usize]
    }

    /// What the value means.
    pub(crate) fn resolved<'a>(&self, buffer: &'a [u8]) -> Result<Cow<'a, str>, XmlError> {
        if self.plain {
            let text = std::str::from_utf8(self.value(buffer));
            return text.map(Cow::Borrowed).map_err(|_| XmlError::NotWellFormed("not utf-8"));
        }
        text::resolved(self.value(buffer), true)
    }

    /// As written: references are not resolved.
    pub(crate) fn value<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        &buffer[self.value as usize..self.value_end as usize]
    }
}

/// What was met in a tag and asks for more work.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    beyond_ascii: bool,
    to_resolve: bool,
}

/// Where the parts of a start tag are in the buffer. One is used for many tags.
#[derive(Debug, Default)]
pub(crate) struct Tag {
    pub(crate) start: u32,
    /// Offset of the colon, 0 if there is none.
    pub(crate) colon: u32,
    pub(crate) name_end: u32,
    pub(crate) end: u32,
    /// `<a/>`: the element ends with its tag.
    pub(crate) empty: bool,
    /// Not all names of the attributes were seen to differ: they have to be compared.
    pub(crate) alike: bool,
    pub(crate) attributes: Vec<Attribute>,
}

impl Tag {
    pub(crate) fn name<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        &buffer[self.start as usize + 1..self.name_end as usize]
    }

    pub(crate) fn prefix<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        if self.colon == 0 { b"" } else { &buffer[self.start as usize + 1..self.colon as usize] }
    }

    pub(crate) fn local<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let start = if self.colon == 0 { self.start } else { self.colon };
        &buffer[start as usize + 1..self.name_end as usize]
    }

    /// Reads the start tag at `start` in place of the one before; its end, too, is answered.
    pub(crate) fn read(
        &mut self,
        buffer: &[u8],
        start: usize,
        attributes_max: usize,
    ) -> Result<Option<usize>, XmlError> {
        self.attributes.clear();
        self.alike = false;
        let (mut seen, mut signatures) = (Seen::default(), 0);
        let Some((name_end, colon)) = name(buffer, start + 1, &mut seen)? else { return Ok(None) };
        (self.start, self.name_end, self.colon) = (start as u32, name_end as u32, colon as u32);
        let mut at = name_end;
        let end = loop {
            let cut = at;
            at = skip_space(buffer, at);
            match buffer.get(at) {
                None => return Ok(None),
                Some(b'>') => break at + 1,
                Some(b'/') => match buffer.get(at + 1) {
                    None => return Ok(None),
                    Some(b'>') => break at + 2,
                    Some(_) => return Err(UNEXPECTED),
                },
                Some(_) if at == cut => return Err(UNEXPECTED),
                Some(_) => {
                    let Some(attribute) = attribute(buffer, cut, at, &mut seen)? else { return Ok(None) };
                    if self.attributes.len() == attributes_max {
                        return Err(XmlError::Limit("attributes_max"));
                    }
                    let signature = signature(attribute.name(buffer));
                    self.alike |= signatures & signature != 0;
                    signatures |= signature;
                    at = attribute.value_end as usize + 1;
                    self.attributes.push(attribute);
                }
            }
        };
        (self.end, self.empty) = (end as u32, end - at == 2);
        if seen.beyond_ascii {
            chars::check_beyond_ascii(&buffer[start..end])?;
            chars::check_name(self.name(buffer))?;
            self.attributes.iter().try_for_each(|attribute| chars::check_name(attribute.name(buffer)))?;
        }
        Ok(Some(end))
    }
}

const UNEXPECTED: XmlError = XmlError::NotWellFormed("unexpected byte in a tag");

/// One bit of 64: names that differ in it are not the same.
fn signature(name: &[u8]) -> u64 {
    let outer = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    1 << ((outer(name.first()) * 7 + outer(name.last()) * 5 + name.len()) % 64)
}

#[inline]
fn attribute(
    buffer: &[u8],
    cut: usize,
    start: usize,
    seen: &mut Seen,
) -> Result<Option<Attribute>, XmlError> {
    let Some((name_end, colon)) = name(buffer, start, seen)? else { return Ok(None) };
    let (at, quote) = match buffer.get(name_end..name_end + 2) {
        Some(&[b'=', quote @ (b'"' | b'\'')]) => (name_end + 1, quote),
        _ => match spaced_quote(buffer, name_end)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let value = at + 1;
    seen.to_resolve = false;
    let mut value_end = chars::skip_plain(buffer, value, [quote, b'<', b'&']);
    if buffer.get(value_end) != Some(&quote) {
        let Some(end) = odd_value_end(buffer, value_end, quote, seen)? else { return Ok(None) };
        value_end = end;
    }
    Ok(Some(Attribute {
        cut: cut as u32,
        name: start as u32,
        colon: colon as u32,
        name_end: name_end as u32,
        value: value as u32,
        value_end: value_end as u32,
        plain: !seen.to_resolve,
    }))
}

/// The quote that begins a value and its offset, where space stands around the equals sign.
fn spaced_quote(buffer: &[u8], at: usize) -> Result<Option<(usize, u8)>, XmlError> {
    let equals = skip_space(buffer, at);
    match buffer.get(equals) {
        None => return Ok(None),
        Some(b'=') => {}
        Some(_) => return Err(UNEXPECTED),
    }
    let at = skip_space(buffer, equals + 1);
    match buffer.get(at) {
        None => Ok(None),
        Some(&quote @ (b'"' | b'\'')) => Ok(Some((at, quote))),
        Some(_) => Err(UNEXPECTED),
    }
}

/// Offset of the quote that ends the value, which up to `at` is plain.
fn odd_value_end(
    buffer: &[u8],
    mut at: usize,
    quote: u8,
    seen: &mut Seen,
) -> Result<Option<usize>, XmlError> {
    loop {
        let Some(&byte) = buffer.get(at) else { return Ok(None) };
        match byte {
            _ if byte == quote => return Ok(Some(at)),
            0x80.. => {
                seen.beyond_ascii = true;
                at = chars::skip_beyond_ascii(buffer, at);
            }
            b'&' => match chars::reference(&buffer[at..])? {
                Some((_, length)) => {
                    seen.to_resolve = true;
                    at += length;
                }
                None => return Ok(None),
            },
            b'\t' | b'\n' | b'\r' => {
                seen.to_resolve = true;
                at += 1;
            }
            b'<' => return Err(XmlError::NotWellFormed("less-than sign in an attribute")),
            _ => return Err(XmlError::NotWellFormed("character not allowed in xml")),
        }
        at = chars::skip_plain(buffer, at, [quote, b'<', b'&']);
    }
}

/// End of the name at `start` and offset of its colon, 0 if it has none. What is beyond ASCII is checked later.
#[inline]
fn name(buffer: &[u8], start: usize, seen: &mut Seen) -> Result<Option<(usize, usize)>, XmlError> {
    match plain_name(buffer, start) {
        Some(end) => Ok(Some((end, 0))),
        None => odd_name(buffer, start, seen),
    }
}

/// End of the name at `start`, if it is ASCII, has no colon, and ends within the buffer.
#[inline]
fn plain_name(buffer: &[u8], start: usize) -> Option<usize> {
    let end = skip_name(buffer, start);
    let after = *buffer.get(end)?;
    (after < 0x80 && after != b':' && is(buffer[start], NAME_START)).then_some(end)
}

/// As [`name`], for what is no [`plain_name`].
#[cold]
fn odd_name(buffer: &[u8], start: usize, seen: &mut Seen) -> Result<Option<(usize, usize)>, XmlError> {
    let Some(end) = part(buffer, start, seen)? else { return Ok(None) };
    if buffer[end] != b':' {
        return Ok(Some((end, 0)));
    }
    // Namespaces in XML §4: one colon, a name on either side.
    let (colon, Some(end)) = (end, part(buffer, end + 1, seen)?) else { return Ok(None) };
    if buffer[end] == b':' { Err(NO_NAME) } else { Ok(Some((end, colon))) }
}

const NO_NAME: XmlError = XmlError::NotWellFormed("character not allowed in a name");

/// End of a name without colons.
fn part(buffer: &[u8], start: usize, seen: &mut Seen) -> Result<Option<usize>, XmlError> {
    let mut at = start;
    loop {
        at = skip_name(buffer, at);
        match buffer.get(at) {
            None => return Ok(None),
            Some(0x80..) => {
                seen.beyond_ascii = true;
                at = chars::skip_beyond_ascii(buffer, at);
            }
            Some(_) if buffer[start] < 0x80 && !is(buffer[start], NAME_START) => return Err(NO_NAME),
            Some(_) => return Ok(Some(at)),
        }
    }
}

/// Names are short and their lengths repeat: a branch a byte is predicted, and waits for nothing.
#[inline]
fn skip_name(buffer: &[u8], mut at: usize) -> usize {
    while buffer.get(at).is_some_and(|byte| is(*byte, NAME)) {
        at += 1;
    }
    at
}

#[inline]
fn skip_space(buffer: &[u8], mut at: usize) -> usize {
    while buffer.get(at).is_some_and(|byte| is(*byte, SPACE)) {
        at += 1;
    }
    at
}

/// Checks the text at `start` and answers the offset of the `<` that ends it.
pub(crate) fn text(buffer: &[u8], start: usize) -> Result<Option<usize>, XmlError> {
    let (mut at, mut beyond_ascii) = (start, false);
    loop {
        at = chars::skip_plain_blocks(buffer, at);
        at = chars::skip_plain(buffer, at, [b'<', b'&', b']']);
        let Some(&byte) = buffer.get(at) else { return Ok(None) };
        match byte {
            b'<' => break,
            0x80.. => {
                beyond_ascii = true;
                at = chars::skip_beyond_ascii(buffer, at);
            }
            b'&' => match chars::reference(&buffer[at..])? {
                Some((_, length)) => at += length,
                None => return Ok(None),
            },
            b']' if buffer[at..].starts_with(b"]]>") => return Err(XmlError::NotWellFormed("]]> in text")),
            b']' | b'\t' | b'\n' | b'\r' => at += 1,
            _ => return Err(XmlError::NotWellFormed("character not allowed in xml")),
        }
    }
    if beyond_ascii {
        chars::check_beyond_ascii(&buffer[start..at])?;
    }
    Ok(Some(at))
}

pub(super) const CDATA: &[u8] = b"<![CDATA[";

/// Checks the CDATA section at `start`, where `<!` has been seen; the only such thing a stream may have.
pub(crate) fn cdata(buffer: &[u8], start: usize) -> Result<Option<usize>, XmlError> {
    let rest = &buffer[start..];
    let seen = rest.len().min(CDATA.len());
    if rest[..seen] != CDATA[..seen] {
        return Err(XmlError::Restricted("comment or dtd"));
    }
    if rest.len() < CDATA.len() {
        return Ok(None);
    }
    let Some(length) = memchr::memmem::find(&rest[CDATA.len()..], b"]]>") else { return Ok(None) };
    let content = &rest[CDATA.len()..CDATA.len() + length];
    if content.iter().any(|&byte| byte < b' ' && !is(byte, SPACE)) {
        return Err(XmlError::NotWellFormed("character not allowed in xml"));
    }
    if !content.is_ascii() {
        chars::check_beyond_ascii(content)?;
    }
    Ok(Some(start + CDATA.len() + length + 3))
}

/// Checks the end tag at `start` against the `name` of the element it has to end.
pub(crate) fn end_tag(buffer: &[u8], start: usize, name: &[u8]) -> Result<Option<usize>, XmlError> {
    const WRONG: XmlError = XmlError::NotWellFormed("end tag of another element");
    let rest = &buffer[start + 2..];
    let seen = rest.len().min(name.len());
    if rest[..seen] != name[..seen] {
        return Err(WRONG);
    }
    let end = skip_space(rest, name.len());
    match rest.get(end) {
        None => Ok(None),
        Some(b'>') => Ok(Some(start + 2 + end + 1)),
        Some(_) => Err(WRONG),
    }
}
