//! One role in a process of its own; the others are behind gRPC.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use features::host::Host;
use node::Peers;
use node::shutdown::Drain;
use tokio::net::TcpListener;
use xmpp::jid::Jid;

use crate::certificates;
use crate::cli::Source;
use crate::cluster::Cluster;
use crate::configuration::Configuration;
use crate::control::{self, Admin};
use crate::kafka;
use crate::stores::{self, Backend};

/// `throng edge`
pub(crate) async fn edge(source: Source) -> anyhow::Result<()> {
    let mut configuration = Configuration::load(&source, None)?;
    let drain = begin(&configuration).await?;
    own_certificates(&mut configuration)?;
    let cluster = &configuration.cluster;
    let owners = cluster.peers(&cluster.owners, cluster.transport()).await?;
    let edge = ::edge::Edge::start(configuration.edge, owners, drain)?;
    tracing::info!("edge is ready");
    edge.finished().await;
    Ok(())
}

/// `throng session`
pub(crate) async fn session(source: Source) -> anyhow::Result<()> {
    let configuration = Configuration::load(&source, None)?;
    let drain = begin(&configuration).await?;
    let listener = listen_for_roles(&configuration.cluster, configuration.cluster.session_listen).await?;
    make_private(&configuration.server.data)?;
    let store = stores::open(&configuration).await?;
    let store = kafka::over(&configuration, store)?;
    let cluster = &configuration.cluster;
    let transport = cluster.transport();
    let routers = cluster.peers(&cluster.routers, transport.clone()).await?;
    let owner = own(&configuration, store, routers).await?;
    tracing::info!(address = %configuration.cluster.session_listen, "session is ready");
    let service = owner.service();
    let stop = async {
        tokio::select! {
            // Edges are told to look for the next owner; then nothing is left that a graceful end would wait for.
            () = drain.begun() => owner.stop().await,
            () = owner.fenced() => {}
        }
    };
    tokio::select! {
        served = transport.serve(listener, service, stop) => served?,
        // Nothing of it counts any more, and nobody is told anything: whoever supervises it starts the next life.
        () = owner.fenced() => anyhow::bail!("this owner was fenced while it was thought dead: start it again"),
    }
    Ok(())
}

/// `throng router`
pub(crate) async fn router(source: Source) -> anyhow::Result<()> {
    let configuration = Configuration::load(&source, None)?;
    let drain = begin(&configuration).await?;
    let listener = listen_for_roles(&configuration.cluster, configuration.cluster.router_listen).await?;
    let router = ::router::Router::start(configuration.router);
    tracing::info!(address = %configuration.cluster.router_listen, "router is ready");
    let service = router.service();
    let stop = async move {
        drain.begun().await;
        router.stop();
    };
    Ok(configuration.cluster.transport().serve(listener, service, stop).await?)
}

/// What every process begins with: its log, its metrics, and an ear for signals.
pub(crate) async fn begin(configuration: &Configuration) -> anyhow::Result<Drain> {
    let log = &configuration.log;
    log.begin().map_err(|reason| {
        let found = format!("{:?} ({reason})", log.level);
        configuration.settings.problem("log.level", found, "a level, or a filter as info,edge=debug")
    })?;
    if let Some(address) = configuration.metrics.listen {
        let listener = listen(address).await?;
        let address = listener.local_addr().unwrap_or(address);
        tokio::spawn(node::telemetry::serve(listener));
        tracing::info!(%address, "metrics are served");
    }
    Ok(Drain::on_signals(configuration.server.grace)?)
}

/// Makes certificates for an edge if none were given; returns the authority that clients have to trust then.
pub(crate) fn own_certificates(configuration: &mut Configuration) -> anyhow::Result<Option<PathBuf>> {
    if !configuration.edge.certificates.is_empty() {
        return Ok(None);
    }
    let server = &configuration.server;
    let own = certificates::own(&server.data, &server.domains).context("no certificates can be made")?;
    tracing::warn!(authority = %own.authority.display(), "certificates are of this server's own making");
    configuration.edge.certificates.push(own.certificate);
    Ok(Some(own.authority))
}

/// Begins to own accounts: sessions over this store, and administration beside them.
pub(crate) async fn own(
    configuration: &Configuration,
    store: store::Store,
    routers: Peers,
) -> anyhow::Result<Arc<session::Owner>> {
    let hosts = hosts(configuration);
    let mut session = configuration.session.clone();
    // Others may use the same store: who has which slot is agreed on there, unless it is configured.
    session.shared = matches!(configuration.store, Backend::Scylla(_)) && session.owners.is_empty();
    let owner = session::Owner::start(session, store.clone(), hosts, routers).await?;
    let admin = Admin::new(configuration, store, Some(owner.directory()));
    control::listen(&configuration.server.data, admin)?;
    Ok(owner)
}

/// The domains as the features see them.
fn hosts(configuration: &Configuration) -> Vec<Host> {
    let server = &configuration.server;
    let admins_of = |domain: &Jid| {
        server.admins.iter().filter(|admin| admin.domain() == domain.domain()).cloned().collect()
    };
    let days_of =
        |domain: &Jid| server.archive_days_of.iter().find(|(of, _)| of == domain).map(|(_, days)| *days);
    let host = |domain: &Jid| Host {
        domain: domain.clone(),
        admins: admins_of(domain),
        contacts: server.contacts.clone(),
        registration: server.registration,
        anonymous: server.anonymous,
        archive: server.archive,
        archive_days: days_of(domain).unwrap_or(server.archive_days),
        archive_page_max: server.archive_page_max,
        stanza_bytes_max: configuration.edge.limits.stanza_bytes,
        started_ms: control::now_ms(),
    };
    server.domains.iter().map(host).collect()
}

/// Makes the data folder so that only this user can look into it.
pub(crate) fn make_private(data: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| {
        format!("{} cannot be made; `--data` or `data` of [server] names another", data.display())
    })
}

async fn listen_for_roles(cluster: &Cluster, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    if !cluster.is_secured() && !address.ip().is_loopback() {
        tracing::warn!(%address, "whoever reaches this address is taken for a role: [cluster] has no certificates");
    }
    listen(address).await
}

async fn listen(address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))
}
