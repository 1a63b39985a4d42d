//! What an export consists of: a line each, for people with `jq` too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use store::{Account, Activity, Cursor, Direction, Item, Row, Session, Subscription, Uid};
use xmpp::jid::Jid;

/// The version of this format. Readers refuse newer ones; fields may be added without a new one.
pub(super) const FORMAT: u32 = 2;

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    /// The first.
    Begin { throng: u32, accounts: u64 },
    /// A contact of a roster.
    Contact(Contact),
    /// A subscription request without an answer.
    Request { account: Address, from: Address, stanza: Base64 },
    /// A block list.
    Blocked { account: Address, jids: Vec<Address> },
    /// A named document.
    Document { account: Address, namespace: String, key: String, document: Base64 },
    /// A message of an archive.
    Message(Message),
    /// The greatest id that was used in an archive, where the message of that id is gone.
    Used { account: Address, last_id: u64 },
    /// A session whose client is gone but may resume.
    Hibernated { account: Address, origin: Base64, deadline_ms: u64, state: Base64 },
    /// How far offline messages are settled.
    Cursor { account: Address, lowest: u64, above: Vec<u64> },
    /// When the account was last there.
    Activity { account: Address, at_ms: u64, status: String },
    /// The account itself; it comes after everything that is kept of it, so that it exists only with all of that.
    Account { account: Address, keys: Base64, created_ms: u64, disabled: bool },
    /// The last: how many came before it.
    End { records: u64 },
}

/// A contact of a roster.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contact {
    pub(super) account: Address,
    jid: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    subscription: State,
    #[serde(default)]
    ask: bool,
    #[serde(default)]
    approved: bool,
    #[serde(default)]
    groups: Vec<String>,
}

/// Who is told of whose presence, as on the wire (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    None,
    To,
    From,
    Both,
}

/// A message of an archive. The epoch it was written in means nothing elsewhere, where others are given: it is left out, and
/// was before all of those.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    pub(super) account: Address,
    id: u64,
    origin: Base64,
    n: u64,
    k: u32,
    sent: bool,
    with: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    deliver: bool,
    spool: bool,
    stamp_ms: u64,
    stanza: Base64,
}

impl Record {
    /// Whose it is.
    pub(super) fn account(&self) -> Option<&Jid> {
        match self {
            Self::Begin { .. } | Self::End { .. } => None,
            Self::Contact(contact) => Some(&contact.account.0),
            Self::Message(message) => Some(&message.account.0),
            Self::Request { account, .. }
            | Self::Blocked { account, .. }
            | Self::Document { account, .. }
            | Self::Used { account, .. }
            | Self::Hibernated { account, .. }
            | Self::Cursor { account, .. }
            | Self::Activity { account, .. }
            | Self::Account { account, .. } => Some(&account.0),
        }
    }

    /// What it is one of.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Begin { .. } | Self::End { .. } => "-",
            Self::Contact(_) => "contacts",
            Self::Request { .. } => "requests",
            Self::Blocked { .. } => "block lists",
            Self::Document { .. } => "documents",
            Self::Message(_) | Self::Used { .. } => "messages",
            Self::Hibernated { .. } => "hibernated",
            Self::Cursor { .. } => "cursors",
            Self::Activity { .. } => "activities",
            Self::Account { .. } => "accounts",
        }
    }

    pub(super) fn of_session(session: Session) -> Self {
        let Session { origin, account, deadline_ms, state } = session;
        let origin = Base64(Bytes::copy_from_slice(&origin));
        Self::Hibernated { account: Address(account), origin, deadline_ms, state: Base64(state) }
    }

    pub(super) fn of_account(account: &Jid, record: Account) -> Self {
        let Account { keys, created_ms, disabled } = record;
        Self::Account { account: account.into(), keys: Base64(keys), created_ms, disabled }
    }

    pub(super) fn of_activity(account: &Jid, activity: Activity) -> Self {
        Self::Activity { account: account.into(), at_ms: activity.at_ms, status: activity.status }
    }

    pub(super) fn of_cursor(account: &Jid, cursor: Cursor) -> Self {
        Self::Cursor { account: account.into(), lowest: cursor.lowest, above: cursor.above }
    }

    pub(super) fn of_contact(account: &Jid, item: Item) -> Self {
        let Item { jid, name, subscription, ask, approved, groups } = item;
        let subscription = match subscription {
            Subscription::None => State::None,
            Subscription::To => State::To,
            Subscription::From => State::From,
            Subscription::Both => State::Both,
        };
        let (account, jid) = (account.into(), Address(jid));
        Self::Contact(Contact { account, jid, name, subscription, ask, approved, groups })
    }

    pub(super) fn of_row(row: Row) -> Self {
        Self::Message(Message {
            account: Address(row.archive),
            id: row.id,
            origin: Base64(Bytes::copy_from_slice(&row.uid.origin)),
            n: row.uid.n,
            k: row.uid.k,
            sent: row.direction == Direction::Sent,
            with: Address(row.with),
            address: row.address.map(Address),
            deliver: row.deliver,
            spool: row.spool,
            stamp_ms: row.stamp_ms,
            stanza: Base64(row.stanza),
        })
    }
}

impl From<Contact> for Item {
    fn from(contact: Contact) -> Item {
        let subscription = match contact.subscription {
            State::None => Subscription::None,
            State::To => Subscription::To,
            State::From => Subscription::From,
            State::Both => Subscription::Both,
        };
        let Contact { jid, name, ask, approved, groups, .. } = contact;
        Item { jid: jid.0, name, subscription, ask, approved, groups }
    }
}

impl TryFrom<Message> for Row {
    type Error = anyhow::Error;

    fn try_from(message: Message) -> anyhow::Result<Row> {
        let origin = message.origin.0.as_ref().try_into();
        let origin = origin.map_err(|_| anyhow::anyhow!("an origin has 16 bytes"))?;
        Ok(Row {
            archive: message.account.0,
            id: message.id,
            uid: Uid { origin, n: message.n, k: message.k },
            epoch: 0,
            direction: if message.sent { Direction::Sent } else { Direction::Received },
            with: message.with.0,
            address: message.address.map(|address| address.0),
            deliver: message.deliver,
            spool: message.spool,
            stamp_ms: message.stamp_ms,
            stanza: message.stanza.0,
        })
    }
}

/// A JID as text.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) Jid);

impl From<&Jid> for Address {
    fn from(jid: &Jid) -> Self {
        Self(jid.clone())
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| D::Error::custom(format!("{text:?} is no JID: {error}")))
    }
}

/// Bytes as text.
#[derive(Clone, Debug)]
pub(super) struct Base64(pub(super) Bytes);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(&text).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
    }
}
