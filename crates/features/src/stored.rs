//! The form in which stanzas are kept: rows of archives, pending requests, the presence in a session's state.
//!
//! The start tag's fields, the payload as it is, and the index of its children, so that nothing is parsed as XML again.
//! A row is read for as long as it exists: tags and the meaning of their values never change, new ones may come.

use bytes::{BufMut, Bytes, BytesMut};
use xmpp::jid::Jid;
use xmpp::stanza::{Child, Kind, Payload, Stanza, Type};
use xmpp::xml::Name;

pub use crate::fields::Unreadable;
use crate::fields::{self, OVERHEAD_BYTES, Reader};

const FORMAT: u8 = 1;

// Tags.
const KIND: u8 = 1; // kind, type
const FROM: u8 = 2;
const TO: u8 = 3;
const ID: u8 = 4;
const LANG: u8 = 5;
const ATTRIBUTE: u8 = 6; // length of the name, name, value; repeated
const CHILD: u8 = 7; // start, length, namespace, length of the numbered name or 0, name; repeated
const PAYLOAD: u8 = 8;

/// The stored form of a stanza.
pub fn encode(stanza: &Stanza) -> Bytes {
    let mut out = BytesMut::with_capacity(size(stanza));
    out.put_u8(FORMAT);
    fields::put(&mut out, KIND, &[stanza.kind as u8, stanza.ty as u8]);
    for (tag, jid) in [(FROM, &stanza.from), (TO, &stanza.to)] {
        if let Some(jid) = jid {
            fields::put(&mut out, tag, jid.as_str().as_bytes());
        }
    }
    for (tag, text) in [(ID, &stanza.id), (LANG, &stanza.lang)] {
        if let Some(text) = text {
            fields::put(&mut out, tag, text.as_bytes());
        }
    }
    for (name, value) in &stanza.attributes {
        fields::put_with(&mut out, ATTRIBUTE, |out| {
            fields::put_varint(out, name.len() as u64);
            out.put_slice(name.as_bytes());
            out.put_slice(value.as_bytes());
        });
    }
    for child in stanza.payload.children() {
        fields::put_with(&mut out, CHILD, |out| put_child(out, child));
    }
    if !stanza.payload.bytes().is_empty() {
        fields::put(&mut out, PAYLOAD, stanza.payload.bytes());
    }
    out.freeze()
}

/// A stanza from its stored form; its payload shares the bytes.
///
/// # Errors
/// What was read was not written by [`encode`], or is damaged.
pub fn decode(bytes: &Bytes) -> Result<Stanza, Unreadable> {
    if bytes.first() != Some(&FORMAT) {
        return Err(Unreadable::Format);
    }
    let mut reader = Reader::new(bytes.slice(1..));
    let mut stanza = Stanza::message(Type::Normal);
    let mut children = Vec::new();
    let mut payload = Bytes::new();
    while let Some((tag, value)) = reader.field()? {
        match tag {
            KIND => (stanza.kind, stanza.ty) = kind(&value)?,
            FROM => stanza.from = Some(jid(tag, &value)?),
            TO => stanza.to = Some(jid(tag, &value)?),
            ID => stanza.id = Some(fields::text(tag, &value)?.into()),
            LANG => stanza.lang = Some(fields::text(tag, &value)?.into()),
            ATTRIBUTE => stanza.attributes.push(attribute(value)?),
            CHILD => children.push(child(value)?),
            PAYLOAD => payload = value,
            _ => {}
        }
    }
    // Where a child has a name that only a newer release numbers, its index is left out, and nobody looks for it.
    let children: Vec<Child> = children.into_iter().flatten().collect();
    stanza.payload = Payload::from_parts(payload, children);
    Ok(stanza)
}

fn size(stanza: &Stanza) -> usize {
    let jids =
        [&stanza.from, &stanza.to].into_iter().flatten().map(|jid| jid.as_str().len() + OVERHEAD_BYTES);
    let texts = [&stanza.id, &stanza.lang].into_iter().flatten().map(|text| text.len() + OVERHEAD_BYTES);
    let attributes =
        stanza.attributes.iter().map(|(name, value)| name.len() + value.len() + 2 * OVERHEAD_BYTES);
    let children = stanza.payload.children().iter().map(|child| {
        let texts = [&child.ns, &child.name].into_iter().filter(|name| name.number().is_none());
        3 * OVERHEAD_BYTES + texts.map(|name| name.len()).sum::<usize>()
    });
    5 + jids.chain(texts).chain(attributes).chain(children).sum::<usize>()
        + stanza.payload.bytes().len()
        + OVERHEAD_BYTES
}

fn put_child(out: &mut BytesMut, child: &Child) {
    fields::put_varint(out, u64::from(child.start));
    fields::put_varint(out, u64::from(child.end - child.start));
    for name in [&child.ns, &child.name] {
        // The number plus one, or 0 and the text.
        fields::put_varint(out, name.number().map_or(0, |number| u64::from(number) + 1));
        if name.number().is_none() {
            fields::put_varint(out, name.len() as u64);
            out.put_slice(name.as_bytes());
        }
    }
}

