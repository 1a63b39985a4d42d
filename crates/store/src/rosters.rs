//! Rosters (RFC 6121 §2) and the subscription requests that wait for an answer (§3.1.3).

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of one item at most: its JID, its name and its groups together.
pub const ITEM_BYTES_MAX: usize = 16 * 1024;

/// The bytes of a pending request's stanza at most.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Who is told of whose presence (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// Neither.
    #[default]
    None,
    /// The account is told of the contact's presence.
    To,
    /// The contact is told of the account's presence.
    From,
    /// Both.
    Both,
}

/// One contact in a roster (RFC 6121 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The contact.
    pub jid: Jid,
    /// The name the account gave it.
    pub name: Option<String>,
    /// Who is told of whose presence.
    pub subscription: Subscription,
    /// The account's request waits for the contact's answer (§2.1.2.2).
    pub ask: bool,
    /// The contact's request was approved before it came (§2.1.2.1).
    pub approved: bool,
    /// The groups the account put it in, in its order.
    pub groups: Vec<String>,
}

impl Item {
    /// A contact without subscription, name or group.
    pub fn new(jid: Jid) -> Self {
        Self {
            jid,
            name: None,
            subscription: Subscription::None,
            ask: false,
            approved: false,
            groups: Vec::new(),
        }
    }

    fn size(&self) -> usize {
        let name = self.name.as_deref().map_or(0, str::len);
        self.jid.as_str().len() + name + self.groups.iter().map(String::len).sum::<usize>()
    }
}

/// A contact's request to subscribe that the account has not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who asks: a bare JID.
    pub from: Jid,
    /// Its whole presence stanza, encoded by the caller, at most [`REQUEST_BYTES_MAX`].
    pub stanza: Bytes,
}

/// Everything a roster holds, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The version (RFC 6121 §2.6): grows with each change of an item, 0 before the first.
    pub version: u64,
    /// The contacts, ordered by the bytes of their JIDs.
    pub items: Vec<Item>,
    /// The requests that wait for an answer, ordered by the bytes of their JIDs.
    pub requests: Vec<Request>,
}

/// One step of a change to a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a contact or replaces it.
    Put(Item),
    /// Removes a contact; it need not be there.
    Remove(Jid),
    /// Keeps a request until it is answered, in place of an earlier one from the same contact.
    Ask(Request),
    /// Forgets the request of a contact; there need not be one.
    Answer(Jid),
}

impl Change {
    /// Whether clients see it: pending requests are no part of the roster they hold a version of.
    pub(crate) fn moves_version(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Remove(_))
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Put(item) => Error::if_larger("a roster item in bytes", item.size(), ITEM_BYTES_MAX),
            Self::Ask(request) => {
                Error::if_larger("a subscription request in bytes", request.stanza.len(), REQUEST_BYTES_MAX)
            }
            Self::Remove(_) | Self::Answer(_) => Ok(()),
        }
    }
}

/// The rosters of all accounts.
#[async_trait]
pub trait Rosters: Send + Sync {
    /// The whole roster; an empty one for an account without contacts.
    async fn load(&self, account: &Jid) -> Result<Roster>;

    /// One contact of a roster. Never slow.
    async fn item(&self, account: &Jid, contact: &Jid) -> Result<Option<Item>>;

    /// Applies all steps at once, in order, and returns the version after them.
    ///
    /// The version grows by one if any step puts or removes an item, whether or not it changes anything, and stays as it
    /// is otherwise. Concurrent changes of one roster follow each other; each sees the version of the one before.
    async fn apply(&self, account: &Jid, changes: Vec<Change>) -> Result<u64>;
}
