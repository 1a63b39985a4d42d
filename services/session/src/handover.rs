//! What an owner knows of an account goes with its slot: the next one goes on with that, and reads next to nothing
//! (docs/delivery.md §7).
//!
//! The copy is worth something only between two owners that follow each other in order: it names the epoch of the one that
//! wrote it, and the table of slots says whose epoch a slot's owner follows.

use bytes::Bytes;
use features::{mam::preferences::Preferences, push};
use prost::Message;
use proto::cluster as wire;
use store::{Archive, Cursor, Item, Request, Roster, Store, Subscription, Uid};
use xmpp::jid::Jid;

use crate::marks::Marks;
use crate::resident::Resident;
use crate::work::Stored;

/// Subscriptions by their numbers in the copy.
const SUBSCRIPTIONS: [Subscription; 4] =
    [Subscription::None, Subscription::To, Subscription::From, Subscription::Both];

/// The copy of an account whose owner since `epoch` lets go of it, and has `refused` some of what it received. None: something
/// is under way, there is nothing, or it is too large to be worth it.
pub(crate) fn pack(resident: &Resident, epoch: u64, refused: &[Uid], archive: &dyn Archive) -> Option<Bytes> {
    if resident.absent || resident.removed || resident.gone || resident.is_busy() {
        return None;
    }
    let account = &resident.account;
    let archiving = account.archiving.as_ref().map_or(Ok(None), |preferences| preferences.document()).ok()?;
    let cursor = resident.archive.cursor();
    let finished = resident
        .streams
        .iter()
        .map(|stream| wire::Finished { stream: Bytes::copy_from_slice(&stream.id), h: stream.inbound.h });
    let copy = wire::Handover {
        epoch,
        roster_version: account.roster.version,
        contacts: account.roster.contacts().iter().map(|contact| told(contact.item())).collect(),
        requests: account.roster.requests().iter().map(request).collect(),
        blocked: account.blocked.iter().map(ToString::to_string).collect(),
        archiving: archiving.unwrap_or_default(),
        pushes: push::document(&account.pushes).ok()?.unwrap_or_default(),
        last_id: resident.archive.last_id,
        archive_end: archive.known_end(&account.jid).unwrap_or_default(),
        lowest: cursor.lowest,
        above: cursor.above,
        received: resident.marks.as_ref().map(|marks| marks.received(refused)).unwrap_or_default(),
        finished: finished.collect(),
    };
    (copy.encoded_len() <= store::handovers::BYTES_MAX).then(|| copy.encode_to_vec().into())
}

/// Takes an account up in an `epoch` behind the owner of an epoch `before` it. None: that one has left no copy, or the store
/// wants more to be done: then the account is read.
pub(crate) async fn take_up(
    store: &Store,
    jid: &Jid,
    before: u64,
    epoch: u64,
    now_ms: u64,
) -> Option<Stored> {
    let copy = store.handovers.take(jid).await.ok()??;
    let copy = wire::Handover::decode(copy).ok().filter(|copy| copy.epoch == before)?;
    let stored = unpack(&copy, now_ms)?;
    let last_id = store.archive.inherit(jid, epoch, &copy.archive_end).await.ok()?;
    // Ids may have been given to what was not stored in the end.
    Some(Stored { last_id: stored.last_id.max(last_id), ..stored })
}

fn unpack(copy: &wire::Handover, now_ms: u64) -> Option<Stored> {
    let contacts: Option<Vec<Item>> = copy.contacts.iter().map(item).collect();
    let requests: Option<Vec<Request>> = copy
        .requests
        .iter()
        .map(|one| Some(Request { from: jid(&one.from)?, stanza: Bytes::copy_from_slice(&one.stanza) }))
        .collect();
    let archiving = match &copy.archiving[..] {
        [] => None,
        document => Some(Box::new(Preferences::read(document)?)),
    };
    let pushes = match &copy.pushes[..] {
        [] => Vec::new(),
        document => push::read(document)?,
    };
    let marks = Marks::inherit(&copy.received, &copy.finished, now_ms);
    Some(Stored {
        roster: Roster { version: copy.roster_version, items: contacts?, requests: requests? },
        blocked: copy.blocked.iter().map(|blocked| jid(blocked)).collect::<Option<_>>()?,
        archiving,
        pushes,
        last_id: copy.last_id,
        cursor: Cursor { lowest: copy.lowest, above: copy.above.clone() },
        marks: (!copy.received.is_empty() || !copy.finished.is_empty()).then_some(marks),
        hibernated: Vec::new(),
    })
}

