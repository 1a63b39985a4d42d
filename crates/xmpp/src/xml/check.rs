//! Checks one top-level element while it arrives: the one pass in which every byte is looked at.
//!
//! The buffer always begins with the element's `<`; all offsets count from there. Work stops at the end of a token
//! and goes on from there, so the outcome does not depend on how the bytes were cut into arrivals.

use super::{
    Limits, XmlError,
    scope::{self, Scope},
    seek::Seek,
    tag::{self, Tag},
};

/// What is told about the element while it is checked.
pub(crate) trait Sink {
    /// A start tag, `depth` 0 for the outermost; its declarations are already in `scope`.
    fn start(&mut self, depth: usize, buffer: &[u8], tag: &Tag, scope: &Scope) -> Result<(), XmlError>;
    /// A prefix was used at `depth` that is bound outside the children of the outermost element.
    fn borrowed(&mut self, _binding: usize) {}
    /// Text, or a CDATA section with its brackets.
    fn text(&mut self, _raw: &[u8]) -> Result<(), XmlError> {
        Ok(())
    }
    /// An element ended before the offset `end`.
    fn end(&mut self, depth: usize, end: usize);
}

#[derive(Debug, Clone, Copy)]
struct Open {
    name: u32,
    name_end: u32,
    /// Bindings in force outside of the element.
    bindings: u32,
}

/// The state between two tokens of an element.
#[derive(Debug)]
pub(crate) struct Checker {
    at: usize,
    seek: Seek,
    elements: u32,
    open: Vec<Open>,
    scope: Scope,
    /// Bindings in force outside the outermost element, and outside its children.
    outside: usize,
    outside_children: usize,
    /// The start tag read last.
    tag: Tag,
}

impl Checker {
    #[inline]
    pub(crate) fn new(scope: Scope) -> Checker {
        Checker {
            at: 0,
            seek: Seek::default(),
            elements: 0,
            open: Vec::new(),
            outside: scope.len(),
            outside_children: 0,
            scope,
            tag: Tag::default(),
        }
    }

