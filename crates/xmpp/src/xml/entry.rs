//! From a checked element to a [`Stanza`], in the same pass: the start tag becomes fields, the rest bytes that mean the
//! same wherever they are written.

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    Limits, Name, XmlError,
    check::Sink,
    scope::{Binding, Scope},
    tag::{Attribute, Tag},
    text::write_attribute,
};
use crate::{
    jid::Jid,
    stanza::{Child, ContentNs, Flags, Kind, Payload, Stanza, Type},
};

/// Collects a stanza while its element is checked.
#[derive(Debug)]
pub(crate) struct Entry {
    content: Name,
    /// The start tag, if it is a stanza's.
    stanza: Option<Stanza>,
    /// Where the start tag ends. All ranges of children count from here.
    payload_start: u32,
    children: Vec<Child>,
    /// What makes the payload self-contained.
    edits: SmallVec<[Edit; 2]>,
    /// Where a declaration can be added to the child that is open.
    insert_at: u32,
    /// The default namespace within the stanza, if it is not the content namespace.
    foreign_default: Option<u32>,
}

/// A change to the payload's bytes at an offset of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    at: u32,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Declare what is bound outside, by its index in the scope.
    Declare(u32),
    /// Leave out as many bytes.
    Remove(u32),
}

impl Entry {
    #[inline]
    pub(crate) fn new(content: ContentNs) -> Entry {
        Entry {
            content: content.name(),
            stanza: None,
            payload_start: 0,
            children: Vec::new(),
            edits: SmallVec::new(),
            insert_at: 0,
            foreign_default: None,
        }
    }

    /// Makes ready for a stream of this content.
    pub(crate) fn begin(&mut self, content: ContentNs) {
        self.content = content.name();
    }

    /// The stanza, or `None` if the element in `buffer` was something else; ready for the next one.
    #[inline]
    pub(crate) fn finish(
        &mut self,
        buffer: &[u8],
        scope: &Scope,
        lang: Option<&str>,
        limits: &Limits,
    ) -> Result<Option<Stanza>, XmlError> {
        let Some(stanza) = &mut self.stanza else { return Ok(None) };
        let start = self.payload_start as usize;
        let end = memchr::memrchr(b'<', buffer).map_or(start, |end| end.max(start));
        let mut children = std::mem::take(&mut self.children);
        let bytes = if self.edits.is_empty() {
            Bytes::copy_from_slice(&buffer[start..end])
        } else {
            let mut edits = std::mem::take(&mut self.edits);
            edits.sort_by_key(|edit| edit.at);
            let bytes = apply(&edits, &buffer[..end], start, scope, limits)?;
            shift(&mut children, &edits, self.payload_start, scope);
            bytes
        };
        stanza.payload = Payload::from_index(bytes, children);
        if stanza.lang.is_none() {
            stanza.lang = lang.map(Box::from);
        }
        Ok(self.stanza.take())
    }

    fn child(&mut self, buffer: &[u8], tag: &Tag, scope: &Scope) -> Result<(), XmlError> {
        let ns = scope.element(buffer, tag)?;
        self.insert_at = tag.name_end;
        match tag.attributes.iter().find(|attribute| attribute.name(buffer) == b"xmlns") {
            // The content namespace is not the same on every way out, so it is never written down.
            Some(own) if scope.binding(scope.default()).ns == self.content => {
                self.edits.push(Edit { at: own.cut, what: What::Remove(own.value_end + 1 - own.cut) });
            }
            Some(_) => {}
            None => {
                let declare = |binding| Edit { at: tag.name_end, what: What::Declare(binding) };
                self.edits.extend(self.foreign_default.map(declare));
            }
        }
        let start = tag.start - self.payload_start;
        self.children.push(Child { ns, name: Name::from_bytes(tag.local(buffer)), start, end: start });
        Ok(())
    }
}

impl Sink for Entry {
    fn start(&mut self, depth: usize, buffer: &[u8], tag: &Tag, scope: &Scope) -> Result<(), XmlError> {
        match depth {
            0 => {
                self.payload_start = tag.end;
                let ns = scope.element(buffer, tag)?;
                if let Some(kind) = Kind::parse(tag.local(buffer)).filter(|_| ns == self.content) {
                    let stanza = self.stanza.insert(Stanza::new(kind, Type::default_of(kind)));
                    start_tag(stanza, buffer, &tag.attributes)?;
                    let default = scope.default();
                    self.foreign_default =
                        (scope.binding(default).ns != self.content).then_some(default as u32);
                }
                Ok(())
            }
            1 if self.stanza.is_some() => self.child(buffer, tag, scope),
            _ => Ok(()),
        }
    }

