//! What an edge remembers of a bound stream so that its owner may die: what the client sent and the owner isn't
//! finished with, what the owner gave and the client doesn't have, and the owner's own state, unread.

use std::collections::VecDeque;

use bytes::Bytes;
use node::{
    Outbox,
    carry::{self, View},
};
use proto::{
    delivery::{Item, Origin, Uid},
    session::{Above, Attach, Deliver, EdgeFrame, OpenIq, Resumed, State, edge_frame::Kind},
};
use xmpp::{
    stanza::{self, Stanza, Type},
    stream::Counts,
};

/// Requests to others that a stream may have open; older ones are forgotten first.
const OPEN_IQS_MAX: usize = 64;
/// Archive ids that a stream may have settled since its cursor moved; older ones are forgotten first and repeat at worst.
const SETTLED_MAX: usize = 1024;
/// Stanzas in no archive that a client acknowledged of late; older ones are forgotten first. One whose sender was not told
/// in time that it is finished is sent again to the next owner, which knows it only from here.
const RECENT_MAX: usize = 64;
/// How long the answer to an IQ is waited for.
const OPEN_IQ_MS: u64 = 300_000;

/// A bound stream, whether its client is there or not.
pub(crate) struct Record {
    /// Origin of its uids.
    pub(crate) id: Origin,
    pub(crate) generation: u64,
    /// Where frames for its owner go; none while the link is down.
    pub(crate) outbox: Option<Outbox<EdgeFrame>>,
    /// New items wait here for the next owner.
    pub(crate) holds: bool,
    pub(crate) resume: bool,
    pub(crate) max_s: u32,
    unfinished: VecDeque<Unfinished>,
    unfinished_bytes: usize,
    mailbox: VecDeque<Deliver>,
    state: Bytes,
    cursor: u64,
    position: u64,
    above: Vec<Above>,
    settled: VecDeque<u64>,
    recent: VecDeque<Uid>,
    open_iqs: Vec<OpenIq>,
    /// The last number that the owner was told is kept.
    kept: u64,
    /// What the client did that `Attach` has no word for: the last of each kind.
    said: Vec<EdgeFrame>,
}

/// A stanza of the client's that its owner is not finished with.
struct Unfinished {
    n: u64,
    since_ms: u64,
    /// Packed.
    stanza: Bytes,
}

impl Record {
    pub(crate) fn new(id: Origin, generation: u64, outbox: Option<Outbox<EdgeFrame>>) -> Self {
        Self {
            id,
            generation,
            outbox,
            holds: false,
            resume: false,
            max_s: 0,
            unfinished: VecDeque::new(),
            unfinished_bytes: 0,
            mailbox: VecDeque::new(),
            state: Bytes::new(),
            cursor: 0,
            position: 0,
            above: Vec::new(),
            settled: VecDeque::new(),
            recent: VecDeque::new(),
            open_iqs: Vec::new(),
            kept: 0,
            said: Vec::new(),
        }
    }

    /// Sends to the owner; while it can't be reached nothing is lost, as [`Record::attach`] says it all again.
    pub(crate) fn send(&mut self, frames: &mut Vec<EdgeFrame>) {
        if self.outbox.as_ref().is_some_and(|outbox| !outbox.send_all(frames)) {
            self.outbox = None;
        }
        frames.clear();
    }

    /// A frame for the owner, which the next owner has to hear too.
    pub(crate) fn says(&mut self, kind: Kind) -> EdgeFrame {
        let same = std::mem::discriminant(&kind);
        self.said
            .retain(|frame| frame.kind.as_ref().is_some_and(|kind| std::mem::discriminant(kind) != same));
        self.said.push(frame(kind.clone()));
        frame(kind)
    }

    /// Stream management is on: it need not be asked for again.
    pub(crate) fn enabled(&mut self, resume: bool, max_s: u32) {
        self.said.retain(|frame| !matches!(frame.kind, Some(Kind::Enable(_))));
        (self.resume, self.max_s) = (resume, max_s);
    }

    // --- in ---

    /// A stanza of the client's, its `n`th: a frame for the owner, if it takes items now, and its bytes as credit counts
    /// them.
    pub(crate) fn item(&mut self, n: u64, stanza: &Stanza, now_ms: u64) -> Option<(EdgeFrame, usize)> {
        self.track(stanza, now_ms);
        let unfinished = Unfinished { n, since_ms: now_ms, stanza: carry::pack(stanza) };
        let item =
            (!self.holds).then(|| (unfinished.frame(self.id, self.generation), unfinished.stanza.len()));
        self.unfinished_bytes += unfinished.size();
        self.unfinished.push_back(unfinished);
        item
    }

    /// What the owner isn't finished with: items and their bytes.
    pub(crate) fn unfinished(&self) -> (usize, usize) {
        (self.unfinished.len(), self.unfinished_bytes)
    }

    /// The owner is finished with everything up to `h` and with some above it.
    pub(crate) fn handled(&mut self, h: u64, above: Vec<Above>) {
        while self.unfinished.front().is_some_and(|item| item.n <= h) {
            if let Some(item) = self.unfinished.pop_front() {
                self.unfinished_bytes -= item.size();
            }
        }
        if self.unfinished.is_empty() {
            self.unfinished = VecDeque::new();
        }
        self.above = above;
    }

