//! The router role: which owner gets a stanza. It parses no payload, keeps nothing that must survive it, and sends
//! nothing again: it relays items to owners and what they say about them back.
//!
//! Whoever drops one item of a run drops the rest of it: a router that does not know a slot's owner drops, and tells
//! everybody when the owner is there; senders then begin the next run.
mod relay;
mod service;
mod table;

use std::sync::Arc;

use proto::router::router_server::RouterServer;
use serde::Deserialize;

pub use service::Service;

/// What an operator may set of the router role.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this router among its like.
    pub member: String,
    /// Items on the way through this router; beyond, it drops, and senders begin again.
    pub items_max: usize,
}

/// A router.
pub struct Router {
    pub(crate) config: Config,
    pub(crate) relay: parking_lot::Mutex<relay::Relay>,
}

impl Default for Config {
    fn default() -> Self {
        Self { member: "router".into(), items_max: 1_000_000 }
    }
}

impl Router {
    /// A router that knows no owner yet.
    pub fn start(config: Config) -> Arc<Self> {
        let relay = parking_lot::Mutex::new(relay::Relay::new(config.items_max));
        Arc::new(Self { config, relay })
    }

    /// Says goodbye to all owners.
    pub fn stop(&self) {
        self.relay.lock().stop();
    }

    /// The service that owners call.
    pub fn service(self: &Arc<Self>) -> RouterServer<Service> {
        let limit = node::wire::MESSAGE_BYTES_MAX;
        RouterServer::new(Service::new(Arc::clone(self)))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}
