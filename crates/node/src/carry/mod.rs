//! Stanzas and addresses as they are put on a wire and taken off it.
//!
//! A stanza travels as one piece of bytes, a `delivery.v1.Stanza`, made where it leaves and read where somebody has to
//! know what it says. A frame, and the copy that waits for its acknowledgement, share them.

mod view;

use bytes::{BufMut, Bytes};
use prost::{encode_length_delimiter, length_delimiter_len};
use proto::delivery as wire;
use xmpp::jid::Jid;
use xmpp::stanza::{Child, Payload, Stanza};

pub use view::View;

/// What came over a wire is nothing a role of ours has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a stanza of ours")]
pub struct Unreadable;

/// Fields of `delivery.v1.Stanza` by their keys: number and wire type in one byte.
mod key {
    pub(super) const KIND: u8 = 1 << 3;
    pub(super) const TYPE: u8 = 2 << 3;
    pub(super) const FROM: u8 = 3 << 3 | 2;
    pub(super) const TO: u8 = 4 << 3 | 2;
    pub(super) const ID: u8 = 5 << 3 | 2;
    pub(super) const LANG: u8 = 6 << 3 | 2;
    pub(super) const ATTRIBUTE: u8 = 7 << 3 | 2;
    pub(super) const PAYLOAD: u8 = 8 << 3 | 2;
    pub(super) const INDEX: u8 = 9 << 3 | 2;
    /// The same, number by number.
    pub(super) const INDEX_NUMBER: u8 = 9 << 3;
    pub(super) const FLAGS: u8 = 10 << 3;
    pub(super) const NAMESPACE: u8 = 11 << 3 | 2;
    /// Of `Attribute`.
    pub(super) const NAME: u8 = 1 << 3 | 2;
    pub(super) const VALUE: u8 = 2 << 3 | 2;
}

/// The stanza had no `id`: not the same as an empty one.
const NO_ID: u32 = 1;

/// Keys and lengths of everything that nearly every stanza has.
const OVERHEAD_BYTES: usize = 32;
/// A child in the index.
const CHILD_BYTES: usize = 12;

/// A stanza for a wire.
pub fn pack(stanza: &Stanza) -> Bytes {
    let [from, to] = [&stanza.from, &stanza.to].map(|jid| jid.as_ref().map_or("", Jid::as_str));
    let id = stanza.id.as_deref().unwrap_or_default();
    let lang = stanza.lang.as_deref().unwrap_or_default();
    let payload = stanza.payload.bytes();
    let children = stanza.payload.children();
    let bytes = [from, to, id, lang].map(str::len).iter().sum::<usize>() + payload.len();
    let mut out = Vec::with_capacity(bytes + OVERHEAD_BYTES + children.len() * CHILD_BYTES);
    number(&mut out, key::KIND, stanza.kind as u32);
    number(&mut out, key::TYPE, stanza.ty as u32);
    for (key, text) in [(key::FROM, from), (key::TO, to), (key::ID, id), (key::LANG, lang)] {
        piece(&mut out, key, text.as_bytes());
    }
    for (name, value) in &stanza.attributes {
        attribute(&mut out, name, value);
    }
    piece(&mut out, key::PAYLOAD, payload);
    index(&mut out, children);
    number(&mut out, key::FLAGS, stanza.flags.bits() | if stanza.id.is_none() { NO_ID } else { 0 });
    for child in children.iter().filter(|child| child.ns.number().is_none()) {
        piece(&mut out, key::NAMESPACE, child.ns.as_str().as_bytes());
    }
    out.into()
}

