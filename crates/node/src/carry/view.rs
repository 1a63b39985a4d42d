//! A packed stanza, read in place.

use xmpp::stanza::{Child, Flags, Kind, Name, Type};

use super::{NO_ID, Unreadable, key};

/// What a packed stanza says; nothing is copied.
#[derive(Debug)]
pub struct View<'a> {
    /// The element's name.
    pub kind: Kind,
    /// The attribute `type`.
    pub ty: Type,
    /// A prepared JID; empty: none.
    pub from: &'a str,
    /// A prepared JID; empty: none.
    pub to: &'a str,
    /// Empty: none.
    pub lang: &'a str,
    /// Other attributes of the start tag.
    pub attributes: Vec<(&'a str, &'a str)>,
    /// The children.
    pub payload: &'a [u8],
    id: &'a str,
    flags: u32,
    index: &'a [u8],
    namespaces: Vec<&'a str>,
}

impl<'a> View<'a> {
    /// Reads a packed stanza.
    ///
    /// # Errors
    /// There are none, they are no `delivery.v1.Stanza`, or kind or type is none of ours.
    pub fn of(packed: &'a [u8]) -> Result<Self, Unreadable> {
        let mut view = Self {
            kind: Kind::Message,
            ty: Type::Normal,
            from: "",
            to: "",
            lang: "",
            attributes: Vec::new(),
            payload: &[],
            id: "",
            flags: 0,
            index: &[],
            namespaces: Vec::new(),
        };
        // Where there may be none, there are no bytes.
        if packed.is_empty() {
            return Err(Unreadable);
        }
        let (mut kind, mut ty) = (0, 0);
        let mut fields = Fields(packed);
        while let Some((key, field)) = fields.next()? {
            match (key, field) {
                (key::KIND, Field::Number(number)) => kind = number,
                (key::TYPE, Field::Number(number)) => ty = number,
                (key::FLAGS, Field::Number(number)) => {
                    view.flags = u32::try_from(number).map_err(|_| Unreadable)?;
                }
                (key::FROM, Field::Piece(piece)) => view.from = text(piece)?,
                (key::TO, Field::Piece(piece)) => view.to = text(piece)?,
                (key::ID, Field::Piece(piece)) => view.id = text(piece)?,
                (key::LANG, Field::Piece(piece)) => view.lang = text(piece)?,
                (key::ATTRIBUTE, Field::Piece(piece)) => view.attributes.push(attribute(piece)?),
                (key::PAYLOAD, Field::Piece(piece)) => view.payload = piece,
                // Ours is in one piece, as encoders make it.
                (key::INDEX, Field::Piece(piece)) if view.index.is_empty() => view.index = piece,
                (key::INDEX | key::INDEX_NUMBER, _) => return Err(Unreadable),
                (key::NAMESPACE, Field::Piece(piece)) => view.namespaces.push(text(piece)?),
                // Of a newer release.
                _ => {}
            }
        }
        view.kind = u8::try_from(kind).ok().and_then(Kind::from_number).ok_or(Unreadable)?;
        view.ty = u8::try_from(ty).ok().and_then(Type::from_number).ok_or(Unreadable)?;
        Ok(view)
    }

    /// The sender's own id.
    pub fn id(&self) -> Option<&'a str> {
        (self.flags & NO_ID == 0).then_some(self.id)
    }

    pub(super) fn flags(&self) -> Flags {
        Flags::from_bits(self.flags)
    }

    /// The index of the payload's children.
    pub(super) fn children(&self) -> Result<Vec<Child>, Unreadable> {
        let mut unknown = self.namespaces.iter();
        let mut numbers = Fields(self.index);
        let mut children = Vec::with_capacity(self.index.len() / 3);
        while !numbers.0.is_empty() {
            let (ns, start, length) = (numbers.varint()?, numbers.varint()?, numbers.varint()?);
            let ns = match ns.checked_sub(1) {
                None => Name::from(*unknown.next().ok_or(Unreadable)?),
                Some(number) => u16::try_from(number).ok().and_then(Name::from_number).ok_or(Unreadable)?,
            };
            let end = start.checked_add(length).ok_or(Unreadable)?;
            let child = self.payload.get(start as usize..end as usize).ok_or(Unreadable)?;
            children.push(Child { ns, name: local_name(child)?, start, end });
        }
        Ok(children)
    }
}

/// Fields of an encoded message, one after the other.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Piece(&'a [u8]),
    /// Of a type that we do not use.
    Other,
}

impl<'a> Fields<'a> {
    /// The next field and its key; keys that take more than a byte are those of a newer release, and come as 0.
    fn next(&mut self) -> Result<Option<(u8, Field<'a>)>, Unreadable> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = self.varint()?;
                Field::Piece(self.take(length as usize)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return Err(Unreadable),
        };
        Ok(Some((u8::try_from(key).unwrap_or(0), field)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (piece, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(piece)
    }

    fn varint(&mut self) -> Result<u32, Unreadable> {
        u32::try_from(self.number()?).map_err(|_| Unreadable)
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        if let Some((&byte, rest)) = self.0.split_first()
            && byte < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(byte));
        }
        prost::decode_length_delimiter(&mut self.0).map(|number| number as u64).map_err(|_| Unreadable)
    }
}

fn attribute(piece: &[u8]) -> Result<(&str, &str), Unreadable> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields(piece);
    while let Some((key, field)) = fields.next()? {
        match (key, field) {
            (key::NAME, Field::Piece(piece)) => name = text(piece)?,
            (key::VALUE, Field::Piece(piece)) => value = text(piece)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn text(piece: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(piece).map_err(|_| Unreadable)
}

/// What the element that begins here is called, without its prefix.
fn local_name(element: &[u8]) -> Result<Name, Unreadable> {
    let tag = element.strip_prefix(b"<").ok_or(Unreadable)?;
    let end = tag
        .iter()
        .position(|byte| matches!(byte, b' ' | b'/' | b'>' | b'\t' | b'\r' | b'\n'))
        .ok_or(Unreadable)?;
    let name = text(&tag[..end])?;
    Ok(Name::from(name.split_once(':').map_or(name, |(_, local)| local)))
}
