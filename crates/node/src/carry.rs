//! Stanzas and addresses as they are put on a wire and taken off it.

use bytes::Bytes;
use proto::delivery as wire;
use xmpp::jid::Jid;
use xmpp::stanza::{Child, Flags, Kind, Name, Payload, Stanza, Type};

/// What came over a wire is nothing a role of ours has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stanza of ours")]
pub struct Unreadable;

/// A stanza for a wire. Its payload is not copied.
pub fn pack(stanza: &Stanza) -> wire::Stanza {
    let text = |jid: &Option<Jid>| jid.as_ref().map_or_else(String::new, |jid| jid.as_str().to_owned());
    let mut flags = stanza.flags.bits();
    if stanza.id.is_none() {
        flags |= NO_ID;
    }
    wire::Stanza {
        kind: stanza.kind as u32,
        r#type: stanza.ty as u32,
        from: text(&stanza.from),
        to: text(&stanza.to),
        id: stanza.id.as_deref().map_or_else(String::new, str::to_owned),
        lang: stanza.lang.as_deref().map_or_else(String::new, str::to_owned),
        attributes: stanza
            .attributes
            .iter()
            .map(|(name, value)| wire::Attribute { name: name.to_string(), value: value.to_string() })
            .collect(),
        payload: stanza.payload.bytes().clone(),
        children: stanza.payload.children().iter().map(pack_child).collect(),
        flags,
    }
}

/// A stanza off a wire.
///
/// # Errors
/// A number is unknown or an address none.
pub fn unpack(stanza: wire::Stanza) -> Result<Stanza, Unreadable> {
    let kind = u8::try_from(stanza.kind).ok().and_then(Kind::from_number).ok_or(Unreadable)?;
    let ty = u8::try_from(stanza.r#type).ok().and_then(Type::from_number).ok_or(Unreadable)?;
    let mut out = Stanza::new(kind, ty);
    out.flags = Flags::from_bits(stanza.flags);
    out.from = address(&stanza.from)?;
    out.to = address(&stanza.to)?;
    out.id = (stanza.flags & NO_ID == 0).then(|| stanza.id.into_boxed_str());
    out.lang = (!stanza.lang.is_empty()).then(|| stanza.lang.into_boxed_str());
    out.attributes = stanza.attributes.into_iter().map(|a| (a.name.into(), a.value.into())).collect();
    let children = stanza.children.into_iter().map(unpack_child).collect::<Result<_, _>>()?;
    out.payload = Payload::from_parts(stanza.payload, children);
    Ok(out)
}

/// An address off a wire; none if it is empty.
///
/// # Errors
/// It is no address.
pub fn address(text: &str) -> Result<Option<Jid>, Unreadable> {
    if text.is_empty() {
        return Ok(None);
    }
    Jid::from_prepared(text).map(Some).map_err(|_| Unreadable)
}

/// The 16 bytes that name a stream or another origin of uids.
///
/// # Errors
/// They are not 16.
pub fn origin(bytes: &Bytes) -> Result<[u8; 16], Unreadable> {
    bytes.as_ref().try_into().map_err(|_| Unreadable)
}

/// The stanza had no `id`: not the same as an empty one.
const NO_ID: u32 = 1;

fn pack_child(child: &Child) -> wire::Child {
    let known = child.ns.number();
    wire::Child {
        known_ns: known.map_or(0, |number| u32::from(number) + 1),
        ns: if known.is_some() { String::new() } else { child.ns.as_str().to_owned() },
        name: child.name.as_str().to_owned(),
        start: child.start,
        end: child.end,
    }
}

fn unpack_child(child: wire::Child) -> Result<Child, Unreadable> {
    let ns = match child.known_ns {
        0 => Name::from(child.ns.as_str()),
        number => u16::try_from(number - 1).ok().and_then(Name::from_number).ok_or(Unreadable)?,
    };
    Ok(Child { ns, name: Name::from(child.name.as_str()), start: child.start, end: child.end })
}

#[cfg(test)]
mod tests {
    use xmpp::xml::Element;

    use super::*;

    #[test]
    fn a_stanza_is_the_same_on_the_other_side() {
        let romeo: Jid = "romeo@montague.example/orchard".parse().unwrap();
        let mut stanza =
            Stanza::message(Type::Chat).with_from(romeo.clone()).with_to(romeo.bare()).with_id("");
        stanza.payload.push(&Element::new("jabber:client", "body").with_text("wherefore <"));
        stanza.payload.push(&Element::new("urn:unknown:to:all", "x"));
        assert_eq!(unpack(pack(&stanza)), Ok(stanza.clone()));
        stanza.id = None;
        assert_eq!(unpack(pack(&stanza)), Ok(stanza));
    }

    #[test]
    fn what_is_no_stanza_is_refused() {
        assert_eq!(unpack(wire::Stanza { kind: 7, ..Default::default() }), Err(Unreadable));
        assert_eq!(unpack(wire::Stanza { to: "@".into(), ..Default::default() }), Err(Unreadable));
    }
}
