//! The servers under load: `throng` as its operators start it, in a folder of its own, and the floor.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::ValueEnum;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::account::{self, DOMAIN, PASSWORD};
use crate::chat::Target;
use crate::client::Client;

/// Names the binary; without it, the one beside this program.
const BINARY: &str = "THRONG";

/// For a server to be ready; generous, for machines that do much else.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// What a server is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) archive: Switch,
    /// A process for each role.
    pub(crate) split: bool,
    pub(crate) accounts: usize,
    /// Of each account; an even number.
    pub(crate) contacts: usize,
}

/// Ended when dropped, and its data with it.
pub(crate) struct Server {
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: SocketAddr,
    processes: Vec<(&'static str, Process)>,
    folder: TempDir,
}

impl Server {
    /// Makes the accounts, starts all processes, and waits until somebody can log in.
    pub(crate) async fn start(setup: &Setup) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("throng-bench-").tempdir()?;
        let (tcp, tls) = (free_port()?, free_port()?);
        fs::write(folder.path().join("throng.toml"), configuration(setup, tcp, tls)?)?;
        add_accounts(folder.path(), setup)?;
        let roles: &[&'static str] = if setup.split { &["router", "session", "edge"] } else { &["run"] };
        let mut server = Self { tcp, tls, processes: Vec::new(), folder };
        for role in roles {
            let log = File::create(server.folder.path().join(format!("{role}.log")))?;
            let mut command = throng(server.folder.path(), &[role]);
            let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
            server.processes.push((role, Process(child)));
        }
        server.serves().await?;
        Ok(server)
    }

    pub(crate) fn target(&self) -> Target {
        Target { address: self.tcp, pids: self.processes.iter().map(|(_, process)| process.0.id()).collect() }
    }

    /// The roles, in the order of the target's processes.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.processes.iter().map(|(name, _)| *name).collect()
    }

    /// The authority of its certificate, if it runs as one process.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("data/tls/ca.pem")
    }

    async fn serves(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let failed = match TcpStream::connect(self.tcp).await {
                Ok(stream) => match tokio::time::timeout(PATIENCE, Client::new(stream).log_in(0)).await? {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                },
                Err(error) => error.into(),
            };
            for (role, process) in &mut self.processes {
                if let Some(status) = process.0.try_wait()? {
                    let log = fs::read_to_string(self.folder.path().join(format!("{role}.log")))?;
                    bail!("{role} ended with {status}:\n{log}");
                }
            }
            ensure!(begun.elapsed() < PATIENCE, "nobody can log in: {failed:#}");
            sleep(PAUSE).await;
        }
    }
}

/// The relay of this program in a process of its own; ended when dropped.
pub(crate) struct Floor {
    address: SocketAddr,
    process: Process,
}

impl Floor {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let address = free_port()?;
        let child = Command::new(std::env::current_exe()?).arg("relay").arg(address.to_string()).spawn()?;
        let floor = Self { address, process: Process(child) };
        let begun = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            ensure!(begun.elapsed() < PATIENCE, "the relay does not listen");
            sleep(PAUSE).await;
        }
        Ok(floor)
    }

    pub(crate) fn target(&self) -> Target {
        Target { address: self.address, pids: vec![self.process.0.id()] }
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One file for all roles.
fn configuration(setup: &Setup, tcp: SocketAddr, tls: SocketAddr) -> anyhow::Result<String> {
    let (session, router) = (free_port()?, free_port()?);
    let archive = setup.archive == Switch::On;
    // Without a certificate of their own, roles apart have no TLS.
    let tls = if setup.split { String::new() } else { format!("\"{tls}\"") };
    Ok(format!(
        r#"
[server]
domains = ["{DOMAIN}"]
data = "data"
archive = {archive}
[session]
edges = 1
[edge]
starttls = ["{tcp}"]
direct_tls = [{tls}]
http = []
tls_required = false
plain_on_loopback = true
[cluster]
session_listen = "{session}"
router_listen = "{router}"
owners = ["http://{session}"]
routers = ["http://{router}"]
[log]
level = "warn"
"#
    ))
}

/// Adds one account as an operator would, and imports the others as copies of it.
fn add_accounts(folder: &Path, setup: &Setup) -> anyhow::Result<()> {
    let password = folder.join("password");
    fs::write(&password, format!("{PASSWORD}\n"))?;
    let added = throng(folder, &["user", "add", &account::jid(0)]).stdin(File::open(password)?).output()?;
    ensure!(added.status.success(), "no account: {}", String::from_utf8_lossy(&added.stderr));
    let exported = throng(folder, &["export", "-"]).output()?;
    ensure!(exported.status.success(), "no export: {}", String::from_utf8_lossy(&exported.stderr));
    let exported = String::from_utf8(exported.stdout)?;
    let removed = throng(folder, &["user", "remove", &account::jid(0)]).output()?;
    ensure!(removed.status.success(), "not removed: {}", String::from_utf8_lossy(&removed.stderr));

    let records = folder.join("accounts.jsonl");
    fs::write(&records, account::records(&exported, setup.accounts, setup.contacts)?)?;
    let imported = throng(folder, &["import", "accounts.jsonl"]).output()?;
    ensure!(imported.status.success(), "no import: {}", String::from_utf8_lossy(&imported.stderr));
    Ok(())
}

/// The binary in this folder, where its configuration is; nothing of our own environment is configuration.
fn throng(folder: &Path, arguments: &[&str]) -> Command {
    let beside = || std::env::current_exe().unwrap_or_default().with_file_name("throng");
    let mut command = Command::new(std::env::var_os(BINARY).map_or_else(beside, PathBuf::from));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("THRONG")) {
        command.env_remove(name);
    }
    command.args(arguments).args(["--config", "throng.toml"]).current_dir(folder).stdin(Stdio::null());
    command
}

/// A port that nobody has now.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
