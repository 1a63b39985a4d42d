//! What owners of earlier epochs write late is never seen. Each owner is a process of its own here: it has the store
//! open for itself.

use bytes::Bytes;
use store::{Cursor, Direction, Error, Row, Store, Uid};
use xmpp::jid::Jid;

use crate::cluster::Keyspace;

fn juliet() -> Jid {
    Jid::from_prepared("juliet@capulet.example").unwrap()
}

fn row(epoch: u64, id: u64, text: &str) -> Row {
    Row {
        archive: juliet(),
        id,
        uid: Uid { origin: [epoch as u8; 16], n: id, k: 0 },
        epoch,
        direction: Direction::Received,
        with: Jid::from_prepared("romeo@montague.example").unwrap(),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: id,
        stanza: Bytes::from(text.to_owned()),
    }
}

/// A row that fills a bucket.
fn large(epoch: u64, id: u64) -> Row {
    row(epoch, id, &"x".repeat(1024 * 1024))
}

async fn ids(store: &Store) -> Vec<u64> {
    let rows = store.archive.after(&juliet(), 0, 1000).await.unwrap();
    let after: Vec<u64> = rows.iter().map(|row| row.id).collect();
    let before = store.archive.before(&juliet(), u64::MAX, 1000).await.unwrap();
    assert_eq!(after, before.iter().map(|row| row.id).collect::<Vec<_>>(), "both ways");
    after
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_owner_writes_late_is_never_seen() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (third, fourth) = (keyspace.open().await, keyspace.open().await);
    third.archive.take_over(&juliet(), 3).await.unwrap();
    third.archive.append(&[row(3, 10, "seen")]).await.unwrap();

    assert_eq!(fourth.archive.take_over(&juliet(), 4).await.unwrap(), 10);
    third.archive.append(&[row(3, 11, "late")]).await.unwrap();
    assert_eq!(ids(&fourth).await, [10]);
    assert_eq!(fourth.archive.last_id(&juliet()).await.unwrap(), 10);

    // The same id again, whoever comes last.
    fourth.archive.append(&[row(4, 11, "of the owner")]).await.unwrap();
    third.archive.append(&[row(3, 11, "later still"), row(3, 12, "and more")]).await.unwrap();
    assert_eq!(ids(&fourth).await, [10, 11]);
    let kept = fourth.archive.row(&juliet(), 11).await.unwrap().unwrap();
    assert_eq!(&kept.stanza[..], b"of the owner");

    // Nor does it take anything away.
    third.archive.delete(&juliet(), &[11]).await.unwrap();
    assert_eq!(ids(&fourth).await, [10, 11]);

    let refused = third.archive.take_over(&juliet(), 2).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_an_emptied_bucket_rows_are_written_where_they_are_found() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (third, fourth) = (keyspace.open().await, keyspace.open().await);
    third.archive.take_over(&juliet(), 3).await.unwrap();
    for id in 1..=5 {
        third.archive.append(&[large(3, id)]).await.unwrap();
    }
    third.archive.delete(&juliet(), &[5]).await.unwrap();
    assert_eq!(fourth.archive.take_over(&juliet(), 4).await.unwrap(), 5);
    fourth.archive.append(&[row(4, 6, "seen")]).await.unwrap();
    let fresh = keyspace.open().await;
    assert_eq!(ids(&fresh).await, [1, 2, 3, 4, 6]);
    assert_eq!(fresh.archive.take_over(&juliet(), 5).await.unwrap(), 6);
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_inherited_stays_whoever_comes_then() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (third, fourth) = (keyspace.open().await, keyspace.open().await);
    third.archive.take_over(&juliet(), 3).await.unwrap();
    for id in 1..=5 {
        third.archive.append(&[large(3, id)]).await.unwrap();
    }
    let end = third.archive.known_end(&juliet()).unwrap();
    assert_eq!(fourth.archive.inherit(&juliet(), 4, &end).await.unwrap(), 5);
    fourth.archive.append(&[row(4, 6, "of the heir")]).await.unwrap();
    let fresh = keyspace.open().await;
    assert_eq!(fresh.archive.take_over(&juliet(), 7).await.unwrap(), 6);
    third.archive.append(&[row(3, 7, "late")]).await.unwrap();
    assert_eq!(ids(&fresh).await, [1, 2, 3, 4, 5, 6]);
    let refused = fourth.archive.inherit(&juliet(), 6, &end).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_owner_begins_no_bucket_that_is_seen() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (third, fourth) = (keyspace.open().await, keyspace.open().await);
    third.archive.take_over(&juliet(), 3).await.unwrap();
    for id in 1..=5 {
        third.archive.append(&[large(3, id)]).await.unwrap();
    }
    assert_eq!(fourth.archive.take_over(&juliet(), 4).await.unwrap(), 5);

    // Both begin a bucket with the same row, the earlier owner before and after the later one, and another one.
    third.archive.append(&[row(3, 6, "early")]).await.unwrap();
    assert_eq!(ids(&fourth).await, [1, 2, 3, 4, 5]);
    fourth.archive.append(&[row(4, 7, "of the owner")]).await.unwrap();
    third.archive.append(&[row(3, 7, "late"), row(3, 8, "late")]).await.unwrap();
    for id in 9..=14 {
        third.archive.append(&[large(3, id)]).await.unwrap();
    }
    assert_eq!(ids(&fourth).await, [1, 2, 3, 4, 5, 7]);
    for id in 10..=12 {
        fourth.archive.append(&[row(4, id, "of the owner")]).await.unwrap();
    }
    assert_eq!(ids(&fourth).await, [1, 2, 3, 4, 5, 7, 10, 11, 12]);

    let fifth = keyspace.open().await;
    assert_eq!(fifth.archive.take_over(&juliet(), 5).await.unwrap(), 12);
    assert_eq!(ids(&fifth).await, [1, 2, 3, 4, 5, 7, 10, 11, 12]);
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_takes_over_again_and_one_that_dies_in_between_change_nothing() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (one, other) = (keyspace.open().await, keyspace.open().await);
    one.archive.take_over(&juliet(), 1).await.unwrap();
    one.archive.append(&[row(1, 1, "a")]).await.unwrap();
    other.archive.take_over(&juliet(), 2).await.unwrap();
    other.archive.append(&[row(2, 2, "b")]).await.unwrap();

    assert_eq!(one.archive.take_over(&juliet(), 3).await.unwrap(), 2);
    one.archive.append(&[row(3, 3, "c")]).await.unwrap();
    other.archive.append(&[row(2, 4, "late")]).await.unwrap();
    assert_eq!(one.archive.take_over(&juliet(), 3).await.unwrap(), 3, "in the same epoch");
    let again = keyspace.open().await;
    assert_eq!(again.archive.take_over(&juliet(), 3).await.unwrap(), 3, "in the same epoch, after a restart");
    assert_eq!(ids(&again).await, [1, 2, 3]);

    // Somebody decides to take it over in epoch 6, and dies before anything is fenced.
    let first = (1_u64 << 63).cast_signed();
    let decided = format!(
        "UPDATE {}.archive_heads SET epoch = 6, bucket = {first}, last_id = {} WHERE archive = '{}' IF epoch = 3",
        keyspace.options.keyspace,
        first + 3,
        juliet()
    );
    keyspace.query(&decided).await;
    again.archive.append(&[row(3, 5, "late")]).await.unwrap();
    let next = keyspace.open().await;
    assert_eq!(next.archive.take_over(&juliet(), 7).await.unwrap(), 3);
    assert_eq!(ids(&next).await, [1, 2, 3]);
    keyspace.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_an_account_has_is_fenced_too() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (third, fourth) = (keyspace.open().await, keyspace.open().await);
    third.archive.take_over(&juliet(), 3).await.unwrap();
    fourth.archive.take_over(&juliet(), 4).await.unwrap();
    let cursor = |lowest| [(juliet(), Cursor { lowest, above: vec![] })];

    fourth.cursors.save(&cursor(20)).await.unwrap();
    fourth.documents.put(&juliet(), "n", "k", Bytes::from_static(b"new")).await.unwrap();
    fourth.blocklists.block(&juliet(), &[juliet()]).await.unwrap();
    third.cursors.save(&cursor(10)).await.unwrap();
    third.documents.put(&juliet(), "n", "k", Bytes::from_static(b"old")).await.unwrap();
    third.blocklists.clear(&juliet()).await.unwrap();

    assert_eq!(fourth.cursors.load(&juliet()).await.unwrap().lowest, 20);
    let document = fourth.documents.read(&juliet(), "n", "k").await.unwrap();
    assert_eq!(document.as_deref(), Some(&b"new"[..]));
    assert_eq!(fourth.blocklists.load(&juliet()).await.unwrap(), [juliet()]);
    keyspace.drop().await;
}

