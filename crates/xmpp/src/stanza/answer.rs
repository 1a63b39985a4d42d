//! Answers: results and errors.

use super::{Kind, Payload, Stanza, StanzaError, Type};

/// A longer payload is not sent back with an error. RFC 6120 §8.3.1 leaves the choice.
const ECHO_BYTES_MAX: usize = 8 * 1024;

impl Stanza {
    /// An empty result for this query: addresses swapped, id kept.
    #[must_use]
    pub fn reply(&self) -> Stanza {
        Stanza { kind: Kind::Iq, ty: Type::Result, ..self.swapped() }
    }

    /// This stanza sent back with an error, and with its payload if that is small. `None`: nothing answers an error,
    /// nor the result of a query (RFC 6120 §8.3.1).
    pub fn error(&self, error: impl Into<StanzaError>) -> Option<Stanza> {
        if matches!(self.ty, Type::Error | Type::Result) {
            return None;
        }
        let mut back = self.swapped();
        if self.payload.bytes().len() <= ECHO_BYTES_MAX {
            back.payload = self.payload.clone();
        }
        back.payload.push(&error.into().to_element());
        Some(back)
    }

    fn swapped(&self) -> Stanza {
        Stanza {
            from: self.to.clone(),
            to: self.from.clone(),
            id: self.id.clone(),
            payload: Payload::default(),
            ..Stanza::new(self.kind, Type::Error)
        }
    }
}
