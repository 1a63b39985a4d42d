//! Bytes in, stanzas out: the phases of a stream around its top-level elements.

use std::cell::Cell;

use bytes::{Buf, BytesMut};

use super::{
    Element, Limits, Name, XmlError, chars,
    check::Checker,
    entry::Entry,
    scope::{Binding, Scope},
    seek::Seek,
    tag::{self, Tag},
};
use crate::{
    ns,
    stanza::{ContentNs, Stanza},
};

/// What arrived.
#[derive(Debug)]
pub enum Incoming {
    /// The stream was opened, by `<stream:stream>` or, in frames, by `<open/>`.
    Header(Header),
    /// A stanza.
    Stanza(Stanza),
    /// Any other element at the top of the stream.
    Other(Element),
    /// The stream was closed. Whatever follows is dropped.
    Close,
}

/// The attributes of a stream's header, as they were given (RFC 6120 §4.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Whom the stream is for.
    pub to: Option<Box<str>>,
    /// Who opens it.
    pub from: Option<Box<str>>,
    /// The stream's id, given by the receiving side.
    pub id: Option<Box<str>>,
    /// The version of XMPP, `1.0`.
    pub version: Option<Box<str>>,
    /// The language of all that doesn't say otherwise.
    pub lang: Option<Box<str>>,
    /// The namespace of the stream's stanzas.
    pub content: ContentNs,
}

/// Reads one stream. What is not yet a complete element stays in the caller's buffer and is never looked at twice.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    phase: Phase,
    frames: bool,
    /// The header: what it declared for all that follows.
    outer: Option<Box<Outer>>,
    /// There is heap for reading only while an element is incomplete or more input is at hand.
    work: Option<Box<Work>>,
    /// How far the end of an incomplete header was sought.
    seek: Seek,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// An XML declaration may come.
    Start,
    Header,
    Open,
    Closed,
}

#[derive(Debug)]
struct Outer {
    content: ContentNs,
    lang: Option<Box<str>>,
    bindings: Vec<Binding>,
}

#[derive(Debug)]
struct Work {
    checker: Checker,
    entry: Entry,
}

thread_local! {
    /// What one stream has finished with serves the next one that this thread reads: most elements come alone, and
    /// making it anew for each was a seventh of what reading one costs. After an error it is dropped.
    static SPARE: Cell<Option<Box<Work>>> = const { Cell::new(None) };
}

impl Reader {
    /// For a stream that is one long document (RFC 6120 §4.2).
    pub fn stream(limits: Limits) -> Reader {
        let (outer, work, seek) = (None, None, Seek::default());
        Reader { limits, phase: Phase::Start, frames: false, outer, work, seek }
    }

    /// For a stream of messages, each a document of its own (RFC 7395 §3.3). A buffer passed to `read` is one message.
    pub fn frames(limits: Limits) -> Reader {
        Reader { frames: true, ..Reader::stream(limits) }
    }

