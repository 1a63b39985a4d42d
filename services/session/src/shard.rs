//! Shards: the accounts of an owner, spread by slot.
//!
//! A shard is a lock around plain state, and an inbox. Whoever posts work drains it: the work of a stanza between two
//! accounts is done by the thread that brought it, one shard after the other. Work that one shard has for another is
//! put into that one's inbox while the first is still locked, so what leaves in order arrives in order. Nothing waits
//! while a shard is locked.

use std::collections::VecDeque;
use std::mem::{swap, take};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use features::account::Origin;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use proto::session::owner_frame;
use slab::Slab;
use store::Row;
use xmpp::jid::Jid;

use crate::edges::Link;
use crate::owner::Owner;
use crate::resident::Resident;
use crate::work::{Finish, Work};

/// Shards of an owner; a power of two that divides the slots.
pub(crate) const SHARDS: usize = 64;

/// Room for work that a shard keeps.
const SPARE_MAX: usize = 128;

/// A part of an owner's accounts.
#[derive(Default)]
pub(crate) struct Shard {
    inbox: Mutex<VecDeque<Work>>,
    pub(crate) state: Mutex<State>,
}

/// What is in a shard.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) residents: Slab<Box<Resident>>,
    pub(crate) common: Common,
}

/// What a shard's accounts share.
#[derive(Default)]
pub(crate) struct Common {
    pub(crate) by_jid: HashMap<Jid, usize, RandomState>,
    pub(crate) by_stream: HashMap<Origin, usize, RandomState>,
    /// Rows that the next write takes: who waits for each, and what.
    pub(crate) rows: Vec<(usize, Row)>,
    /// Stanzas that are in mailboxes and nowhere else.
    pub(crate) held: Slab<Held>,
    /// Accounts that the next tick looks at.
    pub(crate) watched: Vec<usize>,
    /// Work for this very shard, done before anything else.
    pub(crate) next: VecDeque<Work>,
    /// What came for accounts before all their sessions were known.
    #[allow(clippy::vec_box, reason = "they come and go in their boxes")]
    pub(crate) gathering: Vec<Box<crate::work::Inbound>>,
    /// Whether expired messages of an account are being deleted.
    pub(crate) sweeping: Arc<AtomicBool>,
    /// Places of accounts whose slots are another's, and since when.
    pub(crate) husks: VecDeque<(u64, usize)>,
    /// Logins and resumptions that came before that.
    pub(crate) early: Vec<Work>,
    /// For which slots that is over: what has waited has started. A bit each.
    gathered: u64,
    posts: Vec<(usize, Work)>,
    /// The inbox that was last emptied, to be filled again.
    spare: VecDeque<Work>,
    /// Edges that frames were queued for.
    links: Vec<Link>,
    /// Streams whose `h` the edge has to be told.
    handled: Vec<(usize, Origin)>,
}

/// A stanza given to sessions and kept nowhere else, for as long as one of them has not acknowledged it.
pub(crate) struct Held {
    /// Edges that do not have it yet; it is finished when all do.
    pub(crate) waits: u32,
    pub(crate) finish: Finish,
    /// Mailboxes that it is in.
    pub(crate) mails: u32,
    /// A client has it: it is owed to nobody any more.
    pub(crate) acked: bool,
}

/// What work is done with beside the account it concerns.
pub(crate) struct Cx<'a> {
    pub(crate) owner: &'a Arc<Owner>,
    pub(crate) shard: usize,
    pub(crate) now_ms: u64,
    pub(crate) common: &'a mut Common,
}

impl Common {
    /// Whether the sessions of a slot of this shard are gathered.
    pub(crate) fn is_gathered(&self, slot: u16) -> bool {
        self.gathered & bit(slot) != 0
    }

    pub(crate) fn set_gathered(&mut self, slot: u16, gathered: bool) {
        if gathered {
            self.gathered |= bit(slot);
        } else {
            self.gathered &= !bit(slot);
        }
    }
}

/// A slot among those of its shard.
fn bit(slot: u16) -> u64 {
    1 << (usize::from(slot) / SHARDS)
}

