//! The play about the end of an account.

use bytes::Bytes;
use xmpp::jid::Jid;

use super::{ids, jid, juliet, row};
use crate::{Account, Activity, Change, Cursor, Item, Roster, Session, Store};

/// Everything of an account goes with it, and nothing of its neighbours.
pub async fn removal(store: &Store) {
    let (before, after) = (jid("juliet@capulet.exampl"), jid("juliet@capulet.example.org"));
    for (at, owner) in [&before, &juliet(), &after].into_iter().enumerate() {
        furnish(store, owner, at as u8).await;
    }

    store.remove_account(&juliet()).await.unwrap();

    assert_eq!(store.accounts.load(&juliet()).await.unwrap(), None);
    assert_eq!(left(store, &juliet(), 1).await, 0);
    assert_eq!(left(store, &before, 0).await, 9);
    assert_eq!(left(store, &after, 2).await, 9);

    // Whoever has the name next begins with nothing.
    store.accounts.create(&juliet(), Account::default()).await.unwrap();
    assert_eq!(left(store, &juliet(), 1).await, 0);
    assert_eq!(store.hibernated.purge(u64::MAX).await.unwrap(), 2);
}

/// Gives the account something of every noun.
async fn furnish(store: &Store, owner: &Jid, at: u8) {
    store.accounts.create(owner, Account::default()).await.unwrap();
    store.accounts.set_last_activity(owner, Activity::default()).await.unwrap();
    store.rosters.apply(owner, vec![Change::Put(Item::new(jid("nurse@capulet.example")))]).await.unwrap();
    store.blocklists.block(owner, &[jid("paris@verona.example")]).await.unwrap();
    store.documents.put(owner, "vcard-temp", "", Bytes::from_static(b"<vCard/>")).await.unwrap();
    store.archive.append(&(1..=1500).map(|id| row(owner, id)).collect::<Vec<_>>()).await.unwrap();
    store.archive.delete(owner, &[1500]).await.unwrap();
    store.cursors.save(&[(owner.clone(), Cursor { lowest: 3, above: vec![] })]).await.unwrap();
    let session = Session { origin: [at; 16], account: owner.clone(), deadline_ms: 1, state: Bytes::new() };
    store.hibernated.put(session).await.unwrap();
}

/// How many nouns still have something of the account.
async fn left(store: &Store, owner: &Jid, at: u8) -> usize {
    let roster = store.rosters.load(owner).await.unwrap();
    let sessions = store.hibernated.list(owner).await.unwrap();
    [
        store.accounts.last_activity(owner).await.unwrap().is_some(),
        roster.version > 0,
        roster != Roster::default(),
        !store.blocklists.load(owner).await.unwrap().is_empty(),
        !store.documents.list(owner, "vcard-temp").await.unwrap().is_empty(),
        !ids(&store.archive.after(owner, 0, 1).await.unwrap()).is_empty(),
        store.archive.last_id(owner).await.unwrap() > 0,
        store.cursors.load(owner).await.unwrap() != Cursor::default(),
        sessions.iter().any(|session| session.origin == [at; 16]),
    ]
    .into_iter()
    .filter(|kept| *kept)
    .count()
}
