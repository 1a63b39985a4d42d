//! Plays about accounts.

use bytes::Bytes;

use super::{jid, juliet, romeo};
use crate::{Account, Activity, Error, Store};

/// An account is created, read, replaced, listed and removed.
pub async fn accounts(store: &Store) {
    let accounts = &store.accounts;
    let first = Account { keys: Bytes::from_static(b"one"), created_ms: 5, disabled: false };
    assert_eq!(accounts.load(&juliet()).await.unwrap(), None);
    assert_eq!(accounts.replace(&juliet(), first.clone()).await, Err(Error::Missing));

    accounts.create(&juliet(), first.clone()).await.unwrap();
    assert_eq!(accounts.create(&juliet(), Account::default()).await, Err(Error::Conflict));
    assert_eq!(accounts.load(&juliet()).await.unwrap(), Some(first));

    let second = Account { keys: Bytes::from_static(b"two"), created_ms: 5, disabled: true };
    accounts.replace(&juliet(), second.clone()).await.unwrap();
    assert_eq!(accounts.load(&juliet()).await.unwrap(), Some(second));

    for name in ["a@capulet.example", "nurse@capulet.example", "b@capulet.example.org", "c@capulet"] {
        accounts.create(&jid(name), Account::default()).await.unwrap();
    }
    let page = accounts.list("capulet.example", None, 2).await.unwrap();
    assert_eq!(page, [jid("a@capulet.example"), juliet()]);
    let page = accounts.list("capulet.example", Some(&page[1]), 2).await.unwrap();
    assert_eq!(page, [jid("nurse@capulet.example")]);
    assert_eq!(accounts.list("capulet.example", Some(&page[0]), 2).await.unwrap(), []);
    assert_eq!(accounts.list("nowhere.example", None, 2).await.unwrap(), []);

    accounts.remove(&juliet()).await.unwrap();
    accounts.remove(&juliet()).await.unwrap();
    assert_eq!(accounts.load(&juliet()).await.unwrap(), None);
    accounts.create(&juliet(), Account::default()).await.unwrap();
}

/// Of many who create one account at the same time, one does.
pub async fn created_once(store: &Store) {
    let tries = (0..16u8).map(|at| {
        let accounts = store.accounts.clone();
        let account = Account { keys: Bytes::from(vec![at]), ..Account::default() };
        tokio::spawn(async move { accounts.create(&juliet(), account).await.map(|()| at) })
    });
    let mut created = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(at) => created.push(at),
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }

    assert_eq!(created.len(), 1, "created by {created:?}");
    let kept = store.accounts.load(&juliet()).await.unwrap().unwrap();
    assert_eq!(kept.keys[..], created[..]);
}

/// The last activity is that of the last call, account or not.
pub async fn activity(store: &Store) {
    let accounts = &store.accounts;
    assert_eq!(accounts.last_activity(&juliet()).await.unwrap(), None);

    for (at_ms, status) in [(1, "off to the friar"), (2, "")] {
        let activity = Activity { at_ms, status: status.into() };
        accounts.set_last_activity(&juliet(), activity.clone()).await.unwrap();
        assert_eq!(accounts.last_activity(&juliet()).await.unwrap(), Some(activity));
    }
    assert_eq!(accounts.last_activity(&romeo()).await.unwrap(), None);
}
