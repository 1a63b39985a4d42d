//! A client for tests: it sends XML as the play has it, and holds what it receives against patterns.
//!
//! In what it sends and expects, `{romeo}` is the bare JID of the play's Romeo, `{romeo/balcony}` a full one,
//! `{domain}` the server. Acknowledgements of streams (XEP-0198) are answered and counted aside.

mod login;
mod management;
mod transport;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use rustls::RootCertStore;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use xmpp::ns;
use xmpp::xml::{Element, Header, Incoming, Limits, Reader};

use self::management::Management;
pub use self::management::Saved;
pub use self::transport::TlsVersion;
use self::transport::Transport;
use crate::pattern::{self, mismatch, told};

/// For anything to arrive that must; generous, for machines that do much else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of a transcript; those before are forgotten.
const LINES_MAX: usize = 2_000;

/// No reason of the client's to end a stream.
const LIMITS: Limits = Limits {
    stanza_bytes_max: 8 * 1024 * 1024,
    depth_max: 256,
    attributes_max: 256,
    namespaces_max: 256,
    elements_max: u32::MAX,
};

/// Who is who in a play, and what they said.
#[derive(Clone, Debug)]
pub struct Cast {
    suffix: String,
    transcript: Arc<Mutex<VecDeque<String>>>,
}

/// A connection to the server, and whoever speaks on it.
pub struct Client {
    /// For the transcript.
    pub name: String,
    cast: Cast,
    transport: Transport,
    input: BytesMut,
    reader: Option<Reader>,
    management: Option<Management>,
    roots: Arc<RootCertStore>,
    barriers: u32,
}

/// What arrives on a stream.
#[derive(Clone, Debug)]
enum Heard {
    Header(Element),
    Element(Element),
    /// The server closed the stream.
    Close,
    /// The connection ended.
    End,
}

impl Cast {
    /// Everybody's name ends with the suffix, which makes it this play's own.
    pub fn new(suffix: String) -> Cast {
        Cast { suffix, transcript: Arc::default() }
    }

