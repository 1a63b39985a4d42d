//! `throng run`: all roles in this process, joined in memory by the same services that would join them over gRPC.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};
use node::{Peer, wire};
use xmpp::jid::Jid;

use crate::cli::Run;
use crate::configuration::Configuration;
use crate::control::{self, Admin};
use crate::kafka;
use crate::role;
use crate::stores;

/// Who may administer a server for oneself, and how they log in.
const DEV_ADMIN: (&str, &str) = ("admin@localhost", "admin");

/// What lies in a data folder; only this is dropped by `--fresh`.
const DATA: [&str; 2] = ["store", "tls"];

/// `throng run`
pub(crate) async fn run(arguments: Run) -> anyhow::Result<()> {
    let dev = arguments.dev.on.then_some(&arguments.dev);
    let mut configuration = Configuration::load(&arguments.source, dev)?;
    let drain = role::begin(&configuration).await?;
    let data = configuration.server.data.clone();
    if arguments.dev.fresh {
        drop_data(&data)?;
    }
    role::make_private(&data)?;
    let store = stores::open(&configuration).await?;
    let store = kafka::over(&configuration, store)?;
    let authority = role::own_certificates(&mut configuration)?;
    // There is one edge, and it is here.
    configuration.session.edges = 1;
    let first_account = if dev.is_some() {
        add_dev_admin(&configuration, store.clone()).await?;
        false
    } else {
        is_empty(&configuration, &store).await?
    };

    let router = router::Router::start(configuration.router.clone());
    let name = configuration.router.member.clone();
    let routers = vec![Peer { name, wire: wire::local(router.service()) }];
    let owner = role::own(&configuration, store, node::peers::fixed(routers)).await?;
    let here = Peer { name: configuration.session.member.clone(), wire: wire::local(owner.service()) };
    let edge = edge::Edge::start(configuration.edge.clone(), node::peers::fixed(vec![here]), drain)?;

    if dev.is_some() {
        println!("{}", ready_line(&configuration, &edge.addresses, authority.as_deref()));
    }
    tracing::info!(domains = ?names(&configuration.server.domains), data = %data.display(), "ready");
    if first_account {
        println!("{}", first_account_line(&configuration, &arguments));
    }
    edge.finished().await;
    owner.stop().await;
    tracing::info!("drained");
    Ok(())
}

async fn add_dev_admin(configuration: &Configuration, store: store::Store) -> anyhow::Result<()> {
    let (account, password) = DEV_ADMIN;
    let account: Jid = account.parse()?;
    if store.accounts.load(&account).await?.is_none() {
        Admin::new(configuration, store, None).add(&account, password).await?;
    }
    Ok(())
}

async fn is_empty(configuration: &Configuration, store: &store::Store) -> anyhow::Result<bool> {
    for domain in &configuration.server.domains {
        if !store.accounts.list(domain.as_str(), None, 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What programs that start a server for their tests wait for.
fn ready_line(
    configuration: &Configuration,
    listening: &edge::Addresses,
    authority: Option<&Path>,
) -> String {
    let first =
        |addresses: &[SocketAddr]| addresses.first().map_or_else(|| "-".into(), SocketAddr::to_string);
    let absolute =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into()).display().to_string();
    format!(
        "ready domain={} c2s={} tls={} http={} ca={} data={} pid={}",
        configuration.server.domains[0],
        first(&listening.starttls),
        first(&listening.direct_tls),
        first(&listening.http),
        authority.map_or_else(|| "-".into(), absolute),
        absolute(&configuration.server.data),
        std::process::id(),
    )
}

/// What somebody who has just started a new server wants to type next.
fn first_account_line(configuration: &Configuration, arguments: &Run) -> String {
    let mut line = format!(
        "add the first account, in another terminal: throng user add alice@{}",
        configuration.server.domains[0]
    );
    let source = &arguments.source;
    for (argument, value) in [
        ("--config", source.config.as_ref().map(|path| path.display().to_string())),
        ("--data", source.data.as_ref().map(|path| path.display().to_string())),
        ("--domain", source.domain.clone()),
    ] {
        if let Some(value) = value {
            line.extend([" ", argument, " ", &value]);
        }
    }
    line
}

fn names(domains: &[Jid]) -> Vec<&str> {
    domains.iter().map(Jid::as_str).collect()
}

fn drop_data(data: &Path) -> anyhow::Result<()> {
    if UnixStream::connect(data.join(control::SOCKET)).is_ok() {
        bail!("a server runs on {}: end it first, or choose another --port-offset or --data", data.display());
    }
    for name in DATA {
        match fs::remove_dir_all(data.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("{} cannot be dropped", data.join(name).display()));
            }
            _ => {}
        }
    }
    Ok(())
}
