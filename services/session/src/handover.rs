//! What an owner knows of an account goes with its slot: the next one goes on with that, and reads next to nothing
//! (docs/delivery.md §7).
//!
//! The copy is worth something only between two owners that follow each other in order: it names the epoch of the one that
//! wrote it, and the table of slots says whose epoch a slot's owner follows.

use std::future::ready;

use bytes::Bytes;
use features::{mam::preferences::Preferences, push};
use futures_util::{StreamExt, stream};
use hashbrown::HashMap;
use prost::Message;
use proto::cluster as wire;
use store::{Archive, Cursor, Item, Request, Roster, Store, Subscription};
use xmpp::jid::Jid;

use crate::marks::Marks;
use crate::receiving::Receiving;
use crate::resident::Resident;
use crate::shard::State;
use crate::stream::Stream;
use crate::work::Stored;

/// Subscriptions by their numbers in the copy.
const SUBSCRIPTIONS: [Subscription; 4] =
    [Subscription::None, Subscription::To, Subscription::From, Subscription::Both];

/// Copies are of use to the next owner for so long, in milliseconds.
const COPY_MS: u64 = 60_000;

/// Calls to a store that are under way at a time.
const CALLS_MAX: usize = 64;

/// What the owner of some slots leaves to the next one.
#[derive(Default)]
pub(crate) struct Legacy {
    accounts: Vec<Copy>,
    /// Of accounts without a copy.
    cursors: Vec<(Jid, Cursor)>,
    sessions: Vec<store::Session>,
}

/// An account as its owner knew it last.
struct Copy {
    account: Jid,
    told: wire::Handover,
    marks: Option<Box<Marks>>,
    /// It is not in the store yet.
    cursor: Option<Cursor>,
}

impl Legacy {
    /// Takes what a shard has of slots, which have epochs; the shard forgets them then.
    pub(crate) fn gather(
        &mut self,
        state: &mut State,
        slots: &HashMap<u16, u64>,
        archive: &dyn Archive,
        now_ms: u64,
    ) {
        let State { residents, common, .. } = state;
        for (_, resident) in residents.iter_mut().filter(|(_, one)| !one.absent && !one.removed) {
            let Some(epoch) = slots.get(&resident.slot) else { continue };
            self.sessions.extend(resident.unsaved_sessions(now_ms));
            let cursor = resident.archive.changed.then(|| resident.archive.cursor());
            let whole = common.is_gathered(resident.slot) && is_whole(resident);
            match whole.then(|| told(resident, *epoch, archive)).flatten() {
                Some(told) => {
                    let (account, marks) = (resident.account.jid.clone(), resident.marks.take());
                    self.accounts.push(Copy { account, told, marks, cursor });
                }
                None => self.cursors.extend(cursor.map(|cursor| (resident.account.jid.clone(), cursor))),
            }
        }
    }

    /// Leaves out what these accounts have refused: whose refusal its sender has not heard may come again to the next owner.
    pub(crate) fn except(&mut self, receiving: &Receiving, slots: &HashMap<u16, u64>) {
        let refused = receiving.refused_to(|slot| slots.contains_key(&slot));
        for copy in std::mem::take(&mut self.accounts) {
            let Some(refused) = &refused else {
                self.cursors.extend(copy.cursor.map(|cursor| (copy.account, cursor)));
                continue;
            };
            let mut copy = copy;
            let refused = refused.get(&copy.account).map_or(&[][..], Vec::as_slice);
            copy.told.received = copy.marks.take().map(|marks| marks.received(refused)).unwrap_or_default();
            self.accounts.push(copy);
        }
    }

    /// Writes it where the next owner finds it. What cannot be left is read from the store.
    pub(crate) async fn leave(self, store: &Store) {
        let puts = self.sessions.into_iter().map(|session| store.hibernated.put(session));
        let sessions = stream::iter(puts).buffer_unordered(CALLS_MAX);
        let sessions = sessions.filter(|put| ready(put.is_err())).count();
        let copies = stream::iter(self.accounts.into_iter().map(|copy| copy.put(store)));
        let unsaved = copies.buffer_unordered(CALLS_MAX).filter_map(ready).collect::<Vec<_>>();
        let (sessions, mut unsaved) = tokio::join!(sessions, unsaved);
        if sessions + unsaved.len() > 0 {
            tracing::warn!(
                sessions,
                accounts = unsaved.len(),
                "not all that the next owner wants could be left"
            );
        }
        unsaved.extend(self.cursors);
        crate::tick::save(store, &unsaved).await;
    }
}

impl Copy {
    /// Answers the cursor that is to be saved, if the copy is not left.
    async fn put(self, store: &Store) -> Option<(Jid, Cursor)> {
        let fits = self.told.encoded_len() <= store::handovers::BYTES_MAX;
        let left = fits && {
            let copy = self.told.encode_to_vec().into();
            store.handovers.put(&self.account, copy, COPY_MS).await.is_ok()
        };
        let cursor = if left { None } else { self.cursor };
        cursor.map(|cursor| (self.account, cursor))
    }
}

