//! The processes of a role that others reach: which there are, as discovery sees it, and the way to each.

use tokio::sync::watch;

use crate::wire::Wire;

/// A process of a role.
#[derive(Clone)]
pub struct Peer {
    /// What it is called, also in the log; its address, where nothing better is known.
    pub name: String,
    /// The way to it.
    pub wire: Wire,
}

/// All of a role, as they come and go.
pub type Peers = watch::Receiver<Vec<Peer>>;

/// Peers that never change.
pub fn fixed(peers: Vec<Peer>) -> Peers {
    watch::Sender::new(peers).subscribe()
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("name", &self.name).finish_non_exhaustive()
    }
}
