//! The three kinds of stanza, their types, and the namespaces they live in.

use crate::{ns, xml::Name};

/// The three kinds of stanza (RFC 6120 §8.2). The numbers travel between the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Pushed information.
    Message = 0,
    /// Availability and subscriptions.
    Presence = 1,
    /// Question and answer.
    Iq = 2,
}

impl Kind {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }

    /// From the number that travels.
    pub fn from_number(number: u8) -> Option<Kind> {
        [Kind::Message, Kind::Presence, Kind::Iq].get(usize::from(number)).copied()
    }

    pub(crate) fn parse(name: &[u8]) -> Option<Kind> {
        match name {
            b"message" => Some(Kind::Message),
            b"presence" => Some(Kind::Presence),
            b"iq" => Some(Kind::Iq),
            _ => None,
        }
    }
}

/// The attribute `type` of all kinds (RFC 6120 §8.2.3, RFC 6121 §4.7.1 and §5.2.2). The numbers travel between the roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the RFC's own words")]
pub enum Type {
    Normal = 0,
    Chat = 1,
    Groupchat = 2,
    Headline = 3,
    Available = 4,
    Unavailable = 5,
    Subscribe = 6,
    Subscribed = 7,
    Unsubscribe = 8,
    Unsubscribed = 9,
    Probe = 10,
    Get = 11,
    Set = 12,
    Result = 13,
    Error = 14,
}

impl Type {
    const ALL: [Type; 15] = [
        Type::Normal,
        Type::Chat,
        Type::Groupchat,
        Type::Headline,
        Type::Available,
        Type::Unavailable,
        Type::Subscribe,
        Type::Subscribed,
        Type::Unsubscribe,
        Type::Unsubscribed,
        Type::Probe,
        Type::Get,
        Type::Set,
        Type::Result,
        Type::Error,
    ];

    /// As it is written; `None` for those that are said by leaving the attribute out.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Type::Normal | Type::Available => return None,
            Type::Chat => "chat",
            Type::Groupchat => "groupchat",
            Type::Headline => "headline",
            Type::Unavailable => "unavailable",
            Type::Subscribe => "subscribe",
            Type::Subscribed => "subscribed",
            Type::Unsubscribe => "unsubscribe",
            Type::Unsubscribed => "unsubscribed",
            Type::Probe => "probe",
            Type::Get => "get",
            Type::Set => "set",
            Type::Result => "result",
            Type::Error => "error",
        })
    }

    /// From the number that travels.
    pub fn from_number(number: u8) -> Option<Type> {
        Type::ALL.get(usize::from(number)).copied()
    }

    /// What a kind without the attribute is; a query without is malformed and gets what can be answered.
    pub(crate) fn default_of(kind: Kind) -> Type {
        match kind {
            Kind::Message => Type::Normal,
            Kind::Presence => Type::Available,
            Kind::Iq => Type::Get,
        }
    }

    /// The type of this name, if the kind has it. RFC 6121 §5.2.2: an unknown message is a normal one.
    pub(crate) fn parse(kind: Kind, name: &str) -> Option<Type> {
        let (all, default) = match kind {
            Kind::Message => (&Type::ALL[..4], Some(Type::Normal)),
            Kind::Presence => (&Type::ALL[4..11], None),
            Kind::Iq => (&Type::ALL[11..14], None),
        };
        if name == "error" {
            return Some(Type::Error);
        }
        all.iter().copied().find(|ty| ty.name() == Some(name)).or(default)
    }
}

/// What was malformed in a stanza's start tag, so that its owner can answer. The bits travel between the roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    pub(crate) const BAD_TO: u8 = 2;
    pub(crate) const BAD_FROM: u8 = 4;
    pub(crate) const BAD_TYPE: u8 = 8;

    /// From the bits that travel; unknown ones are dropped.
    pub fn from_bits(bits: u32) -> Flags {
        Flags(bits as u8 & (Flags::BAD_TO | Flags::BAD_FROM | Flags::BAD_TYPE))
    }

    /// The bits that travel.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// There was a `to`, but no address in it.
    pub fn has_bad_to(self) -> bool {
        self.0 & Flags::BAD_TO != 0
    }

    /// There was a `from`, but no address in it.
    pub fn has_bad_from(self) -> bool {
        self.0 & Flags::BAD_FROM != 0
    }

    /// The type is none of the kind's; [`Stanza::ty`](super::Stanza::ty) is a stand-in that can be answered.
    pub fn has_bad_type(self) -> bool {
        self.0 & Flags::BAD_TYPE != 0
    }

    pub(crate) fn set(&mut self, bit: u8) {
        self.0 |= bit;
    }
}

/// The namespace stanzas are in (RFC 6120 §4.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentNs {
    /// Whatever the stream around has declared: nothing is written.
    Inherited,
    /// `jabber:client`, written out: WebSocket messages, stored and forwarded stanzas.
    Client,
    /// `jabber:server`, written out.
    Server,
    /// `jabber:component:accept`, written out (XEP-0114).
    Component,
}

impl ContentNs {
    /// The namespace; empty if inherited.
    pub fn as_str(self) -> &'static str {
        match self {
            ContentNs::Inherited => ns::NONE,
            ContentNs::Client => ns::CLIENT,
            ContentNs::Server => ns::SERVER,
            ContentNs::Component => ns::COMPONENT,
        }
    }

    pub(crate) fn name(self) -> Name {
        match self {
            ContentNs::Inherited => Name::NONE,
            ContentNs::Client => Name::CLIENT,
            ContentNs::Server => Name::SERVER,
            ContentNs::Component => Name::COMPONENT,
        }
    }

    pub(crate) fn of(ns: &str) -> Option<ContentNs> {
        match ns {
            ns::CLIENT => Some(ContentNs::Client),
            ns::SERVER => Some(ContentNs::Server),
            ns::COMPONENT => Some(ContentNs::Component),
            _ => None,
        }
    }
}
