//! Redis servers of a test's own: gone with the handle.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// A running `redis-server`.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

/// The program; Debian's `redis-tools` has it under another name, and it acts by how it is called.
fn program() -> Option<PathBuf> {
    let folders = ["/usr/local/bin/redis-server", "/usr/bin/redis-server", "/usr/bin/redis-check-rdb"];
    folders.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Whether servers can be started here; says so if not.
pub(crate) fn are_there() -> bool {
    let found = program().is_some();
    if !found {
        println!("skipped: there is no redis-server here (Debian: redis-tools)");
    }
    found
}

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts a server, without persistence.
    pub(crate) fn start(port: u16, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("redis.conf");
        std::fs::write(&config, format!("port {port}\nbind 127.0.0.1\nsave \"\"\n")).unwrap();
        Self::of(port, directory, &config, arguments)
    }

    /// Starts a Sentinel over a master that it calls `throng`.
    pub(crate) fn sentinel(master: u16) -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let config = directory.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor throng 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds throng 500\nsentinel failover-timeout throng 3000\n"
        );
        std::fs::write(&config, text).unwrap();
        Self::of(port, directory, &config, &["--sentinel"])
    }

    fn of(port: u16, directory: tempfile::TempDir, config: &Path, arguments: &[&str]) -> Self {
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(program().unwrap())
            .arg0("redis-server")
            .arg(config)
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { port, child, directory };
        until("a server answers", || server.says(&["PING"]).contains("PONG"));
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What it answers to a command.
    pub(crate) fn says(&self, command: &[&str]) -> String {
        cli(&[&["-p", &self.port.to_string()], command].concat())
    }

    /// Stops it where it is, and lets it go on.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            println!("the server on port {} said:\n{log}", self.port);
        }
    }
}

/// Three servers that are a Redis Cluster.
pub(crate) fn cluster() -> Vec<Server> {
    let servers: Vec<_> = (0..3)
        .map(|_| {
            let bus = free_port().to_string();
            let arguments = [
                "--cluster-require-full-coverage",
                "no",
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "1000",
            ];
            Server::start(free_port(), &arguments)
        })
        .collect();
    let addresses: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let mut create = vec!["--cluster", "create"];
    create.extend(addresses.iter().map(String::as_str));
    create.extend(["--cluster-replicas", "0", "--cluster-yes"]);
    cli(&create);
    for server in &servers {
        until("the cluster is complete", || server.says(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
    }
    servers
}

fn cli(arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits for ten seconds at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        sleep(Duration::from_millis(50));
    }
}
