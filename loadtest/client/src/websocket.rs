//! XMPP over WebSocket (RFC 7395): the opening handshake and the framing of RFC 6455, from the client's side.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BytesMut};
use sha1::{Digest as _, Sha1};

use crate::error::{Error, Stage};
use crate::http::{Head, invalid};
use crate::io::Io;
use crate::plan::Plan;

/// A message may have this many bytes.
const MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// RFC 6455 §1.3.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// RFC 6455 §5.2: in place of the length, which follows.
const LENGTH_16: u8 = 0x7E;
const LENGTH_64: u8 = 0x7F;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    /// What has arrived of a frame that is not complete.
    raw: BytesMut,
    /// The next masking key: §5.3 wants one that an attacker cannot foresee, of which a generator has none.
    mask: u32,
    is_closed: bool,
}

/// A frame's header.
struct Frame {
    opcode: u8,
    header_bytes: usize,
    payload_bytes: usize,
}

impl WebSocket {
    /// The opening handshake (RFC 6455 §4.1) for the subprotocol `xmpp` (RFC 7395 §3.1).
    pub(crate) async fn open(io: &mut Io, plan: &Plan) -> Result<WebSocket, Error> {
        let mut random = [0; 20];
        getrandom::fill(&mut random).map_err(|error| refused(error.to_string()))?;
        let (key, mask) = random.split_at(16);
        let key = STANDARD.encode(key);
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n",
            plan.path,
            plan.domain,
            plan.address.port()
        );
        let failed = |error: io::Error| Error::io(Stage::Http, &error);
        io.write_all(request.as_bytes()).await.map_err(failed)?;
        let mut raw = BytesMut::new();
        loop {
            if let Some(head) = Head::parse(&raw).map_err(failed)? {
                check(&head, &key)?;
                raw.advance(head.length);
                let mask = u32::from_be_bytes([mask[0], mask[1], mask[2], mask[3]]);
                return Ok(WebSocket { raw, mask, is_closed: false });
            }
            if io.read(&mut raw).await.map_err(failed)? == 0 {
                return Err(Error::closed(Stage::Http));
            }
        }
    }

    /// Where bytes from the network go before they are [`decoded`](WebSocket::decode).
    pub(crate) fn raw(&mut self) -> &mut BytesMut {
        &mut self.raw
    }

    /// Whether the server has said that nothing follows.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Appends the payloads of all complete frames, and to `outbox` what has to be answered.
    pub(crate) fn decode(&mut self, inbox: &mut BytesMut, outbox: &mut Vec<u8>) -> io::Result<()> {
        while let Some(frame) = frame(&self.raw)? {
            self.raw.advance(frame.header_bytes);
            let payload = self.raw.split_to(frame.payload_bytes);
            match frame.opcode {
                CLOSE => {
                    self.is_closed = true;
                    self.encode(CLOSE, &payload, outbox);
                }
                PING => self.encode(PONG, &payload, outbox),
                PONG => {}
                // Text, or what continues it: together a message, whose end is an element's.
                _ => inbox.extend_from_slice(&payload),
            }
        }
        if self.raw.is_empty() {
            self.raw = BytesMut::new();
        }
        Ok(())
    }

    /// Writes one element as a message of its own.
    pub(crate) fn message(&mut self, element: &[u8], outbox: &mut Vec<u8>) {
        self.encode(TEXT, element, outbox);
    }

    fn encode(&mut self, opcode: u8, payload: &[u8], outbox: &mut Vec<u8>) {
        outbox.push(FINAL | opcode);
        match payload.len() {
            length @ 0..126 => outbox.push(MASKED | length as u8),
            length @ 126..=0xFFFF => {
                outbox.push(MASKED | LENGTH_16);
                outbox.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                outbox.push(MASKED | LENGTH_64);
                outbox.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        self.mask = self.mask.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mask = self.mask.to_be_bytes();
        outbox.extend_from_slice(&mask);
        let begin = outbox.len();
        outbox.extend_from_slice(payload);
        for chunk in outbox[begin..].chunks_mut(4) {
            chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}

/// The frame at the front, if it is complete (RFC 6455 §5.2).
fn frame(raw: &[u8]) -> io::Result<Option<Frame>> {
    let [first, second, rest @ ..] = raw else { return Ok(None) };
    let (header_bytes, length) = match second & !MASKED {
        LENGTH_16 => match rest.first_chunk::<2>() {
            Some(length) => (4, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        LENGTH_64 => match rest.first_chunk::<8>() {
            Some(length) => (10, u64::from_be_bytes(*length)),
            None => return Ok(None),
        },
        length => (2, u64::from(length)),
    };
    if second & MASKED != 0 || length > MESSAGE_BYTES_MAX {
        return Err(invalid("a frame that a server must not send"));
    }
    let payload_bytes = length as usize;
    let is_complete = raw.len() >= header_bytes + payload_bytes;
    Ok(is_complete.then_some(Frame { opcode: first & 0x0F, header_bytes, payload_bytes }))
}

fn check(head: &Head<'_>, key: &str) -> Result<(), Error> {
    if head.status() != 101 {
        return Err(Error::new(Stage::Http, format!("status-{}", head.status())));
    }
    let expected = STANDARD.encode(Sha1::digest(format!("{key}{KEY_SUFFIX}")));
    if head.field("sec-websocket-accept") != Some(&expected) {
        return Err(refused("the key was not accepted"));
    }
    if head.field("sec-websocket-protocol").is_none_or(|name| !name.eq_ignore_ascii_case("xmpp")) {
        return Err(refused("the server does not speak xmpp here"));
    }
    Ok(())
}

fn refused(text: impl Into<Box<str>>) -> Error {
    Error::new(Stage::Http, "refused").with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> WebSocket {
        WebSocket { raw: BytesMut::new(), mask: 7, is_closed: false }
    }

    /// As a server would send it.
    fn unmasked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![opcode];
        match payload.len() {
            length @ 0..126 => bytes.push(length as u8),
            length => {
                bytes.push(126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        [bytes, payload.to_vec()].concat()
    }

    #[test]
    fn frames_are_read_however_they_arrive_and_pings_are_answered() {
        let long = vec![b'x'; 300];
        let bytes = [
            unmasked(TEXT, b"<a/"),
            unmasked(FINAL | PING, b"p"),
            unmasked(FINAL, b">"),
            unmasked(FINAL | TEXT, &long),
            unmasked(FINAL | CLOSE, b""),
        ]
        .concat();
        for size in 1..bytes.len() {
            let (mut socket, mut inbox, mut outbox) = (socket(), BytesMut::new(), Vec::new());
            for chunk in bytes.chunks(size) {
                socket.raw().extend_from_slice(chunk);
                socket.decode(&mut inbox, &mut outbox).unwrap();
            }
            assert_eq!(inbox[..], [b"<a/>", &long[..]].concat(), "chunks of {size}");
            assert_eq!(outbox[..2], [FINAL | PONG, MASKED | 1]);
            assert!(socket.is_closed());
        }
    }

    #[test]
    fn what_is_masked_is_read_back() {
        for size in [0, 1, 125, 126, 70_000] {
            let (mut outbox, payload) = (Vec::new(), vec![b'y'; size]);
            socket().message(&payload, &mut outbox);
            let begin = outbox.len() - size;
            let mask: Vec<u8> = outbox[begin - 4..begin].to_vec();
            let read: Vec<u8> = outbox[begin..].iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(read, payload);
        }
    }

    #[test]
    fn a_frame_that_claims_to_be_huge_is_an_error() {
        assert!(frame(&[0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