    /// Reads the next thing out of `input`; `None` if there is no complete one. After an error the stream is over.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, XmlError> {
        loop {
            let space = input.iter().take_while(|&&byte| chars::is(byte, chars::SPACE)).count();
            if space > 0 {
                input.advance(space);
            }
            if input.is_empty() {
                self.work = None;
                return Ok(None);
            }
            match (self.phase, &input[..input.len().min(2)]) {
                (Phase::Closed, _) => input.clear(),
                // What UTF-16 and UTF-32 begin with, in either order of bytes.
                (Phase::Start, [0xFE | 0xFF | 0, ..] | [b'<', 0]) => {
                    return Err(XmlError::UnsupportedEncoding);
                }
                (_, [b'<']) if !self.frames => return Ok(None),
                (Phase::Start, [b'<', b'?']) => {
                    if !self.declaration(input)? {
                        return self.nothing();
                    }
                }
                (_, [b'<', b'?']) => return Err(XmlError::Restricted("processing instruction")),
                (_, [b'<', b'!']) => {
                    return Err(XmlError::Restricted("comment, dtd or cdata between stanzas"));
                }
                (_, [b'<', ..]) if self.frames => return self.frame(input),
                (Phase::Open, [b'<', b'/']) => return self.close(input),
                (Phase::Open, [b'<', ..]) => return self.element(input),
                (_, [b'<', ..]) => return self.header(input),
                _ => return Err(XmlError::BadFormat("text between stanzas")),
            }
        }
    }

    /// The next thing is a new header, as after TLS and SASL (RFC 6120 §4.3.3).
    pub fn restart(&mut self) {
        *self = Reader { frames: self.frames, ..Reader::stream(self.limits) };
    }

    /// Changes the limits from the next element on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    #[cfg(test)]
    pub(super) fn has_work(&self) -> bool {
        self.work.is_some()
    }

    /// Nothing complete: in a frame, an error.
    fn nothing<T>(&self) -> Result<Option<T>, XmlError> {
        if self.frames { Err(XmlError::NotWellFormed("message ends within an element")) } else { Ok(None) }
    }

    /// Looks for the end of a tag outside of any element.
    fn tag_end(&mut self, input: &[u8]) -> Result<Option<usize>, XmlError> {
        match self.seek.tag(input) {
            Some(end) if end <= self.limits.stanza_bytes_max as usize => Ok(Some(end)),
            None if input.len() <= self.limits.stanza_bytes_max as usize => Ok(None),
            _ => Err(XmlError::Limit("stanza_bytes_max")),
        }
    }

    /// Takes `<?xml …?>` (XML 1.0 §2.8); false if it is incomplete.
    fn declaration(&mut self, input: &mut BytesMut) -> Result<bool, XmlError> {
        let Some(end) = self.tag_end(input)? else { return Ok(false) };
        check_declaration(&input[..end])?;
        input.advance(end);
        self.phase = Phase::Header;
        Ok(true)
    }

    fn header(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, XmlError> {
        let Some(end) = self.tag_end(input)? else { return Ok(None) };
        let (buffer, mut tag) = (&input[..end], Tag::default());
        let read = tag.read(buffer, 0, usize::from(self.limits.attributes_max))?;
        if read != Some(end) || tag.empty {
            return Err(XmlError::NotWellFormed("stream header"));
        }
        let (header, outer) = open_stream(buffer, &tag, &self.limits)?;
        input.advance(end);
        self.outer = Some(Box::new(outer));
        self.phase = Phase::Open;
        Ok(Some(Incoming::Header(header)))
    }

    fn close(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, XmlError> {
        if self.tag_end(input)?.is_none() {
            return Ok(None);
        }
        tag::end_tag(input, 0, b"stream:stream")?.ok_or(XmlError::NotWellFormed("end of stream"))?;
        input.clear();
        self.phase = Phase::Closed;
        self.work = None;
        Ok(Some(Incoming::Close))
    }

    fn element(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, XmlError> {
        let outer = self.outer.as_deref();
        let mut work = self.work.take().unwrap_or_else(|| Work::begin(outer));
        let incoming = work.element(input, &self.limits, outer)?;
        if incoming.is_none() || !input.is_empty() {
            self.work = Some(work);
        } else {
            SPARE.set(Some(work));
        }
        Ok(incoming)
    }

    fn frame(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, XmlError> {
        let Some(incoming) = self.element(input)? else { return self.nothing() };
        if !input.iter().all(|&byte| chars::is(byte, chars::SPACE)) {
            return Err(XmlError::BadFormat("more than one element in a message"));
        }
        input.clear();
        let Incoming::Other(element) = incoming else { return Ok(Some(incoming)) };
        match (element.ns(), element.name()) {
            (ns::FRAMING, "open") => {
                let header = Header::of_open(&element);
                let (lang, content) = (header.lang.clone(), header.content);
                self.outer =
                    lang.map(|lang| Box::new(Outer { content, lang: Some(lang), bindings: Vec::new() }));
                self.phase = Phase::Open;
                Ok(Some(Incoming::Header(header)))
            }
            (ns::FRAMING, "close") => {
                self.phase = Phase::Closed;
                Ok(Some(Incoming::Close))
            }
            // RFC 7395 §3.3.3: each message declares its own namespace.
            (ns::NONE, _) => Err(XmlError::InvalidNamespace),
            _ => Ok(Some(Incoming::Other(element))),
        }
    }
}

impl Header {
    fn of_open(open: &Element) -> Header {
        let attribute = |name| open.attribute(name).map(Box::from);
        Header {
            to: attribute("to"),
            from: attribute("from"),
            id: attribute("id"),
            version: attribute("version"),
            lang: attribute("xml:lang"),
            content: ContentNs::Client,
        }
    }
}

impl Work {
    /// For an element of this stream, whosoever it was before.
    fn begin(outer: Option<&Outer>) -> Box<Work> {
        let content = outer.map_or(ContentNs::Client, |outer| outer.content);
        let mut work = SPARE.take().unwrap_or_else(|| {
            Box::new(Work { checker: Checker::new(Scope::new(Name::NONE)), entry: Entry::new(content) })
        });
        work.checker.begin(|scope| enter(outer, scope));
        work.entry.begin(content);
        work
    }

    fn element(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
        outer: Option<&Outer>,
    ) -> Result<Option<Incoming>, XmlError> {
        let Some(end) = self.checker.advance(input, limits, &mut self.entry)? else { return Ok(None) };
        let lang = outer.and_then(|outer| outer.lang.as_deref());
        let incoming = match self.entry.finish(&input[..end], self.checker.scope(), lang, limits)? {
            Some(stanza) => Incoming::Stanza(stanza),
            None => Incoming::Other(Element::parse_in(&input[..end], scope(outer))?),
        };
        self.checker.reset();
        input.advance(end);
        Ok(Some(incoming))
    }
}

/// The scope of what stands at the top of the stream; a message begins with none, for its header declares nothing.
fn scope(outer: Option<&Outer>) -> Scope {
    let mut scope = Scope::new(Name::NONE);
    enter(outer, &mut scope);
    scope
}

fn enter(outer: Option<&Outer>, scope: &mut Scope) {
    match outer.filter(|outer| !outer.bindings.is_empty()) {
        None => scope.restart(Name::NONE),
        Some(outer) => {
            scope.restart(outer.content.name());
            outer.bindings.iter().for_each(|binding| scope.push(binding.clone()));
        }
    }
}

fn open_stream(buffer: &[u8], tag: &Tag, limits: &Limits) -> Result<(Header, Outer), XmlError> {
    let mut scope = Scope::new(Name::NONE);
    let mut header =
        Header { to: None, from: None, id: None, version: None, lang: None, content: ContentNs::Client };
    let mut prefixed = 0;
    for attribute in &tag.attributes {
        if scope.declare(buffer, attribute, limits)? {
            continue;
        }
        prefixed += usize::from(attribute.colon != 0);
        let field = match attribute.name(buffer) {
            b"to" => &mut header.to,
            b"from" => &mut header.from,
            b"id" => &mut header.id,
            b"version" => &mut header.version,
            b"xml:lang" => &mut header.lang,
            _ if attribute.colon != 0 && scope.resolve(attribute.prefix(buffer)).is_none() => {
                return Err(XmlError::NotWellFormed("prefix not bound"));
            }
            _ => continue,
        };
        *field = Some(attribute.resolved(buffer)?.into());
    }
    super::scope::check_unique(buffer, &tag.attributes, &scope, prefixed)?;
    match scope.resolve(tag.prefix(buffer)) {
        None => return Err(XmlError::NotWellFormed("prefix not bound")),
        Some(ns) if ns != ns::STREAMS => return Err(XmlError::InvalidNamespace),
        // RFC 6120 §4.8.5 leaves the prefix free but in name: no implementation sends another.
        Some(_) if tag.prefix(buffer) != b"stream" => return Err(XmlError::BadPrefix),
        Some(_) if tag.local(buffer) != b"stream" => return Err(XmlError::BadFormat("root is not a stream")),
        Some(_) => {}
    }
    let default = scope.resolve(b"").ok_or(XmlError::InvalidNamespace)?;
    header.content = ContentNs::of(&default).ok_or(XmlError::InvalidNamespace)?;
    let bindings =
        (1..scope.len()).map(|at| scope.binding(at).clone()).filter(|binding| !binding.prefix.is_empty());
    let outer = Outer { content: header.content, lang: header.lang.clone(), bindings: bindings.collect() };
    Ok((header, outer))
}

/// `version` must be there, `encoding` and `standalone` may, in this order; the encoding is UTF-8 (RFC 6120 §11.6).
fn check_declaration(declaration: &[u8]) -> Result<(), XmlError> {
    const WRONG: XmlError = XmlError::NotWellFormed("xml declaration");
    let names = ["version", "encoding", "standalone"];
    let spaced = |rest: &&[u8]| rest.first().is_some_and(|&byte| chars::is(byte, chars::SPACE));
    let inner = declaration.strip_prefix(b"<?xml").filter(spaced);
    let inner = inner.ok_or(XmlError::Restricted("processing instruction"))?;
    let inner = inner.strip_suffix(b"?>").ok_or(WRONG)?;
    let (written, mut tag) = ([b"<xml", inner, b">"].concat(), Tag::default());
    tag.read(&written, 0, names.len()).map_err(|_| WRONG)?.ok_or(WRONG)?;
    let mut next = 0;
    for attribute in &tag.attributes {
        let at = names.iter().position(|name| name.as_bytes() == attribute.name(&written)).ok_or(WRONG)?;
        if at < next || next == 0 && at != 0 {
            return Err(WRONG);
        }
        next = at + 1;
        match (at, attribute.value(&written)) {
            (0, b"1.0") | (2, b"yes" | b"no") => {}
            (1, encoding) if encoding.eq_ignore_ascii_case(b"utf-8") => {}
            (1, _) => return Err(XmlError::UnsupportedEncoding),
            _ => return Err(WRONG),
        }
    }
    if next == 0 { Err(WRONG) } else { Ok(()) }
}
