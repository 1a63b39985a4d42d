//! An account's lane: whatever concerns the account starts in order and takes effect in order.
//!
//! Entries **start** in order of arrival: the features meet the stanza, archive writes are queued, stanzas for others
//! leave. They are **performed** in the same order: sessions get what is theirs. An archive write holds up the
//! performing of what is behind it, not its start, so many writes share one flush. Work on a store (a roster change,
//! a block list) holds up the start of what is behind it as well: at most one such entry is there, and it is the last.

use std::collections::VecDeque;

use features::about::At;
use features::account::Origin;
use features::context::Output;
use proto::session as wire;
use xmpp::stanza::Stanza;

use crate::edges::Link;
use crate::work::{Bind, Finish, FromEdge, Inbound, Resume};

/// What has arrived for an account.
pub(crate) enum Arrival {
    /// A stanza of one of its sessions.
    Own {
        stream: Origin,
        n: u64,
        stanza: Stanza,
    },
    /// A stanza for it.
    Inbound(Box<Inbound>),
    /// A stanza that the owner made for one of its sessions, and which of the session's own it answers, if that waits for it.
    ToSession(Origin, Option<u64>, Stanza),
    /// An edge attaches a stream, or says something of one whose attaching has not started.
    Edge(Origin, Link, Box<FromEdge>),
    Enable(wire::Enable),
    Csi(Origin, bool),
    Bind(Bind),
    Resume(Resume),
    Ended(Origin, Link, u64, wire::ended::Why),
    /// End a session with a stream error.
    Close(Origin, &'static str),
    /// A hibernating session's time is over.
    Expired(Origin),
    /// A session is to get what waits for it in the archive.
    Backlog(Origin),
    /// Sessions whose owner died are to get what came after their position.
    CatchUp,
    /// A session that the registry knew: unless it is here by now, nobody has it.
    Registered(Box<store::Registered>),
}

/// The lane of an account.
#[derive(Default)]
pub(crate) struct Lane {
    /// Started and not performed.
    pub(crate) started: VecDeque<Entry>,
    /// Not started, since the last of `started` is at work on a store.
    pub(crate) waiting: VecDeque<Arrival>,
    /// Whether it is.
    pub(crate) working: bool,
    /// Frames of edges among `waiting`: what comes behind them stays behind them.
    pub(crate) edges: usize,
}

/// Something started.
pub(crate) struct Entry {
    pub(crate) wait: Wait,
    pub(crate) effects: Vec<Effect>,
    pub(crate) finish: Finish,
}

/// What an entry's turn depends on beside those before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    /// The row with this id.
    Stored(u64),
}

/// What is done when an entry's turn has come.
pub(crate) enum Effect {
    Output(Output),
    /// A message for the sessions that routing chooses then.
    Message(Box<Message>),
    /// An IQ for one session.
    Iq(Box<Inbound>),
    /// Copies of a sent message for the sender's other sessions.
    Sent(Origin, Box<Stanza>),
    /// A copy of a stanza that was received before.
    Again(Box<Inbound>),
    /// A refused stanza of a client has been answered.
    Answered(Origin, u64),
    /// Begin an edge's counting.
    Enabled(wire::Enable),
}

/// A message that has been accepted for the account.
pub(crate) struct Message {
    pub(crate) inbound: Inbound,
    /// Its row; 0: in no archive.
    pub(crate) archive_id: u64,
    /// The row waits for a client (and only for that: it is deleted when settled).
    pub(crate) deliver: bool,
    pub(crate) spool: bool,
}

/// A stanza among the features of a phase.
pub(crate) struct Job {
    pub(crate) at: At,
    pub(crate) step: usize,
    pub(crate) session: Option<Origin>,
    pub(crate) stanza: Stanza,
    pub(crate) cause: Cause,
}

/// Where a job came from, and so what follows it.
pub(crate) enum Cause {
    /// The client's stanza `n`.
    Own { stream: Origin, n: u64, was_eligible: bool },
    /// Somebody's stanza; `stanza` in it is empty while the job has it.
    Inbound(Box<Inbound>),
    /// The owner itself.
    Owner,
}

impl Lane {
    /// Whether what arrives now may start.
    pub(crate) fn open(&self) -> bool {
        !self.working && self.waiting.is_empty()
    }

    /// What had started waits again, in front of all that has not and behind what did so before it.
    pub(crate) fn wait_again(&mut self, mut inbound: Inbound) {
        inbound.marked = true;
        let again = |arrival: &&Arrival| matches!(arrival, Arrival::Inbound(inbound) if inbound.marked);
        let at = self.waiting.iter().take_while(again).count();
        self.waiting.insert(at, Arrival::Inbound(Box::new(inbound)));
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.started.is_empty() && self.waiting.is_empty() && !self.working
    }
}
