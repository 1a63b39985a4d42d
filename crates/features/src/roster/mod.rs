//! Rosters (RFC 6121 §2): the contacts of an account in memory, and what its clients may do to them.

mod change;
mod room;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use store::{Change, Item, Request, Subscription};
use xmpp::jid::Jid;

pub(crate) use self::change::{change, push};
pub use self::room::ABOUT;
pub(crate) use self::room::Rosters;

/// Contacts of an account at most.
pub const CONTACTS_MAX: usize = 10_000;

/// Subscription requests that wait for an answer at most; further ones are dropped (RFC 6121 §13.3).
pub const REQUESTS_MAX: usize = 500;

/// Contacts, and the subscription requests that wait for an answer.
#[derive(Debug, Default)]
pub struct Roster {
    /// Grows with each change of a contact (RFC 6121 §2.6).
    pub version: u64,
    /// Ordered by JID.
    contacts: Vec<Contact>,
    /// Ordered by JID.
    requests: Vec<Request>,
}

/// One contact. Accounts are many and most of their contacts idle: this is 40 bytes and the text of the JID, which lies
/// with those of the other contacts; what few contacts have is behind one pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who, bare as a rule.
    pub jid: Jid,
    /// Who is told of whose presence.
    pub subscription: Subscription,
    /// The account's request waits for the contact's answer (§2.1.2.2).
    pub ask: bool,
    /// The contact's request was approved before it came (§3.4).
    pub approved: bool,
    label: Option<Box<Label>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    name: Option<Box<str>>,
    groups: Box<[Box<str>]>,
}

impl Roster {
    /// All contacts, ordered by JID.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// A contact.
    pub fn contact(&self, jid: &Jid) -> Option<&Contact> {
        self.contacts.binary_search_by(|contact| contact.jid.cmp(jid)).ok().map(|at| &self.contacts[at])
    }

    /// Whether the account is told of the presence of `jid`, bare or full.
    pub fn sees(&self, jid: &Jid) -> bool {
        self.contact(&jid.bare()).is_some_and(Contact::seen)
    }

    /// Whether `jid`, bare or full, is told of the account's presence.
    pub fn seen_by(&self, jid: &Jid) -> bool {
        self.contact(&jid.bare()).is_some_and(Contact::sees)
    }

    /// Subscription requests that wait for an answer, ordered by JID.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The request of a contact that waits for an answer, in its stored form.
    pub fn request(&self, from: &Jid) -> Option<&Bytes> {
        let at = self.requests.binary_search_by(|request| request.from.cmp(from)).ok()?;
        Some(&self.requests[at].stanza)
    }

    /// Does what the store has done, which has answered with the `version`.
    pub fn apply(&mut self, version: u64, changes: Vec<Change>) {
        self.version = version;
        for change in changes {
            match change {
                Change::Put(item) => put(&mut self.contacts, Contact::from(item), |contact| &contact.jid),
                Change::Remove(jid) => remove(&mut self.contacts, &jid, |contact| &contact.jid),
                Change::Ask(request) => put(&mut self.requests, request, |request| &request.from),
                Change::Answer(jid) => remove(&mut self.requests, &jid, |request| &request.from),
            }
        }
    }
}

fn put<T>(list: &mut Vec<T>, entry: T, jid: impl Fn(&T) -> &Jid) {
    match list.binary_search_by(|other| jid(other).cmp(jid(&entry))) {
        Ok(at) => list[at] = entry,
        Err(at) => list.insert(at, entry),
    }
}

fn remove<T>(list: &mut Vec<T>, which: &Jid, jid: impl Fn(&T) -> &Jid) {
    if let Ok(at) = list.binary_search_by(|other| jid(other).cmp(which)) {
        list.remove(at);
    }
}

impl From<store::Roster> for Roster {
    fn from(stored: store::Roster) -> Self {
        // Collected in place of the larger items, which would leave half of the memory unused.
        let mut contacts: Vec<_> = stored.items.into_iter().map(Contact::from).collect();
        contacts.shrink_to_fit();
        Jid::share(contacts.iter_mut().map(|contact| &mut contact.jid));
        Self { version: stored.version, contacts, requests: stored.requests }
    }
}

impl Contact {
    /// The name the account gave it.
    pub fn name(&self) -> Option<&str> {
        self.label.as_ref()?.name.as_deref()
    }

    /// The groups the account put it in.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.label.iter().flat_map(|label| &label.groups).map(AsRef::as_ref)
    }

    /// Whether the account is told of its presence.
    pub fn seen(&self) -> bool {
        matches!(self.subscription, Subscription::To | Subscription::Both)
    }

    /// Whether it is told of the account's presence.
    pub fn sees(&self) -> bool {
        matches!(self.subscription, Subscription::From | Subscription::Both)
    }

    /// As the store keeps it.
    pub fn item(&self) -> Item {
        Item {
            jid: self.jid.clone(),
            name: self.name().map(str::to_owned),
            subscription: self.subscription,
            ask: self.ask,
            approved: self.approved,
            groups: self.groups().map(str::to_owned).collect(),
        }
    }
}

impl From<Item> for Contact {
    fn from(item: Item) -> Self {
        let plain = item.name.is_none() && item.groups.is_empty();
        let groups = item.groups.into_iter().map(String::into_boxed_str).collect();
        Self {
            jid: item.jid,
            subscription: item.subscription,
            ask: item.ask,
            approved: item.approved,
            label: (!plain).then(|| Box::new(Label { name: item.name.map(String::into_boxed_str), groups })),
        }
    }
}
