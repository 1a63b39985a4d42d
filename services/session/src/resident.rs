//! An account in memory: what features see of it, and what delivery needs beside.

use std::collections::VecDeque;
use std::sync::Arc;

use features::account::{Account, Origin};
use features::host::Host;
use store::Cursor;
use xmpp::jid::Jid;

use crate::lane::{Job, Lane};
use crate::marks::Marks;
use crate::stream::Stream;

/// An account in memory.
pub(crate) struct Resident {
    /// Where in its shard.
    pub(crate) at: usize,
    /// Where it belongs: asked for with every row.
    pub(crate) slot: u16,
    pub(crate) account: Account,
    pub(crate) host: Arc<Host>,
    /// One for each of `account.sessions`, in any order.
    pub(crate) streams: Vec<Stream>,
    /// None: idle.
    pub(crate) lane: Option<Box<Lane>>,
    /// What the lane's last entry is at work on.
    pub(crate) pending: Option<Box<Pending>>,
    pub(crate) archive: Archive,
    pub(crate) marks: Option<Box<Marks>>,
    /// When it was last needed, in unix milliseconds.
    pub(crate) used_ms: u64,
    /// There is no such account; what has arrived for it is being refused.
    pub(crate) absent: bool,
    /// Among those the next tick looks at.
    pub(crate) watched: bool,
    /// The last product of a cause: its origin and number, and how many there were. None: nothing is at work.
    pub(crate) product: Option<Box<(Origin, u64, u32)>>,
    /// Rows after the positions of re-attached sessions are being routed, or about to be.
    pub(crate) catching_up: bool,
    /// The account was removed: it leaves memory as soon as its sessions are over.
    pub(crate) removed: bool,
    /// When its cursor was last saved, in unix milliseconds.
    pub(crate) saved_ms: u64,
    /// Its slot is another's: only its place is kept, for as long as work that names it may come.
    pub(crate) gone: bool,
}

/// Work on a store that a lane waits for.
pub(crate) enum Pending {
    Load,
    Job(Box<Job>),
    /// The same, once what has started is performed.
    Turn(Box<Job>, features::context::Work),
    /// What has started is performed first, then rows are read: for a session, or for all that are behind.
    Soon(Option<Origin>),
    /// Rows for a session that has become eligible.
    Backlog(Origin),
    /// Rows after the positions of re-attached sessions.
    CatchUp,
}

/// What is known of the account's archive without reading it.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    /// The last id given.
    pub(crate) last_id: u64,
    /// All rows up to here are durable.
    pub(crate) stored: u64,
    /// The last row whose turn has come: what becomes of later ones is not decided.
    pub(crate) performed: u64,
    /// Rows that wait for a client, given to a session and not settled, ascending.
    pub(crate) unsettled: VecDeque<u64>,
    /// Those of them that are spooled: deleted when settled.
    pub(crate) spooled: Vec<u64>,
    /// Settled rows above the lowest unsettled one.
    pub(crate) above: Vec<u64>,
    /// The lowest row that may be unsettled.
    pub(crate) lowest: u64,
    /// Where reading waiting rows has come to.
    pub(crate) reading: u64,
    /// Rows that wait for a client since the account was loaded.
    pub(crate) waiting: usize,
    /// The last row that push services were told of.
    pub(crate) pushed: u64,
    /// Rows from `lowest` on wait that are not in `unsettled`.
    pub(crate) backlog: bool,
    /// The cursor differs from the stored one.
    pub(crate) changed: bool,
}

impl Resident {
    /// An account that is being read.
    pub(crate) fn new(jid: Jid, host: Arc<Host>, now_ms: u64) -> Self {
        Self {
            at: 0,
            slot: node::slots::of(jid.as_str(), ""),
            account: Account::new(jid, store::Roster::default(), Vec::new()),
            host,
            streams: Vec::new(),
            lane: None,
            pending: None,
            archive: Archive::default(),
            marks: None,
            used_ms: now_ms,
            absent: false,
            watched: false,
            product: None,
            catching_up: false,
            removed: false,
            saved_ms: now_ms,
            gone: false,
        }
    }

    pub(crate) fn stream(&self, id: Origin) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.id == id)
    }

    pub(crate) fn stream_mut(&mut self, id: Origin) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.id == id)
    }

    /// Whether something of it is under way.
    pub(crate) fn is_busy(&self) -> bool {
        // What an edge has not said it has may be nowhere else: it follows the next owner, and hears this one no more.
        let given = |stream: &Stream| {
            !stream.managed || stream.link.is_none() || stream.outbound.kept >= stream.outbound.n
        };
        let finished =
            |stream: &Stream| stream.inbound.unfinished() == 0 && stream.resuming.is_none() && given(stream);
        self.pending.is_some()
            || self.lane.as_ref().is_some_and(|lane| !lane.is_idle())
            || !self.streams.iter().all(finished)
    }

    /// What its clients have acknowledged of late and no archive has, for whoever has its sessions next.
    pub(crate) fn acknowledged(&self) -> Vec<proto::delivery::Uid> {
        self.marks.iter().flat_map(|marks| marks.latest()).map(crate::uid::pack).collect()
    }

    pub(crate) fn lane_mut(&mut self) -> &mut Lane {
        self.lane.get_or_insert_default()
    }

    /// Whether nothing keeps it in memory.
    pub(crate) fn is_unused(&self) -> bool {
        self.streams.is_empty()
            && self.pending.is_none()
            && self.lane.as_ref().is_none_or(|lane| lane.is_idle())
    }
}