/// A name that is given away again begins with nothing, and can be written to, whatever epoch it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_begins_again_after_its_account_was_removed() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let store = keyspace.open().await;
    store.archive.take_over(&juliet(), 3).await.unwrap();
    for id in 1..=9 {
        store.archive.append(&[large(3, id)]).await.unwrap();
    }
    store.remove_account(&juliet()).await.unwrap();
    assert_eq!(ids(&store).await, [0; 0]);
    assert_eq!(store.archive.take_over(&juliet(), 3).await.unwrap(), 0);
    store.archive.append(&[row(3, 4, "anew")]).await.unwrap();
    assert_eq!(ids(&store).await, [4]);
    let other = keyspace.open().await;
    assert_eq!(other.archive.take_over(&juliet(), 4).await.unwrap(), 4);
    keyspace.drop().await;
}

/// Buckets without rows are not looked into again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_many_buckets_is_read_and_emptied() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let store = keyspace.open().await;
    for id in 1..=20 {
        store.archive.append(&[large(1, 10 * id)]).await.unwrap();
    }
    // Not in the order of their ids, and into three buckets.
    store.archive.append(&[row(1, 55, "x"), row(1, 205, "x"), row(1, 5, "x")]).await.unwrap();
    let all: Vec<u64> = ids(&store).await;
    assert_eq!(all.len(), 23);
    assert!(all.is_sorted());
    let page = store.archive.before(&juliet(), 60, 3).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [40, 50, 55]);
    assert_eq!(store.archive.row(&juliet(), 55).await.unwrap().unwrap().id, 55);

    store.archive.delete(&juliet(), &all[..21]).await.unwrap();
    assert_eq!(ids(&store).await, [200, 205]);
    store.archive.delete(&juliet(), &all[21..]).await.unwrap();
    assert_eq!(ids(&store).await, [0; 0]);
    assert_eq!(keyspace.open().await.archive.last_id(&juliet()).await.unwrap(), 205);
    store.archive.append(&[row(1, 300, "x")]).await.unwrap();
    assert_eq!(ids(&keyspace.open().await).await, [300]);
    keyspace.drop().await;
}
