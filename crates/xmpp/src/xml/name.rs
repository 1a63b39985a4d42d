//! A namespace or a local name: a number if it is frequent, else its text.

use std::{fmt, ops::Deref};

use crate::ns;

/// A namespace or a name. Frequent ones cost no allocation and travel as their number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Repr);

// A text with a number is always held as its number, so comparing representations compares texts.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    /// As wide as a word: a name is moved as two, and reading a word that was written in parts waits for them.
    Known(usize),
    Other(Box<str>),
}

impl Name {
    /// The text with this number, see [`ns::by_number`].
    pub fn from_number(number: u16) -> Option<Name> {
        ns::by_number(number).map(|_| Name::numbered(number))
    }

    /// The number, if the text is a frequent one.
    pub fn number(&self) -> Option<u16> {
        match self.0 {
            Repr::Known(number) => Some(number as u16),
            Repr::Other(_) => None,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(number) => ns::by_number(*number as u16).unwrap_or_default(),
            Repr::Other(text) => text,
        }
    }

    /// No namespace, or the prefix of the default namespace.
    pub(crate) const NONE: Name = Name(Repr::Known(0));
    /// [`ns::CLIENT`].
    pub(crate) const CLIENT: Name = Name(Repr::Known(1));
    /// [`ns::SERVER`].
    pub(crate) const SERVER: Name = Name(Repr::Known(2));
    /// [`ns::COMPONENT`].
    pub(crate) const COMPONENT: Name = Name(Repr::Known(59));

    /// Whether this is the empty text.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self.0, Repr::Known(0))
    }

    /// Whether this is a namespace that cannot be declared: [`ns::XML`] or [`ns::XMLNS`].
    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self.0, Repr::Known(10 | 11))
    }

    /// From bytes, if they are a frequent text.
    #[inline]
    pub(crate) fn known(text: &[u8]) -> Option<Name> {
        if text.is_empty() { Some(Name::NONE) } else { ns::known_bytes(text).map(Name::numbered) }
    }

    /// From bytes of a checked document.
    #[inline]
    pub(crate) fn from_bytes(text: &[u8]) -> Name {
        Name::known(text).unwrap_or_else(|| Name::other(text))
    }

    #[inline]
    fn numbered(number: u16) -> Name {
        Name(Repr::Known(number.into()))
    }

    #[cold]
    fn other(text: &[u8]) -> Name {
        Name(Repr::Other(String::from_utf8_lossy(text).into()))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        Name::from_bytes(text.as_bytes())
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_names() {
        let known = Name::from("jabber:client");
        assert_eq!(Some(&known), known.number().and_then(Name::from_number).as_ref());
        assert_eq!(Name::from("urn:example:x"), Name::from_bytes(b"urn:example:x"));
        assert_ne!(known, Name::from("jabber:server"));
        assert_eq!(known, "jabber:client");
    }

    #[test]
    fn some_names_are_known_by_number_here() {
        assert!(Name::from(ns::XML).is_reserved() && Name::from(ns::XMLNS).is_reserved());
        assert_eq!(
            [ns::CLIENT, ns::SERVER, ns::COMPONENT].map(Name::from),
            [Name::CLIENT, Name::SERVER, Name::COMPONENT]
        );
        assert!(Name::from(ns::NONE).is_none() && !Name::from(ns::CLIENT).is_reserved());
    }

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(size_of::<Name>(), 16);
    }
}
