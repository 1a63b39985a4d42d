//! What a feature sees of an account: who it is, its roster and block list, and its sessions.
//!
//! All of it is plain state in memory, loaded when the account is first needed. Numbers, mailboxes and edges are not
//! here: features know no delivery.

pub mod blob;

use store::Roster as Stored;
use xmpp::jid::Jid;
use xmpp::stanza::Stanza;

use crate::mam::preferences::Preferences;
use crate::push::Registration;
use crate::roster::Roster;

/// Names a client's stream for life, through any number of connections: the origin of its uids.
pub type Origin = [u8; 16];

/// Contacts that a session may have sent directed presence to, at most.
pub const DIRECTED_MAX: usize = 1_000;

/// A local account.
#[derive(Debug)]
pub struct Account {
    /// Bare.
    pub jid: Jid,
    /// Contacts, subscriptions, requests that wait for an answer.
    pub roster: Roster,
    /// Blocked JIDs (XEP-0191): bare, full, domain or domain/resource.
    pub blocked: Vec<Jid>,
    /// What of its messages is archived (XEP-0441); none: everything.
    pub archiving: Option<Box<Preferences>>,
    /// Push services that are told of what nobody sees (XEP-0357).
    pub pushes: Vec<Registration>,
    /// Sessions that are there or hibernate.
    pub sessions: Vec<Session>,
    /// SHA-1 of the photo in the vCard, in hexadecimal (XEP-0153); empty: there is none; none: not asked yet.
    pub photo: Option<Box<str>>,
}

/// A session as the account's rules see it: the state that survives its owner in an opaque blob.
#[derive(Debug)]
pub struct Session {
    /// The stream it is.
    pub stream: Origin,
    /// Full.
    pub jid: Jid,
    /// The presence it last broadcast; none: not available.
    pub presence: Option<Box<Stanza>>,
    /// Of that presence (RFC 6121 §4.7.2.3).
    pub priority: i8,
    /// Has asked for the roster (RFC 6121 §2.2).
    pub interested: bool,
    /// Has asked for the block list (XEP-0191 §3.1).
    pub blocklist: bool,
    /// Wants carbons (XEP-0280).
    pub carbons: bool,
    /// Its client's user looks elsewhere (XEP-0352).
    pub inactive: bool,
    /// Who got directed presence from it, bare or full (RFC 6121 §4.6).
    pub directed: Vec<Jid>,
    /// When it was bound, in unix milliseconds.
    pub since_ms: u64,
    /// It has read its account's archive up to here before it took messages (XEP-0313 §6.1.1); 0: it has not.
    pub fetched: u64,
    /// Stanzas held back while inactive; not part of the blob.
    pub held_back: Vec<Stanza>,
}

impl Account {
    /// An account as it was stored, without sessions.
    pub fn new(jid: Jid, roster: Stored, blocked: Vec<Jid>) -> Self {
        Self {
            jid,
            roster: Roster::from(roster),
            blocked,
            archiving: None,
            pushes: Vec::new(),
            sessions: Vec::new(),
            photo: None,
        }
    }

    /// The session of a stream.
    pub fn session(&self, stream: Origin) -> Option<&Session> {
        self.sessions.iter().find(|session| session.stream == stream)
    }

    /// The session of a stream, to be changed.
    pub fn session_mut(&mut self, stream: Origin) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.stream == stream)
    }

    /// The session with a resource.
    pub fn resource(&self, resource: &str) -> Option<&Session> {
        self.sessions.iter().find(|session| session.jid.resource() == Some(resource))
    }

    /// Whether stanzas from and to an address are blocked (XEP-0191 §5). Nobody blocks their own sessions (§4).
    pub fn blocks(&self, jid: &Jid) -> bool {
        // Most accounts block nobody: this is asked for every stanza.
        !self.blocked.is_empty()
            && !jid.same_bare(&self.jid)
            && self.blocked.iter().any(|blocked| covers(blocked, jid))
    }

    /// Sessions that have sent initial presence and are still available.
    pub fn available(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.presence.is_some())
    }
}

/// Whether `jid` is one that `pattern` stands for: a full JID for itself, a bare one for its resources, a domain for all
/// who are there, a domain with a resource for itself (XEP-0191 §5).
pub fn covers(pattern: &Jid, jid: &Jid) -> bool {
    match (pattern.node(), pattern.resource()) {
        (_, Some(_)) => pattern == jid,
        (Some(_), None) => pattern.same_bare(jid),
        (None, None) => pattern.domain() == jid.domain(),
    }
}

impl Session {
    /// A session that was just bound.
    pub fn new(stream: Origin, jid: Jid, now_ms: u64) -> Self {
        Self {
            stream,
            jid,
            presence: None,
            priority: 0,
            interested: false,
            blocklist: false,
            carbons: false,
            inactive: false,
            directed: Vec::new(),
            since_ms: now_ms,
            fetched: 0,
            held_back: Vec::new(),
        }
    }

    /// Whether it takes messages for the bare JID (RFC 6121 §8.5.2.1.1).
    pub fn eligible(&self) -> bool {
        self.presence.is_some() && self.priority >= 0
    }
}