    fn track(&mut self, stanza: &Stanza, now_ms: u64) {
        let request = stanza.kind == stanza::Kind::Iq && matches!(stanza.ty, Type::Get | Type::Set);
        let Some(to) = stanza.to.as_ref().filter(|_| request) else { return };
        self.open_iqs.retain(|open| open.deadline > now_ms);
        if self.open_iqs.len() == OPEN_IQS_MAX {
            self.open_iqs.remove(0);
        }
        let id = stanza.id.as_deref().unwrap_or_default().to_owned();
        self.open_iqs.push(OpenIq { to: to.as_str().to_owned(), id, deadline: now_ms + OPEN_IQ_MS });
    }

    // --- out ---

    /// The owner gives a stanza.
    pub(crate) fn give(&mut self, position: u64, stanza: Option<&View<'_>>) {
        self.position = self.position.max(position);
        if let Some(stanza) = stanza
            && !self.open_iqs.is_empty()
            && stanza.kind == stanza::Kind::Iq
            && matches!(stanza.ty, Type::Result | Type::Error)
        {
            self.open_iqs.retain(|open| open.id != stanza.id().unwrap_or_default() || open.to != stanza.from);
        }
    }

    /// It stays in the mailbox until it is acknowledged.
    pub(crate) fn keep(&mut self, mut deliver: Deliver) {
        // A slice of a message would hold the whole message.
        deliver.stanza = Bytes::copy_from_slice(&deliver.stanza);
        self.mailbox.push_back(deliver);
    }

    /// Stanzas in the mailbox.
    pub(crate) fn mailbox(&self) -> usize {
        self.mailbox.len()
    }

    /// The client has everything up to `n`.
    pub(crate) fn acked(&mut self, n: u64) {
        while self.mailbox.front().is_some_and(|deliver| deliver.out_n <= n) {
            let Some(deliver) = self.mailbox.pop_front() else { break };
            if deliver.settles && deliver.archive_id >= self.cursor {
                if self.settled.len() == SETTLED_MAX {
                    self.settled.pop_front();
                }
                self.settled.push_back(deliver.archive_id);
            }
            if deliver.archive_id == 0
                && let Some(uid) = deliver.uid
            {
                if self.recent.len() >= RECENT_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back(uid);
            }
        }
        if self.mailbox.is_empty() {
            self.mailbox = VecDeque::new();
        }
    }

    /// Whether the owner has to be told that `n` is kept, once.
    pub(crate) fn keeps(&mut self, n: u64) -> bool {
        let news = n > self.kept;
        self.kept = self.kept.max(n);
        news
    }

    /// The owner's state, for the next owner.
    pub(crate) fn remember(&mut self, state: &State) {
        self.state = Bytes::copy_from_slice(&state.blob);
        self.cursor = self.cursor.max(state.cursor);
        self.position = self.position.max(state.position);
        self.settled.retain(|id| *id >= self.cursor);
    }

    /// What a resumed stream begins with.
    pub(crate) fn resume(&mut self, resumed: &Resumed) {
        self.state = Bytes::copy_from_slice(&resumed.state);
        self.position = resumed.position;
        self.recent = resumed.recent.iter().copied().collect();
        self.resume = true;
        self.max_s = resumed.max_s;
    }

    /// Everything, for an owner that has nothing or lost the link: the stream, its unfinished items, what else was said.
    /// Answers how many items and bytes of them there are.
    pub(crate) fn attach(
        &self,
        jid: &str,
        counts: &Counts,
        managed: bool,
        lost: bool,
        address: String,
        frames: &mut Vec<EdgeFrame>,
    ) -> (i64, u64) {
        frames.push(frame(Kind::Attach(Box::new(Attach {
            stream: Some(self.id),
            generation: self.generation,
            jid: jid.to_owned(),
            state: self.state.clone(),
            position: self.position,
            h: counts.handled,
            above: self.above.clone(),
            open_iq: self.open_iqs.clone(),
            settled: self.settled.iter().copied().collect(),
            recent: self.recent.iter().copied().collect(),
            mailbox: self.mailbox.iter().cloned().collect(),
            out_n: counts.given,
            acked: counts.acked,
            managed,
            resume: self.resume,
            max_s: self.max_s,
            in_base: counts.in_base,
            out_base: counts.out_base,
            cursor: self.cursor,
            address,
            lost,
            last: false,
            epoch: 0,
        }))));
        let mut spent = (0, 0);
        for item in self.unfinished.iter().filter(|item| !self.above.iter().any(|above| above.n == item.n)) {
            spent = (spent.0 + 1, spent.1 + item.stanza.len() as u64);
            frames.push(item.frame(self.id, self.generation));
        }
        frames.extend(self.said.iter().cloned());
        spent
    }
}

impl Unfinished {
    fn frame(&self, origin: Origin, generation: u64) -> EdgeFrame {
        frame(Kind::Item(Box::new(Item {
            uid: Some(Uid { origin: Some(origin), n: self.n, k: 0 }),
            generation,
            sent_at: self.since_ms,
            stanza: self.stanza.clone(),
            ..Item::default()
        })))
    }

    /// Bytes that it holds, about.
    fn size(&self) -> usize {
        self.stanza.len() + size_of::<Self>()
    }
}

pub(crate) fn frame(kind: Kind) -> EdgeFrame {
    EdgeFrame { kind: Some(kind) }
}
