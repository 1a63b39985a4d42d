//! Migrations, and a store that cannot be used.

use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{
    Account, Error,
    scylla::{self, Options, Step},
};
use xmpp::jid::Jid;

use crate::cluster::Keyspace;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_migrate_at_once_and_again_and_it_is_done_once() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let name = &keyspace.options.keyspace;
    keyspace.query(&format!("DROP KEYSPACE {name}")).await;
    let opened = scylla::open(keyspace.options.clone()).await;
    assert!(
        matches!(&opened, Err(Error::Refused(why)) if why.contains("throng migrate")),
        "{:?}",
        opened.err()
    );

    let migrate = || async {
        let mut steps = Vec::new();
        scylla::migrate(&keyspace.options, |step| steps.push(step)).await.map(|()| steps)
    };
    let (one, other) = tokio::join!(migrate(), migrate());
    let mut steps = one.unwrap();
    steps.extend(other.unwrap());
    let done = steps.iter().filter(|step| matches!(step, Step::Migrating(1, _))).count();
    assert_eq!(done, 1, "{steps:?}");
    scylla::open(keyspace.options.clone()).await.unwrap();
    assert_eq!(migrate().await.unwrap().last(), Some(&Step::Done(1)));
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_another_version_is_refused() {
    let Some(keyspace) = Keyspace::make().await else { return };
    for (version, expected) in
        [(0, Error::Older { found: 0, known: 1 }), (2, Error::Newer { found: 2, known: 1 })]
    {
        let name = &keyspace.options.keyspace;
        let set =
            format!("UPDATE {name}.schema_version SET version = {version} WHERE name = 'schema' IF EXISTS");
        keyspace.query(&set).await;
        assert_eq!(scylla::open(keyspace.options.clone()).await.err(), Some(expected));
    }
    keyspace.drop().await;
}

/// What a process left when it died is finished by the next one, after some time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_was_cut_off_is_finished() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let store = keyspace.open().await;
    let [cut_off, not_begun] =
        ["juliet@capulet.example", "nurse@capulet.example"].map(|text| Jid::from_prepared(text).unwrap());
    for account in [&cut_off, &not_begun] {
        store.accounts.create(account, Account::default()).await.unwrap();
        store.documents.put(account, "n", "k", Bytes::from_static(b"x")).await.unwrap();
        let removal = format!(
            "INSERT INTO {}.removals (account, begun_ms) VALUES ('{account}', 1)",
            keyspace.options.keyspace
        );
        keyspace.query(&removal).await;
    }
    let mark = "UPDATE {}.accounts SET removing = true WHERE domain = 'capulet.example' AND shard = 14 AND node = 'juliet' IF EXISTS";
    keyspace.query(&mark.replace("{}", &keyspace.options.keyspace)).await;
    assert_eq!(store.accounts.load(&cut_off).await.unwrap(), None);
    assert_eq!(
        store.accounts.list("capulet.example", None, 9).await.unwrap(),
        std::slice::from_ref(&not_begun)
    );
    assert_eq!(store.accounts.create(&cut_off, Account::default()).await, Err(Error::Conflict));

    let next = keyspace.open().await;
    assert_eq!(next.documents.read(&cut_off, "n", "k").await.unwrap(), None);
    next.accounts.create(&cut_off, Account::default()).await.unwrap();
    assert!(next.accounts.load(&not_begun).await.unwrap().is_some());
    assert!(next.documents.read(&not_begun, "n", "k").await.unwrap().is_some());
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_there_refuses_quickly() {
    let options = Options { timeout: Duration::from_millis(500), ..Options::new(vec!["127.0.0.1:9".into()]) };
    let start = Instant::now();
    let opened = scylla::open(options).await;
    assert!(matches!(opened, Err(Error::Refused(_))));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyspace_has_a_plain_name() {
    for keyspace in ["", "Throng", "a-b", "9", "a; drop"] {
        let options = Options { keyspace: keyspace.into(), ..Options::new(vec!["127.0.0.1:9".into()]) };
        assert!(matches!(scylla::migrate(&options, |_| ()).await, Err(Error::Refused(_))), "{keyspace}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_many_partitions_are_listed_in_order() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let store = keyspace.open().await;
    let jid = |at: usize| Jid::from_prepared(&format!("user-{at:04}@capulet.example")).unwrap();
    for at in 0..300 {
        store.accounts.create(&jid(at), Account::default()).await.unwrap();
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.accounts.list("capulet.example", after.as_ref(), 70).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        listed.extend(page);
    }
    assert_eq!(listed, (0..300).map(jid).collect::<Vec<_>>());
    keyspace.drop().await;
}