impl Cx<'_> {
    /// Something happened to an account of `shard`.
    pub(crate) fn post(&mut self, shard: usize, work: Work) {
        if shard == self.shard {
            self.common.next.push_back(work);
        } else {
            self.common.posts.push((shard, work));
        }
    }

    /// More of what a stream's client sent is finished, or its edge has to hear so again.
    pub(crate) fn handled(&mut self, at: usize, stream: Origin) {
        if self.common.handled.last() != Some(&(at, stream)) {
            self.common.handled.push((at, stream));
        }
    }

    /// A frame for an edge; frames of one shard to one edge keep their order.
    pub(crate) fn frame(&mut self, link: &Link, kind: owner_frame::Kind) {
        link.queue(kind);
        if !self.common.links.contains(link) {
            self.common.links.push(link.clone());
        }
    }

    /// Does something that waits, and posts what came of it to this shard.
    pub(crate) fn spawn(&self, work: impl Future<Output = Work> + Send + 'static) {
        let (owner, shard) = (Arc::clone(self.owner), self.shard);
        tokio::spawn(async move {
            let work = work.await;
            owner.post(shard, work);
        });
    }
}

/// The shard of a slot.
pub(crate) fn of_slot(slot: u16) -> usize {
    usize::from(slot) % SHARDS
}

/// The shard of an account.
pub(crate) fn of(bare: &str) -> usize {
    of_slot(node::slots::of(bare, ""))
}

/// The shard of a stream: its id begins with the account's slot.
pub(crate) fn of_stream(stream: Origin) -> usize {
    of_slot(u16::from_be_bytes([stream[0], stream[1]]))
}

impl Owner {
    /// Something happened to an account of `shard`; it is dealt with before this returns, or by whoever is at it.
    pub(crate) fn post(self: &Arc<Self>, shard: usize, work: Work) {
        self.shards[shard].inbox.lock().push_back(work);
        self.pump(VecDeque::from([shard]));
    }

    /// Much happened; order is kept for each shard.
    pub(crate) fn post_all(self: &Arc<Self>, works: impl Iterator<Item = (usize, Work)>) {
        let mut touched = VecDeque::new();
        for (shard, work) in works {
            self.shards[shard].inbox.lock().push_back(work);
            if !touched.contains(&shard) {
                touched.push_back(shard);
            }
        }
        self.pump(touched);
    }

    fn pump(self: &Arc<Self>, mut touched: VecDeque<usize>) {
        if !self.lease.awake() {
            // What has come waits for the next tick that finds this owner to be one still.
            return;
        }
        let now_ms = self.clock.now_ms();
        let mut links = Vec::new();
        // First come, first served: what many shards have for one is there when that one's turn comes.
        while let Some(shard) = touched.pop_front() {
            // Whoever holds the lock may have passed the inbox already: waiting for it is what makes nothing stay.
            let mut state = self.shards[shard].state.lock();
            let mut works = take(&mut state.common.spare);
            swap(&mut *self.shards[shard].inbox.lock(), &mut works);
            while let Some(work) = works.pop_front() {
                state.work(self, shard, now_ms, work);
                while let Some(work) = state.common.next.pop_front() {
                    state.work(self, shard, now_ms, work);
                }
            }
            if works.capacity() <= SPARE_MAX {
                state.common.spare = works;
            }
            state.tell_handled(self, shard, now_ms);
            state.write(self, shard);
            for link in state.common.links.drain(..) {
                if !links.contains(&link) {
                    links.push(link);
                }
            }
            for (other, work) in state.common.posts.drain(..) {
                self.shards[other].inbox.lock().push_back(work);
                if !touched.contains(&other) {
                    touched.push_back(other);
                }
            }
        }
        for link in links {
            link.wake();
        }
    }
}

impl State {
    /// An account of this shard and what is needed to deal with it.
    pub(crate) fn resident<'a>(
        &'a mut self,
        owner: &'a Arc<Owner>,
        shard: usize,
        now_ms: u64,
        at: usize,
    ) -> Option<(&'a mut Resident, Cx<'a>)> {
        let resident = self.residents.get_mut(at).filter(|resident| !resident.gone)?;
        resident.used_ms = now_ms;
        Some((resident, Cx { owner, shard, now_ms, common: &mut self.common }))
    }

    /// Tells edges how far their streams' stanzas are finished, once for all that happened.
    fn tell_handled(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64) {
        for (at, id) in take(&mut self.common.handled) {
            if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                resident.tell_handled(&mut cx, id);
            }
        }
    }

    /// Gives the rows that have gathered to the owner's writer.
    fn write(&mut self, owner: &Arc<Owner>, shard: usize) {
        if !self.common.rows.is_empty() {
            owner.writer.put(owner, shard, self.common.rows.drain(..));
        }
    }
}
