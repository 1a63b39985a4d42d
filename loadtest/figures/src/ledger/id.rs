//! The id that every followed stanza carries: who, to whom, which one, and when it was intended.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a followed message is sent to. As text `17`, or `room 3f2a91c0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub enum Address {
    /// The account of this number.
    Account(u32),
    /// A room or a pub-sub node, by [`Address::room`].
    Room(u32),
}

/// `tl.<run>.<from>.<to>.<seq>.<µs>`, all of them numbers to the base of 36; a room has an `R`, which is no digit, before its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// Tells what earlier runs have left in archives and offline queues.
    pub run: u32,
    /// The sender's account.
    pub from: u32,
    /// The account, or the room or node.
    pub to: Address,
    /// From 1 for each session and address; the sender's session among all of its account's is in the upper half.
    pub seq: u64,
    /// When it was intended to be sent, in microseconds since the run's start.
    pub at_us: u64,
}

impl Address {
    /// A room or node by its key: its bare JID, for a node with ` ` and the node's name behind.
    pub fn room(key: &str) -> Self {
        Self::Room(crc32(key.as_bytes()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(number) => write!(f, "{number}"),
            Self::Room(number) => write!(f, "room {number:08x}"),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix("room ") {
            Some(room) => u32::from_str_radix(room, 16).map(Self::Room),
            None => text.parse().map(Self::Account),
        }
    }
}

impl MessageId {
    /// `None` for what is not ours.
    pub fn parse(id: &[u8]) -> Option<Self> {
        let mut parts = id.strip_prefix(b"tl.")?.split(|&byte| byte == b'.');
        let run = u32::try_from(number(parts.next()?)?).ok()?;
        let from = u32::try_from(number(parts.next()?)?).ok()?;
        let to = parts.next()?;
        let to = match to.strip_prefix(b"R") {
            Some(room) => Address::Room(u32::try_from(number(room)?).ok()?),
            None => Address::Account(u32::try_from(number(to)?).ok()?),
        };
        let (seq, at_us) = (number(parts.next()?)?, number(parts.next()?)?);
        parts.next().is_none().then_some(Self { run, from, to, seq, at_us })
    }

    /// Appends the id; none of its bytes needs escaping in XML.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"tl.");
        write_number(u64::from(self.run), out);
        out.push(b'.');
        write_number(u64::from(self.from), out);
        out.push(b'.');
        match self.to {
            Address::Account(number) => write_number(u64::from(number), out),
            Address::Room(number) => {
                out.push(b'R');
                write_number(u64::from(number), out);
            }
        }
        out.push(b'.');
        write_number(self.seq, out);
        out.push(b'.');
        write_number(self.at_us, out);
    }

    pub(crate) fn lane(&self) -> Option<u16> {
        u16::try_from(self.seq >> 32).ok()
    }

    pub(crate) fn number(&self) -> u32 {
        self.seq as u32
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(48);
        self.write(&mut bytes);
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

pub(crate) fn seq(lane: u16, number: u32) -> u64 {
    u64::from(lane) << 32 | u64::from(number)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'z' => digit - b'a' + 10,
            _ => return None,
        };
        sum.checked_mul(36)?.checked_add(u64::from(value))
    })
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// CRC-32 as of IEEE 802.3: the same everywhere, so that workers agree on rooms.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_reads_as_it_was_written() {
        let id = MessageId { run: 36, from: 7, to: Address::Account(1_000_000), seq: 71, at_us: 1_296 };
        assert_eq!(id.to_string(), "tl.10.7.lfls.1z.100");
        assert_eq!(MessageId::parse(b"tl.10.7.lfls.1z.100"), Some(id));
    }

    #[test]
    fn a_room_is_known_by_its_key() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let room = Address::room("hall@rooms.example.org");
        let id = MessageId { run: 1, from: 2, to: room, seq: 3, at_us: 4 };
        assert!(id.to_string().starts_with("tl.1.2.R"), "{id}");
        assert_eq!(MessageId::parse(id.to_string().as_bytes()), Some(id));
    }

    #[test]
    fn foreign_ids_are_not_ours() {
        for id in ["", "tl", "tl.", "tl.1.2.3.4", "tl.1.2.3.4.5.6", "tl.1.2.3..5", "tl.1.2.3.4.A", "purple1"]
        {
            assert_eq!(MessageId::parse(id.as_bytes()), None, "{id}");
        }
        assert_eq!(MessageId::parse(b"tl.zzzzzzzzzzzzzz.2.3.4.5"), None, "more than a number holds");
    }

    proptest! {
        #[test]
        fn every_id_reads_as_it_was_written(run: u32, from: u32, to: u32, room: bool, seq: u64, at_us: u64) {
            let to = if room { Address::Room(to) } else { Address::Account(to) };
            let id = MessageId { run, from, to, seq, at_us };
            prop_assert_eq!(MessageId::parse(id.to_string().as_bytes()), Some(id));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = MessageId::parse(&bytes);
        }
    }
}