impl Archive {
    pub(crate) fn from_stored(last_id: u64, cursor: Cursor) -> Self {
        let backlog = cursor.lowest <= last_id && last_id > 0;
        Self {
            last_id,
            stored: last_id,
            performed: last_id,
            above: cursor.above,
            lowest: cursor.lowest,
            backlog,
            ..Self::default()
        }
    }

    /// The next id: by the clock, but always higher than the last.
    pub(crate) fn next_id(&mut self, now_ms: u64) -> u64 {
        self.last_id = (self.last_id + 1).max(now_ms * 1_000);
        self.last_id
    }

    /// A row was given to a session that can settle it.
    pub(crate) fn given(&mut self, id: u64, spool: bool) {
        if self.unsettled.back().is_none_or(|last| *last < id) {
            self.unsettled.push_back(id);
        } else if let Err(at) = self.unsettled.binary_search(&id) {
            self.unsettled.insert(at, id);
        }
        if spool && !self.spooled.contains(&id) {
            self.spooled.push(id);
        }
    }

    /// A row waits and nobody is there to take it.
    pub(crate) fn waits(&mut self, id: u64) {
        self.lowest = self.lowest.min(id);
        self.backlog = true;
        self.waiting += 1;
        self.changed = true;
    }

    /// A row is settled; answers whether it was a spooled one.
    pub(crate) fn settle(&mut self, id: u64) -> bool {
        match self.unsettled.binary_search(&id) {
            Ok(at) => drop(self.unsettled.remove(at)),
            // It waits again, and was acknowledged after all.
            Err(_) if self.backlog && id >= self.lowest => {}
            Err(_) => return false,
        }
        self.changed = true;
        if (self.backlog || self.unsettled.front().is_some_and(|lowest| *lowest < id))
            && let Err(at) = self.above.binary_search(&id)
            && self.above.len() < store::cursors::ABOVE_MAX
        {
            self.above.insert(at, id);
        }
        if !self.backlog {
            self.advance();
        }
        match self.spooled.iter().position(|spooled| *spooled == id) {
            Some(at) => {
                self.spooled.swap_remove(at);
                true
            }
            None => false,
        }
    }

    /// All rows below are settled.
    pub(crate) fn settled_below(&mut self, id: u64) {
        if id > self.lowest {
            self.lowest = id;
            self.changed = true;
        }
    }

    /// What was given to a session that is no more waits again; answers whether anything does.
    pub(crate) fn ungive(&mut self, rows: &[u64]) -> bool {
        let mut any = false;
        for id in rows {
            if let Ok(at) = self.unsettled.binary_search(id) {
                self.unsettled.remove(at);
                self.spooled.retain(|spooled| spooled != id);
                self.waits(*id);
                any = true;
            }
        }
        any
    }

    /// Whether a row is with a session that has not acknowledged it.
    pub(crate) fn is_given(&self, id: u64) -> bool {
        self.unsettled.binary_search(&id).is_ok()
    }

    /// Whether a row was settled, under this owner or one before it.
    pub(crate) fn is_settled(&self, id: u64) -> bool {
        id < self.lowest || self.above.binary_search(&id).is_ok()
    }

    /// All that waited was given to a session.
    pub(crate) fn taken(&mut self) {
        self.backlog = false;
        self.waiting = 0;
        self.advance();
        self.changed = true;
    }

    /// Nothing waits but what was given.
    fn advance(&mut self) {
        self.lowest = self.unsettled.front().copied().unwrap_or(self.performed + 1);
        let lowest = self.lowest;
        self.above.retain(|above| *above > lowest);
    }

    /// No row below waits for a client.
    pub(crate) fn settled_until(&self) -> u64 {
        if self.backlog || !self.unsettled.is_empty() { self.lowest } else { self.performed + 1 }
    }

    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { lowest: self.lowest, above: self.above.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_clock_and_never_go_back() {
        let mut archive = Archive::default();
        assert_eq!(archive.next_id(5), 5_000);
        assert_eq!(archive.next_id(5), 5_001);
        assert_eq!(archive.next_id(4), 5_002);
    }

    #[test]
    fn the_cursor_is_the_lowest_unsettled_row() {
        let mut archive = Archive { last_id: 40, performed: 30, ..Archive::default() };
        archive.given(10, false);
        archive.given(20, false);
        archive.given(30, true);
        assert!(!archive.settle(20));
        assert_eq!((archive.lowest, archive.above.clone()), (10, vec![20]));
        archive.settle(10);
        assert_eq!((archive.lowest, archive.above.clone()), (30, vec![]));
        assert!(archive.settle(30), "spooled");
        assert_eq!(archive.lowest, 31);
    }

    #[test]
    fn rows_nobody_takes_wait_from_the_lowest_on() {
        let mut archive = Archive { last_id: 20, lowest: 5, ..Archive::default() };
        archive.given(10, false);
        archive.given(20, false);
        archive.settle(20);
        assert!(archive.ungive(&[10, 20]));
        assert!(archive.backlog);
        assert_eq!((archive.lowest, archive.above.clone()), (10, vec![20]));
    }
}
