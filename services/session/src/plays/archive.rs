//! §6, §8: what clients read of their archives, and what a domain does not keep for ever.

use std::time::Duration;

use crate::testing::{Edge, House, Stage, chat};

const DAY_MS: u64 = 86_400_000;

const NEWEST: &str = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>\
    <set xmlns='http://jabber.org/protocol/rsm'><before/></set></query></iq>";

/// Looks at an archive, at most.
const LOOKS: usize = 100;

/// Waits until there are as many rows in an archive.
async fn rows(stage: &Stage, house: &House, name: &str, count: usize) {
    for _ in 0..LOOKS {
        if stage.archive(name).await.len() == count {
            return;
        }
        house.skips(1_000).await;
    }
    panic!("{} rows of {name}, not {count}", stage.archive(name).await.len());
}

#[tokio::test]
async fn what_is_too_old_is_deleted_when_its_account_leaves_memory() {
    let stage = Stage { archive_days: 1, ..Stage::new().await };
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    for text in ["1", "2"] {
        romeo.says(&chat("juliet", text));
    }
    romeo.says(&chat("tybalt", "3"));
    juliet.hears("2").await;
    juliet.acks();
    romeo.finished(4).await;
    for client in [&romeo, &juliet] {
        client.leaves();
        client.hibernates().await;
    }
    assert_eq!(stage.archive("juliet").await.len(), 2);
    house.skips(DAY_MS + 1_000).await;
    rows(&stage, &house, "juliet", 0).await;
    rows(&stage, &house, "romeo", 0).await;
    assert_eq!(stage.archive("tybalt").await.len(), 1, "it waits for him");
}

#[tokio::test]
async fn a_query_waits_for_its_turn_and_hears_of_what_was_being_stored() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    stage.switch.delay(Duration::from_millis(400));
    romeo.says(&chat("juliet", "1"));
    romeo.says(NEWEST);
    assert_eq!(romeo.rest().await, [""; 0], "what was sent before it is not stored yet");
    let result = romeo.hears("message").await;
    assert!(result.payload.has("urn:xmpp:mam:2", "result"));
    romeo.hears("iq result").await;
}

#[tokio::test]
async fn what_a_client_has_read_before_its_owner_died_is_not_given_by_the_next() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    let juliet = edge.binds_managed("juliet@verona.example/home").await;
    juliet.says(NEWEST);
    juliet.hears("iq result").await;
    juliet.acks();
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    juliet.says("<presence/>");
    juliet.hears("presence").await;
    assert_eq!(juliet.rest().await, [""; 0]);
}
