//! What only the disk has: it is opened again, by one process, and says so when it cannot be.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

use std::time::Duration;

use bytes::Bytes;
use store::{Account, Direction, Error, Row, Store, Uid, disk};
use xmpp::jid::Jid;

fn juliet() -> Jid {
    Jid::from_prepared("juliet@capulet.example").unwrap()
}

fn row(id: u64) -> Row {
    Row {
        archive: juliet(),
        id,
        uid: Uid::default(),
        epoch: 1,
        direction: Direction::Received,
        with: Jid::from_prepared("romeo@montague.example").unwrap(),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: id,
        stanza: Bytes::from(vec![b'x'; 1000]),
    }
}

#[tokio::test]
async fn what_was_written_is_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    for id in 1..=3 {
        let store = disk::open(directory.path()).unwrap();
        assert_eq!(store.archive.last_id(&juliet()).await.unwrap(), id - 1);
        assert_eq!(store.epochs.raise("session-0").await.unwrap(), id);
        store.archive.append(&[row(id)]).await.unwrap();
    }

    let store = disk::open(directory.path()).unwrap();
    assert_eq!(store.archive.after(&juliet(), 0, 9).await.unwrap(), [row(1), row(2), row(3)]);
}

#[tokio::test]
async fn a_second_opening_is_refused_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();

    let error = disk::open(directory.path()).unwrap_err();
    assert_eq!(error, Error::Locked(directory.path().into()));
    assert!(error.to_string().ends_with("is open in another process"), "{error}");

    drop(store);
    disk::open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_newer_store_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("format"), "9\n").unwrap();

    let error = disk::open(directory.path()).unwrap_err();

    assert_eq!(error, Error::Newer { found: 9, known: 1 });
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_caller_that_stops_waiting_takes_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();

    let rows = [row(1)];
    let append = store.archive.append(&rows);
    let stopped = tokio::time::timeout(Duration::ZERO, append).await;

    drop(store);
    let store = disk::open(directory.path()).unwrap();
    assert_eq!(store.archive.last_id(&juliet()).await.unwrap(), 1, "stopped: {stopped:?}");
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_it_took_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let limits = disk::Limits { queue_entries_max: 8, ..disk::Limits::default() };
    let store = disk::open_with(directory.path(), limits).unwrap();

    let appends: Vec<_> = (1..=200).map(|id| (id, tokio::spawn(append(store.clone(), id)))).collect();
    let (mut kept, mut refused) = (Vec::new(), 0);
    for (id, append) in appends {
        match append.await.unwrap() {
            Ok(()) => kept.push(row(id)),
            Err(Error::Refused(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }

    assert!(refused > 0, "200 rows never filled a queue of 8");
    assert_eq!(store.archive.after(&juliet(), 0, 1000).await.unwrap(), kept);
}

async fn append(store: Store, id: u64) -> store::Result<()> {
    store.archive.append(&[row(id)]).await
}

#[tokio::test]
async fn a_removal_that_was_cut_off_is_finished_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = disk::open(directory.path()).unwrap();
    store.accounts.create(&juliet(), Account::default()).await.unwrap();
    store.archive.append(&(1..=3000).map(row).collect::<Vec<_>>()).await.unwrap();

    // Far enough to have begun: the account is gone and most of its rows are not.
    let begun = async {
        while store.accounts.load(&juliet()).await.unwrap().is_some() {
            tokio::task::yield_now().await;
        }
    };
    let juliet = juliet();
    tokio::select! {
        biased;
        () = begun => {}
        done = store.remove_account(&juliet) => done.unwrap(),
    }
    let created = store.accounts.create(&juliet, Account::default()).await;
    assert_eq!(created, Err(Error::Conflict), "its rows would be the next owner's");
    assert!(store.archive.last_id(&juliet).await.unwrap() > 0);

    drop(store);
    let store = disk::open(directory.path()).unwrap();
    assert_eq!(store.archive.last_id(&juliet).await.unwrap(), 0);
    store.accounts.create(&juliet, Account::default()).await.unwrap();
}
