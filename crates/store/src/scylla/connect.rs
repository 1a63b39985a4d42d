//! Connecting.

use std::{sync::Arc, time::Duration};

use parking_lot::RwLock;
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    errors::NewSessionError,
    policies::{
        load_balancing::DefaultPolicy, retry::DefaultRetryPolicy,
        speculative_execution::SimpleSpeculativeExecutionPolicy,
    },
};
use tokio::sync::Semaphore;

use super::{Options, cql::Cql};
use crate::{Error, Result};

/// Nodes that a read is sent to, after the first one.
const HEDGES_MAX: usize = 1;
/// How often an idle connection is tested, and for how long a test may go unanswered: a node that is gone without a word
/// is refused from then on.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How often it is asked whether all nodes know a change of the schema.
const AGREEMENT_INTERVAL: Duration = Duration::from_millis(20);

/// Connects to the keyspace that the options name.
pub(super) async fn keyspace(options: &Options) -> Result<Cql> {
    let session = connect(options, Some(&options.keyspace)).await?;
    let reads =
        profile(options).speculative_execution_policy(Some(Arc::new(SimpleSpeculativeExecutionPolicy {
            max_retry_count: HEDGES_MAX,
            retry_interval: options.hedge,
        })));
    Ok(Cql {
        session,
        reads: reads.build().into_handle(),
        serial: options.agreement.serial(),
        timeout: options.timeout,
        under_way: Semaphore::new(options.requests_max),
        prepared: RwLock::default(),
    })
}

/// Connects, to a keyspace if one is given.
pub(super) async fn connect(options: &Options, keyspace: Option<&str>) -> Result<Session> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .default_execution_profile_handle(profile(options).build().into_handle())
        .connection_timeout(options.timeout)
        .hostname_resolution_timeout(Some(options.timeout))
        .metadata_request_clientside_timeout(options.timeout * 5)
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .schema_agreement_interval(AGREEMENT_INTERVAL)
        .tls_context(options.tls.clone());
    if let Some((user, password)) = &options.credentials {
        builder = builder.user(user, password);
    }
    if let Some(keyspace) = keyspace {
        builder = builder.use_keyspace(keyspace, true).keyspaces_to_fetch([keyspace]);
    }
    builder.build().await.map_err(|error| {
        let nodes = options.nodes.join(", ");
        let hint = match &error {
            NewSessionError::UseKeyspaceError(_) => " (`throng migrate` makes it)",
            _ => "",
        };
        Error::Refused(format!("scylla at {nodes} cannot be used: {error}{hint}"))
    })
}

fn profile(options: &Options) -> scylla::client::execution_profile::ExecutionProfileBuilder {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &options.datacenter {
        policy = policy.prefer_datacenter(datacenter.clone());
    }
    ExecutionProfile::builder()
        .consistency(options.agreement.consistency())
        .serial_consistency(Some(options.agreement.serial()))
        .request_timeout(Some(options.timeout))
        .load_balancing_policy(policy.build())
        // Of what is not marked as repeatable it repeats only what a node said it did not perform.
        .retry_policy(Arc::new(DefaultRetryPolicy::new()))
}
