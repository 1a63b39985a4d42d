//! The floor under every server's figures: canned answers to a login, then each message's bytes are copied to the
//! addressed connection with only `to` looked at. No XML check, no accounts, no routing, no storage.
//!
//! Nothing that does the job over one TCP connection a client can be much cheaper, so it stands in for the physical limit.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memmem, memrchr};
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const HEADER: &[u8] = b"<stream:stream id='1' from='localhost' version='1.0' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'><stream:features></stream:features>";
const SUCCESS: &[u8] = b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const BOUND: &[u8] = b"<iq type='result'><bind><jid>x</jid></bind></iq>";
const PRESENCE: &[u8] = b"<presence/>";

/// Bytes asked for at once.
const READ_BYTES: usize = 2048;
const READ_BUFFER_BYTES: usize = 4096;
/// A write buffer that grew beyond is given back.
const WRITE_BUFFER_BYTES: usize = 4096;

type Table = Arc<RwLock<HashMap<Vec<u8>, UnboundedSender<Vec<u8>>>>>;

/// Serves until the process is ended.
pub(crate) async fn run(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await?;
    let table = Table::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, Arc::clone(&table)));
    }
}

async fn serve(stream: TcpStream, table: Table) {
    let (input, output) = stream.into_split();
    let (out, queue) = unbounded_channel();
    tokio::spawn(write(output, queue));
    let mut connection = Connection { user: Vec::new(), out, table };
    // Whoever is gone is gone.
    let _ = connection.read(input).await;
}

async fn write(mut output: OwnedWriteHalf, mut queue: UnboundedReceiver<Vec<u8>>) {
    let mut bytes = Vec::new();
    while let Some(first) = queue.recv().await {
        bytes.extend_from_slice(&first);
        while let Ok(next) = queue.try_recv() {
            bytes.extend_from_slice(&next);
        }
        if output.write_all(&bytes).await.is_err() {
            return;
        }
        if bytes.capacity() > WRITE_BUFFER_BYTES { bytes = Vec::new() } else { bytes.clear() }
    }
}

struct Connection {
    user: Vec<u8>,
    out: UnboundedSender<Vec<u8>>,
    table: Table,
}

impl Connection {
    async fn read(&mut self, input: OwnedReadHalf) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            input.readable().await?;
            if buffer.capacity() < buffer.len() + READ_BYTES {
                buffer.reserve(READ_BUFFER_BYTES);
            }
            match input.try_read_buf(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            while let Some(used) = self.take(&buffer) {
                buffer.drain(..used);
            }
            if buffer.is_empty() {
                buffer = Vec::new();
            }
        }
    }

    /// Answers or passes on what comes first; returns its length.
    fn take(&mut self, buffer: &[u8]) -> Option<usize> {
        if let Some(at) = memmem::find(buffer, b"<stream:stream") {
            let end = memchr(b'>', &buffer[at..])?;
            self.answer(HEADER);
            Some(at + end + 1)
        } else if let Some(at) = memmem::find(buffer, b"</auth>") {
            let start = memrchr(b'>', &buffer[..at])? + 1;
            let plain = STANDARD.decode(&buffer[start..at]).unwrap_or_default();
            self.user = plain.split(|byte| *byte == 0).nth(1).unwrap_or_default().to_vec();
            self.answer(SUCCESS);
            Some(at + b"</auth>".len())
        } else if let Some(at) = memmem::find(buffer, b"</iq>") {
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            table.insert(self.user.clone(), self.out.clone());
            drop(table);
            self.answer(BOUND);
            Some(at + b"</iq>".len())
        } else if let Some(at) = memmem::find(buffer, PRESENCE) {
            self.answer(PRESENCE);
            Some(at + PRESENCE.len())
        } else {
            let end = memmem::find(buffer, b"</message>")? + b"</message>".len();
            let start = memmem::find(buffer, b"to='")? + b"to='".len();
            let name = &buffer[start..start + memchr(b'@', &buffer[start..])?];
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(addressee) = table.get(name) {
                let _ = addressee.send(buffer[..end].to_vec());
            }
            Some(end)
        }
    }

    fn answer(&self, bytes: &[u8]) {
        let _ = self.out.send(bytes.to_vec());
    }
}
