//! One process of the server: found or built, started, waited for, ended.

use std::env;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Names the binary to test; without it, the one that this test's build has.
const BINARY: &str = "THRONG_BIN";

/// For a process to serve, or to end; generous, for machines that do much else.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// Ended when dropped.
pub(super) struct Process {
    child: Child,
}

/// The binary under test.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os(BINARY) {
        return path.into();
    }
    // target/debug/deps/plays-0123456789abcdef
    let test = env::current_exe().unwrap_or_default();
    let profile = test.ancestors().nth(2).unwrap_or(Path::new("target/debug"));
    profile.join("throng")
}

/// Builds the binary, which is quick when it is up to date, unless one was named.
pub fn build() -> anyhow::Result<()> {
    if env::var_os(BINARY).is_some() {
        return Ok(());
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = std::process::Command::new(cargo);
    build.args(["build", "--quiet", "--package", "throng"]);
    if binary().parent().is_some_and(|profile| profile.ends_with("release")) {
        build.arg("--release");
    }
    ensure!(build.status()?.success(), "the server cannot be built");
    Ok(())
}

/// Runs a command of the binary to its end.
pub(super) async fn once(
    arguments: &[&str],
    settings: &[(String, String)],
    configuration: &Path,
    input: &str,
) -> anyhow::Result<()> {
    let mut command = command(settings);
    command.args(arguments).arg(configuration).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().context("standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    ensure!(timeout(PATIENCE, child.wait()).await??.success(), "`throng {}` failed", arguments[0]);
    Ok(())
}

/// Nothing of our own environment is configuration of the server.
fn command(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("THRONG_")) {
        command.env_remove(name);
    }
    command.envs(settings.iter().cloned()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

impl Process {
    pub(super) fn start(
        arguments: &[&str],
        settings: &[(String, String)],
        log: &Path,
    ) -> anyhow::Result<Process> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = command(settings);
        command.args(arguments).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{} does not start", binary().display()))?;
        Ok(Process { child })
    }

    /// Waits until it accepts connections.
    pub(super) async fn listens(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.until(|| async move { TcpStream::connect(address).await.is_ok() }).await
    }

    /// Waits until an edge says that it has found an owner.
    pub(super) async fn serves_http(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        self.until(|| async move { is_healthy(address).await.unwrap_or(false) }).await
    }

    async fn until<F: Future<Output = bool>>(&mut self, mut holds: impl FnMut() -> F) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !holds().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            ensure!(begun.elapsed() < PATIENCE, "it does not serve");
            sleep(PAUSE).await;
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// SIGKILL.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        ensure!(Command::new("kill").args(["-TERM", &pid]).status().await?.success(), "no signal was sent");
        let status: ExitStatus = timeout(PATIENCE, self.child.wait()).await.context("it does not end")??;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

/// Waits until an edge says that it has found an owner.
pub(super) async fn is_healthy_soon(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !is_healthy(address).await.unwrap_or(false) {
        ensure!(begun.elapsed() < PATIENCE, "the edge finds no owner");
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn is_healthy(address: SocketAddr) -> std::io::Result<bool> {
    let mut http = TcpStream::connect(address).await?;
    http.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    http.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
