//! What can happen to a shard. Everything that happens comes as work through its inbox, in order.

use bytes::Bytes;
use features::account::Origin;
use features::context::After;
use proto::session as wire;
use store::{Cursor, Row, Uid};
use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, StanzaError};

use crate::edges::Link;
use crate::marks::Marks;

/// Something that happened.
pub(crate) enum Work {
    /// For a stream: a frame of its edge.
    Stream(Origin, Link, FromEdge),
    /// A login asks for a session.
    Bind(Bind),
    /// A login asks for the session it had.
    Resume(Resume),
    /// A stanza for an account of this shard.
    Inbound(Box<Inbound>),
    /// A part of a client's stanza is finished.
    Finished(Origin, u64, Option<StanzaError>),
    /// Something that an account has waited for is done.
    Done(usize, Done),
    /// An account of a slot was read from the store; none: there is no such account, an error: the store does not answer.
    Loaded(usize, u16, Box<Loaded>),
    /// Rows are durable, or could not be written.
    Stored(Vec<(usize, u64)>, bool),
    /// An edge is gone: its streams hibernate.
    LinkLost(Link),
    /// End the sessions of an account with a stream error; with `removed`, forget it.
    EndAll(Jid, &'static str, bool),
    /// Slots are this owner's now.
    Taken(Vec<u16>),
    /// Slots stay this owner's that were to be let go of.
    Kept(Vec<u16>),
    /// The sessions of slots are gathered.
    Gathered(Vec<u16>),
    /// The registry had a session when its slot was taken: unless somebody has it now, it is over.
    Registered(store::Registered),
    /// Time has passed.
    Tick,
}

/// What an account has waited for.
pub(crate) enum Done {
    /// What the resumption of a stream's generation has waited for.
    Resumable(Origin, u64),
    /// What a lane waited for.
    Continued(Result<After, StanzaError>),
    /// Rows that somebody waits for were read.
    Read(Result<Vec<Row>, store::Error>),
    /// A hibernating session is in the store, as of these numbers; none: it could not be written.
    Saved(Origin, Option<(u64, u64, u64, u64)>),
}

/// What an edge says of one of its streams.
pub(crate) enum FromEdge {
    /// A stanza of its client was left out, as the slot was about to move: so is what is behind it.
    Torn,
    /// A stanza of its client, packed.
    Item {
        generation: u64,
        n: u64,
        stanza: Bytes,
    },
    Kept(u64),
    Acked(u64),
    Enable(wire::Enable),
    Csi(bool),
    Attach(Box<wire::Attach>),
    Ended {
        generation: u64,
        why: wire::ended::Why,
    },
    /// It takes more of what is given.
    Room,
}

/// Asks for a session.
pub(crate) struct Bind {
    pub(crate) link: Link,
    pub(crate) exchange: u64,
    pub(crate) jid: Jid,
    pub(crate) resource: String,
}

/// Asks for the session of an earlier connection.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) link: Link,
    pub(crate) exchange: u64,
    pub(crate) stream: Origin,
    pub(crate) jid: Jid,
    pub(crate) previd: String,
    pub(crate) h: u32,
}

/// A stanza on its way to a local account.
pub(crate) struct Inbound {
    pub(crate) uid: Uid,
    pub(crate) finish: Finish,
    pub(crate) must: bool,
    /// It has been marked as received: it is no copy of itself.
    pub(crate) marked: bool,
    /// The addressee, of whom the stanza's `to` may be one of many.
    pub(crate) to: Jid,
    pub(crate) stanza: Stanza,
}

/// Who waits to hear that a stanza is finished, or why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nobody.
    Nobody,
    /// A local client's stanza.
    Client(Origin, u64),
    /// An item of another owner, by the number of one of its addressees.
    Remote(u64),
}

/// An account as it is stored.
pub(crate) struct Loaded {
    pub(crate) account: Result<Option<Stored>, store::Error>,
}

/// What is read of an account.
pub(crate) struct Stored {
    pub(crate) roster: store::Roster,
    pub(crate) blocked: Vec<Jid>,
    pub(crate) archiving: Option<Box<features::mam::preferences::Preferences>>,
    pub(crate) last_id: u64,
    pub(crate) cursor: Cursor,
    /// The cursor is not in the store yet.
    pub(crate) unsaved: bool,
    pub(crate) pushes: Vec<features::push::Registration>,
    /// Of what was received before and may come again.
    pub(crate) marks: Option<Box<Marks>>,
    pub(crate) hibernated: Vec<store::Session>,
}
