//! A client up to its initial presence, over any transport. What comes afterwards is each load's own.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use xmpp::sasl::{self, Hash, Login, Mechanism};

use crate::account::{self, DOMAIN, PASSWORD};

/// The end of a stream.
pub(crate) const GOODBYE: &[u8] = b"</stream:stream>";

const ANSWER_BYTES_MAX: usize = 65_536;

/// A connection that somebody logs in on.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Makes the account (XEP-0077) on a new stream, which is used up by that.
    pub(crate) async fn register(&mut self, number: usize) -> anyhow::Result<()> {
        self.open().await?;
        let name = account::name(number);
        self.send(&format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>{PASSWORD}</password></query></iq>"
        ))
        .await?;
        self.until(&[b"</iq>", b"/>"]).await?;
        Ok(self.stream.write_all(GOODBYE).await?)
    }

    /// Logs in with PLAIN (RFC 4616) and binds a resource.
    pub(crate) async fn log_in(&mut self, number: usize) -> anyhow::Result<()> {
        self.open().await?;
        let data = STANDARD.encode(format!("\0{}\0{PASSWORD}", account::name(number)));
        self.send(&format!("<auth xmlns='{}' mechanism='PLAIN'>{data}</auth>", xmpp::ns::SASL)).await?;
        self.succeeds().await?;
        self.bind().await
    }

    /// Logs in with SCRAM-SHA-256 (RFC 7677) and binds a resource.
    pub(crate) async fn log_in_with_scram(&mut self, number: usize, nonce: u64) -> anyhow::Result<()> {
        self.open().await?;
        let mut bytes = [0; sasl::NONCE_BYTES];
        bytes[..8].copy_from_slice(&nonce.to_be_bytes());
        let password = PASSWORD.as_bytes().to_vec().into();
        let mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };
        let login = Login { username: account::name(number), password, authzid: None, binding: None };
        let mut exchange = sasl::Client::start(mechanism, login, sasl::nonce(bytes))?;
        let data = STANDARD.encode(exchange.first());
        self.send(&format!("<auth xmlns='{}' mechanism='SCRAM-SHA-256'>{data}</auth>", xmpp::ns::SASL))
            .await?;
        let challenge = self.until(&[b"</challenge>", b"</failure>"]).await?;
        let data = STANDARD.encode(exchange.respond(&content(&challenge)?)?);
        self.send(&format!("<response xmlns='{}'>{data}</response>", xmpp::ns::SASL)).await?;
        let success = self.until(&[b"</success>", b"</failure>"]).await?;
        exchange.finish(&content(&success)?)?;
        self.bind().await
    }

    /// Sends initial presence (RFC 6121 §4.2) and waits for its echo.
    pub(crate) async fn appear(&mut self) -> anyhow::Result<()> {
        self.send("<presence/>").await?;
        self.until(&[b"</presence>", b"/>"]).await?;
        Ok(())
    }

    /// Asks for the roster (RFC 6121 §2.2); returns how many contacts it has.
    pub(crate) async fn load_roster(&mut self) -> anyhow::Result<usize> {
        self.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await?;
        let roster = self.until(&[b"</iq>"]).await?;
        Ok(memmem::find_iter(&roster, b"<item ").count())
    }

    /// Turns on stream management without resumption (XEP-0198 §3); stanzas are counted from here.
    pub(crate) async fn enable_management(&mut self) -> anyhow::Result<()> {
        self.send("<enable xmlns='urn:xmpp:sm:3'/>").await?;
        let answer = self.until(&[b"<enabled", b"<failed"]).await?;
        ensure!(memmem::find(&answer, b"<enabled").is_some(), "stream management was refused");
        self.until(&[b">"]).await?;
        Ok(())
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        self.send(&format!(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' \
             version='1.0'>"
        ))
        .await?;
        self.until(&[b"</stream:features>"]).await?;
        Ok(())
    }

    async fn succeeds(&mut self) -> anyhow::Result<()> {
        let answer = self.until(&[b"<success", b"<failure"]).await?;
        ensure!(memmem::find(&answer, b"<success").is_some(), "the login was refused");
        self.until(&[b">"]).await?;
        Ok(())
    }

    async fn bind(&mut self) -> anyhow::Result<()> {
        self.open().await?;
        let bind = xmpp::ns::BIND;
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='{bind}'><resource>bench</resource></bind></iq>"
        ))
        .await?;
        let answer = self.until(&[b"</iq>"]).await?;
        ensure!(memmem::find(&answer, b"type='result'").is_some(), "no resource was bound");
        Ok(())
    }

    async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    /// Reads to the end of the first of these that comes; what is behind it stays for the next.
    async fn until(&mut self, ends: &[&[u8]]) -> anyhow::Result<Vec<u8>> {
        loop {
            let found =
                ends.iter().filter_map(|end| Some(memmem::find(&self.buffer, end)? + end.len())).min();
            if let Some(length) = found {
                return Ok(self.buffer.drain(..length).collect());
            }
            ensure!(self.buffer.len() < ANSWER_BYTES_MAX, "an answer without an end");
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed: {}", String::from_utf8_lossy(&self.buffer));
            }
        }
    }
}

/// The decoded text of an element of SASL.
fn content(element: &[u8]) -> anyhow::Result<Vec<u8>> {
    let text = std::str::from_utf8(element)?;
    let (_, rest) = text.split_once('>').context("an element")?;
    let (data, end) = rest.split_once('<').context("an element")?;
    ensure!(!end.starts_with("/failure"), "the login was refused: {text}");
    Ok(STANDARD.decode(data)?)
}
