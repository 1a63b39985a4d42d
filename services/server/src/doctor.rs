//! `throng doctor`: looks for what would keep the server from working, and says what to do about it.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use xmpp::jid::Jid;

use crate::certificates::leaf;
use crate::cli::Source;
use crate::configuration::Configuration;
use crate::control;
use crate::stores::{self, Backend};

/// Connections need a file each, and so do the tables of the store.
const OPEN_FILES_ENOUGH: u64 = 10_000;

/// Every acknowledged message waits for one write to the disk, shared with others: slower than this is felt.
const SYNC_MS_GOOD: u128 = 20;

/// Writes that the latency of the disk is measured with.
const SYNC_TRIES: usize = 9;

/// With fewer days left somebody should know.
const CERTIFICATE_DAYS_GOOD: i64 = 14;

/// How long to wait for a listener of our own.
const CONNECT_TIME: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

/// A line of the report.
struct Finding {
    state: State,
    subject: String,
    /// What was found and, unless it is good, what to do next.
    told: String,
}

fn ok(subject: impl Into<String>, told: impl Into<String>) -> Finding {
    Finding { state: State::Ok, subject: subject.into(), told: told.into() }
}

fn warn(subject: impl Into<String>, told: impl Into<String>) -> Finding {
    Finding { state: State::Warn, subject: subject.into(), told: told.into() }
}

fn fail(subject: impl Into<String>, told: impl Into<String>) -> Finding {
    Finding { state: State::Fail, subject: subject.into(), told: told.into() }
}

