//! `login`: SCRAM-SHA-256 over direct TLS 1.3 with a P-256 certificate, never resumed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Client, GOODBYE};
use crate::process;
use crate::server::{Server, Setup, Switch};
use crate::tls::Connector;

const ACCOUNTS: usize = 100;
/// Before the first run that counts.
const WARM_UP: usize = 200;

/// What `login` takes.
#[derive(Debug, Args)]
pub(crate) struct Logins {
    /// Logins of a run
    #[arg(long = "logins", value_name = "LOGINS", default_value_t = 1_000)]
    count: usize,
    /// Runs
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Logins under way at once
    #[arg(long, default_value_t = 4)]
    at_once: usize,
}

impl Logins {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let setup = Setup { archive: Switch::On, split: false, accounts: ACCOUNTS, contacts: 0 };
        let server = Server::start(&setup).await?;
        let pid = server.target().pids[0];
        let connector = Connector::new(&server.authority())?;
        log_in_all(server.tls, &connector, WARM_UP, self.at_once).await?;
        println!("| run | logins | CPU ms a login | logins/s |\n|---|---|---|---|");
        for run in 1..=self.runs {
            let (cpu, begun) = (process::cpu(pid)?, Instant::now());
            log_in_all(server.tls, &connector, self.count, self.at_once).await?;
            let (spent, elapsed) = (process::cpu(pid)?.saturating_sub(cpu), begun.elapsed());
            let each = |time: Duration| time.as_secs_f64() / self.count as f64;
            println!("| {run} | {} | {:.2} | {:.0} |", self.count, each(spent) * 1e3, 1.0 / each(elapsed));
        }
        Ok(())
    }
}

/// Each connects, shakes hands, logs in, binds a resource and leaves.
async fn log_in_all(
    address: SocketAddr,
    connector: &Connector,
    logins: usize,
    at_once: usize,
) -> anyhow::Result<()> {
    let permits = Arc::new(Semaphore::new(at_once));
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for number in 0..logins {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let connector = connector.clone();
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut client = Client::new(connector.connect(stream).await?);
            client.log_in_with_scram(number % ACCOUNTS, number as u64).await?;
            client.stream.write_all(GOODBYE).await?;
            client.stream.shutdown().await?;
            drop(permit);
            Ok(())
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
