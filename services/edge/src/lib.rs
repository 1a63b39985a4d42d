//! The edge: sockets of clients on one side, links to the owners of their accounts on the other.
//!
//! It frames streams and logins, keeps a copy of what is in flight, and knows nothing of what stanzas mean. One stream
//! machine (`xmpp::stream`) serves every transport; what is kept for the owner is in `client/record.rs`.

mod admission;
mod client;
mod config;
mod credit;
mod drain;
mod exit;
mod http;
mod hub;
mod link;
mod listen;
mod metrics;
mod moves;
mod owners;
mod route;
mod table;
mod tls;
mod transport;
mod wheel;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use node::{Peers, shutdown::Drain};
use tokio::{net::TcpListener, task::JoinSet};

pub use self::config::{Certificate, Config, Limits};
use self::{config::Transport, hub::Hub, tls::Tls};

/// Why an edge cannot start, or not reload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A certificate or its key cannot be used.
    #[error("{}: {why}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS is required, by a listener or for all streams, and there is no certificate.
    #[error("tls is required and there is no certificate")]
    NoCertificate,
}

/// Where an edge listens, with the ports that it got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// TCP with STARTTLS.
    pub starttls: Vec<SocketAddr>,
    /// TLS from the first byte.
    pub direct_tls: Vec<SocketAddr>,
    /// Plain HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTP over TLS.
    pub https: Vec<SocketAddr>,
}

/// An edge that runs.
pub struct Edge {
    /// Where it listens.
    pub addresses: Addresses,
    hub: Arc<Hub>,
    running: tokio::task::JoinHandle<()>,
}

/// Runs an edge until it has drained.
pub async fn run(config: Config, owners: Peers, drain: Drain) -> Result<(), Error> {
    Edge::start(config, owners, drain)?.finished().await;
    Ok(())
}

impl Edge {
    /// Binds every listener and begins to serve, in the current runtime, accounts of these owners, who may come and go.
    pub fn start(config: Config, owners: Peers, drain: Drain) -> Result<Self, Error> {
        let tls = Tls::new(&config)?;
        let needs_tls = !config.direct_tls.is_empty()
            || !config.https.is_empty()
            || config.tls_required && !config.starttls.is_empty();
        if needs_tls && tls.is_none() {
            return Err(Error::NoCertificate);
        }
        let hub = Arc::new(Hub::new(config, tls, drain.clone()));
        let mut addresses = Addresses::default();
        let mut listeners = JoinSet::new();
        let config = &hub.config;
        for (listener, address) in listen_all(&config.starttls, &mut addresses.starttls)? {
            tracing::info!(%address, "listening for streams");
            listeners.spawn(listen::streams(Arc::clone(&hub), listener, Transport::StartTls));
        }
        for (listener, address) in listen_all(&config.direct_tls, &mut addresses.direct_tls)? {
            tracing::info!(%address, "listening for streams over tls");
            listeners.spawn(listen::streams(Arc::clone(&hub), listener, Transport::DirectTls));
        }
        for (https, list, got) in
            [(false, &config.http, &mut addresses.http), (true, &config.https, &mut addresses.https)]
        {
            for (listener, address) in listen_all(list, got)? {
                tracing::info!(%address, https, "listening for http");
                listeners.spawn(http::serve(Arc::clone(&hub), listener, https));
            }
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(owners::follow(Arc::clone(&hub), owners));
        tasks.spawn(tick(Arc::clone(&hub)));
        let admitting = Arc::clone(&hub);
        tasks.spawn(async move { admitting.admission.run().await });
        let running = tokio::spawn(drain::until_drained(Arc::clone(&hub), drain, listeners, tasks));
        Ok(Self { addresses, hub, running })
    }

    /// Reads the certificates again; connections go on.
    pub fn reload(&self) -> Result<(), Error> {
        self.hub.reload()
    }

    /// Waits until the edge has drained.
    pub async fn finished(self) {
        // It ends in no other way than by itself.
        let _ = self.running.await;
    }
}

fn listen_all(
    wanted: &[SocketAddr],
    got: &mut Vec<SocketAddr>,
) -> Result<Vec<(TcpListener, SocketAddr)>, Error> {
    let one = |&address: &SocketAddr| {
        let failed = |error| Error::Listen { address, error };
        let listener = listen::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        got.push(address);
        Ok((listener, address))
    };
    wanted.iter().map(one).collect()
}

/// Time for everyone: deadlines, and certificates that have changed.
async fn tick(hub: Arc<Hub>) {
    let mut interval = tokio::time::interval(wheel::TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
    let check = Duration::from_secs(hub.config.certificates_check_s.max(1));
    let mut seen = config::modified(&hub.config.certificates);
    let mut checked = Instant::now();
    loop {
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        let reload = tokio::select! {
            _ = interval.tick() => false,
            () = hung_up => true,
        };
        hub.wheel.turn(Instant::now());
        let due = checked.elapsed() >= check;
        if !(reload || due) {
            continue;
        }
        checked = Instant::now();
        let now = config::modified(&hub.config.certificates);
        if reload || now != seen {
            seen = now;
            match hub.reload() {
                Ok(()) => tracing::info!("certificates were read again"),
                Err(error) => tracing::error!(%error, "the old certificates stay in use"),
            }
        }
    }
}
