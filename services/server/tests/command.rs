//! The command as an operator types it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TIME_MAX: Duration = Duration::from_secs(20);

/// `throng` with these arguments, in a folder of its own.
fn throng(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throng"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    told(throng(folder, arguments).output().unwrap())
}

fn run_with_input(folder: &Path, arguments: &[&str], input: &str) -> (bool, String, String) {
    let mut command = throng(folder, arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have refused the arguments before it read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    told(child.wait_with_output().unwrap())
}

fn told(output: Output) -> (bool, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// A server for oneself on ports that the system chooses; ended when dropped.
struct Server {
    child: Child,
    ready: String,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let mut command = throng(folder, &["run", "--dev", "--data", "data"]);
        for listener in ["STARTTLS", "DIRECT_TLS", "HTTP"] {
            command.env(format!("THRONG_EDGE_{listener}"), "127.0.0.1:0");
        }
        command.env("THRONG_LOG_LEVEL", "error");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        Server { child, ready }
    }

    fn field(&self, name: &str) -> &str {
        let mut fields = self.ready.split_whitespace().filter_map(|field| field.split_once('='));
        fields.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("{name} in {:?}", self.ready)).1
    }

    fn terminate(mut self) -> std::process::ExitStatus {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < TIME_MAX, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bad_configuration_is_refused_with_its_file_line_key_and_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for (text, message) in [
        ("[edge", "bad.toml:1: the file: found unclosed table, expected"),
        (
            "[egde]",
            "bad.toml:1: egde: found an unknown section, expected a known section; did you mean `edge`?",
        ),
        (
            "[edge]\nstartls = []",
            "bad.toml:2: edge.startls: found an unknown key, expected a known key; did you mean `starttls`?",
        ),
        (
            "[edge]\n\nhttp = [\"5280\"]",
            "bad.toml:3: edge.http: found [\"5280\"] (invalid socket address syntax), expected a list in brackets, each \
             of it an address and a port, as [::]:5222 in quotes",
        ),
        (
            "[server]\nadmins = [\"chat.example\"]",
            "bad.toml:2: server.admins: found \"chat.example\", expected a bare JID, as admin@chat.example",
        ),
        (
            "[server]\ndomains = [\"a b\"]",
            "bad.toml:2: server.domains: found \"a b\", expected a domain, as chat.example",
        ),
        (
            "[limits]\ndrain_s = 60",
            "bad.toml:2: limits.drain_s: found 60, expected less than `grace_s` of [server], or a drain is cut off",
        ),
        (
            "[edge]\nstarttls = [\"127.0.0.1:5280\"]",
            "bad.toml:2: edge.starttls: found [\"127.0.0.1:5280\"], expected each address given to one listener only",
        ),
        (
            "[cluster]\nowners = [\"127.0.0.1:1\"]",
            "bad.toml:2: cluster.owners: found \"127.0.0.1:1\", expected http://host:port, https://host:port,",
        ),
        (
            "[cluster]\nrouters = [\"https://127.0.0.1:1\"]",
            "bad.toml:2: cluster.routers: found \"https://127.0.0.1:1\", expected http://, or `tls_certificate`, ",
        ),
        (
            "[cluster]\ntls_certificate = \"role.pem\"\ntls_key = \"role.key\"",
            "default: cluster.tls_authority: found nothing, expected a file: `tls_certificate`, `tls_key` and",
        ),
        (
            "[cluster]\ntls_certificate = \"a.pem\"\ntls_key = \"a.key\"\ntls_authority = \"ca.pem\"",
            "bad.toml:2: cluster.tls_certificate: found \"a.pem\" (No such file or directory (os error 2)), expected a certificate in PEM, valid now, for servers",
        ),
        (
            "[[session.owners]]\nmember = \"a\"\nfirst = 9\nlast = 8",
            "bad.toml:1: session.owners: found [{ first = 9, last = 8, member = \"a\" }], expected `first` not above `last`",
        ),
        (
            "[[edge.certificates]]\nchain = \"a\"",
            "bad.toml:1: edge.certificates: found [{ chain = \"a\" }] (missing field `key`), expected a list of tables",
        ),
    ] {
        fs::write(folder.path().join("bad.toml"), text).unwrap();

        let (good, _, errors) = run(folder.path(), &["check", "bad.toml"]);

        assert!(!good, "{text}");
        assert!(errors.lines().any(|line| line.starts_with(message)), "{errors}\n{message}");
    }
}

#[test]
fn the_default_file_can_be_used_as_it_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (_, default, _) = run(folder.path(), &["config", "--default"]);
    fs::write(folder.path().join("throng.toml"), default).unwrap();

    assert_eq!(run(folder.path(), &["check"]), (true, "throng.toml can be used\n".into(), String::new()));
    let (_, effective, _) = run(folder.path(), &["config", "--domain", "chat.example"]);
    assert!(effective.contains("domains = [\"chat.example\"] # argument --domain\n"), "{effective}");
    assert!(effective.contains("starttls = [\"[::]:5222\"]\n"), "{effective}");
}

