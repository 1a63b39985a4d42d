//! The configuration as the roles take it: read, overlaid, checked, and turned into their types.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use node::config::{ENV_FILE, Problem, Settings};
use node::telemetry::Log;
use serde::Deserialize;
use xmpp::jid::{self, Jid, Profile};

use crate::cli::{Dev, Source};
use crate::cluster::Cluster;
use crate::kafka;
use crate::options::SECTIONS;
use crate::redis;
use crate::stores::{self, Backend};

/// Looked for when no file is named.
const FILES: [&str; 2] = ["throng.toml", "/etc/throng/throng.toml"];

/// The folder that `--dev` keeps its data in, from where it is started.
const DEV_DATA: &str = "target/dev";

/// Where `make web` puts the page.
const DEV_PAGE: &str = "target/web";

/// Everything that was configured.
#[derive(Clone, Debug)]
pub(crate) struct Configuration {
    /// The values, with where they come from.
    pub(crate) settings: Settings,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) server: Server,
    pub(crate) edge: edge::Config,
    pub(crate) session: session::Config,
    pub(crate) router: router::Config,
    pub(crate) store: Backend,
    /// None: there is no Redis.
    pub(crate) redis: Option<store::redis::Options>,
    /// None: there is no Kafka.
    pub(crate) kafka: Option<store::kafka::Options>,
    pub(crate) cluster: Cluster,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
}

/// The domains, and what is the same for all roles.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Never empty.
    pub(crate) domains: Vec<Jid>,
    pub(crate) data: PathBuf,
    pub(crate) admins: Vec<Jid>,
    pub(crate) registration: bool,
    pub(crate) anonymous: bool,
    pub(crate) archive: bool,
    pub(crate) archive_days: u32,
    /// Of domains that have another number of days.
    pub(crate) archive_days_of: Vec<(Jid, u32)>,
    pub(crate) archive_page_max: usize,
    /// (`abuse`, `mailto:…`)
    pub(crate) contacts: Vec<(String, String)>,
    pub(crate) grace: Duration,
}

