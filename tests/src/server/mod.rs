//! The server under test: the real binary on loopback, as one process, as one for each role, or as a cluster over real stores.
//!
//! Ports and data outlive a process, so a role can be killed and started again where it was.

/// Who certifies whom.
pub mod certificates;
mod configuration;
mod infra;
mod process;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rustls::RootCertStore;
use tempfile::TempDir;

use self::certificates::{Authority, VALID};
use self::process::Process;
pub use self::process::{binary, build};

/// The domain that plays take place in.
pub const DOMAIN: &str = "localhost";
/// A second one of the same server.
pub const OTHER_DOMAIN: &str = "capulet.example";

/// How many processes the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `throng run`: one.
    Embedded,
    /// A session, a router and two edges, over gRPC.
    Split,
    /// Two of each role, over the stores that `THRONG_INFRA` names.
    Cluster,
}

/// A process of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// All roles.
    Whole,
    /// The router; in a cluster, both.
    Router,
    /// The owner of all accounts; in a cluster, both.
    Session,
    /// The first or the second edge.
    Edge(usize),
}

/// What a file of configuration would say: (`limits.login_s`, `2`).
pub type Setting<'a> = (&'a str, &'a str);

/// Where clients connect.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// TCP, with STARTTLS.
    pub tcp: SocketAddr,
    /// TLS from the first byte.
    pub tls: SocketAddr,
    /// Plain HTTP.
    pub http: SocketAddr,
}

/// What clients are shown: a certificate and its key in [`Server::folder`].
pub const CERTIFICATE: (&str, &str) = ("chain.pem", "key.pem");
/// The same for roles among themselves.
pub const ROLE_CERTIFICATE: (&str, &str) = ("role.pem", "role-key.pem");
/// The authority that roles believe.
pub const ROLE_AUTHORITY: &str = "role-ca.pem";
/// What certificates of roles are for.
pub const ROLE_NAME: &str = "throng";

/// Settings with which roles prove to each other who they are.
pub const SECURED: [Setting<'static>; 3] = [
    ("cluster.tls_certificate", ROLE_CERTIFICATE.0),
    ("cluster.tls_key", ROLE_CERTIFICATE.1),
    ("cluster.tls_authority", ROLE_AUTHORITY),
];

/// A server that runs until it is dropped.
pub struct Server {
    /// How many processes it is.
    pub topology: Topology,
    /// Each edge's; one if embedded.
    pub edges: Vec<Addresses>,
    /// What clients trust.
    pub roots: Arc<RootCertStore>,
    /// Whose they are.
    pub authority: Authority,
    /// Who has certified its roles.
    pub roles: Authority,
    folder: TempDir,
    settings: Vec<(String, String)>,
    /// Where each session, and each router, listens.
    sessions: Vec<SocketAddr>,
    routers: Vec<SocketAddr>,
    running: Mutex<BTreeMap<Role, Vec<Process>>>,
}

impl Topology {
    /// All three.
    pub const ALL: [Topology; 3] = [Topology::Embedded, Topology::Split, Topology::Cluster];

    /// In reports.
    pub fn name(self) -> &'static str {
        match self {
            Topology::Embedded => "embedded",
            Topology::Split => "split",
            Topology::Cluster => "cluster",
        }
    }

    /// Why it cannot be had here.
    pub fn missing(self) -> Option<&'static str> {
        let is_there = self != Topology::Cluster || infra::Infra::here().is_some();
        (!is_there).then_some("THRONG_INFRA names no file of `tests/infra/up`")
    }

    fn roles(self) -> &'static [Role] {
        match self {
            Topology::Embedded => &[Role::Whole],
            // The administrator is added before the session opens the store.
            Topology::Split | Topology::Cluster => {
                &[Role::Router, Role::Session, Role::Edge(0), Role::Edge(1)]
            }
        }
    }

    fn edges(self) -> usize {
        if self == Topology::Embedded { 1 } else { 2 }
    }

    /// Of sessions and of routers.
    fn owners(self) -> usize {
        if self == Topology::Cluster { 2 } else { 1 }
    }
}

