//! Plays about what the processes of a cluster tell each other: members, the registry, liveness, counters.

use std::time::Duration;

use bytes::Bytes;

use super::{ids, jid, juliet, romeo, row};
use crate::{Error, Member, Registered, Row, Store};

/// A life begins, beats, is fenced, and is replaced by a later one only.
pub async fn members(store: &Store) {
    let members = &store.members;
    assert_eq!(members.list().await.unwrap(), []);
    assert!(!members.beat("verona", 1, 1).await.unwrap(), "nobody has joined");

    members.join("verona", 5).await.unwrap();
    members.join("verona", 5).await.unwrap();
    members.join("mantua", 1).await.unwrap();
    assert_eq!(members.join("verona", 4).await, Err(Error::Conflict));
    assert!(members.beat("verona", 5, 7).await.unwrap());
    assert!(!members.beat("verona", 4, 9).await.unwrap(), "an earlier life");
    let verona = Member { name: "verona".into(), incarnation: 5, fenced: false, beat: 7 };
    let mantua = Member { name: "mantua".into(), incarnation: 1, ..Member::default() };
    assert_eq!(members.list().await.unwrap(), [mantua.clone(), verona.clone()]);

    members.fence("verona", 4).await.unwrap();
    assert!(members.beat("verona", 5, 8).await.unwrap(), "another life was fenced");
    members.fence("verona", 5).await.unwrap();
    members.fence("verona", 5).await.unwrap();
    assert!(!members.beat("verona", 5, 9).await.unwrap());
    assert!(members.list().await.unwrap()[1].fenced);
    assert_eq!(members.join("verona", 5).await, Err(Error::Conflict), "it was fenced");

    members.join("verona", 6).await.unwrap();
    assert!(members.beat("verona", 6, 1).await.unwrap());
    assert!(!members.list().await.unwrap()[1].fenced);
    members.leave("verona", 5).await.unwrap();
    assert_eq!(members.list().await.unwrap().len(), 2, "another life has left");
    members.leave("verona", 6).await.unwrap();
    members.leave("verona", 6).await.unwrap();
    members.fence("verona", 6).await.unwrap();
    assert_eq!(members.list().await.unwrap(), [mantua]);
    assert!(!members.beat("verona", 6, 2).await.unwrap());
}

/// Of those who replace the same version of the table one does.
pub async fn slot_table(store: &Store) {
    let members = &store.members;
    assert_eq!(members.table().await.unwrap(), (0, Bytes::new()));
    assert!(!members.replace_table(1, Bytes::from_static(b"early")).await.unwrap());
    assert!(members.replace_table(0, Bytes::from_static(b"one")).await.unwrap());
    assert_eq!(members.table().await.unwrap(), (1, Bytes::from_static(b"one")));
    assert!(!members.replace_table(0, Bytes::from_static(b"late")).await.unwrap());

    let tries = (0..8_u8).map(|n| {
        let members = store.members.clone();
        tokio::spawn(async move { members.replace_table(1, Bytes::from(vec![n])).await.unwrap() })
    });
    let mut won = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        won.push(one.await.unwrap());
    }
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let winner = won.iter().position(|won| *won).unwrap();
    assert_eq!(members.table().await.unwrap(), (2, Bytes::from(vec![winner as u8])));
}

/// Sessions are recorded by slot, and replaced by stream.
pub async fn registry(store: &Store) {
    let registry = &store.registry;
    let session = |origin: u8, jid_text: &str, edge: &str| Registered {
        origin: [origin; 16],
        jid: jid(jid_text),
        edge: edge.into(),
        resumable_ms: u64::from(origin) * 1000,
    };
    let orchard = session(2, "romeo@montague.example/orchard", "east");
    let balcony = session(1, "juliet@capulet.example/balcony", "west");
    assert_eq!(registry.of_slot(7).await.unwrap(), []);

    registry.put(7, &[orchard.clone(), balcony.clone()]).await.unwrap();
    registry.put(8, std::slice::from_ref(&orchard)).await.unwrap();
    registry.put(7, &[]).await.unwrap();
    assert_eq!(registry.of_slot(7).await.unwrap(), [balcony.clone(), orchard.clone()]);

    let moved = Registered { edge: "east".into(), resumable_ms: 0, ..balcony };
    registry.put(7, std::slice::from_ref(&moved)).await.unwrap();
    assert_eq!(registry.of_slot(7).await.unwrap(), [moved.clone(), orchard.clone()]);

    registry.remove(7, &[[2; 16], [9; 16]]).await.unwrap();
    registry.remove(7, &[]).await.unwrap();
    assert_eq!(registry.of_slot(7).await.unwrap(), [moved]);
    assert_eq!(registry.of_slot(8).await.unwrap(), [orchard]);
}

