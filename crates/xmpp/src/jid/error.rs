//! Why a text is no address: which part, and what is wrong with it.

use std::fmt;

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What precedes the `@` (the RFCs' localpart).
    Node,
    /// The domain.
    Domain,
    /// What follows the `/`.
    Resource,
}

/// What is wrong with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is there, but empty.
    Empty,
    /// It is longer than [`PART_BYTES_MAX`](super::PART_BYTES_MAX).
    TooLong,
    /// It holds a character its profile forbids, or breaks a rule on direction or context.
    Forbidden,
    /// It is neither a domain name nor an address literal.
    NotADomain,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} {reason}")]
pub struct JidError {
    /// Which part is wrong.
    pub part: Part,
    /// What is wrong with it.
    pub reason: Reason,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Node => "node",
            Part::Domain => "domain",
            Part::Resource => "resource",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Empty => "is empty",
            Reason::TooLong => "is longer than 1023 bytes",
            Reason::Forbidden => "holds what its profile forbids",
            Reason::NotADomain => "is neither a domain name nor an address literal",
        })
    }
}