/// Whether all that was done for an account is known to the edges of its sessions. Without sessions nobody asks for it at
/// once, and it is read.
fn is_whole(resident: &Resident) -> bool {
    let kept = |stream: &Stream| stream.managed && stream.outbound.kept >= stream.outbound.n;
    !resident.gone && !resident.is_busy() && !resident.streams.is_empty() && resident.streams.iter().all(kept)
}

/// All but what was received. None: preferences that cannot be written.
fn told(resident: &Resident, epoch: u64, archive: &dyn Archive) -> Option<wire::Handover> {
    let account = &resident.account;
    let archiving = account.archiving.as_ref().map_or(Ok(None), |preferences| preferences.document()).ok()?;
    let cursor = resident.archive.cursor();
    let finished = resident
        .streams
        .iter()
        .map(|stream| wire::Finished { stream: Bytes::copy_from_slice(&stream.id), h: stream.inbound.h });
    Some(wire::Handover {
        epoch,
        roster_version: account.roster.version,
        contacts: account.roster.contacts().iter().map(|one| contact(one.item())).collect(),
        requests: account.roster.requests().iter().map(request).collect(),
        blocked: account.blocked.iter().map(ToString::to_string).collect(),
        archiving: archiving.unwrap_or_default(),
        pushes: push::document(&account.pushes).ok()?.unwrap_or_default(),
        last_id: resident.archive.last_id,
        archive_end: archive.known_end(&account.jid).unwrap_or_default(),
        unsaved: resident.archive.changed,
        lowest: cursor.lowest,
        above: cursor.above,
        received: Vec::new(),
        finished: finished.collect(),
    })
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
    // Whoever removed it may have been another process.
    let (copy, account) = tokio::join!(store.handovers.take(jid), store.accounts.load(jid));
    let copy = account.ok()?.and(copy.ok()?)?;
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
        unsaved: copy.unsaved,
        marks: (!copy.received.is_empty() || !copy.finished.is_empty()).then_some(marks),
        hibernated: Vec::new(),
    })
}

fn contact(item: Item) -> wire::Contact {
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

    fn copied(cursor: Option<Cursor>) -> Copy {
        let resident = juliet();
        let told = told(&resident, 3, &*store::memory::open().archive).unwrap();
        Copy { account: account("juliet"), told, marks: None, cursor }
    }

    async fn verona() -> Store {
        let store = store::memory::open();
        store.accounts.create(&account("juliet"), store::Account::default()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn a_copy_has_all_that_would_be_read() {
        let (store, resident) = (verona().await, juliet());
        assert_eq!(copied(Some(Cursor::default())).put(&store).await, None, "the copy has it");
        let stored = take_up(&store, &account("juliet"), 3, 4, 0).await.unwrap();
        let roster = features::roster::Roster::from(stored.roster);
        assert_eq!((roster.version, roster.contacts()), (7, resident.account.roster.contacts()));
        assert_eq!(roster.requests(), resident.account.roster.requests());
        assert_eq!(stored.blocked, [account("sampson")]);
        assert_eq!((stored.last_id, stored.cursor), (50, Cursor { lowest: 40, above: vec![45] }));
        assert!(stored.marks.is_none() && stored.archiving.is_none() && stored.pushes.is_empty());
    }

    #[tokio::test]
    async fn a_copy_of_another_epoch_or_of_nobody_is_read_by_nobody() {
        let store = verona().await;
        copied(None).put(&store).await;
        assert!(take_up(&store, &account("juliet"), 2, 4, 0).await.is_none());
        store.handovers.put(&account("juliet"), Bytes::from_static(b"what is this"), 60_000).await.unwrap();
        assert!(take_up(&store, &account("juliet"), 3, 4, 0).await.is_none());
        copied(None).put(&store).await;
        store.accounts.remove(&account("juliet")).await.unwrap();
        assert!(take_up(&store, &account("juliet"), 3, 4, 0).await.is_none(), "removed by another process");
    }

    #[tokio::test]
    async fn the_cursor_of_one_that_is_too_large_is_saved() {
        let mut copy = copied(Some(Cursor { lowest: 40, above: Vec::new() }));
        copy.told.blocked = vec!["o".repeat(1_000); 100];
        let left = copy.put(&verona().await).await;
        assert_eq!(left, Some((account("juliet"), Cursor { lowest: 40, above: Vec::new() })));
    }

    #[test]
    fn what_edges_may_not_know_yet_is_not_copied() {
        let mut resident = juliet();
        assert!(!is_whole(&resident), "nobody asks for it");
        let mut stream = Stream::new([7; 16], None);
        stream.managed = true;
        resident.streams.push(stream);
        assert!(is_whole(&resident));
        resident.streams[0].outbound.n = 1;
        assert!(!is_whole(&resident), "an answer may be on its way");
        resident.streams[0].outbound.kept = 1;
        assert!(is_whole(&resident));
        resident.pending = Some(Box::new(crate::resident::Pending::Load));
        assert!(!is_whole(&resident), "it is being read");
    }
}
