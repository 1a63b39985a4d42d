//! XML as XMPP restricts it (RFC 6120 §11): a framer that checks every byte once while it arrives, a small tree for
//! payloads, and the writing of text.
//!
//! Nothing behind [`Reader`] has to check XML again: what it lets through is well-formed, namespace-well-formed UTF-8
//! of bounded size, depth and count.

mod chars;
mod check;
mod element;
mod entry;
mod error;
mod name;
mod reader;
mod scope;
mod seek;
mod tag;
#[cfg(test)]
mod tests;
mod text;

pub use self::{
    element::{Attribute, Element, Node},
    error::{Limits, XmlError},
    name::Name,
    reader::{Header, Incoming, Reader},
    text::{write_attribute, write_text},
};