    /// Goes on as far as `buffer` reaches: the offset behind the element, or `None` if it is not complete yet.
    pub(crate) fn advance(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, XmlError> {
        const TOO_LONG: XmlError = XmlError::Limit("stanza_bytes_max");
        let bytes_max = limits.stanza_bytes_max as usize;
        if self.seek.is_under_way() && self.seek.end(buffer, self.at).is_none() {
            return if buffer.len() > bytes_max { Err(TOO_LONG) } else { Ok(None) };
        }
        loop {
            let token = self.at;
            match self.token(buffer, limits, sink) {
                Ok(Some(end)) if end > bytes_max => return Err(TOO_LONG),
                Ok(Some(end)) => self.at = end,
                // An error counts only once its token is complete: else it would depend on how the bytes were cut.
                incomplete_or_wrong => match self.seek.end(buffer, token) {
                    Some(end) if end > bytes_max => return Err(TOO_LONG),
                    Some(_) => {
                        return Err(incomplete_or_wrong.err().unwrap_or(XmlError::NotWellFormed("token")));
                    }
                    None if buffer.len() > bytes_max => return Err(TOO_LONG),
                    None => return Ok(None),
                },
            }
            if self.open.is_empty() {
                return Ok(Some(std::mem::take(&mut self.at)));
            }
        }
    }

    /// Makes ready for the elements of another scope.
    pub(crate) fn begin(&mut self, enter: impl FnOnce(&mut Scope)) {
        enter(&mut self.scope);
        self.outside = self.scope.len();
    }

    /// Makes ready for the next element in the same scope.
    pub(crate) fn reset(&mut self) {
        self.elements = 0;
        self.scope.truncate(self.outside);
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    fn token(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, XmlError> {
        let at = self.at;
        match (buffer.get(at), buffer.get(at + 1)) {
            (None, _) | (Some(b'<'), None) => Ok(None),
            (Some(b'<'), Some(b'/')) => self.end_tag(buffer, sink),
            (Some(b'<'), Some(b'?')) => Err(XmlError::Restricted("processing instruction")),
            (Some(b'<'), Some(b'!')) if !self.open.is_empty() => {
                let end = tag::cdata(buffer, at)?;
                end.map_or(Ok(()), |end| sink.text(&buffer[at..end]))?;
                Ok(end)
            }
            (Some(b'<'), Some(b'!')) => Err(XmlError::Restricted("comment, dtd or cdata between elements")),
            (Some(b'<'), Some(_)) => self.start_tag(buffer, limits, sink),
            (Some(_), _) => {
                let end = tag::text(buffer, at)?;
                end.map_or(Ok(()), |end| sink.text(&buffer[at..end]))?;
                Ok(end)
            }
        }
    }

    fn start_tag(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        sink: &mut impl Sink,
    ) -> Result<Option<usize>, XmlError> {
        let attributes_max = usize::from(limits.attributes_max);
        let Some(end) = self.tag.read(buffer, self.at, attributes_max)? else { return Ok(None) };
        let depth = self.open.len();
        self.elements += 1;
        if depth >= usize::from(limits.depth_max) {
            return Err(XmlError::Limit("depth_max"));
        }
        if self.elements > limits.elements_max {
            return Err(XmlError::Limit("elements_max"));
        }
        let bindings = self.scope.len();
        let prefixed = self.declare(buffer, limits)?;
        if depth == 0 {
            self.outside_children = self.scope.len();
        }
        sink.start(depth, buffer, &self.tag, &self.scope)?;
        self.check_prefixes(buffer, prefixed, depth, sink)?;
        if self.tag.empty {
            self.leave(depth, bindings, end, sink);
        } else {
            let (name, name_end) = (self.tag.start + 1, self.tag.name_end);
            self.open.push(Open { name, name_end, bindings: bindings as u32 });
        }
        Ok(Some(end))
    }

    /// Takes in the namespaces the tag declares; the number of its other attributes with a prefix.
    fn declare(&mut self, buffer: &[u8], limits: &Limits) -> Result<usize, XmlError> {
        let mut prefixed = 0;
        for attribute in &self.tag.attributes {
            if buffer[attribute.name as usize] == b'x' && self.scope.declare(buffer, attribute, limits)? {
                continue;
            }
            prefixed += usize::from(attribute.colon != 0);
        }
        Ok(prefixed)
    }

    fn check_prefixes(
        &self,
        buffer: &[u8],
        prefixed: usize,
        depth: usize,
        sink: &mut impl Sink,
    ) -> Result<(), XmlError> {
        let tag = &self.tag;
        if tag.alike || prefixed > 1 {
            scope::check_unique(buffer, &tag.attributes, &self.scope, prefixed)?;
        }
        if tag.colon != 0 {
            self.use_prefix(tag.prefix(buffer), depth, sink)?;
        }
        if prefixed > 0 {
            for attribute in tag.attributes.iter().filter(|attribute| attribute.colon != 0) {
                let prefix = attribute.prefix(buffer);
                if prefix != b"xmlns" {
                    self.use_prefix(prefix, depth, sink)?;
                }
            }
        }
        Ok(())
    }

    fn use_prefix(&self, prefix: &[u8], depth: usize, sink: &mut impl Sink) -> Result<(), XmlError> {
        if prefix == b"xml" {
            return Ok(());
        }
        let binding = self.scope.find(prefix).ok_or(XmlError::NotWellFormed("prefix not bound"))?;
        if depth > 0 && binding < self.outside_children {
            sink.borrowed(binding);
        }
        Ok(())
    }

    fn end_tag(&mut self, buffer: &[u8], sink: &mut impl Sink) -> Result<Option<usize>, XmlError> {
        let Some(open) = self.open.last().copied() else {
            return Err(XmlError::NotWellFormed("end tag of no element"));
        };
        let name = &buffer[open.name as usize..open.name_end as usize];
        let Some(end) = tag::end_tag(buffer, self.at, name)? else { return Ok(None) };
        self.open.pop();
        self.leave(self.open.len(), open.bindings as usize, end, sink);
        Ok(Some(end))
    }

    fn leave(&mut self, depth: usize, bindings: usize, end: usize, sink: &mut impl Sink) {
        sink.end(depth, end);
        // The outermost element's own bindings are kept until the sink is done with it: see `reset`.
        if depth > 0 {
            self.scope.truncate(bindings);
        }
    }
}
