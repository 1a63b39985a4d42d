//! The store as it is configured, and its opening.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use node::config::{Problem, Settings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use store::Store;
use store::disk::Limits;
use store::scylla::{Agreement, Options, Step};

use crate::cli::Source;
use crate::configuration::Configuration;
use crate::control::SOCKET;
use crate::redis;

/// Where everything durable is kept.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// In the data folder.
    Disk(Limits),
    /// Nowhere: it is gone with the process.
    Memory,
    /// In a cluster of Scylla or Cassandra.
    Scylla(Options),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    backend: Name,
    queue_entries_max: usize,
    queue_bytes_max: usize,
    cache_bytes_max: u64,
    recent_bytes_max: u64,
    journal_bytes_max: u64,
    scylla_nodes: Vec<String>,
    scylla_keyspace: String,
    scylla_replication: Option<String>,
    scylla_datacenter: Option<String>,
    scylla_agreement: Scope,
    scylla_user: Option<String>,
    scylla_password_file: Option<PathBuf>,
    scylla_ca_file: Option<PathBuf>,
    scylla_timeout_ms: u64,
    scylla_hedge_ms: u64,
    scylla_requests_max: usize,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    Disk,
    Memory,
    Scylla,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Local,
    Global,
}

/// The backend that [store] names. Files are read from `folder`.
pub(crate) fn backend(settings: &Settings, folder: &Path, problems: &mut Vec<Problem>) -> Option<Backend> {
    let section: Section = settings.section("store").map_err(|problem| problems.push(problem)).ok()?;
    Some(match section.backend {
        Name::Memory => Backend::Memory,
        Name::Scylla => Backend::Scylla(scylla(settings, section, folder, problems)?),
        Name::Disk => Backend::Disk(Limits {
            queue_entries_max: section.queue_entries_max,
            queue_bytes_max: section.queue_bytes_max,
            cache_bytes_max: section.cache_bytes_max,
            recent_bytes_max: section.recent_bytes_max,
            journal_bytes_max: section.journal_bytes_max,
        }),
    })
}

fn scylla(
    settings: &Settings,
    section: Section,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Options> {
    let before = problems.len();
    let mut expect = |holds: bool, key: &str, expected: &str| {
        if !holds {
            let found = settings.value(key).map_or_else(|| "nothing".into(), |value| value.to_string());
            problems.push(settings.problem(key, found, expected));
        }
    };
    let with_port = |node: &String| {
        node.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    let nodes = &section.scylla_nodes;
    let expected = "a host and a port each, as scylla.example:9042; one at least";
    expect(!nodes.is_empty() && nodes.iter().all(with_port), "store.scylla_nodes", expected);
    let keyspace = &section.scylla_keyspace;
    let expected = "a lower-case letter, and lower-case letters, digits and underscores, at most 48";
    expect(store::scylla::is_name(keyspace), "store.scylla_keyspace", expected);
    let mut read = |key: &str, path: Option<&PathBuf>| {
        let path = folder.join(path?);
        let unreadable = |error| {
            let found = format!("{:?} ({error})", path.display());
            problems.push(settings.problem(key, found, "a file that can be read"));
        };
        std::fs::read(&path).map_err(unreadable).ok()
    };
    let password = read("store.scylla_password_file", section.scylla_password_file.as_ref());
    let authority = read("store.scylla_ca_file", section.scylla_ca_file.as_ref());
    let tls = authority.and_then(|pem| {
        let tls = trusting(&pem).map_err(|error| {
            let found = format!("no certificates ({error:#})");
            problems.push(settings.problem("store.scylla_ca_file", found, "certificates in PEM"));
        });
        tls.ok()
    });
    let credentials = password.map(|bytes| {
        let password = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
        (section.scylla_user.unwrap_or_default(), password)
    });
    (problems.len() == before).then(|| Options {
        nodes: section.scylla_nodes,
        keyspace: section.scylla_keyspace,
        replication: section.scylla_replication,
        datacenter: section.scylla_datacenter,
        agreement: match section.scylla_agreement {
            Scope::Local => Agreement::Local,
            Scope::Global => Agreement::Global,
        },
        credentials,
        tls,
        timeout: Duration::from_millis(section.scylla_timeout_ms),
        hedge: Duration::from_millis(section.scylla_hedge_ms),
        requests_max: section.scylla_requests_max,
    })
}

/// TLS that trusts these authorities.
fn trusting(pem: &[u8]) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "none in it");
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

/// Opens the store, with what belongs in Redis kept there.
pub(crate) async fn open(configuration: &Configuration) -> anyhow::Result<Store> {
    let data = &configuration.server.data;
    let store = match &configuration.store {
        Backend::Memory => store::memory::open(),
        Backend::Disk(limits) => disk(data, *limits)?,
        Backend::Scylla(options) => store::scylla::open(options.clone())
            .await
            .with_context(|| format!("the store in keyspace {} does not open", options.keyspace))?,
    };
    redis::over(configuration, store)
}

/// Opens the store of a data folder that no server has open.
fn disk(data: &Path, limits: Limits) -> anyhow::Result<Store> {
    store::disk::open_with(data.join("store"), limits).map_err(|error| match error {
        store::Error::Locked(path) => anyhow!(
            "{} is open in another process, and that does not answer on {}: if it is about to start or to end, try again",
            path.display(),
            data.join(SOCKET).display()
        ),
        error => anyhow::Error::new(error).context(format!("the store in {} does not open", data.display())),
    })
}

/// `throng migrate`
pub(crate) async fn migrate(source: &Source) -> anyhow::Result<()> {
    let configuration = Configuration::load(source, None)?;
    match &configuration.store {
        Backend::Disk(_) | Backend::Memory => println!("store: nothing to migrate, it is on this machine"),
        Backend::Scylla(options) => {
            store::scylla::migrate(options, |step| println!("store: {}", told(&step))).await?;
        }
    }
    if let Some(options) = &configuration.kafka {
        let topics = store::kafka::create_topics(options).await.context("[kafka] cannot be used")?;
        println!("kafka: topics {}", topics.join(", "));
    }
    Ok(())
}

fn told(step: &Step) -> String {
    match step {
        Step::Keyspace(name) => format!("keyspace {name} is there"),
        Step::Waiting => "another process migrates; waiting for it".into(),
        Step::Found(version) => format!("schema {version} found"),
        Step::Migrating(version, statements) => format!("migration {version}, of {statements} statements"),
        Step::Done(version) => format!("schema {version} is in use"),
    }
}
