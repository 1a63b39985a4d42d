//! Redis as it is configured: what takes its place over the store that is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use node::config::{Problem, Settings};
use serde::Deserialize;
use store::Store;
use store::redis::{Options, Servers};

use crate::configuration::Configuration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    servers: Vec<String>,
    kind: Kind,
    master: String,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    prefix: String,
    timeout_ms: u64,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// The options of [redis]; none if it names no server. Files are read from `folder`.
pub(crate) fn options(settings: &Settings, folder: &Path, problems: &mut Vec<Problem>) -> Option<Options> {
    let section: Section = settings.section("redis").map_err(|problem| problems.push(problem)).ok()?;
    if section.servers.is_empty() {
        return None;
    }
    let mut expect = |holds: bool, key: &str, expected: &str| {
        if !holds {
            let found = settings.value(key).map(|value| value.to_string()).unwrap_or_default();
            problems.push(settings.problem(key, found, expected));
        }
    };
    let urls = section.servers.iter().all(|url| url.starts_with("redis://") || url.starts_with("rediss://"));
    expect(urls, "redis.servers", "URLs, as redis://127.0.0.1:6379");
    let one = section.kind != Kind::Single || section.servers.len() == 1;
    expect(one, "redis.servers", "one URL, or another `kind`");
    let plain = !section.prefix.is_empty() && !section.prefix.contains(['{', '}']);
    expect(plain, "redis.prefix", "a text without braces");
    let mut read = |key: &str, path: Option<&PathBuf>| {
        let path = folder.join(path?);
        let bytes = std::fs::read(&path);
        bytes
            .map_err(|error| {
                let found = format!("{:?} ({error})", path.display());
                problems.push(settings.problem(key, found, "a file that can be read"));
            })
            .ok()
    };
    let password = read("redis.password_file", section.password_file.as_ref());
    let authority = read("redis.ca_file", section.ca_file.as_ref());
    let credentials = password.map(|bytes| {
        let password = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
        (section.user.unwrap_or_default(), password)
    });
    let servers = match section.kind {
        Kind::Single => Servers::Single(section.servers.into_iter().next()?),
        Kind::Sentinel => Servers::Sentinel { sentinels: section.servers, master: section.master },
        Kind::Cluster => Servers::Cluster(section.servers),
    };
    let timeout = Duration::from_millis(section.timeout_ms);
    Some(Options { servers, credentials, authority, prefix: section.prefix, timeout })
}

/// The store with what belongs in Redis kept there, if one is configured. To be called in a runtime.
pub(crate) fn over(configuration: &Configuration, store: Store) -> anyhow::Result<Store> {
    let Some(options) = configuration.redis.clone() else { return Ok(store) };
    let live = store::redis::open(options).context("[redis] cannot be used")?;
    Ok(live.over(store))
}