#[test]
fn accounts_are_managed_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let here = ["--domain", "chat.example", "--data", "data"];
    let user = |arguments: &[&str], input: &str| {
        run_with_input(folder.path(), &[&["user"], arguments, &here].concat(), input)
    };
    let fails = |(good, _, errors): (bool, String, String)| {
        assert!(!good);
        errors
    };

    assert_eq!(user(&["add", "Alice@chat.example"], "secret\n").1, "added alice@chat.example\n");
    assert_eq!(user(&["add", "bob@chat.example"], "secret\n").1, "added bob@chat.example\n");
    assert!(fails(user(&["add", "bob@chat.example"], "secret\n")).contains("bob@chat.example exists"));
    assert!(
        fails(user(&["add", "eve@elsewhere"], "secret\n"))
            .contains("elsewhere is not served here, but chat.example")
    );
    assert!(fails(user(&["add", "carol@chat.example"], "")).contains("a password has from 1 to 1024 bytes"));
    assert!(
        fails(user(&["passwd", "carol@chat.example"], "x\n"))
            .contains("there is no account carol@chat.example")
    );
    assert_eq!(
        user(&["passwd", "bob@chat.example"], "other\n").1,
        "changed the password of bob@chat.example\n"
    );
    assert_eq!(user(&["remove", "bob@chat.example"], "").1, "removed bob@chat.example\n");
    assert_eq!(user(&["list"], "").1, "alice@chat.example\n");
}

#[test]
fn a_server_for_oneself_says_when_it_is_ready_takes_orders_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    assert!(server.ready.starts_with("ready domain=localhost "), "{:?}", server.ready);
    for listener in ["c2s", "tls", "http"] {
        let address: SocketAddr = server.field(listener).parse().unwrap();
        TcpStream::connect(address).unwrap_or_else(|error| panic!("{listener}: {error}"));
    }
    assert_eq!(server.field("pid"), server.child.id().to_string());
    assert!(fs::read_to_string(server.field("ca")).unwrap().starts_with("-----BEGIN CERTIFICATE"));
    let data = fs::canonicalize(folder.path().join("data")).unwrap();
    assert_eq!(fs::canonicalize(server.field("data")).unwrap(), data);

    let there = ["--data", "data"];
    let (_, listed, _) = run(folder.path(), &[&["user", "list"], &there[..]].concat());
    assert_eq!(listed, "admin@localhost\n");
    let added =
        run_with_input(folder.path(), &[&["user", "add", "bob@localhost"], &there[..]].concat(), "b\n");
    assert_eq!(added.1, "added bob@localhost\n", "{}", added.2);
    let (_, file, _) = run(folder.path(), &[&["export", "-"], &there[..]].concat());
    assert!(file.ends_with("{\"end\":{\"records\":3}}\n"), "{file}");

    assert!(server.terminate().success());
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());

    let (good, _, errors) = run(folder.path(), &["run", "--dev", "--data", "data", "--port-offset", "7"]);
    assert!(!good);
    assert!(errors.contains("is open in another process"), "{errors}");
    let (good, _, errors) = run(folder.path(), &["run", "--dev", "--data", "data", "--fresh"]);
    assert!(!good);
    assert!(errors.contains("a server runs on "), "{errors}");

    assert!(server.terminate().success());
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fs::write(folder.path().join("cert.pem"), "nothing").unwrap();
    let file = format!(
        "[server]\ndomains = [\"localhost\"]\n[edge]\nstarttls = [\"{address}\"]\ndirect_tls = []\nhttp = []\n\
         certificates = [{{ chain = \"cert.pem\", key = \"key.pem\" }}]\n"
    );
    fs::write(folder.path().join("throng.toml"), file).unwrap();

    let (good, report, _) = run(folder.path(), &["doctor"]);

    assert!(!good);
    let line = |begins: &str| {
        report.lines().find(|line| line.starts_with(begins)).unwrap_or_else(|| panic!("{begins} in {report}"))
    };
    line("ok    configuration: throng.toml can be used");
    line("ok    store: none yet");
    assert!(line(&format!("FAIL  edge.starttls {address}")).contains("is taken: `ss -ltnp"), "{report}");
    assert!(line("FAIL  certificate cert.pem").contains("no certificate in it"), "{report}");
    line("warn  certificates: none of those that are good is for localhost");
}

