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
        index: pack_index(stanza.payload.children()),
        namespaces: unknown_namespaces(stanza.payload.children()),
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
    let children = unpack_index(&stanza.payload, &stanza.index, &stanza.namespaces)?;
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

fn pack_index(children: &[Child]) -> Vec<u32> {
    let mut index = Vec::with_capacity(children.len() * 3);
    for child in children {
        index.extend([
            child.ns.number().map_or(0, |number| u32::from(number) + 1),
            child.start,
            child.end - child.start,
        ]);
    }
    index
}

fn unknown_namespaces(children: &[Child]) -> Vec<String> {
    children
        .iter()
        .filter(|child| child.ns.number().is_none())
        .map(|child| child.ns.as_str().to_owned())
        .collect()
}

fn unpack_index(payload: &[u8], index: &[u32], namespaces: &[String]) -> Result<Vec<Child>, Unreadable> {
    let mut unknown = namespaces.iter();
    let mut children = Vec::with_capacity(index.len() / 3);
    for entry in index.chunks_exact(3) {
        let &[ns, start, length] = entry else { return Err(Unreadable) };
        let ns = match ns.checked_sub(1) {
            None => Name::from(unknown.next().ok_or(Unreadable)?.as_str()),
            Some(number) => u16::try_from(number).ok().and_then(Name::from_number).ok_or(Unreadable)?,
        };
        let end = start.checked_add(length).ok_or(Unreadable)?;
        let child = payload.get(start as usize..end as usize).ok_or(Unreadable)?;
        children.push(Child { ns, name: local_name(child)?, start, end });
    }
    Ok(children)
}

/// What the element that begins here is called, without its prefix.
fn local_name(element: &[u8]) -> Result<Name, Unreadable> {
    let tag = element.strip_prefix(b"<").ok_or(Unreadable)?;
    let end = tag
        .iter()
        .position(|byte| matches!(byte, b' ' | b'/' | b'>' | b'\t' | b'\r' | b'\n'))
        .ok_or(Unreadable)?;
    let name = std::str::from_utf8(&tag[..end]).map_err(|_| Unreadable)?;
    Ok(Name::from(name.split_once(':').map_or(name, |(_, local)| local)))
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
        let payload = Bytes::from_static(b"<a/>");
        for index in [vec![1, 0, 9], vec![0, 0, 4], vec![1, 1, 3], vec![9_999, 0, 4], vec![1, u32::MAX, 4]] {
            assert_eq!(
                unpack(wire::Stanza { payload: payload.clone(), index, ..Default::default() }),
                Err(Unreadable)
            );
        }
    }
}
