//! The writing half of a connection, which whoever has a message for it writes to: there is no queue and no task between
//! two connections.

use std::io::{self, Read as _, Write};

use parking_lot::Mutex;
use rustls::ServerConnection;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::House;

/// What a client may leave unread, in bytes, before it is dropped.
const BACKLOG_BYTES_MAX: usize = 1024 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Peer {
    half: Mutex<Half>,
    /// Somebody could not write all, and the connection's task has to.
    pub(super) stuck: Notify,
}

#[derive(Debug)]
struct Half {
    socket: OwnedWriteHalf,
    tls: Option<Box<ServerConnection>>,
    /// What the socket did not take, of an unsecured connection.
    backlog: Vec<u8>,
    /// More was written for the client than may wait: what it would read is no longer whole.
    is_lost: bool,
}

impl Peer {
    pub(super) fn new(socket: OwnedWriteHalf, secure: bool, house: &House) -> anyhow::Result<Peer> {
        let peer = Peer {
            half: Mutex::new(Half { socket, tls: None, backlog: Vec::new(), is_lost: false }),
            stuck: Notify::new(),
        };
        if secure {
            peer.secure(house)?;
        }
        Ok(peer)
    }

    /// From here on the client speaks TLS.
    pub(super) fn secure(&self, house: &House) -> anyhow::Result<()> {
        let mut connection = ServerConnection::new(house.tls.clone())?;
        connection.set_buffer_limit(Some(BACKLOG_BYTES_MAX));
        self.half.lock().tls = Some(Box::new(connection));
        Ok(())
    }

    pub(super) fn is_secure(&self) -> bool {
        self.half.lock().tls.is_some()
    }

    /// Writes, at once if the client reads.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut half = self.half.lock();
        let Half { socket, tls, backlog, is_lost } = &mut *half;
        let is_stuck = if let Some(tls) = tls {
            *is_lost |= tls.writer().write(bytes)? < bytes.len();
            write_tls(tls, socket)?
        } else {
            *is_lost |= backlog.len() > BACKLOG_BYTES_MAX;
            backlog.extend_from_slice(bytes);
            write_backlog(backlog, socket)?
        };
        drop(half);
        if is_stuck {
            self.stuck.notify_one();
        }
        Ok(())
    }

    /// Appends to `plain` what the client means by the bytes it sent.
    pub(super) fn read(&self, mut bytes: &[u8], plain: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut half = self.half.lock();
        let Half { socket, tls: Some(tls), .. } = &mut *half else {
            plain.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            let state = tls.process_new_packets()?;
            let begin = plain.len();
            plain.resize(begin + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut plain[begin..])?;
        }
        if tls.wants_write() && write_tls(tls, socket)? {
            self.stuck.notify_one();
        }
        Ok(())
    }

    /// Writes what could not be written before, once the client reads.
    pub(super) async fn unstick(&self, stream: &TcpStream) -> io::Result<()> {
        loop {
            tokio::select! {
                writable = stream.writable() => writable?,
                () = self.stuck.notified() => {}
            }
            let mut half = self.half.lock();
            let Half { socket, tls, backlog, is_lost } = &mut *half;
            if *is_lost {
                return Err(io::Error::other("the client does not read"));
            }
            let is_stuck = match tls {
                Some(tls) => write_tls(tls, socket)?,
                None => write_backlog(backlog, socket)?,
            };
            if !is_stuck {
                return Ok(());
            }
        }
    }
}

/// Whether something is left.
fn write_tls(tls: &mut ServerConnection, socket: &OwnedWriteHalf) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Direct(socket)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether something is left.
fn write_backlog(backlog: &mut Vec<u8>, socket: &OwnedWriteHalf) -> io::Result<bool> {
    let mut written = 0;
    let result = loop {
        if written == backlog.len() {
            break Ok(false);
        }
        match socket.try_write(&backlog[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(true),
            Err(error) => break Err(error),
        }
    };
    backlog.drain(..written);
    result
}

/// The socket as rustls wants it.
struct Direct<'a>(&'a OwnedWriteHalf);

impl Write for Direct<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
