//! `idle`: sessions that logged in, loaded their roster, became available, and do nothing.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use crate::client::Client;
use crate::process;
use crate::server::{Server, Setup, Switch};
use crate::tls::Connector;

/// Logins under way at once.
const LOGINS_MAX: usize = 32;
/// Connections from one of this machine's addresses, well below the ports it has.
const FROM_ADDRESS_MAX: usize = 5_000;

/// What `idle` takes.
#[derive(Debug, Args)]
pub(crate) struct Idle {
    /// Sessions, each of an account of its own; at most what a process may have open
    #[arg(long, default_value_t = 10_000)]
    sessions: usize,
    /// Contacts of each, subscribed both ways and available themselves
    #[arg(long, default_value_t = 10)]
    contacts: usize,
    /// Over TLS 1.3 instead of plain TCP
    #[arg(long)]
    tls: bool,
    /// Seconds from the last login to the measurement
    #[arg(long, default_value_t = 20)]
    settle: u64,
    /// Whether the server archives messages
    #[arg(long, value_name = "on|off", default_value = "on")]
    archive: Switch,
}

/// A connection that is kept for being there.
enum Kept {
    Plain { _stream: TcpStream },
    Tls { _stream: Box<TlsStream<TcpStream>> },
}

impl Idle {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let contacts = self.contacts & !1;
        let setup = Setup { archive: self.archive, split: false, accounts: self.sessions, contacts };
        let server = Server::start(&setup).await?;
        let pid = server.target().pids[0];
        let (address, connector) = if self.tls {
            (server.tls, Some(Connector::new(&server.authority())?))
        } else {
            (server.tcp, None)
        };
        sleep(Duration::from_secs(self.settle)).await;
        let before = process::pss(pid)?;
        let kept = open_all(address, connector.as_ref(), self.sessions, contacts).await?;
        sleep(Duration::from_secs(self.settle)).await;
        let after = process::pss(pid)?;
        ensure!(process::open_files(pid)? >= kept.len(), "sessions have ended");
        println!(
            "| transport | sessions | PSS before, MiB | after, MiB | bytes a session |\n|---|---|---|---|---|"
        );
        println!(
            "| {} | {} | {:.1} | {:.1} | {} |",
            if self.tls { "TLS 1.3" } else { "plain TCP" },
            kept.len(),
            mebibytes(before),
            mebibytes(after),
            after.saturating_sub(before) / kept.len() as u64
        );
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

async fn open_all(
    address: SocketAddr,
    connector: Option<&Connector>,
    sessions: usize,
    contacts: usize,
) -> anyhow::Result<Vec<Kept>> {
    let permits = Arc::new(Semaphore::new(LOGINS_MAX));
    let mut logins: JoinSet<anyhow::Result<Kept>> = JoinSet::new();
    let mut kept = Vec::with_capacity(sessions);
    for number in 0..sessions {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let connector = connector.cloned();
        logins.spawn(async move {
            let stream = connect(address, number).await?;
            let session = match connector {
                None => Kept::Plain { _stream: begin(stream, number, contacts).await? },
                Some(connector) => {
                    let stream = connector.connect(stream).await?;
                    Kept::Tls { _stream: Box::new(begin(stream, number, contacts).await?) }
                }
            };
            drop(permit);
            Ok(session)
        });
        while let Some(login) = logins.try_join_next() {
            kept.push(login??);
        }
    }
    while let Some(login) = logins.join_next().await {
        kept.push(login??);
    }
    Ok(kept)
}

/// Connects from 127.0.1.1, 127.0.1.2 and so on.
async fn connect(address: SocketAddr, number: usize) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let host = 1 + number / FROM_ADDRESS_MAX;
    socket.bind((Ipv4Addr::new(127, 0, 1, host as u8), 0).into())?;
    Ok(socket.connect(address).await?)
}

async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    number: usize,
    contacts: usize,
) -> anyhow::Result<S> {
    let mut client = Client::new(stream);
    client.log_in(number).await?;
    let found = client.load_roster().await?;
    ensure!(found == contacts, "u{number} has {found} contacts, not {contacts}");
    client.appear().await?;
    Ok(client.stream)
}
