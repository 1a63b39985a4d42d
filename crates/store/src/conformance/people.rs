//! Plays about rosters, block lists and documents.

use bytes::Bytes;

use super::{jid, juliet, romeo};
use crate::{Change, Error, Item, Request, Roster, Store, Subscription, documents, rosters};

/// Items and requests come and go, and the version only grows.
pub async fn rosters(store: &Store) {
    let rosters = &store.rosters;
    assert_eq!(rosters.load(&juliet()).await.unwrap(), Roster::default());

    let contact = Item {
        name: Some("Romeo".into()),
        subscription: Subscription::Both,
        ask: true,
        approved: true,
        groups: vec!["Lovers".into(), String::new(), "Enemies".into()],
        ..Item::new(romeo())
    };
    let nurse = Item { name: Some(String::new()), ..Item::new(jid("nurse@capulet.example")) };
    let request = Request { from: jid("paris@verona.example"), stanza: Bytes::from_static(b"<presence/>") };
    let changes =
        vec![Change::Put(contact.clone()), Change::Put(nurse.clone()), Change::Ask(request.clone())];
    assert_eq!(rosters.apply(&juliet(), changes).await.unwrap(), 1);
    let loaded = rosters.load(&juliet()).await.unwrap();
    let items = vec![nurse.clone(), contact.clone()];
    assert_eq!(loaded, Roster { version: 1, items, requests: vec![request.clone()] });
    assert_eq!(rosters.item(&juliet(), &romeo()).await.unwrap(), Some(contact));
    assert_eq!(rosters.item(&romeo(), &juliet()).await.unwrap(), None);

    // Requests are no part of what clients hold a version of.
    assert_eq!(rosters.apply(&juliet(), vec![Change::Answer(request.from)]).await.unwrap(), 1);
    assert_eq!(rosters.apply(&juliet(), Vec::new()).await.unwrap(), 1);

    // In order: the last step for a contact is the one that stays.
    let renamed = Item { name: None, subscription: Subscription::To, ..nurse };
    let changes =
        vec![Change::Put(Item::new(romeo())), Change::Put(renamed.clone()), Change::Remove(romeo())];
    assert_eq!(rosters.apply(&juliet(), changes).await.unwrap(), 2);
    let loaded = rosters.load(&juliet()).await.unwrap();
    assert_eq!(loaded, Roster { version: 2, items: vec![renamed.clone()], requests: vec![] });

    assert_eq!(rosters.apply(&juliet(), vec![Change::Remove(renamed.jid)]).await.unwrap(), 3);
    assert_eq!(rosters.load(&juliet()).await.unwrap(), Roster { version: 3, ..Roster::default() });
}

/// Changes at the same time follow each other: no version is given twice.
pub async fn rosters_at_once(store: &Store) {
    let changes = (0..32).map(|at| {
        let rosters = store.rosters.clone();
        let item = Item::new(jid(&format!("{at}@verona.example")));
        tokio::spawn(async move { rosters.apply(&juliet(), vec![Change::Put(item)]).await.unwrap() })
    });
    let mut versions = Vec::new();
    for change in changes.collect::<Vec<_>>() {
        versions.push(change.await.unwrap());
    }
    versions.sort_unstable();

    assert_eq!(versions, (1..=32).collect::<Vec<_>>());
    assert_eq!(store.rosters.load(&juliet()).await.unwrap().items.len(), 32);
}

/// JIDs of every form are blocked, unblocked and cleared.
pub async fn blocklists(store: &Store) {
    let lists = &store.blocklists;
    let forms = ["montague.example", "paris@verona.example/pda", "romeo@montague.example"].map(jid);
    assert_eq!(lists.load(&juliet()).await.unwrap(), []);

    lists.block(&juliet(), &forms[1..]).await.unwrap();
    lists.block(&juliet(), &[forms[0].clone(), forms[1].clone()]).await.unwrap();
    assert_eq!(lists.load(&juliet()).await.unwrap(), forms);
    assert_eq!(lists.load(&romeo()).await.unwrap(), []);

    lists.unblock(&juliet(), &[forms[1].clone(), jid("nobody.example")]).await.unwrap();
    assert_eq!(lists.load(&juliet()).await.unwrap(), [forms[0].clone(), forms[2].clone()]);

    assert_eq!(lists.clear(&juliet()).await.unwrap(), [forms[0].clone(), forms[2].clone()]);
    assert_eq!(lists.clear(&juliet()).await.unwrap(), []);
    assert_eq!(lists.load(&juliet()).await.unwrap(), []);
}

/// Documents are told apart by account, namespace and key.
pub async fn documents(store: &Store) {
    let documents = &store.documents;
    let written =
        [("vcard", "", "a"), ("vcard", "hash", "b"), ("vcar", "dhash", "c"), ("vcard2", "hash", "d")];
    for (namespace, key, text) in written {
        documents.put(&juliet(), namespace, key, Bytes::from_static(text.as_bytes())).await.unwrap();
    }
    for (namespace, key, text) in written {
        let read = documents.read(&juliet(), namespace, key).await.unwrap();
        assert_eq!(read.as_deref(), Some(text.as_bytes()));
    }
    assert_eq!(documents.list(&juliet(), "vcard").await.unwrap(), ["", "hash"]);
    assert_eq!(documents.read(&romeo(), "vcard", "").await.unwrap(), None);

    documents.put(&juliet(), "vcard", "hash", Bytes::new()).await.unwrap();
    assert_eq!(documents.read(&juliet(), "vcard", "hash").await.unwrap(), Some(Bytes::new()));
    documents.delete(&juliet(), "vcard", "hash").await.unwrap();
    documents.delete(&juliet(), "vcard", "hash").await.unwrap();
    assert_eq!(documents.list(&juliet(), "vcard").await.unwrap(), [""]);
    assert_eq!(documents.list(&juliet(), "vcard2").await.unwrap(), ["hash"]);
    let named = |namespace: &str, key: &str| (namespace.to_owned(), key.to_owned());
    assert_eq!(
        documents.names(&juliet()).await.unwrap(),
        [named("vcar", "dhash"), named("vcard", ""), named("vcard2", "hash")]
    );
    assert_eq!(documents.names(&romeo()).await.unwrap(), []);
}

/// What is too large or has no name is refused, and leaves what was there.
pub async fn sizes(store: &Store) {
    let documents = &store.documents;
    let most = Bytes::from(vec![b'x'; documents::BYTES_MAX]);
    documents.put(&juliet(), "n", "k", most.clone()).await.unwrap();
    let more = Bytes::from(vec![b'y'; documents::BYTES_MAX + 1]);
    let refused = documents.put(&juliet(), "n", "k", more).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(documents.read(&juliet(), "n", "k").await.unwrap(), Some(most));

    let refused = documents.put(&juliet(), "n\0k", "", Bytes::new()).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");

    let group = "g".repeat(rosters::ITEM_BYTES_MAX);
    let item = Item { groups: vec![group], ..Item::new(romeo()) };
    let refused = store.rosters.apply(&juliet(), vec![Change::Put(item)]).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.rosters.load(&juliet()).await.unwrap(), Roster::default());
}
