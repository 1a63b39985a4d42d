//! Files (XEP-0363): a slot from the server, then the file over HTTP.

use std::sync::Arc;
use std::time::Duration;

use client::Element;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use xmpp::xml::write_attribute;

use crate::asking::Then;
use crate::session::{Over, Session};
use crate::stage::{Stage, unescape};

const NS: &str = "urn:xmpp:http:upload:0";
/// A whole file may take so long.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(2);
/// The head of a server's answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What is written at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Where a file goes.
#[derive(Debug, PartialEq)]
struct Slot {
    secure: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Session {
    pub(crate) async fn upload(&mut self, file_bytes: u64) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let measure = stage.measures.upload;
        let intended_us = self.intended_us();
        let Some(service) = self.upload_service().await? else {
            stage.failed(measure, "no-service");
            return Ok(());
        };
        let mut request = format!("<request xmlns='{NS}'").into_bytes();
        let name = format!("{}.bin", self.next_id());
        for (name, value) in [
            ("filename", name.as_str()),
            ("size", &file_bytes.to_string()),
            ("content-type", "application/octet-stream"),
        ] {
            write_attribute(&mut request, name, value);
        }
        request.extend_from_slice(b"/>");
        let payload = String::from_utf8_lossy(&request);
        let id = self.ask(stage.measures.slot, Some(&service), "get", &payload, Then::Nothing);
        let Some(answer) = self.answer(&id).await? else {
            stage.failed(measure, "no-slot");
            return Ok(());
        };
        let Some(slot) = Slot::read(&answer) else {
            stage.failed(measure, "bad-slot");
            return Ok(());
        };
        let put = timeout(UPLOAD_TIMEOUT, put(&stage, &slot, file_bytes));
        match self.unless_over(put).await? {
            Ok(Ok(200..=299)) => stage.done(measure, intended_us),
            Ok(Ok(status)) => stage.failed(measure, &format!("http-{status}")),
            Ok(Err(_)) => stage.failed(measure, "http"),
            Err(_) => stage.failed(measure, "timeout"),
        }
        self.waited();
        Ok(())
    }

    /// The service that takes files: the domain itself, or one of those it names (XEP-0363 §3).
    async fn upload_service(&mut self) -> Result<Option<String>, Over> {
        let stage = Arc::clone(&self.stage);
        if let Some(known) = stage.upload_service.get() {
            return Ok(known.clone());
        }
        let domain = stage.names.domain.clone();
        let measure = stage.recorder.measure("disco");
        let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
        let id = self.ask(measure, Some(&domain), "get", items, Then::Nothing);
        let items = self.answer(&id).await?;
        let jids = |items: &Element| {
            let items = items.child().into_iter().flat_map(|query| query.children());
            items.filter_map(|item| Some(unescape(item.attribute("jid")?).into_owned())).collect()
        };
        let mut services: Vec<String> = items.as_ref().map(jids).unwrap_or_default();
        services.push(domain);
        for service in services {
            let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
            let id = self.ask(measure, Some(&service), "get", info, Then::Nothing);
            if self.answer(&id).await?.is_some_and(|info| info.contains(NS.as_bytes())) {
                let _ = stage.upload_service.set(Some(service.clone()));
                return Ok(Some(service));
            }
        }
        let _ = stage.upload_service.set(None);
        Ok(None)
    }
}

/// Sends the file; the status of the server's answer.
async fn put(stage: &Stage, slot: &Slot, file_bytes: u64) -> std::io::Result<u16> {
    let stream = TcpStream::connect((slot.host.as_str(), slot.port)).await?;
    if !slot.secure {
        return put_into(stage, stream, slot, file_bytes).await;
    }
    let name = ServerName::try_from(slot.host.clone()).map_err(std::io::Error::other)?;
    let connector = TlsConnector::from(stage.options.tls.https());
    let stream = connector.connect(name, stream).await?;
    put_into(stage, stream, slot, file_bytes).await
}

async fn put_into<S>(stage: &Stage, mut stream: S, slot: &Slot, file_bytes: u64) -> std::io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = format!(
        "PUT {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Length: {file_bytes}\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n",
        slot.path, slot.host, slot.port
    );
    for (name, value) in &slot.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut left = file_bytes;
    while left > 0 {
        let piece = left.min(PIECE_BYTES as u64);
        stream.write_all(stage.filling(piece as u32)).await?;
        left -= piece;
    }
    stream.flush().await?;
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b"\r\n") && answer.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no answer of http"))
}

impl Slot {
    /// Reads a slot (XEP-0363 §5); headers other than the three that it allows are left out.
    fn read(answer: &Element) -> Option<Self> {
        let put = answer.find("put")?;
        let url = unescape(put.attribute("url")?).into_owned();
        let (secure, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        let headers = put.children().filter_map(|header| {
            let name = header.attribute("name")?;
            let allowed =
                ["authorization", "cookie", "expires"].contains(&name.to_ascii_lowercase().as_str());
            allowed.then(|| (name.to_owned(), unescape(header.text()).replace(['\r', '\n'], "")))
        });
        Some(Self {
            secure,
            host: host.to_owned(),
            port,
            path: format!("/{path}"),
            headers: headers.collect(),
        })
    }
}
