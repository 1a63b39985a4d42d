//! A complete element of a stream, and cheap answers about it. Nothing is parsed before it is asked for, values are as
//! they were written (references unresolved), and names are told without their prefix.

use bytes::Bytes;
use memchr::{memchr, memchr2, memmem};

use crate::framer::{Markup, Shape, markup};

/// An element at the top of a stream; clones share its bytes.
#[derive(Clone, Debug)]
pub struct Element {
    bytes: Bytes,
    /// Length of the start tag.
    head: u32,
}

/// What an element is to XMPP (RFC 6120 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`.
    Message,
    /// `<presence/>`.
    Presence,
    /// `<iq/>`.
    Iq,
    /// No stanza.
    Other,
}

/// A start tag, and what follows it up to the end of the element at the top.
#[derive(Clone, Copy, Debug)]
pub struct Tag<'a> {
    bytes: &'a [u8],
    head: usize,
}

impl Element {
    pub(crate) fn new(bytes: Bytes, head: usize) -> Element {
        Element { bytes, head: head as u32 }
    }

    /// The whole element as it was sent.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The start tag of the element itself.
    pub fn tag(&self) -> Tag<'_> {
        Tag { bytes: &self.bytes, head: self.head as usize }
    }

    /// Length of the start tag.
    pub(crate) fn head_bytes(&self) -> usize {
        self.head as usize
    }

    /// Which stanza it is.
    pub fn kind(&self) -> Kind {
        match self.name() {
            b"message" => Kind::Message,
            b"presence" => Kind::Presence,
            b"iq" => Kind::Iq,
            _ => Kind::Other,
        }
    }

    /// Whether it is counted by stream management.
    pub fn is_stanza(&self) -> bool {
        self.kind() != Kind::Other
    }

    /// Whether it ends its stream with an error (RFC 6120 §4.9); RFC 7395 §3.6.1 sends clients elsewhere in another way.
    pub(crate) fn is_stream_error(&self) -> bool {
        match self.name() {
            b"error" => true,
            b"close" => self.other_uri().is_some(),
            _ => false,
        }
    }

    /// Where `<close/>` sends the client.
    pub(crate) fn other_uri(&self) -> Option<&str> {
        self.tag().attribute("see-other-uri")
    }

    /// The name without a prefix.
    pub fn name(&self) -> &[u8] {
        self.tag().name()
    }

    /// The `id`.
    pub fn id(&self) -> Option<&str> {
        self.tag().attribute("id")
    }

    /// The `from`.
    pub fn from(&self) -> Option<&str> {
        self.tag().attribute("from")
    }

    /// The `to`.
    pub fn to(&self) -> Option<&str> {
        self.tag().attribute("to")
    }

    /// The `type`; `None` is `normal` or `available`.
    pub fn ty(&self) -> Option<&str> {
        self.tag().attribute("type")
    }

    /// Whether its type is `error`.
    pub fn is_error(&self) -> bool {
        self.ty() == Some("error")
    }

    /// The defined condition of an error stanza (RFC 6120 §8.3.3).
    pub fn error_condition(&self) -> Option<&str> {
        let error = self.tag().children().find(|child| child.name() == b"error")?;
        error.children().map(|child| child.name_str()).find(|name| *name != "text")
    }

    /// The `type` of an error stanza's error (RFC 6120 §8.3.2): `auth`, `cancel`, `continue`, `modify` or `wait`.
    pub fn error_type(&self) -> Option<&str> {
        self.tag().children().find(|child| child.name() == b"error")?.attribute("type")
    }

    /// The first child.
    pub fn child(&self) -> Option<Tag<'_>> {
        self.tag().children().next()
    }

    /// The first child's namespace, if it declares one.
    pub fn child_ns(&self) -> Option<&str> {
        self.child()?.attribute("xmlns")
    }

    /// The first element of that name, at any depth.
    pub fn find(&self, name: &str) -> Option<Tag<'_>> {
        let mut at = self.head as usize;
        loop {
            at += memchr(b'<', self.bytes.get(at..)?)?;
            let tag = Tag::at(&self.bytes, at);
            if let Some(tag) = tag.filter(|tag| tag.name() == name.as_bytes()) {
                return Some(tag);
            }
            at += 1;
        }
    }

    /// Whether these bytes occur in it.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        memmem::find(&self.bytes, bytes).is_some()
    }

    /// How often these bytes occur in it.
    pub fn count(&self, bytes: &[u8]) -> usize {
        memmem::find_iter(&self.bytes, bytes).count()
    }
}

