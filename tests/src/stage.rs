//! Where a play takes place: a server, and people with accounts of their own.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use xmpp::sasl::Mechanism;
use xmpp::xml::Element;

use crate::client::{Cast, Client, Saved, TlsVersion};
use crate::server::{Role, Server, Setting, Topology};

/// A play's own part of a server. Clones are the same stage.
#[derive(Clone)]
pub struct Stage {
    /// Who is who.
    pub cast: Cast,
    server: Arc<Server>,
    accounts: Arc<Mutex<BTreeSet<String>>>,
    address: Ipv4Addr,
    skipped: Arc<AtomicBool>,
}

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// TCP in plain text.
    Tcp,
    /// TCP, then STARTTLS.
    StartTls(TlsVersion),
    /// TLS from the first byte.
    Tls(TlsVersion),
    /// A WebSocket over plain HTTP.
    WebSocket,
}

impl Stage {
    /// A stage on this server, with names and an address that no other play has.
    pub fn new(server: Arc<Server>) -> Stage {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let cast = Cast::new(format!("-{number}"));
        // 127.0.0.1 is left to those who ask for it.
        let [_, _, high, low] = (number + 2).to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low);
        Stage { cast, server, accounts: Arc::default(), address, skipped: Arc::default() }
    }

    /// The same stage for whoever comes from another address.
    #[must_use]
    pub fn from_elsewhere(&self) -> Stage {
        let [a, b, c, d] = self.address.octets();
        Stage { address: Ipv4Addr::new(a, b ^ 0x80, c, d), ..self.clone() }
    }

    /// The same people on a server of the same topology that has these settings and no other play.
    pub async fn alone(&self, settings: &[Setting<'_>]) -> Stage {
        let server = Server::start(self.server.topology, settings).await;
        let server = server.unwrap_or_else(|error| panic!("no server for this play: {error:#}"));
        Stage { server: Arc::new(server), accounts: Arc::default(), ..self.clone() }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A role's process dies (SIGKILL).
    pub async fn kills(&self, role: Role) {
        let done = self.server.kill(role).await;
        done.unwrap_or_else(|error| panic!("{role:?} is not killed: {error:#}"));
        self.cast.tell(format!("{role:?} is killed"));
    }

    /// A role's process is told to end (SIGTERM), and does.
    pub async fn stops(&self, role: Role) {
        self.cast.tell(format!("{role:?} is told to end"));
        let done = self.server.stop(role).await;
        done.unwrap_or_else(|error| panic!("{role:?} does not end as it should: {error:#}"));
    }

    /// A role's process begins again.
    pub async fn begins(&self, role: Role) {
        let done = self.server.begin(role).await;
        done.unwrap_or_else(|error| panic!("{role:?} does not begin: {error:#}"));
        self.cast.tell(format!("{role:?} has begun"));
    }

    /// Whoever has the store dies and begins again.
    pub async fn begins_again(&self) {
        self.kills(self.owner()).await;
        self.begins(self.owner()).await;
    }

    /// The role that has the store.
    pub fn owner(&self) -> Role {
        if self.is_split() { Role::Session } else { Role::Whole }
    }

    /// Whether each role is a process of its own.
    pub fn is_split(&self) -> bool {
        self.server.topology != Topology::Embedded
    }

    /// The play has no sense here.
    pub fn skips(&self, why: &str) {
        self.cast.tell(why);
        self.skipped.store(true, Ordering::Relaxed);
    }

    /// Whether it said so.
    pub fn is_skipped(&self) -> bool {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Where nothing but TCP is spoken until somebody says something: at the port for TLS.
    pub async fn connects_without_tls(&self, name: &str) -> Client {
        self.client(name, self.server.edges[0].tls).await
    }

    /// Somebody who has connected over TCP and said nothing yet.
    pub async fn connects(&self, name: &str) -> Client {
        self.connects_over(name, Way::Tcp, 0).await
    }

    /// Somebody who has connected to an edge, and with STARTTLS has no stream open behind it yet.
    pub async fn connects_over(&self, name: &str, way: Way, edge: usize) -> Client {
        let addresses = self.server.edges[edge];
        match way {
            Way::Tcp => self.client(name, addresses.tcp).await,
            Way::StartTls(version) => {
                let mut client = self.client(name, addresses.tcp).await;
                client.opens().await;
                client.starts_tls(version).await;
                client
            }
            Way::Tls(version) => {
                let mut client = self.client(name, addresses.tls).await;
                client.begins_tls(version).await;
                client
            }
            Way::WebSocket => {
                let mut client = self.client(name, addresses.http).await;
                client.becomes_websocket(addresses.http).await;
                client
            }
        }
    }

    async fn client(&self, name: &str, to: SocketAddr) -> Client {
        Client::tcp(self.cast.clone(), name, self.address, to, Arc::clone(&self.server.roots)).await
    }

    /// Makes an account, once.
    pub async fn has_account(&self, name: &str) {
        if !self.accounts.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            return;
        }
        let mut newcomer = self.connects(&format!("{name} (registering)")).await;
        newcomer.opens().await;
        newcomer.registers(name, name).await;
        newcomer.closes().await;
    }

    /// Somebody who has an account and is logged in, without a resource.
    pub async fn logged_in(&self, name: &str, way: Way, edge: usize) -> Client {
        self.has_account(name).await;
        let mut client = self.connects_over(name, way, edge).await;
        client.opens().await;
        client.logs_in(name, Mechanism::Plain).await;
        client
    }

    /// `romeo/balcony` with that resource bound, not available yet.
    pub async fn bound(&self, who: &str) -> Client {
        self.bound_over(who, Way::Tcp, 0).await
    }

    /// The same, some way, at an edge.
    pub async fn bound_over(&self, who: &str, way: Way, edge: usize) -> Client {
        let (name, resource) = who.split_once('/').unwrap_or((who, "home"));
        let mut client = self.logged_in(name, way, edge).await;
        client.name = who.to_owned();
        let jid = client.binds(resource).await;
        assert_eq!(jid, format!("{}/{resource}", self.cast.bare(name)), "{name} is bound to another JID");
        client
    }

    /// `romeo/balcony` available, after whatever that brought.
    pub async fn online(&self, who: &str) -> Client {
        let mut client = self.bound(who).await;
        client.is_available().await;
        client
    }

    /// The client of a saved stream again, which is resumed at this edge.
    pub async fn resumed(&self, who: &str, saved: Saved, edge: usize) -> (Client, Element) {
        let (name, _) = who.split_once('/').unwrap_or((who, ""));
        let mut client = self.logged_in(name, Way::Tcp, edge).await;
        client.name = who.to_owned();
        let resumed = client.resumes(saved).await;
        (client, resumed)
    }
}

impl Client {
    /// Sends initial presence and drops what it brings.
    pub async fn is_available(&mut self) {
        self.sends("<presence/>").await;
        self.forgets().await;
    }
}

/// Each sees the other's presence from here on; both must be available. What that brought is dropped.
pub async fn befriend(one: &mut Client, two: &mut Client) {
    let bare = |client: &Client| client.name.split('/').next().unwrap_or_default().to_owned();
    let (first, second) = (bare(one), bare(two));
    let mut heard = [Vec::new(), Vec::new()];
    for ty in ["subscribe", "subscribed"] {
        one.sends(&format!("<presence to='{{{second}}}' type='{ty}'/>")).await;
        heard[0].extend(one.forgets().await);
        two.sends(&format!("<presence to='{{{first}}}' type='{ty}'/>")).await;
        heard[1].extend(two.forgets().await);
    }
    // They may be with different owners: the other's presence is the last of it.
    for ((client, other), heard) in [(one, second), (two, first)].into_iter().zip(heard) {
        let other = client.expand(&format!("{{{other}}}/"));
        let of_other = |element: &Element| {
            element.name() == "presence"
                && element.attribute("from").is_some_and(|from| from.starts_with(&other))
        };
        if !heard.iter().any(of_other) {
            client.receives_until(of_other).await;
        }
        client.forgets().await;
    }
}
