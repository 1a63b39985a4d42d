//! Stanzas as they leave for a client: the start tag is written here, the payload is copied as it is.

use node::carry::View;
use xmpp::{ns, xml::write_attribute};

/// Appends the stanza; with its namespace where each message is a document (RFC 7395 §3.3.3).
pub(crate) fn write(stanza: &View<'_>, framed: bool, out: &mut Vec<u8>) {
    let kind = stanza.kind;
    out.reserve(stanza.payload.len() + 256);
    out.push(b'<');
    out.extend_from_slice(kind.name().as_bytes());
    if framed {
        write_attribute(out, "xmlns", ns::CLIENT);
    }
    for (name, value) in [("to", stanza.to), ("from", stanza.from)] {
        if !value.is_empty() {
            write_attribute(out, name, value);
        }
    }
    if let Some(ty) = stanza.ty.name() {
        write_attribute(out, "type", ty);
    }
    if let Some(id) = stanza.id() {
        write_attribute(out, "id", id);
    }
    if !stanza.lang.is_empty() {
        write_attribute(out, "xml:lang", stanza.lang);
    }
    for (name, value) in &stanza.attributes {
        write_attribute(out, name, value);
    }
    if stanza.payload.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    out.extend_from_slice(stanza.payload);
    out.extend_from_slice(b"</");
    out.extend_from_slice(kind.name().as_bytes());
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use node::carry;
    use xmpp::stanza::{ContentNs, Type};

    use super::*;

    #[test]
    fn a_stanza_leaves_as_the_library_writes_it() {
        let romeo: xmpp::jid::Jid = "romeo@montague.example/o'clock".parse().unwrap();
        let body = xmpp::xml::Element::new(ns::CLIENT, "body").with_text("<3 & more");
        let full = xmpp::stanza::Stanza::message(Type::Chat)
            .with_from(romeo.clone())
            .with_to(romeo.bare())
            .with_id("a&b")
            .with_child(&body);
        for stanza in [full, xmpp::stanza::Stanza::presence(Type::Available)] {
            for (framed, content) in [(false, ContentNs::Inherited), (true, ContentNs::Client)] {
                let mut out = Vec::new();
                write(&View::of(&carry::pack(&stanza)).unwrap(), framed, &mut out);
                assert_eq!(String::from_utf8(out), String::from_utf8(stanza.to_bytes(content)));
            }
        }
    }
}