    fn borrowed(&mut self, binding: usize) {
        let edit = Edit { at: self.insert_at, what: What::Declare(binding as u32) };
        let of_child = self.edits.iter().rev().take_while(|other| other.at >= self.insert_at);
        if self.stanza.is_some() && !of_child.into_iter().any(|other| *other == edit) {
            self.edits.push(edit);
        }
    }

    fn end(&mut self, depth: usize, end: usize) {
        if let Some(child) = self.children.last_mut().filter(|_| depth == 1) {
            child.end = end as u32 - self.payload_start;
        }
    }
}

/// The fields of a start tag. What is wrong with an address or a type is the sender's error, not the stream's.
fn start_tag(stanza: &mut Stanza, buffer: &[u8], attributes: &[Attribute]) -> Result<(), XmlError> {
    let mut typed = false;
    for attribute in attributes {
        let value = || attribute.resolved(buffer);
        match attribute.name(buffer) {
            b"to" => stanza.to = address(&value()?, &mut stanza.flags, Flags::BAD_TO),
            b"from" => stanza.from = address(&value()?, &mut stanza.flags, Flags::BAD_FROM),
            b"id" => stanza.id = Some(value()?.into()),
            b"xml:lang" => stanza.lang = Some(value()?.into()),
            b"type" => {
                typed = true;
                match Type::parse(stanza.kind, &value()?) {
                    Some(ty) => stanza.ty = ty,
                    None => stanza.flags.set(Flags::BAD_TYPE),
                }
            }
            b"xmlns" => {}
            // RFC 6120 §8.1: what other namespaces say on a start tag is ignored.
            _ if attribute.colon != 0 => {}
            name => {
                let name = String::from_utf8_lossy(name).into();
                stanza.attributes.push((name, value()?.into()));
            }
        }
    }
    if stanza.kind == Kind::Iq && !typed {
        stanza.flags.set(Flags::BAD_TYPE);
    }
    Ok(())
}

fn address(text: &str, flags: &mut Flags, bad: u8) -> Option<Jid> {
    text.parse().inspect_err(|_| flags.set(bad)).ok()
}

fn declaration(binding: &Binding) -> Vec<u8> {
    let mut out = Vec::new();
    if binding.prefix.is_empty() {
        write_attribute(&mut out, "xmlns", &binding.ns);
    } else {
        write_attribute(&mut out, &format!("xmlns:{}", binding.prefix), &binding.ns);
    }
    out
}

/// Moves the children's ranges to where the edits put them.
fn shift(children: &mut [Child], edits: &[Edit], payload_start: u32, scope: &Scope) {
    let (mut added, mut removed) = (0, 0);
    let mut edits = edits.iter().peekable();
    for child in children {
        let end = child.end + payload_start;
        child.start = child.start + added - removed;
        while let Some(edit) = edits.next_if(|edit| edit.at < end) {
            match edit.what {
                What::Remove(length) => removed += length,
                What::Declare(binding) => added += declaration(scope.binding(binding as usize)).len() as u32,
            }
        }
        child.end = child.end + added - removed;
    }
}

fn apply(
    edits: &[Edit],
    buffer: &[u8],
    start: usize,
    scope: &Scope,
    limits: &Limits,
) -> Result<Bytes, XmlError> {
    let mut out = Vec::with_capacity(buffer.len() - start + 64);
    let mut from = start;
    for edit in edits {
        let at = edit.at as usize;
        out.extend_from_slice(&buffer[from..at]);
        from = at;
        match edit.what {
            What::Remove(length) => from += length as usize,
            What::Declare(binding) => out.extend_from_slice(&declaration(scope.binding(binding as usize))),
        }
        // A long namespace of the stream header, used by many small children, would grow far beyond what was sent.
        if out.len() > limits.stanza_bytes_max as usize {
            return Err(XmlError::Limit("stanza_bytes_max"));
        }
    }
    out.extend_from_slice(&buffer[from..]);
    Ok(out.into())
}
