//! Plays about what owners of accounts keep: cursors, epochs, hibernated sessions.

use bytes::Bytes;

use super::{juliet, romeo};
use crate::{Cursor, Error, Session, Store, cursors};

/// Cursors are saved together, and read as they were saved.
pub async fn cursors(store: &Store) {
    assert_eq!(store.cursors.load(&juliet()).await.unwrap(), Cursor::default());

    let ahead = Cursor { lowest: 0, above: vec![0, 7, u64::MAX] };
    let plain = Cursor { lowest: u64::MAX, above: vec![] };
    store.cursors.save(&[(juliet(), plain.clone()), (romeo(), plain.clone())]).await.unwrap();
    store.cursors.save(&[(juliet(), ahead.clone())]).await.unwrap();

    assert_eq!(store.cursors.load(&juliet()).await.unwrap(), ahead);
    assert_eq!(store.cursors.load(&romeo()).await.unwrap(), plain);

    let large = Cursor { lowest: 1, above: (2..).take(cursors::ABOVE_MAX + 1).collect() };
    let refused = store.cursors.save(&[(romeo(), Cursor::default()), (juliet(), large)]).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(store.cursors.load(&romeo()).await.unwrap(), plain, "all or none");
}

/// An epoch grows by one, each member's for itself.
pub async fn epochs(store: &Store) {
    assert_eq!(store.epochs.current("session-0").await.unwrap(), 0);
    assert_eq!(store.epochs.raise("session-0").await.unwrap(), 1);
    assert_eq!(store.epochs.raise("session-0").await.unwrap(), 2);
    assert_eq!(store.epochs.raise("session-1").await.unwrap(), 1);
    assert_eq!(store.epochs.current("session-0").await.unwrap(), 2);
}

/// No two who raise an epoch at the same time are given the same one.
pub async fn epochs_at_once(store: &Store) {
    let raises = (0..32).map(|_| {
        let epochs = store.epochs.clone();
        tokio::spawn(async move { epochs.raise("session-0").await.unwrap() })
    });
    let mut raised = Vec::new();
    for raise in raises.collect::<Vec<_>>() {
        raised.push(raise.await.unwrap());
    }
    raised.sort_unstable();

    assert_eq!(raised, (1..=32).collect::<Vec<_>>());
}

/// A session is kept until it is taken, replaced or purged.
pub async fn hibernated(store: &Store) {
    let sessions = &store.hibernated;
    let [first, second, third] = [1, 2, 3].map(|at| session(at, 100 * u64::from(at)));
    for session in [&second, &first, &third] {
        sessions.put(session.clone()).await.unwrap();
    }
    assert_eq!(sessions.list(&juliet()).await.unwrap(), [first.clone(), second.clone(), third.clone()]);
    assert_eq!(sessions.list(&romeo()).await.unwrap(), []);

    assert_eq!(sessions.take(first.origin).await.unwrap(), Some(first.clone()));
    assert_eq!(sessions.take(first.origin).await.unwrap(), None);

    let later = Session { deadline_ms: 300, state: Bytes::new(), ..second };
    sessions.put(later.clone()).await.unwrap();
    assert_eq!(sessions.purge(300).await.unwrap(), 0);
    assert_eq!(sessions.list(&juliet()).await.unwrap(), [later.clone(), third]);

    let moved = Session { account: romeo(), deadline_ms: 400, ..later };
    sessions.put(moved.clone()).await.unwrap();
    assert_eq!(sessions.list(&romeo()).await.unwrap(), std::slice::from_ref(&moved));
    assert_eq!(sessions.purge(400).await.unwrap(), 1);
    assert_eq!(sessions.list(&juliet()).await.unwrap(), []);
    assert_eq!(sessions.purge(u64::MAX).await.unwrap(), 1);
    assert_eq!(sessions.take(moved.origin).await.unwrap(), None);
}

/// Of two who take a session one gets it.
pub async fn taken_once(store: &Store) {
    let kept = session(1, 100);
    store.hibernated.put(kept.clone()).await.unwrap();
    let takes = (0..16).map(|_| {
        let sessions = store.hibernated.clone();
        tokio::spawn(async move { sessions.take([1; 16]).await.unwrap() })
    });
    let mut taken = Vec::new();
    for take in takes.collect::<Vec<_>>() {
        taken.extend(take.await.unwrap());
    }

    assert_eq!(taken, [kept]);
}

fn session(at: u8, deadline_ms: u64) -> Session {
    Session { origin: [at; 16], account: juliet(), deadline_ms, state: Bytes::from(vec![at; 3]) }
}