    /// The text with the names of this play.
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 32);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (inside, behind) = after.split_once('}').unwrap_or((after, ""));
            let (name, resource) =
                inside.split_once('/').map_or((inside, None), |(name, to)| (name, Some(to)));
            out.push_str(&match name {
                "domain" => crate::server::DOMAIN.to_owned(),
                "other-domain" => crate::server::OTHER_DOMAIN.to_owned(),
                name => self.bare(name),
            });
            if let Some(resource) = resource {
                out.push('/');
                out.push_str(resource);
            }
            rest = behind;
        }
        out + rest
    }

    /// The part of somebody's address before the `@`.
    pub fn node(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// Somebody's bare JID.
    pub fn bare(&self, name: &str) -> String {
        format!("{}@{}", self.node(name), crate::server::DOMAIN)
    }

    /// Adds a line to the transcript.
    pub fn tell(&self, line: impl Into<String>) {
        let mut line = line.into();
        if line.len() > 900 {
            let cut = (0..=900).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(cut);
            line.push('…');
        }
        let mut lines = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Everything that was said, of late.
    pub fn transcript(&self) -> Vec<String> {
        self.transcript.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Client {
    /// Connects over TCP.
    pub async fn tcp(
        cast: Cast,
        name: &str,
        from: Ipv4Addr,
        to: SocketAddr,
        roots: Arc<RootCertStore>,
    ) -> Client {
        let transport =
            Transport::tcp(from, to).await.unwrap_or_else(|error| panic!("{name} cannot connect: {error}"));
        cast.tell(format!("{name} connects to {to}"));
        let (name, input) = (name.to_owned(), BytesMut::new());
        Client { name, cast, transport, input, reader: None, management: None, roots, barriers: 0 }
    }

    /// Makes a WebSocket of the TCP connection.
    pub async fn becomes_websocket(&mut self, to: SocketAddr) {
        let tcp = std::mem::replace(&mut self.transport, Transport::Gone);
        let socket = tcp.websocket(to).await;
        self.transport = socket.unwrap_or_else(|error| panic!("{} gets no WebSocket: {error}", self.name));
    }

    /// TLS at once (XEP-0368).
    pub async fn begins_tls(&mut self, version: TlsVersion) {
        let done = self.transport.encrypt(&self.roots, version, true).await;
        done.unwrap_or_else(|error| panic!("{}: no TLS: {error}", self.name));
    }

    /// STARTTLS (RFC 6120 §5); a stream must be open.
    pub async fn starts_tls(&mut self, version: TlsVersion) {
        self.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        self.receives("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        assert!(self.input.is_empty(), "nothing follows <proceed/>");
        let done = self.transport.encrypt(&self.roots, version, false).await;
        done.unwrap_or_else(|error| panic!("{}: no TLS: {error}", self.name));
    }

    /// Sends one stanza or another element.
    pub async fn sends(&mut self, xml: &str) {
        let mut xml = self.cast.expand(xml);
        if self.transport.is_websocket() {
            with_namespace(&mut xml);
        }
        if let Some(management) = &mut self.management {
            management.sent(&xml);
        }
        self.sends_bytes(xml.as_bytes()).await;
    }

    /// Sends bytes as they are.
    pub async fn sends_bytes(&mut self, bytes: &[u8]) {
        self.cast.tell(format!("{} → {}", self.name, String::from_utf8_lossy(bytes)));
        if let Err(error) = self.transport.write(bytes).await {
            // The server may close before it has read all; what it says then is still to be received.
            self.cast.tell(format!("{} could not send: {error}", self.name));
        }
    }

    /// Sends bytes a few at a time, each piece a segment of its own.
    pub async fn sends_in_pieces(&mut self, bytes: &[u8], size: usize) {
        self.cast.tell(format!("{} → {} bytes, {size} by {size}", self.name, bytes.len()));
        for piece in bytes.chunks(size) {
            if self.transport.write(piece).await.is_err() {
                return;
            }
        }
    }

    /// Sends something that only a WebSocket has.
    pub async fn sends_message(&mut self, message: Message) {
        self.cast.tell(format!("{} → {message:?}", self.name));
        let _ = self.transport.write_message(message).await;
    }

    /// Changes the keys of TLS so often.
    pub async fn updates_keys(&mut self, count: usize) {
        self.cast.tell(format!("{} updates its keys {count} times", self.name));
        for _ in 0..count {
            if self.transport.update_keys().await.is_err() {
                return;
            }
        }
    }

    /// The next element must have all of the pattern.
    pub async fn receives(&mut self, pattern: &str) -> Element {
        let wanted = pattern::parse(&self.cast.expand(pattern));
        let heard = self.next(wanted.ns() == ns::SM).await;
        let Heard::Element(element) = heard else { self.fail(&heard, pattern) };
        if let Some(why) = mismatch(&wanted, &element) {
            self.cast.tell(format!("{} expected {pattern}", self.name));
            panic!("{}: {why}", self.name);
        }
        element
    }

    /// The next elements have all of these patterns, in any order; returned in the order of the patterns.
    pub async fn receives_all(&mut self, patterns: &[&str]) -> Vec<Element> {
        let mut found: Vec<Option<Element>> = vec![None; patterns.len()];
        let wanted: Vec<Element> =
            patterns.iter().map(|xml| pattern::parse(&self.cast.expand(xml))).collect();
        for _ in patterns {
            let heard = self.next(false).await;
            let Heard::Element(element) = heard else { self.fail(&heard, &format!("{patterns:?}")) };
            let fits = |at: &usize| found[*at].is_none() && mismatch(&wanted[*at], &element).is_none();
            let Some(at) = (0..wanted.len()).find(fits) else {
                let open = (0..wanted.len()).filter(|at| found[*at].is_none()).map(|at| patterns[at]);
                self.cast.tell(format!("{} expected one of {:#?}", self.name, open.collect::<Vec<_>>()));
                panic!("{}: this is none of what was expected", self.name);
            };
            found[at] = Some(element);
        }
        found.into_iter().flatten().collect()
    }

    /// Elements up to the one that has all of the pattern; those before it are of no interest here.
    pub async fn receives_at_last(&mut self, pattern: &str) -> Element {
        let wanted = pattern::parse(&self.cast.expand(pattern));
        loop {
            match self.next(wanted.ns() == ns::SM).await {
                Heard::Element(element) if mismatch(&wanted, &element).is_none() => return element,
                Heard::Element(_) => {}
                heard => self.fail(&heard, pattern),
            }
        }
    }

    /// Nothing but the answer to a question that is asked now. What others sent before has passed the account by then,
    /// if they have [settled](Client::settles).
    pub async fn receives_nothing(&mut self) {
        let id = self.asks().await;
        self.receives(&format!("<iq id='{id}'/>")).await;
    }

    /// The text with the names of this play.
    pub fn expand(&self, text: &str) -> String {
        self.cast.expand(text)
    }

    /// Waits until the server has performed all that this client sent.
    pub async fn settles(&mut self) {
        self.forgets().await;
    }

    /// Drops what has arrived; returned in order.
    pub async fn forgets(&mut self) -> Vec<Element> {
        let id = self.asks().await;
        let mut dropped = self.receives_to(&id).await;
        dropped.pop();
        dropped
    }

    /// Everything up to the element with this id, which is the last.
    pub async fn receives_to(&mut self, id: &str) -> Vec<Element> {
        self.receives_until(|element| element.attribute("id") == Some(id)).await
    }

    /// Everything up to the first element like this, which is the last.
    pub async fn receives_until(&mut self, is_last: impl Fn(&Element) -> bool) -> Vec<Element> {
        let mut all = Vec::new();
        loop {
            match self.next(false).await {
                Heard::Element(element) => all.push(element),
                heard => self.fail(&heard, "an answer"),
            }
            if all.last().is_some_and(&is_last) {
                return all;
            }
        }
    }

    /// A question to the own account, whose work is done in order.
    async fn asks(&mut self) -> String {
        self.barriers += 1;
        let id = format!("barrier-{}", self.barriers);
        self.sends(&format!("<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        id
    }

    /// The server ends the stream with this error (RFC 6120 §4.9.3), and the connection.
    pub async fn is_refused_with(&mut self, condition: &str) -> Element {
        let error = format!(
            "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
        );
        let wanted = pattern::parse(&error);
        let found = loop {
            match self.next(false).await {
                // RFC 6120 §4.9.1.2: an error before the server's header comes with one.
                Heard::Header(_) => {}
                Heard::Element(element) if element.name() == "features" => {}
                Heard::Element(element) => break element,
                heard => self.fail(&heard, &error),
            }
        };
        if let Some(why) = mismatch(&wanted, &found) {
            self.cast.tell(format!("{} expected {error}", self.name));
            panic!("{}: {why}", self.name);
        }
        self.is_closed().await;
        found
    }

    /// The server closes the stream and the connection, and says nothing more.
    pub async fn is_closed(&mut self) {
        match self.next(false).await {
            Heard::Close => {}
            heard => self.fail(&heard, "the end of the stream"),
        }
        // Some clients wait for our side to close first (RFC 6120 §4.4); the server need not.
        let _ =
            self.transport.write(if self.transport.is_websocket() { b"" } else { b"</stream:stream>" }).await;
        match self.next(false).await {
            Heard::End => {}
            heard => self.fail(&heard, "the end of the connection"),
        }
    }

    /// The server ends the connection, whatever it says before.
    pub async fn is_dropped(&mut self) {
        while !matches!(self.next(true).await, Heard::End) {}
    }

    /// Closes the stream; the server does so too (RFC 6120 §4.4).
    pub async fn closes(&mut self) {
        self.sends_bytes(self.closing()).await;
        loop {
            match self.next(false).await {
                Heard::Close => break,
                Heard::Element(_) => {}
                heard => self.fail(&heard, "the end of the stream"),
            }
        }
        self.transport.drop_now();
    }

    fn closing(&self) -> &'static [u8] {
        if self.transport.is_websocket() {
            b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
        } else {
            b"</stream:stream>"
        }
    }

    /// Is gone without a word.
    pub fn vanishes(&mut self) {
        self.cast.tell(format!("{} vanishes", self.name));
        self.transport.drop_now();
    }

    fn fail(&self, heard: &Heard, wanted: &str) -> ! {
        self.cast.tell(format!("{} expected {wanted}", self.name));
        panic!("{}: {heard:?} came", self.name);
    }

    /// What arrives next; acknowledgements only if `with_acks`.
    async fn next(&mut self, with_acks: bool) -> Heard {
        loop {
            let Ok(heard) = timeout(PATIENCE, self.read()).await else {
                self.cast.tell(format!("{} waits in vain", self.name));
                panic!("{}: nothing came in {PATIENCE:?}", self.name);
            };
            self.takes_note(&heard).await;
            match &heard {
                Heard::Element(element) if element.ns() == ns::SM && self.management.is_some() => {
                    if with_acks && element.name() != "r" {
                        return heard;
                    }
                }
                _ => return heard,
            }
        }
    }

    /// The next element, acknowledgements too, if one comes in time; `Err`: the stream is over.
    #[allow(clippy::result_unit_err, reason = "there is no more to say of it")]
    pub async fn hears_within(&mut self, limit: Duration) -> Result<Option<Element>, ()> {
        let Ok(heard) = timeout(limit, self.read()).await else { return Ok(None) };
        self.takes_note(&heard).await;
        match heard {
            Heard::Element(element) if element.name() == "error" && element.ns() == ns::STREAMS => Err(()),
            Heard::Element(element) => Ok(Some(element)),
            Heard::Header(_) => Ok(None),
            Heard::Close | Heard::End => Err(()),
        }
    }

    /// Counts, answers `<r/>`, tells.
    async fn takes_note(&mut self, heard: &Heard) {
        self.cast.tell(match heard {
            Heard::Header(element) | Heard::Element(element) => format!("{} ← {}", self.name, told(element)),
            other => format!("{} ← {other:?}", self.name),
        });
        let (Some(management), Heard::Element(element)) = (&mut self.management, heard) else { return };
        if element.ns() != ns::SM {
            management.heard(element);
        } else if let Some(answer) = management.concerns(element) {
            // If it cannot be written, that the stream is over is what comes next.
            let _ = self.transport.write(answer.as_bytes()).await;
        }
    }

    async fn read(&mut self) -> Heard {
        loop {
            if self.transport.is_websocket() {
                if !self.input.is_empty() {
                    return framed(&self.input.split());
                }
            } else {
                let reader = self.reader.get_or_insert_with(|| Reader::stream(LIMITS));
                match reader.read(&mut self.input) {
                    Ok(Some(incoming)) => return streamed(incoming),
                    Ok(None) => {}
                    Err(error) => panic!("{}: the server's XML is wrong: {error}", self.name),
                }
            }
            if !self.transport.read(&mut self.input).await {
                return Heard::End;
            }
        }
    }
}

fn streamed(incoming: Incoming) -> Heard {
    match incoming {
        Incoming::Header(header) => Heard::Header(header_element(&header)),
        Incoming::Stanza(stanza) => match stanza.to_element() {
            Ok(element) => Heard::Element(element),
            Err(error) => panic!("{stanza:?} cannot be read again: {error}"),
        },
        Incoming::Other(element) => Heard::Element(element),
        Incoming::Close => Heard::Close,
    }
}

/// RFC 7395 §3.3: each message is a document.
fn framed(message: &[u8]) -> Heard {
    let text = String::from_utf8_lossy(message);
    let element = Element::parse(message, ns::NONE).unwrap_or_else(|error| panic!("{text}: {error}"));
    match (element.ns(), element.name()) {
        (ns::FRAMING, "open") => Heard::Header(element),
        (ns::FRAMING, "close") => Heard::Close,
        _ => Heard::Element(element),
    }
}

fn header_element(header: &Header) -> Element {
    let mut element = Element::new(ns::STREAMS, "stream");
    let fields =
        [("from", &header.from), ("to", &header.to), ("id", &header.id), ("version", &header.version)];
    for (name, value) in fields {
        if let Some(value) = value {
            element.set_attribute(name, value);
        }
    }
    element
}

/// RFC 7395 §3.3.3: a stanza declares its namespace itself.
fn with_namespace(xml: &mut String) {
    for name in ["<message", "<presence", "<iq"] {
        let tag = xml.split('>').next().unwrap_or_default();
        if xml.starts_with(name) && !tag.contains(" xmlns=") {
            xml.insert_str(name.len(), " xmlns='jabber:client'");
        }
    }
}
