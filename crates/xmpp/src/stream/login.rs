//! How a login is framed: SASL as RFC 6120 §6 has it. What is inside the messages is nobody's business here.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Output;
use crate::{ns::SASL as NS, sasl::Condition, xml::Element};

/// What a client says in its login, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Auth {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Response(Vec<u8>),
    Abort,
    /// Refused with this condition of RFC 6120 §6.5.
    Malformed(Condition),
}

/// `None`: not an element of a login.
pub(super) fn read(element: &Element) -> Option<Said> {
    if element.ns() != NS {
        return None;
    }
    Some(match element.name() {
        "auth" => match (element.attribute("mechanism"), data(element)) {
            (None, _) => Said::Malformed(Condition::MalformedRequest),
            (_, Err(condition)) => Said::Malformed(condition),
            (Some(mechanism), Ok(initial)) => Said::Auth { mechanism: mechanism.to_owned(), initial },
        },
        "response" => {
            data(element).map_or_else(Said::Malformed, |data| Said::Response(data.unwrap_or_default()))
        }
        "abort" => Said::Abort,
        _ => Said::Malformed(Condition::MalformedRequest),
    })
}

/// Nothing is no data, a single `=` is data without a byte (RFC 6120 §6.4.2).
fn data(element: &Element) -> Result<Option<Vec<u8>>, Condition> {
    if element.children().next().is_some() {
        return Err(Condition::MalformedRequest);
    }
    match element.text().as_str() {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        text => STANDARD.decode(text).map(Some).map_err(|_| Condition::IncorrectEncoding),
    }
}

pub(super) fn write_challenge(out: &mut Output, data: &[u8]) {
    out.push(&["<challenge xmlns='", NS, "'>", &STANDARD.encode(data), "</challenge>"]);
    out.end();
}

pub(super) fn write_success(out: &mut Output, data: &[u8]) {
    out.push(&["<success xmlns='", NS, "'>", &STANDARD.encode(data), "</success>"]);
    out.end();
}

pub(super) fn write_failure(out: &mut Output, condition: Condition, text: &str) {
    out.push(&["<failure xmlns='", NS, "'><", condition.name(), "/>"]);
    if !text.is_empty() {
        out.push(&["<text xml:lang='en'>"]);
        out.push_escaped(text);
        out.push(&["</text>"]);
    }
    out.push(&["</failure>"]);
    out.end();
}
