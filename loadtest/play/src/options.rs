//! Against whom a scenario is played, and from where.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use client::Tls;
use figures::Source;
use scenario::Transport;
use tokio::time::Instant;

use crate::{Others, Part};

/// What the operator says beside the scenario.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sessions are spread over these.
    pub endpoints: Vec<Endpoint>,
    /// As reports call the target.
    pub target: String,
    /// The domain of all accounts.
    pub domain: String,
    /// For transports that need it.
    pub tls: Tls,
    /// Addresses to connect from, in turn; the system's choice if there is none.
    pub sources: Vec<IpAddr>,
    /// Processes whose use of the machine is a part of the record, by name.
    pub watch: BTreeMap<String, Source>,
    /// A server's Prometheus endpoint, `http://host:port/metrics`.
    pub metrics: Option<String>,
    /// Commands for a scenario's faults, by name.
    pub hooks: BTreeMap<String, String>,
    /// Chance is the same for the same seed.
    pub seed: u64,
    /// Which of several workers this is.
    pub worker: Part,
    /// The other workers, if whoever runs them all has them meet.
    pub others: Option<Others>,
    /// Marks the messages of the run: all workers must agree.
    pub run: u32,
    /// When the run starts, now if it is not said.
    pub start: Option<Instant>,
    /// Once this is set the run is stopped, within a second.
    pub stop: Arc<AtomicBool>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// The path of a WebSocket or BOSH endpoint. `None` for XMPP over TCP.
    pub path: Option<Arc<str>>,
}

impl Endpoint {
    /// Reads `host:port`, or a URL (`ws:`, `wss:`, `http:`, `https:`), and asks the system for the host's address.
    pub async fn resolve(text: &str) -> Result<Self, String> {
        let url = ["ws", "wss", "http", "https"]
            .iter()
            .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme)?.strip_prefix("://")?)));
        let (authority, path) = match url {
            None => (text.to_owned(), None),
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let port = if matches!(scheme, "wss" | "https") { 443 } else { 80 };
                let has_port =
                    authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
                (authority, Some(format!("/{path}").into()))
            }
        };
        let mut found = tokio::net::lookup_host(&authority)
            .await
            .map_err(|error| format!("{text}: {error}; an address is host:port, or ws://host:port/path"))?;
        let address = found.next().ok_or_else(|| format!("{text}: no address"))?;
        Ok(Self { address, path })
    }
}

impl Options {
    /// The endpoint for a session of this number: of those of its transport's kind in turn, of all if there is none.
    pub(crate) fn endpoint(&self, transport: Transport, number: u64) -> Option<&Endpoint> {
        let over_http = !matches!(transport, Transport::Tcp | Transport::Starttls | Transport::Tls);
        let of_kind = || self.endpoints.iter().filter(|endpoint| endpoint.path.is_some() == over_http);
        match of_kind().count() as u64 {
            0 => self.endpoints.get((number % self.endpoints.len().max(1) as u64) as usize),
            count => of_kind().nth((number % count) as usize),
        }
    }

    /// The address to connect from.
    pub(crate) fn source(&self, number: u64) -> Option<IpAddr> {
        let count = self.sources.len() as u64;
        (count > 0).then(|| self.sources[(number % count) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_and_urls_are_endpoints() {
        let plain = Endpoint::resolve("127.0.0.1:5222").await.unwrap();
        assert_eq!((plain.address.port(), plain.path), (5222, None));
        let web = Endpoint::resolve("ws://127.0.0.1:5280/xmpp").await.unwrap();
        assert_eq!((web.address.port(), web.path.as_deref()), (5280, Some("/xmpp")));
        assert_eq!(Endpoint::resolve("wss://127.0.0.1/ws").await.unwrap().address.port(), 443);
        assert!(Endpoint::resolve("127.0.0.1").await.is_err(), "no port");
    }
}
