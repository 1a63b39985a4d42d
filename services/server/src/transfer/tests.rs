//! A server's whole store moves to another kind of store and back.
//!
//! `CQL` says where the cluster is: the name that `tests/infra/up` gives it, as what begins with `THRONG_` is an option.

use bytes::Bytes;
use store::rosters::{Change, Request as Ask};
use store::{Account, Activity, Cursor, Direction, Item, Row, Session, Store, Subscription, Uid};
use xmpp::jid::Jid;

use super::*;
use crate::control::Admin;

const ACCOUNTS: u8 = 12;
const MESSAGES: u64 = 450;

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// An account with something of every noun.
async fn furnish(store: &Store, at: u8) {
    let owner = jid(&format!("user{at}@localhost"));
    let account = Account { keys: Bytes::from(vec![at; 40]), created_ms: u64::from(at), disabled: at == 3 };
    store.accounts.create(&owner, account).await.unwrap();
    let activity = Activity { at_ms: 2, status: "gone".into() };
    store.accounts.set_last_activity(&owner, activity).await.unwrap();
    let contact = |n: u8| {
        let groups = vec!["Friends".into(), n.to_string()];
        let name = n.is_multiple_of(2).then(|| "Romeo".to_owned());
        let subscription = Subscription::Both;
        Change::Put(Item { name, groups, subscription, ..Item::new(jid(&format!("{n}@montague.example"))) })
    };
    let mut changes: Vec<Change> = (0..at).map(contact).collect();
    changes
        .push(Change::Ask(Ask { from: jid("paris@localhost"), stanza: Bytes::from_static(b"<presence/>") }));
    store.rosters.apply(&owner, changes).await.unwrap();
    store.blocklists.block(&owner, &[jid("tybalt@localhost")]).await.unwrap();
    store.documents.put(&owner, "vcard-temp", "", Bytes::from(vec![at; 1000])).await.unwrap();
    let row = |id| Row {
        archive: owner.clone(),
        id,
        uid: Uid { origin: [at; 16], n: id, k: 1 },
        epoch: 57,
        direction: if id % 3 == 0 { Direction::Sent } else { Direction::Received },
        with: jid("romeo@localhost/orchard"),
        address: (id % 2 == 0).then(|| owner.clone()),
        deliver: id % 5 == 0,
        spool: id % 7 == 0,
        stamp_ms: id,
        stanza: Bytes::from(vec![at; 100]),
    };
    store.archive.append(&(1..=MESSAGES).map(row).collect::<Vec<_>>()).await.unwrap();
    store.archive.delete(&owner, &[7, MESSAGES]).await.unwrap();
    store.cursors.save(&[(owner.clone(), Cursor { lowest: 6, above: vec![7] })]).await.unwrap();
    let session =
        Session { origin: [at; 16], account: owner, deadline_ms: u64::MAX, state: Bytes::from(vec![at; 50]) };
    store.hibernated.put(session).await.unwrap();
}

fn access(store: &Store) -> Access {
    let source = Source { domain: Some("localhost".into()), ..Source::default() };
    Access::to(Admin::new(&Configuration::load(&source, None).unwrap(), store.clone(), None))
}

async fn moved(from: &Store, to: &Store) -> String {
    move_all(&access(from), &access(to)).await.unwrap()
}

async fn last_ids(store: &Store) -> Vec<u64> {
    let mut ids = Vec::new();
    for at in 0..ACCOUNTS {
        ids.push(store.archive.last_id(&jid(&format!("user{at}@localhost"))).await.unwrap());
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_becomes_a_cluster_and_a_disk_again() {
    let Ok(node) = std::env::var("CQL") else {
        eprintln!("skipped: CQL does not say where Scylla or Cassandra is");
        return;
    };
    let keyspace = format!("throng_copy_{}", std::process::id());
    let options = store::scylla::Options { keyspace, ..store::scylla::Options::new(vec![node]) };
    store::scylla::migrate(&options, |_| ()).await.unwrap();
    let cluster = store::scylla::open(options).await.unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [first, last] = folders.each_ref().map(|folder| store::disk::open(folder.path()).unwrap());
    for at in 0..ACCOUNTS {
        furnish(&first, at).await;
    }

    let whole = "imported 12 accounts, 0 existed and are as they were";
    assert_eq!(moved(&first, &cluster).await, whole);
    assert_eq!(moved(&first, &cluster).await, "imported 0 accounts, 12 existed and are as they were");
    assert_eq!(moved(&cluster, &last).await, whole);
    assert_eq!(last_ids(&last).await, [MESSAGES; ACCOUNTS as usize]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_the_same_is_shown_by_its_noun() {
    let (from, to) = (store::memory::open(), store::memory::open());
    furnish(&from, 1).await;
    furnish(&from, 2).await;
    // There already, with another contact.
    furnish(&to, 2).await;
    to.rosters.apply(&jid("user2@localhost"), vec![Change::Remove(jid("0@montague.example"))]).await.unwrap();
    // Nobody asks about this one.
    furnish(&to, 3).await;

    let refused = move_all(&access(&from), &access(&to)).await.unwrap_err();
    assert!(refused.to_string().starts_with("not everything is the same"), "{refused}");

    let digest = async |store: &Store, of: Option<&Digest>| {
        let mut digest = Digest::default();
        let access = access(store);
        let told = access.ask(&Request::Export, |answer| match (answer, of) {
            (Answer::Record(record), Some(of)) => digest.add_common(&record, of),
            (Answer::Record(record), None) => digest.add(&record),
            _ => Ok(()),
        });
        told.await.unwrap();
        digest
    };
    let given = digest(&from, None).await;
    let (table, same) = given.compare(&digest(&to, Some(&given)).await);
    assert!(!same);
    let different: Vec<&str> = table.lines().filter(|line| line.ends_with("DIFFERENT")).collect();
    assert_eq!(different.len(), 1, "{table}");
    assert!(different[0].starts_with("contacts                3"), "{table}");
    assert!(table.lines().filter(|line| line.ends_with("same")).count() >= 8, "{table}");
}