/// A child of the index; none if this release does not know the number of its name.
fn child(value: Bytes) -> Result<Option<Child>, Unreadable> {
    let mut reader = Reader::new(value);
    let offset = |value| u32::try_from(value).map_err(|_| Unreadable::Field(CHILD));
    let start = offset(reader.varint()?)?;
    let end = offset(u64::from(start) + reader.varint()?)?;
    let (ns, name) = (name(&mut reader)?, name(&mut reader)?);
    Ok(ns.zip(name).map(|(ns, name)| Child { ns, name, start, end }))
}

fn name(reader: &mut Reader) -> Result<Option<Name>, Unreadable> {
    let Some(number) = reader.varint()?.checked_sub(1) else {
        let bytes = reader.varint()?;
        let text = reader.take(bytes)?;
        return fields::text(CHILD, &text).map(|text| Some(Name::from(text)));
    };
    Ok(u16::try_from(number).ok().and_then(Name::from_number))
}

fn attribute(value: Bytes) -> Result<(Box<str>, Box<str>), Unreadable> {
    let mut reader = Reader::new(value);
    let bytes = reader.varint()?;
    let name = reader.take(bytes)?;
    Ok((fields::text(ATTRIBUTE, &name)?.into(), fields::text(ATTRIBUTE, &reader.rest())?.into()))
}

fn jid(tag: u8, value: &[u8]) -> Result<Jid, Unreadable> {
    Jid::from_prepared(fields::text(tag, value)?).map_err(|_| Unreadable::Field(tag))
}

fn kind(value: &[u8]) -> Result<(Kind, Type), Unreadable> {
    let [kind, ty, ..] = value else { return Err(Unreadable::Field(KIND)) };
    Kind::from_number(*kind).zip(Type::from_number(*ty)).ok_or(Unreadable::Field(KIND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{jid, stanza};

    fn letter() -> Stanza {
        let mut letter = stanza(
            "<message id='m1' type='chat' from='romeo@montague.example/garden' to='juliet@capulet.example'>\
             <body>But soft</body><x xmlns='urn:example:light' breaks='yes'/></message>",
        );
        letter.lang = Some("en".into());
        letter.attributes.push(("yonder".into(), "window".into()));
        letter
    }

    #[test]
    fn a_stanza_comes_back_as_it_was() {
        let long = "o".repeat(100_000);
        for stanza in [
            letter(),
            Stanza::message(Type::Normal),
            Stanza::presence(Type::Unsubscribed).with_from(jid("juliet@capulet.example")),
            Stanza::iq(Type::Set).with_id(""),
            stanza(&format!("<message><body>{long}</body></message>")),
        ] {
            assert_eq!(decode(&encode(&stanza)), Ok(stanza));
        }
    }

    #[test]
    fn it_takes_little_more_than_its_text_and_one_allocation() {
        let letter = letter();
        let text: usize =
            ["romeo@montague.example/garden", "juliet@capulet.example", "m1", "en", "yonderwindow"]
                .iter()
                .map(|text| text.len())
                .sum::<usize>()
                + letter.payload.bytes().len();
        let stored = encode(&letter);
        assert!(stored.len() < text + 60, "{} over {text}", stored.len() - text);
        assert!(stored.len() <= size(&letter), "it never grows while it is written");
    }

    #[test]
    fn rows_written_long_ago_are_read() {
        // As the first release wrote it: the test may get more lines like this one, and none is ever changed.
        let row =
            b"\x01\x01\x02\x00\x01\x02\x0aromeo@m.ex\x03\x0bjuliet@c.ex\x04\x01i\x07\x05\x00\x0f\x02\x81\x04\
            \x08\x0f<body>hi</body>";
        let read = decode(&Bytes::from_static(row));
        let expected = stanza(
            "<message type='chat' id='i' from='romeo@m.ex' to='juliet@c.ex'><body>hi</body></message>",
        );
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_a_newer_release_adds_is_skipped() {
        let letter = letter();
        let mut newer = BytesMut::from(&encode(&letter)[..]);
        fields::put(&mut newer, 200, b"a field of tomorrow");
        assert_eq!(decode(&newer.freeze()), Ok(letter));
        // A child whose name has a number that only tomorrow knows.
        let newer = b"\x01\x01\x02\x00\x00\x07\x06\x00\x04\xff\x7e\x81\x04\x08\x04<a/>";
        let read = decode(&Bytes::from_static(newer)).unwrap();
        assert!(read.payload.children().is_empty());
        assert_eq!(read.payload.bytes().as_ref(), b"<a/>");
    }

    #[test]
    fn damaged_rows_are_errors() {
        let whole = encode(&letter());
        assert_eq!(decode(&Bytes::new()), Err(Unreadable::Format));
        assert_eq!(decode(&Bytes::from_static(b"\x09")), Err(Unreadable::Format));
        assert_eq!(decode(&whole.slice(..whole.len() - 1)), Err(Unreadable::Truncated));
        assert_eq!(decode(&Bytes::from_static(b"\x01\x01\x02\x63\x00")), Err(Unreadable::Field(KIND)));
        assert_eq!(decode(&Bytes::from_static(b"\x01\x02\x01\xff")), Err(Unreadable::Field(FROM)));
        for end in 0..whole.len() {
            _ = decode(&whole.slice(..end));
        }
    }
}