impl Server {
    /// Starts all processes and waits until clients can log in.
    pub async fn start(topology: Topology, settings: &[Setting<'_>]) -> anyhow::Result<Server> {
        let folder = tempfile::Builder::new().prefix("throng-play-").tempdir()?;
        let (authority, roles) = (Authority::new("plays")?, Authority::new("roles")?);
        let certified = authority.certify(&[DOMAIN, OTHER_DOMAIN], VALID)?;
        certified.write(folder.path(), CERTIFICATE.0, CERTIFICATE.1)?;
        let of_role = roles.certify(&[ROLE_NAME], VALID)?;
        of_role.write(folder.path(), ROLE_CERTIFICATE.0, ROLE_CERTIFICATE.1)?;
        std::fs::write(folder.path().join(ROLE_AUTHORITY), &roles.pem)?;
        let addresses = || Addresses { tcp: free_port(), tls: free_port(), http: free_port() };
        let ports = |count| std::iter::repeat_with(free_port).take(count).collect();
        let server = Server {
            topology,
            edges: std::iter::repeat_with(addresses).take(topology.edges()).collect(),
            roots: Arc::new(authority.roots()?),
            authority,
            roles,
            settings: settings.iter().map(|(key, value)| (variable(key), (*value).to_owned())).collect(),
            sessions: ports(topology.owners()),
            routers: ports(topology.owners()),
            running: Mutex::default(),
            folder,
        };
        let stores = match topology {
            Topology::Cluster => infra::Infra::here().context("there are no stores")?.section(),
            _ => String::new(),
        };
        for number in 0..server.edges.len() {
            let text = configuration::write(&server, number, &stores);
            std::fs::write(server.file(Role::Edge(number)), text)?;
        }
        let (file, settings) = (server.file(Role::Session), &server.settings);
        if topology == Topology::Cluster {
            process::once(&["migrate", "--config"], settings, &file, "").await?;
        }
        if topology != Topology::Embedded {
            process::once(&["user", "add", "admin@localhost", "--config"], settings, &file, "admin\n")
                .await?;
        }
        for role in topology.roles() {
            server.begin(*role).await?;
        }
        Ok(server)
    }

    /// Starts a role that does not run, and waits until it serves.
    pub async fn begin(&self, role: Role) -> anyhow::Result<()> {
        let file = self.file(role).display().to_string();
        let arguments: Vec<&str> = match role {
            Role::Whole => vec!["run", "--dev", "--config", &file],
            Role::Router => vec!["router", "--config", &file],
            Role::Session => vec!["session", "--config", &file],
            Role::Edge(_) => vec!["edge", "--config", &file],
        };
        let log = self.log(role);
        let mut processes = Vec::new();
        for own in configuration::own(self, role) {
            let settings: Vec<_> = self.settings.iter().cloned().chain(own).collect();
            processes.push(Process::start(&arguments, &settings, &log)?);
        }
        let told = || format!("{role:?}: {}", std::fs::read_to_string(&log).unwrap_or_default());
        for (number, process) in processes.iter_mut().enumerate() {
            let serves = match role {
                Role::Whole => process.serves_http(self.edges[0].http).await,
                Role::Edge(number) => process.serves_http(self.edges[number].http).await,
                Role::Session => process.listens(self.sessions[number]).await,
                Role::Router => process.listens(self.routers[number]).await,
            };
            serves.with_context(told)?;
        }
        self.lock().insert(role, processes);
        if role == Role::Session {
            self.is_found_by_edges().await?;
        }
        Ok(())
    }

    /// Waits until the edges that run have found the session.
    async fn is_found_by_edges(&self) -> anyhow::Result<()> {
        for (number, edge) in self.edges.iter().enumerate() {
            if self.lock().contains_key(&Role::Edge(number)) {
                process::is_healthy_soon(edge.http).await?;
            }
        }
        Ok(())
    }

    /// Ends a role with SIGKILL.
    pub async fn kill(&self, role: Role) -> anyhow::Result<()> {
        let processes = self.lock().remove(&role).context("it does not run")?;
        for process in processes {
            process.kill().await?;
        }
        Ok(())
    }

    /// Ends a role with SIGTERM and waits until it has drained.
    pub async fn stop(&self, role: Role) -> anyhow::Result<()> {
        let processes = self.lock().remove(&role).context("it does not run")?;
        for process in processes {
            process.stop().await?;
        }
        Ok(())
    }

    /// Memory that a role's processes have, in bytes.
    pub fn memory_bytes(&self, role: Role) -> u64 {
        let kilobytes = |status: String| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.proc_files(role, "status").filter_map(kilobytes).sum::<u64>() * 1_024
    }

    /// Time that a role's processes have computed, in ticks of 10 ms.
    pub fn cpu_ticks(&self, role: Role) -> u64 {
        let ticks = |stat: String| {
            // Behind the name, which may contain anything: utime and stime are the 12th and 13th (proc(5)).
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>()
        };
        self.proc_files(role, "stat").map(ticks).sum()
    }

    fn proc_files(&self, role: Role, name: &str) -> impl Iterator<Item = String> {
        let running = self.lock();
        let pids: Vec<u32> = running.get(&role).into_iter().flatten().filter_map(Process::pid).collect();
        pids.into_iter()
            .map(move |pid| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default())
    }

    /// Lines of the logs that no log should have: panics.
    pub fn panics(&self) -> Vec<String> {
        let logs = self.topology.roles().iter().map(|role| self.log(*role));
        let texts = logs.filter_map(|log| std::fs::read_to_string(log).ok());
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|line| line.contains("panicked at")).collect()
    }

    /// What a role has logged.
    pub fn logged(&self, role: Role) -> String {
        std::fs::read_to_string(self.log(role)).unwrap_or_default()
    }

    /// Where its roles listen for each other.
    pub fn internal(&self) -> impl Iterator<Item = SocketAddr> {
        self.sessions.iter().chain(&self.routers).copied()
    }

    /// Whether its roles prove to each other who they are.
    fn is_secured(&self) -> bool {
        self.settings.iter().any(|(name, _)| *name == variable(SECURED[0].0))
    }

    /// Data, configuration and logs, which go when the server is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, role: Role) -> PathBuf {
        let number = if let Role::Edge(number) = role { number } else { 0 };
        self.folder.path().join(format!("throng-{number}.toml"))
    }

    fn log(&self, role: Role) -> PathBuf {
        self.folder.path().join(format!("{role:?}.log"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Role, Vec<Process>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `limits.login_s` is `THRONG_LIMITS_LOGIN_S` in the environment.
fn variable(key: &str) -> String {
    format!("THRONG_{}", key.replacen('.', "_", 1).to_uppercase())
}

/// A port that nobody has, below those that the system gives to clients.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    // Processes of tests that run at once begin at different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    loop {
        let next = NEXT.fetch_add(7, Ordering::Relaxed);
        let port = FIRST + start.wrapping_mul(31).wrapping_add(next) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