#[test]
fn roles_of_one_file_find_each_other() {
    let folder = tempfile::tempdir().unwrap();

    roles_find_each_other(folder.path(), "", |address| format!("http://{address}"));
}

#[test]
fn roles_with_certificates_find_each_other_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (good, _, errors) = run(folder.path(), &["certificates", "tls", "all"]);
    assert!(good, "{errors}");
    let files =
        "tls_certificate = \"tls/all.pem\"\ntls_key = \"tls/all-key.pem\"\ntls_authority = \"tls/ca.pem\"\n";

    roles_find_each_other(folder.path(), files, |address| format!("dns://localhost:{}", address.port()));
}

#[test]
fn a_role_that_anybody_can_reach_and_be_taken_for_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let [address] = free_addresses();
    for (listen, warns) in [(address.to_string(), false), (format!("0.0.0.0:{}", address.port()), true)] {
        let file = format!("[server]\ndomains = [\"localhost\"]\n[cluster]\nrouter_listen = \"{listen}\"\n");
        fs::write(folder.path().join("throng.toml"), file).unwrap();
        let mut child = throng(folder.path(), &["router"]).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let lines = log.lines().map(Result::unwrap).take_while(|line| !line.contains("router is ready"));
        let warned = lines.filter(|line| line.contains("[cluster] has no certificates")).count() > 0;
        drop(Server { child, ready: String::new() });
        assert_eq!(warned, warns, "{listen}");
    }
}

/// Starts a process of each role, whose places are written so.
fn roles_find_each_other(folder: &Path, of_cluster: &str, place: fn(SocketAddr) -> String) {
    let [clients, session, router] = free_addresses();
    let (owners, routers) = (place(session), place(router));
    let file = format!(
        "[server]\ndomains = [\"localhost\"]\n\
         [edge]\nstarttls = [\"{clients}\"]\ndirect_tls = []\nhttp = []\n\
         [cluster]\nsession_listen = \"{session}\"\nrouter_listen = \"{router}\"\n\
         owners = [\"{owners}\"]\nrouters = [\"{routers}\"]\n{of_cluster}\
         [log]\nlevel = \"error\"\n"
    );
    fs::write(folder.join("throng.toml"), file).unwrap();

    // The last one first: each waits for those it needs.
    let roles = ["edge", "session", "router"].map(|role| {
        let child = throng(folder, &[role]).spawn().unwrap();
        Server { child, ready: String::new() }
    });

    let features = stream_features(clients);
    assert!(features.contains("from='localhost'") && features.contains("<starttls "), "{features}");
    for role in roles {
        assert!(role.terminate().success());
    }
}

/// Addresses on loopback that nobody listened on a moment ago.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}

/// Opens a stream as soon as somebody listens; what comes until the features are there. The edge knows them from an
/// owner only.
fn stream_features(address: SocketAddr) -> String {
    let begun = Instant::now();
    let mut socket = loop {
        match TcpStream::connect(address) {
            Ok(socket) => break socket,
            Err(error) => assert!(begun.elapsed() < TIME_MAX, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    socket.set_read_timeout(Some(TIME_MAX)).unwrap();
    let header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams'>";
    socket.write_all(header.as_bytes()).unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"</stream:features>") {
        let mut some = [0; 4096];
        let bytes = socket.read(&mut some).unwrap();
        assert!(bytes > 0, "closed after {:?}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&some[..bytes]);
    }
    String::from_utf8(received).unwrap()
}
