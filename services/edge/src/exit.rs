//! Stanzas as they leave for a client: the start tag is written here, the payload is copied as it is.

use proto::delivery::Stanza;
use xmpp::{
    ns,
    stanza::{Kind, Type},
    xml::write_attribute,
};

/// Bit of `flags`: the stanza has no id.
const NO_ID: u32 = 1;

/// Appends the stanza; with its namespace where each message is a document (RFC 7395 §3.3.3).
pub(crate) fn write(stanza: &Stanza, framed: bool, out: &mut Vec<u8>) {
    // Numbers of a newer release: there is no way to say them.
    let Some(kind) = u8::try_from(stanza.kind).ok().and_then(Kind::from_number) else { return };
    let Some(ty) = u8::try_from(stanza.r#type).ok().and_then(Type::from_number) else { return };
    out.reserve(stanza.payload.len() + 256);
    out.push(b'<');
    out.extend_from_slice(kind.name().as_bytes());
    if framed {
        write_attribute(out, "xmlns", ns::CLIENT);
    }
    for (name, value) in [("to", &stanza.to), ("from", &stanza.from)] {
        if !value.is_empty() {
            write_attribute(out, name, value);
        }
    }
    if let Some(ty) = ty.name() {
        write_attribute(out, "type", ty);
    }
    if stanza.flags & NO_ID == 0 {
        write_attribute(out, "id", &stanza.id);
    }
    if !stanza.lang.is_empty() {
        write_attribute(out, "xml:lang", &stanza.lang);
    }
    for attribute in &stanza.attributes {
        write_attribute(out, &attribute.name, &attribute.value);
    }
    if stanza.payload.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    out.extend_from_slice(&stanza.payload);
    out.extend_from_slice(b"</");
    out.extend_from_slice(kind.name().as_bytes());
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use node::carry;
    use xmpp::stanza::ContentNs;

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
                write(&carry::pack(&stanza), framed, &mut out);
                assert_eq!(String::from_utf8(out), String::from_utf8(stanza.to_bytes(content)));
            }
        }
    }
}