/// Prints a line for each thing that was looked at; fails if one of them would keep the server from working.
pub(crate) fn examine(source: &Source) -> ExitCode {
    let mut findings = Vec::new();
    match Configuration::load(source, None) {
        Ok(configuration) => {
            findings.push(match &configuration.file {
                Some(path) => ok("configuration", format!("{} can be used", path.display())),
                None => ok(
                    "configuration",
                    "no file, so everything has its default; `throng config --default` makes one",
                ),
            });
            findings.extend(examine_machine(&configuration));
        }
        Err(error) => findings.push(fail("configuration", format!("{error:#}").replace('\n', "\n      "))),
    }
    for Finding { state, subject, told } in &findings {
        let state = match state {
            State::Ok => "ok  ",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        println!("{state}  {subject}: {told}");
    }
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn examine_machine(configuration: &Configuration) -> Vec<Finding> {
    let data = &configuration.server.data;
    let runs = UnixStream::connect(data.join(control::SOCKET)).is_ok();
    let mut findings = vec![open_files(), clock(data), disk(data), store(configuration, runs)];
    findings.extend(certificates(configuration));
    let edge = &configuration.edge;
    for (kind, addresses) in [
        ("starttls", &edge.starttls),
        ("direct_tls", &edge.direct_tls),
        ("http", &edge.http),
        ("https", &edge.https),
    ] {
        findings.extend(addresses.iter().map(|address| port(&format!("edge.{kind}"), *address, runs)));
    }
    findings.extend(configuration.metrics.listen.map(|address| port("metrics.listen", address, runs)));
    findings.extend(configuration.server.domains.iter().map(|domain| name(domain.domain())));
    findings
}

fn open_files() -> Finding {
    match node::telemetry::open_files_max() {
        Some(limit) if limit < OPEN_FILES_ENOUGH => warn(
            "open files",
            format!(
                "at most {limit}, one a connection: raise it with `ulimit -n 1000000` or LimitNOFILE= of the unit"
            ),
        ),
        Some(limit) => ok("open files", format!("at most {limit}")),
        None => warn("open files", "the limit is not known here: `ulimit -n` shows it"),
    }
}

/// A clock that was set back gives messages of now the time of long ago.
fn clock(data: &Path) -> Finding {
    let made = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let program = std::env::current_exe().ok().and_then(|path| made(&path));
    let newest = program.into_iter().chain(made(data)).max().unwrap_or(SystemTime::UNIX_EPOCH);
    match newest.duration_since(SystemTime::now()) {
        Ok(ahead) if ahead > Duration::from_mins(1) => fail(
            "clock",
            format!(
                "{} s behind files that were already written: set it, and keep it set with NTP",
                ahead.as_secs()
            ),
        ),
        _ => ok("clock", "not behind anything that was written"),
    }
}

fn disk(data: &Path) -> Finding {
    let folder = data.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    match sync_times(folder) {
        Ok(mut times) => {
            times.sort();
            let median = times[times.len() / 2];
            let told = format!("{} syncs a write in {:.1} ms", folder.display(), median.as_secs_f64() * 1e3);
            if median.as_millis() < SYNC_MS_GOOD {
                ok("disk", told)
            } else {
                warn("disk", format!("{told}: acknowledgements wait for it; put `data` on a faster disk"))
            }
        }
        Err(error) => fail(
            "disk",
            format!(
                "{} cannot be written: {error}; give it to the server's user, or choose another `data`",
                folder.display()
            ),
        ),
    }
}

fn sync_times(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let path = folder.join(format!(".throng-doctor-{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    let times = (0..SYNC_TRIES).map(|_| {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        Ok(begun.elapsed())
    });
    let times = times.collect();
    fs::remove_file(path)?;
    times
}

fn store(configuration: &Configuration, runs: bool) -> Finding {
    let data = &configuration.server.data;
    if runs {
        return ok("store", format!("a server runs on {} and answers", data.display()));
    }
    let place = match &configuration.store {
        Backend::Scylla(options) => format!("keyspace {} at {}", options.keyspace, options.nodes.join(", ")),
        Backend::Disk(_) | Backend::Memory => data.display().to_string(),
    };
    if matches!(configuration.store, Backend::Disk(_)) && !data.join("store").exists() {
        return ok("store", format!("none yet; the first start makes it in {}", data.display()));
    }
    match opened(configuration) {
        Ok(()) => ok("store", format!("opens, in {place}")),
        Err(error) => fail("store", format!("{error:#}")),
    }
}

fn opened(configuration: &Configuration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stores::open(configuration)).map(drop)
}

fn certificates(configuration: &Configuration) -> Vec<Finding> {
    let files = &configuration.edge.certificates;
    if files.is_empty() {
        let told = "none given: `throng run` makes its own, which clients must be told to trust; [[edge.certificates]] names real ones";
        return vec![warn("certificates", told)];
    }
    let mut covered = Vec::new();
    let mut findings: Vec<Finding> = files
        .iter()
        .map(|file| {
            let subject = format!("certificate {}", file.chain.display());
            match certificate(&file.chain, &file.key) {
                Ok((names, days)) if days >= CERTIFICATE_DAYS_GOOD => {
                    let told = format!("for {}, {days} days left, fits its key", names.join(", "));
                    covered.extend(names);
                    ok(subject, told)
                }
                Ok((_, days)) if days >= 0 => warn(subject, format!("expires in {days} days: renew it")),
                Ok(_) => fail(subject, "has expired: renew it"),
                Err(error) => fail(subject, format!("{error:#}")),
            }
        })
        .collect();
    for domain in configuration.server.domains.iter().map(Jid::domain) {
        let parent = domain.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        if !covered.iter().any(|name| name == domain || Some(name) == parent.as_ref()) {
            findings.push(warn(
                "certificates",
                format!("none of those that are good is for {domain}: clients will warn or refuse"),
            ));
        }
    }
    findings
}

/// The names of a certificate and its days left, if it is the one of this key and valid already.
fn certificate(chain: &Path, key: &Path) -> anyhow::Result<(Vec<String>, i64)> {
    let Some(leaf) = leaf(chain)? else {
        anyhow::bail!("no certificate in it: it must be PEM, the server's own first")
    };
    anyhow::ensure!(
        leaf.days_early == 0,
        "is not valid before {} days from now: is the clock right?",
        leaf.days_early
    );
    let certificates = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| anyhow::anyhow!("{}: {error}", key.display()))?;
    rustls::sign::CertifiedKey::from_der(
        certificates,
        secret,
        &rustls::crypto::aws_lc_rs::default_provider(),
    )
    .map_err(|error| anyhow::anyhow!("does not fit {}: {error}", key.display()))?;
    Ok((leaf.names, leaf.days_left))
}

/// A listener of a server that runs must be reached, one of a server to be started must be free.
fn port(key: &str, address: SocketAddr, runs: bool) -> Finding {
    let subject = format!("{key} {address}");
    if runs {
        let mut reached = address;
        if address.ip().is_unspecified() {
            reached.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        return match TcpStream::connect_timeout(&reached, CONNECT_TIME) {
            Ok(_) => ok(subject, "is reached"),
            Err(error) => fail(subject, format!("is not reached: {error}; the log of the server says why")),
        };
    }
    match TcpListener::bind(address) {
        Ok(_) => ok(subject, "is free"),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            fail(subject, format!("is taken: `ss -ltnp 'sport = :{}'` shows by whom", address.port()))
        }
        Err(error) => fail(
            subject,
            format!(
                "cannot be listened on: {error}; choose an address of this machine and a port above 1023"
            ),
        ),
    }
}

fn name(domain: &str) -> Finding {
    let subject = format!("domain {domain}");
    match (domain, 0).to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => ok(subject, format!("is found at {}", address.ip())),
        _ => warn(subject, "has no address: clients find it by an A, AAAA or SRV record (_xmpp-client._tcp)"),
    }
}
