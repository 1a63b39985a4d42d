//! One connection: what its client says, piece by piece, and what is answered.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memmem};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::House;
use super::peer::Peer;
use crate::scan::{Scanner, attribute};

/// What one read takes at most, in bytes.
const READ_BYTES_MAX: usize = 16 * 1024;
/// What a client may say without an end, in bytes.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES_MAX]);
}

/// What is known about a client.
struct Talk<'a> {
    house: &'a House,
    peer: Arc<Peer>,
    /// The part of its address before the `@`, once it has logged in.
    account: Option<Box<[u8]>>,
    is_bound: bool,
    /// Stanzas since stream management was enabled (XEP-0198 §4).
    handled: u32,
    is_over: bool,
}

/// Talks until the connection ends.
pub(super) async fn serve(stream: TcpStream, secure: bool, house: &House) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, writer) = stream.into_split();
    let peer = Arc::new(Peer::new(writer, secure, house)?);
    let mut talk = Talk { house, peer, account: None, is_bound: false, handled: 0, is_over: false };
    let mut scanner = Scanner::default();
    let mut plain = Vec::new();
    let mut result = Ok(());
    while result.is_ok() && !talk.is_over {
        result = tokio::select! {
            more = read(&mut reader, &talk.peer, &mut plain) => match more {
                Ok(true) => talk.take(&mut scanner, &mut plain),
                Ok(false) => break,
                Err(error) => Err(error),
            },
            () = talk.peer.stuck.notified() => talk.peer.unstick(reader.as_ref()).await.map_err(Into::into),
        };
    }
    talk.leave();
    result
}

/// Appends what the client says; `false` at the end.
async fn read(reader: &mut OwnedReadHalf, peer: &Peer, plain: &mut Vec<u8>) -> anyhow::Result<bool> {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            std::task::ready!(Pin::new(&mut *reader).poll_read(cx, &mut buffer))?;
            peer.read(buffer.filled(), plain)?;
            Poll::Ready(Ok(!buffer.filled().is_empty()))
        })
    })
    .await
}

impl Talk<'_> {
    /// Takes all complete pieces away.
    fn take(&mut self, scanner: &mut Scanner, plain: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut done = 0;
        while let Some(length) = scanner.piece(&plain[done..]) {
            self.hear(&plain[done..done + length])?;
            done += length;
        }
        if done == plain.len() {
            // An idle connection holds no buffer.
            *plain = Vec::new();
        } else {
            plain.drain(..done);
            ensure!(plain.len() < PIECE_BYTES_MAX, "an element without an end");
        }
        Ok(())
    }

    fn hear(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        if !piece.starts_with(b"<") {
            return Ok(());
        }
        match &piece[1..name_end(piece)] {
            b"message" => {
                self.handled = self.handled.wrapping_add(1);
                self.pass(piece);
                Ok(())
            }
            b"iq" => {
                self.handled = self.handled.wrapping_add(1);
                self.answer(piece)
            }
            b"presence" => {
                self.handled = self.handled.wrapping_add(1);
                Ok(())
            }
            b"r" => self.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled)),
            b"enable" => {
                self.handled = 0;
                self.say("<enabled xmlns='urn:xmpp:sm:3'/>")
            }
            b"stream:stream" => self.open(),
            b"starttls" => {
                self.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
                self.peer.secure(self.house)
            }
            b"auth" => self.let_in(piece),
            b"/stream:stream" => {
                self.is_over = true;
                self.say("</stream:stream>")
            }
            // `<?xml …?>`, `<a/>`, and what else needs no answer.
            _ => Ok(()),
        }
    }

    /// The header and features of RFC 6120 §4.3, for the point the client has come to.
    fn open(&self) -> anyhow::Result<()> {
        let starttls = match (&self.account, self.peer.is_secure()) {
            (None, false) => "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            _ => "",
        };
        let features = match &self.account {
            None => {
                "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
                 <register xmlns='http://jabber.org/features/iq-register'/>"
            }
            Some(_) => "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>",
        };
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             id='null' from='{}' version='1.0'><stream:features>{starttls}{features}</stream:features>",
            self.house.domain
        ))
    }

    /// PLAIN (RFC 4616), whatever the password.
    fn let_in(&mut self, auth: &[u8]) -> anyhow::Result<()> {
        let begin = memchr(b'>', auth).context("an auth without an end")? + 1;
        let end = begin + memchr(b'<', &auth[begin..]).context("an auth without data")?;
        let message = STANDARD.decode(&auth[begin..end])?;
        let Some(account) = message.split(|byte| *byte == 0).nth(1) else { bail!("not a message of PLAIN") };
        self.account = Some(account.into());
        self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
    }

    fn answer(&mut self, iq: &[u8]) -> anyhow::Result<()> {
        if matches!(attribute(iq, "type"), Some(b"result" | b"error")) {
            return Ok(());
        }
        let id = String::from_utf8_lossy(attribute(iq, "id").unwrap_or_default());
        let is_bind = memmem::find(iq, b"urn:ietf:params:xml:ns:xmpp-bind").is_some();
        match &self.account {
            Some(account) if is_bind && !self.is_bound => {
                let jid = format!("{}@{}/null", String::from_utf8_lossy(account), self.house.domain);
                self.house.peers.write().insert(account.clone(), Arc::clone(&self.peer));
                self.is_bound = true;
                self.say(&format!(
                    "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>"
                ))
            }
            _ => self.say(&format!("<iq type='result' id='{id}'/>")),
        }
    }

    fn pass(&self, message: &[u8]) {
        let Some(to) = attribute(message, "to") else { return };
        let account = &to[..memchr(b'@', to).unwrap_or(to.len())];
        let peer = self.house.peers.read().get(account).cloned();
        // A client that has gone, or does not read, gets nothing more: that is its own loss.
        let _ = peer.map(|peer| peer.write(message));
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.peer.write(text.as_bytes())?)
    }

    fn leave(&mut self) {
        if let Some(account) = &self.account {
            let mut peers = self.house.peers.write();
            if peers.get(account).is_some_and(|peer| Arc::ptr_eq(peer, &self.peer)) {
                peers.remove(account);
            }
        }
    }
}

fn name_end(piece: &[u8]) -> usize {
    // Behind the `</` of an end tag as well.
    let is_end = |byte: &u8| matches!(byte, b' ' | b'>' | b'\n' | b'\t' | b'\r');
    let end =
        2 + piece[2.min(piece.len())..].iter().position(|byte| is_end(byte) || *byte == b'/').unwrap_or(0);
    end.min(piece.len())
}
