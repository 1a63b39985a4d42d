//! The edges that are connected: where frames for their streams go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use features::account::Origin;
use foldhash::fast::RandomState;
use hashbrown::HashSet;
use node::{Credit, Outbox};
use parking_lot::Mutex;
use proto::delivery::Credit as Room;
use proto::session::OwnerFrame;

/// A connected edge. Clones are the same connection; a connection that breaks never comes back as the same.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    id: u64,
    member: String,
    outbox: Outbox<OwnerFrame>,
    /// What it still takes of what is given to its clients.
    credit: Credit,
    /// Streams that have more than it takes.
    waiting: Mutex<HashSet<Origin, RandomState>>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

impl Link {
    pub(crate) fn new(member: String, outbox: Outbox<OwnerFrame>) -> Self {
        let (id, credit, waiting) =
            (NEXT.fetch_add(1, Ordering::Relaxed), Credit::default(), Mutex::default());
        Self(Arc::new(Inner { id, member, outbox, credit, waiting }))
    }

    pub(crate) fn member(&self) -> &str {
        &self.0.member
    }

    /// Queues a frame; an edge that is gone gets nothing, and says again what it has when it is back.
    pub(crate) fn queue(&self, kind: proto::session::owner_frame::Kind) {
        self.0.outbox.queue(OwnerFrame { kind: Some(kind) });
    }

    /// Sends what was queued.
    pub(crate) fn wake(&self) {
        self.0.outbox.wake();
    }

    pub(crate) fn send_one(&self, kind: proto::session::owner_frame::Kind) {
        self.0.outbox.send(OwnerFrame { kind: Some(kind) });
    }

    /// Takes room for something that is given to a client; false: there is none, and the stream will hear when there is.
    pub(crate) fn takes(&self, stream: Origin, bytes: usize) -> bool {
        if !self.0.credit.is_open() {
            let mut waiting = self.0.waiting.lock();
            // Credit may have come before the lock was had.
            if !self.0.credit.is_open() {
                waiting.insert(stream);
                return false;
            }
        }
        self.0.credit.spend(1, bytes as u64);
        true
    }

    /// The edge takes more. Answers whose streams have waited for that.
    pub(crate) fn more(&self, room: &Room) -> HashSet<Origin, RandomState> {
        self.0.credit.add(room.items, room.bytes);
        std::mem::take(&mut *self.0.waiting.lock())
    }

    /// Whether the edge is gone: nothing of it is known any more, or will be forgotten in a moment.
    pub(crate) fn is_gone(&self) -> bool {
        self.0.outbox.is_closed()
    }

    /// Whether it is an earlier connection of the same edge.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.0.member == other.0.member && self.0.id < other.0.id
    }

    /// Ends the connection after what is queued.
    pub(crate) fn close(&self) {
        self.0.outbox.close();
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Link {}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({} {})", self.0.id, self.0.member)
    }
}

#[cfg(test)]
mod tests {
    use proto::session::OwnerFrames;

    use super::*;

    fn link(member: &str) -> Link {
        Link::new(member.to_owned(), Outbox::new(|frames| OwnerFrames { frames }).0)
    }

    #[test]
    fn a_connection_is_before_the_next_one_of_its_edge_and_of_no_other() {
        let (first, next, other) = (link("east"), link("east"), link("west"));
        assert!(first.is_before(&next) && !next.is_before(&first));
        assert!(!first.is_before(&first) && !first.is_before(&other));
    }
}