/// A copy is there for the time that was said, and for one who takes it.
pub async fn handovers(store: &Store) {
    let (handovers, copy) = (&store.handovers, Bytes::from_static(b"contacts"));
    assert_eq!(handovers.take(&juliet()).await.unwrap(), None);
    handovers.put(&juliet(), Bytes::from_static(b"older"), 60_000).await.unwrap();
    handovers.put(&juliet(), copy.clone(), 60_000).await.unwrap();
    assert_eq!(handovers.take(&romeo()).await.unwrap(), None, "another's");
    assert_eq!(handovers.take(&juliet()).await.unwrap(), Some(copy.clone()));
    assert_eq!(handovers.take(&juliet()).await.unwrap(), None, "taken it is gone");

    handovers.put(&juliet(), copy, 50).await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(handovers.take(&juliet()).await.unwrap(), None, "its time was over");
    let large = Bytes::from(vec![0; crate::handovers::BYTES_MAX + 1]);
    assert!(matches!(handovers.put(&juliet(), large, 60_000).await, Err(Error::TooLarge { .. })));
}

/// Who goes on behind an owner that let go of an archive has what that one had, and may be followed by force.
pub async fn inherited(store: &Store) {
    let (archive, rows) = (&store.archive, [row(&juliet(), 5), row(&juliet(), 8)]);
    archive.take_over(&juliet(), 1).await.unwrap();
    archive.append(&rows).await.unwrap();
    let end = archive.known_end(&juliet()).unwrap_or_default();
    assert_eq!(archive.inherit(&juliet(), 2, &end).await.unwrap(), 8);
    archive.append(&[Row { epoch: 2, ..row(&juliet(), 9) }]).await.unwrap();
    assert_eq!(archive.take_over(&juliet(), 3).await.unwrap(), 9);
    assert_eq!(ids(&archive.after(&juliet(), 0, 10).await.unwrap()), [5, 8, 9], "nothing of theirs is gone");
    assert_eq!(archive.inherit(&juliet(), 4, b"what cannot be read").await.unwrap(), 9);
}

/// Who has not been heard of for the time that was said is not there.
pub async fn liveness(store: &Store) {
    let liveness = &store.liveness;
    let asked = ["verona".to_owned(), "mantua".to_owned()];
    assert_eq!(liveness.are_there(&asked).await.unwrap(), [false, false]);
    assert_eq!(liveness.are_there(&[]).await.unwrap(), [false; 0]);

    liveness.say("mantua", 60_000).await.unwrap();
    liveness.say("verona", 60_000).await.unwrap();
    liveness.say("verona", 150).await.unwrap();
    assert_eq!(liveness.are_there(&asked).await.unwrap(), [true, true]);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(liveness.are_there(&asked).await.unwrap(), [false, true]);

    liveness.gone("mantua").await.unwrap();
    liveness.gone("mantua").await.unwrap();
    assert_eq!(liveness.are_there(&asked).await.unwrap(), [false, false]);
}

/// A counter counts what all add, until its window is over.
pub async fn counters(store: &Store) {
    let counters = &store.counters;
    assert_eq!(counters.count("logins").await.unwrap(), 0);
    assert_eq!(counters.add("logins", 2, 60_000).await.unwrap(), 2);
    assert_eq!(counters.add("logins", 3, 1).await.unwrap(), 5, "the window is that of the first");
    assert_eq!(counters.add("other", 1, 200).await.unwrap(), 1);
    assert_eq!(counters.count("other").await.unwrap(), 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(counters.count("logins").await.unwrap(), 5);
    assert_eq!(counters.count("other").await.unwrap(), 0);
    assert_eq!(counters.add("other", 1, 60_000).await.unwrap(), 1);
}

/// An archive is taken over at the id where it stands; what its last owner wrote is there.
pub async fn taken_over(store: &Store) {
    let archive = &store.archive;
    assert_eq!(archive.take_over(&juliet(), 3).await.unwrap(), 0);
    archive.append(&[row(&juliet(), 5), row(&romeo(), 9)]).await.unwrap();

    assert_eq!(archive.take_over(&juliet(), 4).await.unwrap(), 5);
    assert_eq!(ids(&archive.after(&juliet(), 0, 10).await.unwrap()), [5]);
    let next = Row { epoch: 4, ..row(&juliet(), 6) };
    archive.append(std::slice::from_ref(&next)).await.unwrap();
    assert_eq!(archive.take_over(&juliet(), 7).await.unwrap(), 6);
    assert_eq!(ids(&archive.after(&juliet(), 0, 10).await.unwrap()), [5, 6]);
    assert_eq!(ids(&archive.after(&romeo(), 0, 10).await.unwrap()), [9]);
}
