//! How roles that run as processes of their own find each other and prove who they are, as [cluster] says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use node::Peers;
use node::config::{Problem, Settings};
use node::discovery::{self, Addresses, Place, SystemResolver};
use node::wire::{FileError, Files, Part, Tls, Transport};
use serde::Deserialize;

/// Where the roles are.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) session_listen: SocketAddr,
    pub(crate) router_listen: SocketAddr,
    pub(crate) owners: Vec<Place>,
    pub(crate) routers: Vec<Place>,
    resolve: Duration,
    /// None: wires are in the clear.
    tls: Option<Arc<Tls>>,
    tls_check: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    session_listen: SocketAddr,
    router_listen: SocketAddr,
    owners: Vec<String>,
    routers: Vec<String>,
    resolve_s: u64,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_authority: Option<PathBuf>,
    tls_name: String,
    tls_check_s: u64,
}

impl Cluster {
    /// Out of [cluster]; files are read from `folder`.
    pub(crate) fn configured(
        settings: &Settings,
        folder: &Path,
        problems: &mut Vec<Problem>,
    ) -> Option<Cluster> {
        let section: Section = settings.section("cluster").map_err(|problem| problems.push(problem)).ok()?;
        let tls = tls(settings, &section, folder).map_err(|problem| problems.push(problem)).ok()?;
        let mut places = |key: &str, texts: &[String]| {
            let places = places(settings, key, texts, tls.is_some());
            places.map_err(|problem| problems.push(problem)).ok()
        };
        let (owners, routers) =
            (places("cluster.owners", &section.owners), places("cluster.routers", &section.routers));
        Some(Self {
            session_listen: section.session_listen,
            router_listen: section.router_listen,
            owners: owners?,
            routers: routers?,
            resolve: Duration::from_secs(section.resolve_s),
            tls: tls.map(Arc::new),
            tls_check: Duration::from_secs(section.tls_check_s),
        })
    }

    /// How wires are made and served in this process, whose certificates are looked after from now on. To be called
    /// once, in a runtime.
    pub(crate) fn transport(&self) -> Transport {
        let Some(tls) = &self.tls else { return Transport::plain() };
        let (followed, every) = (Arc::clone(tls), self.tls_check);
        tokio::spawn(async move { followed.follow(every).await });
        Transport::secured(Arc::clone(tls))
    }

    /// Whether roles prove to each other who they are.
    pub(crate) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// The peers at these places, as they come and go.
    pub(crate) async fn peers(&self, places: &[Place], transport: Transport) -> anyhow::Result<Peers> {
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            found.push((place.to_string(), self.addresses(place).await?));
        }
        Ok(discovery::peers(found, transport))
    }

    async fn addresses(&self, place: &Place) -> anyhow::Result<Addresses> {
        Ok(match place.clone() {
            Place::Url { address, .. } => discovery::fixed(vec![address]),
            Place::Dns { name, port } => discovery::dns(SystemResolver, name, port, self.resolve),
            Place::Kube { namespace, service, port } => {
                let client = discovery_kube::client().await.with_context(|| place.to_string())?;
                let service = discovery_kube::Service { namespace, name: service, port };
                Box::pin(discovery_kube::addresses(client, service))
            }
        })
    }
}

/// What `http` and `https` say must be so, or somebody believes in more than there is.
fn places(settings: &Settings, key: &str, texts: &[String], secured: bool) -> Result<Vec<Place>, Problem> {
    let wrong = |text: &String, expected: &str| settings.problem(key, format!("{text:?}"), expected);
    let place = |text: &String| {
        let place: Place = text.parse().map_err(|_| wrong(text, discovery::FORMS))?;
        match &place {
            Place::Url { secured: true, .. } if !secured => {
                Err(wrong(text, "http://, or `tls_certificate`, `tls_key` and `tls_authority` in [cluster]"))
            }
            Place::Url { secured: false, .. } if secured => {
                Err(wrong(text, "https://, as [cluster] has certificates"))
            }
            _ => Ok(place),
        }
    };
    texts.iter().map(place).collect()
}

fn tls(settings: &Settings, section: &Section, folder: &Path) -> Result<Option<Tls>, Problem> {
    let files = [
        ("cluster.tls_certificate", &section.tls_certificate),
        ("cluster.tls_key", &section.tls_key),
        ("cluster.tls_authority", &section.tls_authority),
    ];
    if files.iter().all(|(_, file)| file.is_none()) {
        return Ok(None);
    }
    let path = |at: usize| {
        let (key, file) = files[at];
        let all = "a file: `tls_certificate`, `tls_key` and `tls_authority` are given together";
        file.as_ref().map(|file| folder.join(file)).ok_or_else(|| settings.problem(key, "nothing", all))
    };
    let files =
        Files { certificate: path(0)?, key: path(1)?, authority: path(2)?, name: section.tls_name.clone() };
    Tls::load(files).map(Some).map_err(|error| unusable(settings, &error))
}

fn unusable(settings: &Settings, error: &FileError) -> Problem {
    let (key, expected) = match error.part {
        Part::Certificate => (
            "cluster.tls_certificate",
            "a certificate in PEM, valid now, for servers and clients, for `tls_name`, of `tls_authority`",
        ),
        Part::Key => ("cluster.tls_key", "the private key of `tls_certificate` in PEM"),
        Part::Authority => ("cluster.tls_authority", "certificates of authorities in PEM"),
        Part::Name => ("cluster.tls_name", "a DNS name"),
    };
    settings.problem(key, format!("{:?} ({})", error.what, error.why), expected)
}