impl<'a> Tag<'a> {
    fn at(bytes: &'a [u8], start: usize) -> Option<Tag<'a>> {
        let Markup { start, end, .. } = markup(bytes, start)?;
        Some(Tag { bytes: &bytes[start..], head: end - start })
    }

    /// The name without a prefix.
    pub fn name(&self) -> &'a [u8] {
        let full = &self.bytes[1..self.name_end()];
        memchr(b':', full).map_or(full, |colon| &full[colon + 1..])
    }

    /// The same as text.
    pub fn name_str(&self) -> &'a str {
        std::str::from_utf8(self.name()).unwrap_or_default()
    }

    /// The value of an attribute, references unresolved. A prefix belongs to the name.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let head = &self.bytes[..self.head];
        let mut at = self.name_end();
        loop {
            let equals = at + memchr(b'=', &head[at..])?;
            let open = equals + memchr2(b'\'', b'"', &head[equals..])?;
            let close = open + 1 + memchr(head[open], &head[open + 1..])?;
            if head[at..equals].trim_ascii() == name.as_bytes() {
                return std::str::from_utf8(&head[open + 1..close]).ok();
            }
            at = close + 1;
        }
    }

    /// The text directly behind the start tag, references unresolved; empty if there is none.
    pub fn text(&self) -> &'a str {
        if self.is_empty() {
            return "";
        }
        let rest = &self.bytes[self.head..];
        let end = memchr(b'<', rest).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..end]).unwrap_or_default()
    }

    /// The children, in order.
    pub fn children(&self) -> impl Iterator<Item = Tag<'a>> + use<'a> {
        let Tag { bytes, head } = *self;
        let mut at = head;
        // Deeper than the children by this much.
        let mut depth = if self.is_empty() { -1 } else { 0 };
        std::iter::from_fn(move || {
            while depth >= 0 {
                let Markup { start, end, shape } = markup(bytes, at)?;
                at = end;
                let is_child = depth == 0 && matches!(shape, Shape::Open | Shape::Empty);
                match shape {
                    Shape::Open => depth += 1,
                    Shape::Close => depth -= 1,
                    Shape::Empty | Shape::Other => {}
                }
                if is_child {
                    return Some(Tag { bytes: &bytes[start..], head: end - start });
                }
            }
            None
        })
    }

    /// Whether it ends with its start tag.
    fn is_empty(&self) -> bool {
        self.bytes[..self.head].ends_with(b"/>")
    }

    fn name_end(&self) -> usize {
        let is_end = |byte: &u8| matches!(byte, b' ' | b'/' | b'>' | b'\t' | b'\r' | b'\n');
        self.bytes.iter().position(is_end).unwrap_or(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::framer::{Framed, Framer};

    fn element(text: &str) -> Element {
        match Framer::default().next(&mut BytesMut::from(text)) {
            Some(Framed::Element(element)) => element,
            other => panic!("{other:?} is no element"),
        }
    }

    #[test]
    fn a_message_tells_its_envelope_and_its_first_child() {
        let message = element(
            "<message from=\"a@x/r\" id = 'i>1' to='b@y' xml:lang='en'><body xmlns='n'>hi</body><x/></message>",
        );
        assert_eq!(message.kind(), Kind::Message);
        assert_eq!((message.from(), message.to(), message.id()), (Some("a@x/r"), Some("b@y"), Some("i>1")));
        assert_eq!((message.ty(), message.child_ns()), (None, Some("n")));
        assert_eq!(message.child().unwrap().text(), "hi");
        assert_eq!(message.find("x").unwrap().name(), b"x");
        assert!(message.contains(b">hi<") && !message.contains(b"ho"));
    }

    #[test]
    fn children_are_the_direct_ones() {
        let iq = element("<iq type='result'><q><a/><a>t</a></q><x:z xmlns:x='u'/></iq>");
        let names: Vec<_> = iq.tag().children().map(|child| child.name_str()).collect();
        assert_eq!(names, ["q", "z"]);
        assert_eq!(iq.child().unwrap().children().count(), 2);
        assert_eq!(iq.child().unwrap().children().next().unwrap().children().count(), 0);
    }

    #[test]
    fn an_error_tells_its_condition_and_type() {
        let bounce = element(
            "<message type='error'><body>a</body><error type='wait'><text>no</text><resource-constraint xmlns='s'/>\
             </error></message>",
        );
        assert!(bounce.is_error());
        assert_eq!(bounce.error_condition(), Some("resource-constraint"));
        assert_eq!(bounce.error_type(), Some("wait"));
    }
}
