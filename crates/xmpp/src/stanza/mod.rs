//! Messages, presences and queries as they travel between the roles: the start tag is fields, the payload is bytes
//! with an index of its top-level children. Routing never parses XML again.

mod answer;
mod error;
mod kind;
mod payload;
#[cfg(test)]
mod tests;

pub use self::{
    error::{Condition, ErrorKind, StanzaError},
    kind::{ContentNs, Flags, Kind, Type},
    payload::{Child, Payload},
};
pub use crate::xml::Name;
use crate::{
    jid::Jid,
    xml::{Element, write_attribute},
};

/// A stanza (RFC 6120 §8).
#[derive(Debug, Clone, PartialEq)]
pub struct Stanza {
    /// The element's name.
    pub kind: Kind,
    /// The attribute `type`, or what its absence means.
    pub ty: Type,
    /// What was malformed when the stanza was sent.
    pub flags: Flags,
    /// The sender.
    pub from: Option<Jid>,
    /// The addressee.
    pub to: Option<Jid>,
    /// The sender's own id.
    pub id: Option<Box<str>>,
    /// The language of what is for human eyes; a stream's language is already in here.
    pub lang: Option<Box<str>>,
    /// Other attributes without a namespace.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// What is between the tags.
    pub payload: Payload,
}

impl Stanza {
    /// An empty stanza.
    pub fn new(kind: Kind, ty: Type) -> Stanza {
        Stanza {
            kind,
            ty,
            flags: Flags::default(),
            from: None,
            to: None,
            id: None,
            lang: None,
            attributes: Vec::new(),
            payload: Payload::default(),
        }
    }

    /// An empty message.
    pub fn message(ty: Type) -> Stanza {
        Stanza::new(Kind::Message, ty)
    }

    /// An empty presence.
    pub fn presence(ty: Type) -> Stanza {
        Stanza::new(Kind::Presence, ty)
    }

    /// An empty query.
    pub fn iq(ty: Type) -> Stanza {
        Stanza::new(Kind::Iq, ty)
    }

    /// Sets the sender.
    #[must_use]
    pub fn with_from(mut self, from: impl Into<Option<Jid>>) -> Stanza {
        self.from = from.into();
        self
    }

    /// Sets the addressee.
    #[must_use]
    pub fn with_to(mut self, to: impl Into<Option<Jid>>) -> Stanza {
        self.to = to.into();
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Box<str>>) -> Stanza {
        self.id = Some(id.into());
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with_child(mut self, child: &Element) -> Stanza {
        self.payload.push(child);
        self
    }

    /// Appends the stanza as it is written in a stream of this content namespace, or where there is none.
    pub fn write(&self, out: &mut Vec<u8>, content: ContentNs) {
        let name = self.kind.name();
        out.reserve(self.payload.bytes().len() + 256);
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        if content != ContentNs::Inherited {
            write_attribute(out, "xmlns", content.as_str());
        }
        for (name, jid) in [("to", &self.to), ("from", &self.from)] {
            if let Some(jid) = jid {
                write_attribute(out, name, jid.as_str());
            }
        }
        if let Some(ty) = self.ty.name() {
            write_attribute(out, "type", ty);
        }
        for (name, value) in [("id", &self.id), ("xml:lang", &self.lang)] {
            if let Some(value) = value {
                write_attribute(out, name, value);
            }
        }
        for (name, value) in &self.attributes {
            write_attribute(out, name, value);
        }
        if self.payload.bytes().is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        out.extend_from_slice(self.payload.bytes());
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.as_bytes());
        out.push(b'>');
    }

    /// The stanza as bytes, see [`Stanza::write`].
    pub fn to_bytes(&self, content: ContentNs) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out, content);
        out
    }

    /// The stanza as an element of `jabber:client`, as `<forwarded/>` wants it (XEP-0297 §3).
    pub fn to_element(&self) -> Result<Element, crate::xml::XmlError> {
        Element::parse(&self.to_bytes(ContentNs::Client), crate::ns::NONE)
    }

    /// RFC 6120 §8.2.3: a query has an id; a question has one child.
    fn is_query(&self) -> bool {
        let question = matches!(self.ty, Type::Get | Type::Set);
        let children = self.payload.children().len();
        self.id.is_some() && (!question || children == 1)
    }

    /// Why the stanza must be refused whatever it says: RFC 6120 §8.1.3, §8.2.2, §8.2.3 and §8.3.3.8.
    pub fn fault(&self) -> Option<Condition> {
        if self.flags.has_bad_to() || self.flags.has_bad_from() {
            Some(Condition::JidMalformed)
        } else if self.flags.has_bad_type() || self.kind == Kind::Iq && !self.is_query() {
            Some(Condition::BadRequest)
        } else {
            None
        }
    }
}