fn told(item: Item) -> wire::Contact {
    let subscription = SUBSCRIPTIONS.iter().position(|one| *one == item.subscription).unwrap_or_default();
    wire::Contact {
        jid: item.jid.to_string(),
        named: item.name.is_some(),
        name: item.name.unwrap_or_default(),
        subscription: subscription as u32,
        ask: item.ask,
        approved: item.approved,
        groups: item.groups,
    }
}

fn item(told: &wire::Contact) -> Option<Item> {
    Some(Item {
        jid: jid(&told.jid)?,
        name: told.named.then(|| told.name.clone()),
        subscription: *SUBSCRIPTIONS.get(told.subscription as usize)?,
        ask: told.ask,
        approved: told.approved,
        groups: told.groups.clone(),
    })
}

fn request(request: &Request) -> wire::Request {
    wire::Request { from: request.from.to_string(), stanza: request.stanza.clone() }
}

/// An address as this program has written it.
fn jid(text: &str) -> Option<Jid> {
    Jid::from_prepared(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{account, host};

    fn juliet() -> Resident {
        let mut roster = Roster { version: 7, ..Roster::default() };
        for (name, subscription) in [("nurse", Subscription::Both), ("romeo", Subscription::To)] {
            let groups = vec!["Verona".to_owned()];
            let item = Item { name: Some(name.to_owned()), subscription, groups, ..Item::new(account(name)) };
            roster.items.push(item);
        }
        roster.items.push(Item { ask: true, approved: true, ..Item::new(account("tybalt")) });
        roster.requests.push(Request { from: account("paris"), stanza: Bytes::from_static(b"<presence/>") });
        let mut resident = Resident::new(account("juliet"), std::sync::Arc::new(host()), 0);
        resident.account =
            features::account::Account::new(account("juliet"), roster, vec![account("sampson")]);
        resident.archive.last_id = 50;
        (resident.archive.lowest, resident.archive.above) = (40, vec![45]);
        resident
    }

    #[tokio::test]
    async fn a_copy_has_all_that_would_be_read() {
        let (store, resident) = (store::memory::open(), juliet());
        let copy = pack(&resident, 3, &[], &*store.archive).unwrap();
        store.handovers.put(&account("juliet"), copy, 60_000).await.unwrap();
        let stored = take_up(&store, &account("juliet"), 3, 4, 0).await.unwrap();
        let roster = features::roster::Roster::from(stored.roster);
        assert_eq!((roster.version, roster.contacts()), (7, resident.account.roster.contacts()));
        assert_eq!(roster.requests(), resident.account.roster.requests());
        assert_eq!(stored.blocked, [account("sampson")]);
        assert_eq!((stored.last_id, stored.cursor), (50, Cursor { lowest: 40, above: vec![45] }));
        assert!(stored.marks.is_none() && stored.archiving.is_none() && stored.pushes.is_empty());
    }

    #[tokio::test]
    async fn a_copy_of_another_epoch_is_nobodys() {
        let store = store::memory::open();
        let copy = pack(&juliet(), 3, &[], &*store.archive).unwrap();
        store.handovers.put(&account("juliet"), copy, 60_000).await.unwrap();
        assert!(take_up(&store, &account("juliet"), 2, 4, 0).await.is_none());
        store.handovers.put(&account("juliet"), Bytes::from_static(b"what is this"), 60_000).await.unwrap();
        assert!(take_up(&store, &account("juliet"), 3, 4, 0).await.is_none());
    }

    #[test]
    fn nothing_is_copied_while_something_is_under_way_or_much_too_much() {
        let (store, mut resident) = (store::memory::open(), juliet());
        resident.pending = Some(Box::new(crate::resident::Pending::Load));
        assert!(pack(&resident, 3, &[], &*store.archive).is_none());
        resident.pending = None;
        resident.account.blocked = vec![account(&"o".repeat(1_000)); 100];
        assert!(pack(&resident, 3, &[], &*store.archive).is_none());
    }
}
