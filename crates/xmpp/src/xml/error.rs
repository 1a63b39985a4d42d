//! Why a stream cannot go on, and the bounds of what is read from it.

use thiserror::Error;

/// A violation that ends the stream. The texts say which rule was broken and are for logs, not for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum XmlError {
    /// Violates XML 1.0 or Namespaces in XML (RFC 6120 §4.9.3.13).
    #[error("not well-formed: {0}")]
    NotWellFormed(&'static str),
    /// A comment, processing instruction, DTD or entity reference (RFC 6120 §11.1).
    #[error("restricted xml: {0}")]
    Restricted(&'static str),
    /// Well-formed, but nothing that may stand there (RFC 6120 §4.9.3.1).
    #[error("bad format: {0}")]
    BadFormat(&'static str),
    /// The stream's root is not `stream:stream` (RFC 6120 §4.9.3.2).
    #[error("bad namespace prefix")]
    BadPrefix,
    /// The stream or content namespace is none of ours (RFC 6120 §4.9.3.10).
    #[error("invalid namespace")]
    InvalidNamespace,
    /// Declared or evidently not UTF-8 (RFC 6120 §11.6).
    #[error("unsupported encoding")]
    UnsupportedEncoding,
    /// A limit was passed (RFC 6120 §4.9.3.14).
    #[error("policy violation: {0}")]
    Limit(&'static str),
}

impl XmlError {
    /// Name of the stream error's condition (RFC 6120 §4.9.3).
    pub fn condition(self) -> &'static str {
        match self {
            XmlError::NotWellFormed(_) => "not-well-formed",
            XmlError::Restricted(_) => "restricted-xml",
            XmlError::BadFormat(_) => "bad-format",
            XmlError::BadPrefix => "bad-namespace-prefix",
            XmlError::InvalidNamespace => "invalid-namespace",
            XmlError::UnsupportedEncoding => "unsupported-encoding",
            XmlError::Limit(_) => "policy-violation",
        }
    }
}

/// Bounds of one top-level element (a stanza, a negotiation element, the stream header).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole element; RFC 6120 §13.12 asks for 10 000 at least.
    pub stanza_bytes_max: u32,
    /// Elements within elements, the outermost counted.
    pub depth_max: u16,
    /// Attributes of one element, namespace declarations counted.
    pub attributes_max: u16,
    /// Namespace declarations in force at one place, those of the stream header counted.
    pub namespaces_max: u16,
    /// Elements in all.
    pub elements_max: u32,
}

impl Limits {
    /// For a peer who has not logged in: enough for negotiation, little to make us work for.
    pub const BEFORE_LOGIN: Limits = Limits {
        stanza_bytes_max: 16 * 1024,
        depth_max: 16,
        attributes_max: 32,
        namespaces_max: 32,
        elements_max: 64,
    };

    /// For a peer who is known.
    pub const AFTER_LOGIN: Limits = Limits {
        stanza_bytes_max: 256 * 1024,
        depth_max: 64,
        attributes_max: 64,
        namespaces_max: 64,
        elements_max: 16 * 1024,
    };

    /// For payloads of our own processes, which may wrap a client's stanza a few levels deeper.
    pub(crate) const INSIDE: Limits = Limits {
        stanza_bytes_max: u32::MAX,
        depth_max: 128,
        attributes_max: 128,
        namespaces_max: 256,
        elements_max: u32::MAX,
    };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::AFTER_LOGIN
    }
}