/// Where metrics are served.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metrics {
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSection {
    domains: Vec<String>,
    data: PathBuf,
    admins: Vec<String>,
    registration: bool,
    anonymous: bool,
    archive: bool,
    archive_days: u32,
    archive_days_of: Vec<String>,
    archive_page_max: usize,
    jid_profile: JidProfile,
    contacts_abuse: Vec<String>,
    contacts_admin: Vec<String>,
    contacts_feedback: Vec<String>,
    contacts_security: Vec<String>,
    contacts_support: Vec<String>,
    grace_s: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum JidProfile {
    Stringprep,
    Precis,
}

/// Everything that is wrong, a line each.
pub(crate) fn told(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow!("the configuration is not usable\n{}", lines.join("\n"))
}

impl Configuration {
    /// Reads the file that the arguments or the environment name, or the first of the usual ones; without any,
    /// everything has its default.
    pub(crate) fn load(source: &Source, dev: Option<&Dev>) -> anyhow::Result<Configuration> {
        let file = match (&source.config, std::env::var_os(ENV_FILE), dev) {
            (Some(path), ..) => Some(path.clone()),
            (None, Some(path), _) => Some(path.into()),
            // A file that lies about is meant for the public.
            (None, None, Some(_)) => None,
            (None, None, None) => FILES.iter().map(PathBuf::from).find(|path| path.exists()),
        };
        let text = file.as_ref().map(|path| {
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
        });
        let mut settings = Settings::new(SECTIONS);
        let mut problems = Vec::new();
        if let Some(dev) = dev {
            dev_settings(&mut settings, dev);
        }
        if let (Some(path), Some(text)) = (&file, text.transpose()?) {
            problems.extend(settings.read(path, &text).err().unwrap_or_default());
        }
        problems.extend(settings.overlay(std::env::vars()).err().unwrap_or_default());
        if let Some(domain) = &source.domain {
            settings.set("--domain", "server.domains", vec![domain.clone()]);
        }
        if let Some(data) = &source.data {
            settings.set("--data", "server.data", std::path::absolute(data)?.to_string_lossy().into_owned());
        }
        if !problems.is_empty() {
            return Err(told(&problems));
        }
        Self::typed(settings, file).map_err(|problems| told(&problems))
    }

    fn typed(settings: Settings, file: Option<PathBuf>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_path_buf();
        let server = take(settings.section("server"), &mut problems)
            .and_then(|section| server(&settings, section, &folder, &mut problems));
        let edge = take(settings.section::<edge::Config>("edge"), &mut problems);
        let limits = take(settings.section("limits"), &mut problems);
        let session = take(settings.section("session"), &mut problems);
        let router = take(settings.section("router"), &mut problems);
        let store = stores::backend(&settings, &folder, &mut problems);
        let redis = redis::options(&settings, &folder, &mut problems);
        let kafka = kafka::options(&settings, &mut problems);
        let cluster = Cluster::configured(&settings, &folder, &mut problems);
        let log = take(settings.section::<Log>("log"), &mut problems);
        let metrics = take(settings.section("metrics"), &mut problems);
        let (Some(server), Some(mut edge), Some(limits), Some(session)) = (server, edge, limits, session)
        else {
            return Err(problems);
        };
        let (Some(router), Some(store), Some(cluster)) = (router, store, cluster) else {
            return Err(problems);
        };
        let (Some(log), Some(metrics)) = (log, metrics) else { return Err(problems) };
        edge.limits = limits;
        edge.page_dir = edge.page_dir.map(|path| folder.join(path));
        for certificate in &mut edge.certificates {
            certificate.chain = folder.join(&certificate.chain);
            certificate.key = folder.join(&certificate.key);
        }
        let all = Self {
            settings,
            file,
            server,
            edge,
            session,
            router,
            store,
            redis,
            kafka,
            cluster,
            log,
            metrics,
        };
        all.check(&mut problems);
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// What no type can see: whether values fit each other.
    fn check(&self, problems: &mut Vec<Problem>) {
        let mut expect = |holds: bool, key: &str, expected: &str| {
            if !holds {
                let found =
                    self.settings.value(key).map_or_else(|| "nothing".into(), |value| value.to_string());
                problems.push(self.settings.problem(key, found, expected));
            }
        };
        let edge = &self.edge;
        expect(
            edge.limits.drain_s < self.server.grace.as_secs(),
            "limits.drain_s",
            "less than `grace_s` of [server], or a drain is cut off",
        );
        let listeners = [&edge.starttls, &edge.direct_tls, &edge.http, &edge.https];
        let mut listeners: Vec<_> =
            listeners.into_iter().flatten().filter(|address| address.port() != 0).collect();
        let count = listeners.len();
        listeners.sort();
        listeners.dedup();
        expect(
            count > 0 || edge_is_silent(edge),
            "edge.starttls",
            "an address for at least one kind of client",
        );
        expect(listeners.len() == count, "edge.starttls", "each address given to one listener only");
        let ranges = &self.session.owners;
        expect(
            ranges.iter().all(|range| range.first <= range.last),
            "session.owners",
            "`first` not above `last`",
        );
    }
}

/// Whether ports are left to the system, as tests do.
fn edge_is_silent(edge: &edge::Config) -> bool {
    [&edge.starttls, &edge.direct_tls, &edge.http, &edge.https].into_iter().any(|list| !list.is_empty())
}

fn take<T>(section: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    section.map_err(|problem| problems.push(problem)).ok()
}

fn server(
    settings: &Settings,
    section: ServerSection,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Server> {
    jid::set_profile(match section.jid_profile {
        JidProfile::Stringprep => Profile::Stringprep,
        JidProfile::Precis => Profile::Precis,
    });
    let problems_before = problems.len();
    let mut jids = |key: &str, texts: &[String], fits: fn(&Jid) -> bool, expected: &str| -> Vec<Jid> {
        let parsed = texts.iter().filter_map(|text| {
            let jid = text.parse().ok().filter(fits);
            if jid.is_none() {
                problems.push(settings.problem(key, format!("{text:?}"), expected));
            }
            jid
        });
        parsed.collect()
    };
    let admins = jids(
        "server.admins",
        &section.admins,
        |jid| jid.is_bare() && jid.node().is_some(),
        "a bare JID, as admin@chat.example",
    );
    let mut domains = jids(
        "server.domains",
        &section.domains,
        |jid| jid.is_bare() && jid.node().is_none(),
        "a domain, as chat.example",
    );
    if domains.is_empty() {
        domains.extend(this_machine());
    }
    let archive_days_of = section.archive_days_of.iter().filter_map(|text| {
        let days = days_of(text);
        if days.is_none() {
            let expected = "a domain and its days, as chat.example=30";
            problems.push(settings.problem("server.archive_days_of", format!("{text:?}"), expected));
        }
        days
    });
    let archive_days_of = archive_days_of.collect();
    if problems.len() > problems_before {
        return None;
    }
    let contacts = [
        ("abuse", section.contacts_abuse),
        ("admin", section.contacts_admin),
        ("feedback", section.contacts_feedback),
        ("security", section.contacts_security),
        ("support", section.contacts_support),
    ];
    let contacts =
        contacts.into_iter().flat_map(|(kind, uris)| uris.into_iter().map(move |uri| (kind.to_owned(), uri)));
    Some(Server {
        domains,
        data: folder.join(section.data),
        admins,
        registration: section.registration,
        anonymous: section.anonymous,
        archive: section.archive,
        archive_days: section.archive_days,
        archive_days_of,
        archive_page_max: section.archive_page_max,
        contacts: contacts.collect(),
        grace: Duration::from_secs(section.grace_s),
    })
}

/// `chat.example=30`.
fn days_of(text: &str) -> Option<(Jid, u32)> {
    let (domain, days) = text.split_once('=')?;
    let domain = domain.trim().parse::<Jid>().ok().filter(|jid| jid.is_bare() && jid.node().is_none())?;
    Some((domain, days.trim().parse().ok()?))
}

/// The name of this machine if it can be a domain, else `localhost`.
fn this_machine() -> Option<Jid> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let jid = name.trim().parse::<Jid>().ok().filter(|jid| jid.node().is_none() && jid.is_bare());
    jid.or_else(|| "localhost".parse().ok())
}

/// A server for oneself: on loopback, with what makes trying easy and would be careless in public.
fn dev_settings(settings: &mut Settings, dev: &Dev) {
    let port = |base: u16| vec![format!("127.0.0.1:{}", base.saturating_add(dev.port_offset))];
    let data = match dev.port_offset {
        0 => DEV_DATA.to_owned(),
        offset => format!("{DEV_DATA}-{offset}"),
    };
    let mut set = |key: &str, value: toml::Value| settings.set("--dev", key, value);
    set("server.domains", vec!["localhost"].into());
    set("server.data", data.into());
    set("server.admins", vec!["admin@localhost"].into());
    set("server.registration", true.into());
    set("edge.starttls", port(5222).into());
    set("edge.direct_tls", port(5223).into());
    set("edge.http", port(5280).into());
    set("edge.tls_required", false.into());
    set("edge.plain_on_loopback", true.into());
    if Path::new(DEV_PAGE).exists() {
        set("edge.page_dir", DEV_PAGE.into());
    }
    if let Some(archive) = dev.archive {
        settings.set("--archive", "server.archive", archive.is_on());
    }
}
