//! A session's state as its edge keeps it (docs/delivery.md §7): opaque, versioned, at most a kibibyte for an ordinary
//! session. The owner hands it over whole when it changes; the next owner, one release older or newer, reads it.

use bytes::{BufMut, Bytes, BytesMut};
use xmpp::jid::Jid;

use crate::account::{DIRECTED_MAX, Session};
use crate::fields::{self, Reader, Unreadable};
use crate::stored;

const FORMAT: u8 = 1;

// Tags; stream and JID come first.
const STREAM: u8 = 1;
const JID: u8 = 2;
const SINCE: u8 = 3; // big-endian
const PRIORITY: u8 = 4;
const FLAGS: u8 = 5; // big-endian
const PRESENCE: u8 = 6; // stored form
const DIRECTED: u8 = 7; // repeated
const FETCHED: u8 = 8; // big-endian

// Flags.
const INTERESTED: u64 = 1;
const BLOCKLIST: u64 = 1 << 1;
const CARBONS: u64 = 1 << 2;
const INACTIVE: u64 = 1 << 3;

/// The state of a session.
pub fn encode(session: &Session) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    out.put_u8(FORMAT);
    fields::put(&mut out, STREAM, &session.stream);
    fields::put(&mut out, JID, session.jid.as_str().as_bytes());
    fields::put(&mut out, SINCE, &session.since_ms.to_be_bytes());
    fields::put(&mut out, PRIORITY, &session.priority.to_be_bytes());
    let flags = [
        (session.interested, INTERESTED),
        (session.blocklist, BLOCKLIST),
        (session.carbons, CARBONS),
        (session.inactive, INACTIVE),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
    fields::put(&mut out, FLAGS, &[flags as u8]);
    if let Some(presence) = &session.presence {
        fields::put(&mut out, PRESENCE, &stored::encode(presence));
    }
    if session.fetched > 0 {
        fields::put(&mut out, FETCHED, &session.fetched.to_be_bytes());
    }
    for jid in &session.directed {
        fields::put(&mut out, DIRECTED, jid.as_str().as_bytes());
    }
    out.freeze()
}

/// The session of a state.
///
/// # Errors
/// It was not written by [`encode`], or is damaged.
pub fn decode(bytes: &Bytes) -> Result<Session, Unreadable> {
    if bytes.first() != Some(&FORMAT) {
        return Err(Unreadable::Format);
    }
    let mut reader = Reader::new(bytes.slice(1..));
    let stream = first(&mut reader, STREAM)?;
    let stream = stream.as_ref().try_into().map_err(|_| Unreadable::Field(STREAM))?;
    let mut session = Session::new(stream, jid(JID, &first(&mut reader, JID)?)?, 0);
    while let Some((tag, value)) = reader.field()? {
        match tag {
            SINCE => session.since_ms = fields::number(&value),
            PRIORITY => session.priority = fields::number(&value) as i8,
            FETCHED => session.fetched = fields::number(&value),
            FLAGS => set_flags(&mut session, fields::number(&value)),
            // Decoded from a copy, so that a small presence does not keep the whole state alive.
            PRESENCE => session.presence = Some(Box::new(stored::decode(&Bytes::copy_from_slice(&value))?)),
            DIRECTED if session.directed.len() < DIRECTED_MAX => session.directed.push(jid(tag, &value)?),
            _ => {}
        }
    }
    Ok(session)
}

fn first(reader: &mut Reader, expected: u8) -> Result<Bytes, Unreadable> {
    match reader.field()? {
        Some((tag, value)) if tag == expected => Ok(value),
        _ => Err(Unreadable::Field(expected)),
    }
}

fn set_flags(session: &mut Session, flags: u64) {
    session.interested = flags & INTERESTED != 0;
    session.blocklist = flags & BLOCKLIST != 0;
    session.carbons = flags & CARBONS != 0;
    session.inactive = flags & INACTIVE != 0;
}

fn jid(tag: u8, value: &[u8]) -> Result<Jid, Unreadable> {
    Jid::from_prepared(fields::text(tag, value)?).map_err(|_| Unreadable::Field(tag))
}

#[cfg(test)]
mod tests {
    use xmpp::stanza::Stanza;

    use super::*;
    use crate::testing::{Stage, jid, stanza};

    const CAPS: &str = "<presence from='juliet@capulet.example/balcony' id='p1'><show>away</show>\
        <priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
        node='https://conversations.im' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>";

    fn juliet() -> Session {
        let mut stage = Stage::new();
        stage.bind("balcony");
        let mut session = stage.account.sessions.remove(0);
        session.presence = Some(Box::new(stanza(CAPS)));
        session.priority = -5;
        session.fetched = 1_767_225_600_000_000;
        (session.interested, session.carbons) = (true, true);
        session.directed = vec![jid("ball@rooms.capulet.example/masked"), jid("paris@verona.example")];
        session
    }

    fn same(one: &Session, other: &Session) {
        // What is held back is no part of a state.
        let text = |session: &Session| format!("{session:?}");
        assert_eq!(text(one), text(other));
    }

    #[test]
    fn a_session_comes_back_as_it_was() {
        let mut session = juliet();
        same(&decode(&encode(&session)).unwrap(), &session);
        (session.interested, session.blocklist, session.carbons, session.inactive) =
            (false, true, false, true);
        session.presence = None;
        same(&decode(&encode(&session)).unwrap(), &session);
    }

    #[test]
    fn an_ordinary_session_is_less_than_a_kibibyte() {
        let mut session = juliet();
        session.directed = (0..8).map(|n| jid(&format!("room{n}@rooms.capulet.example/juliet"))).collect();
        let bytes = encode(&session).len();
        assert!(bytes <= 1_024, "{bytes}");
    }

    #[test]
    fn what_is_held_back_stays_with_its_owner() {
        let mut session = juliet();
        session.held_back.push(Stanza::message(xmpp::stanza::Type::Chat));
        assert!(decode(&encode(&session)).unwrap().held_back.is_empty());
    }

    #[test]
    fn what_a_newer_release_adds_is_skipped() {
        let session = juliet();
        let mut newer = BytesMut::from(&encode(&session)[..]);
        fields::put(&mut newer, 99, b"a field of tomorrow");
        fields::put(&mut newer, FLAGS, &[0xff, 0b101]);
        same(&decode(&newer.freeze()).unwrap(), &session);
    }

    #[test]
    fn damaged_states_are_errors() {
        let whole = encode(&juliet());
        assert_eq!(decode(&Bytes::new()).unwrap_err(), Unreadable::Format);
        assert_eq!(decode(&whole.slice(..1)).unwrap_err(), Unreadable::Field(STREAM));
        assert_eq!(decode(&whole.slice(..whole.len() - 1)).unwrap_err(), Unreadable::Truncated);
        for end in 0..whole.len() {
            _ = decode(&whole.slice(..end));
        }
    }
}