/// A stanza off a wire. Its payload is not copied: it keeps all of `packed` in memory.
///
/// # Errors
/// A number is unknown, an address none, or the bytes are no stanza at all.
pub fn unpack(packed: &Bytes) -> Result<Stanza, Unreadable> {
    let view = View::of(packed)?;
    let mut out = Stanza::new(view.kind, view.ty);
    out.flags = view.flags();
    out.from = address(view.from)?;
    out.to = address(view.to)?;
    out.id = view.id().map(Into::into);
    out.lang = (!view.lang.is_empty()).then(|| view.lang.into());
    out.attributes = view.attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    out.payload = Payload::from_parts(packed.slice_ref(view.payload), view.children()?);
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
/// There is none.
pub fn origin(origin: Option<wire::Origin>) -> Result<[u8; 16], Unreadable> {
    let wire::Origin { high, low } = origin.ok_or(Unreadable)?;
    Ok((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// The same for a wire.
pub fn pack_origin(origin: [u8; 16]) -> Option<wire::Origin> {
    let number = u128::from_be_bytes(origin);
    Some(wire::Origin { high: (number >> 64) as u64, low: number as u64 })
}

fn number(out: &mut Vec<u8>, key: u8, number: u32) {
    if number != 0 {
        out.push(key);
        varint(out, number);
    }
}

fn piece(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(key);
        varint(out, bytes.len() as u32);
        out.put_slice(bytes);
    }
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    let piece_bytes = |text: &str| 1 + length_delimiter_len(text.len()) + text.len();
    out.push(key::ATTRIBUTE);
    varint(
        out,
        [name, value].iter().filter(|text| !text.is_empty()).map(|text| piece_bytes(text)).sum::<usize>()
            as u32,
    );
    piece(out, key::NAME, name.as_bytes());
    piece(out, key::VALUE, value.as_bytes());
}

fn index(out: &mut Vec<u8>, children: &[Child]) {
    if children.is_empty() {
        return;
    }
    let numbers = || {
        children.iter().flat_map(|child| {
            let ns = child.ns.number().map_or(0, |number| u32::from(number) + 1);
            [ns, child.start, child.end - child.start]
        })
    };
    out.push(key::INDEX);
    varint(out, numbers().map(|number| length_delimiter_len(number as usize)).sum::<usize>() as u32);
    numbers().for_each(|number| varint(out, number));
}

fn varint(out: &mut Vec<u8>, number: u32) {
    if number < 0x80 {
        out.push(number as u8);
    } else {
        // A vector takes any length.
        let _ = encode_length_delimiter(number as usize, out);
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use xmpp::stanza::Type;
    use xmpp::xml::Element;

    use super::*;

    fn stanza() -> Stanza {
        let romeo: Jid = "romeo@montague.example/orchard".parse().unwrap();
        let mut stanza =
            Stanza::message(Type::Chat).with_from(romeo.clone()).with_to(romeo.bare()).with_id("");
        stanza.lang = Some("it".into());
        stanza.attributes = vec![("a".into(), "é".into()), ("b".into(), "".into())];
        stanza.payload.push(&Element::new("jabber:client", "body").with_text("wherefore <"));
        stanza.payload.push(&Element::new("urn:unknown:to:all", "x").with_text("y".repeat(300)));
        stanza
    }

    #[test]
    fn a_stanza_is_the_same_on_the_other_side() {
        let mut stanza = stanza();
        assert_eq!(unpack(&pack(&stanza)), Ok(stanza.clone()));
        stanza.id = None;
        assert_eq!(unpack(&pack(&stanza)), Ok(stanza));
        let empty = Stanza::presence(Type::Available);
        assert_eq!(unpack(&pack(&empty)), Ok(empty));
    }

    #[test]
    fn it_is_what_the_schema_says() {
        for stanza in [stanza(), Stanza::presence(Type::Unavailable), Stanza::message(Type::Normal)] {
            let packed = pack(&stanza);
            let message = wire::Stanza::decode(packed.clone()).unwrap();
            assert_eq!(message.payload, stanza.payload.bytes());
            assert_eq!(message.attributes.len(), stanza.attributes.len());
            assert_eq!(message.encode_to_vec(), packed, "field by field, in order");
        }
    }

    #[test]
    fn what_is_no_stanza_is_refused() {
        let refuses = |message: wire::Stanza| {
            assert_eq!(unpack(&message.encode_to_vec().into()), Err(Unreadable));
        };
        refuses(wire::Stanza::default());
        refuses(wire::Stanza { kind: 7, ..Default::default() });
        refuses(wire::Stanza { to: "@".into(), ..Default::default() });
        let payload = Bytes::from_static(b"<a/>");
        for index in
            [vec![1, 0, 9], vec![0, 0, 4], vec![1, 1, 3], vec![9_999, 0, 4], vec![1, u32::MAX, 4], vec![1]]
        {
            refuses(wire::Stanza { payload: payload.clone(), index, ..Default::default() });
        }
    }

    #[test]
    fn what_is_cut_short_is_not_the_same_and_what_is_new_is_passed_over() {
        let packed = pack(&stanza());
        for end in 1..packed.len() {
            assert_ne!(unpack(&packed.slice(..end)), Ok(stanza()));
        }
        let wide = b"\xa8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".as_slice();
        let new = [b"\xa2\x01\x02hi", wide, &packed].concat();
        assert_eq!(unpack(&new.into()), Ok(stanza()));
        let long = [&packed[..], b"\x42\xff\xff\xff\xff\x7f"].concat();
        assert_eq!(unpack(&long.into()), Err(Unreadable));
    }
}
