//! §8: messages wait for a client, come to one, and are settled when it has them.

use std::time::Duration;

use store::slow::Fault;

use crate::testing::{Edge, Stage, chat};

const TEXTS: [&str; 3] = ["message chat romeo: 1", "message chat romeo: 2", "message chat romeo: 3"];

#[tokio::test]
async fn messages_wait_for_a_client_and_come_once() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    for text in ["1", "2", "3"] {
        romeo.says(&chat("juliet", text));
    }
    romeo.finished(4).await;

    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, TEXTS);
    juliet.acks();
    juliet.leaves();
    juliet.hibernates().await;
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_under_the_same_id() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    for text in ["1", "2", "3"] {
        romeo.says(&chat("juliet", text));
    }
    romeo.finished(4).await;
    let juliet = edge.enters("juliet").await;
    let first = juliet.hears("1").await;
    juliet.hears("3").await;
    assert!(first.payload.has("urn:xmpp:delay", "delay"));
    juliet.leaves();
    juliet.hibernates().await;

    let juliet = edge.enters("juliet").await;
    let again = juliet.hears("1").await;
    assert_eq!(again.payload.bytes(), first.payload.bytes());
    assert_eq!(juliet.rest().await, TEXTS[1..]);
}

#[tokio::test]
async fn a_cursor_outlives_its_owner() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    for text in ["1", "2", "3"] {
        romeo.says(&chat("juliet", text));
    }
    romeo.finished(4).await;
    let juliet = edge.enters("juliet").await;
    juliet.hears("3").await;
    juliet.acks();
    juliet.rest().await;
    house.skips(6_000).await;
    juliet.rest().await;
    romeo.leaves();
    juliet.leaves();
    house.dies();
    edge.dies();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn what_an_edge_settled_is_settled_for_the_next_owner() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    for text in ["1", "2", "3"] {
        romeo.says(&chat("juliet", text));
    }
    juliet.hears("3").await;
    juliet.acks();
    romeo.finished(4).await;
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    let other = edge.binds_managed("juliet@verona.example/other").await;
    other.says("<presence/>");
    other.hears("presence").await;
    let messages = |lines: Vec<String>| lines.iter().filter(|line| line.starts_with("message")).count();
    assert_eq!(messages(other.rest().await), 0);
    juliet.leaves();
    juliet.hibernates().await;
    assert_eq!(messages(other.rest().await), 0, "it had taken them all");
}

#[tokio::test]
async fn what_a_session_did_not_take_goes_to_another_one() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    let other = edge.binds_managed("juliet@verona.example/other").await;
    other.says("<presence/>");
    other.hears("presence").await;
    let to = "juliet@verona.example/home";
    romeo.says(&format!("<message to='{to}' type='chat'><body>1</body></message>"));
    romeo.says(&format!(
        "<message to='{to}' type='chat'><body>2</body><no-store xmlns='urn:xmpp:hints'/></message>"
    ));
    romeo.says(&format!("<message to='{to}' type='groupchat' id='3'><body>3</body></message>"));
    romeo.says(&format!("<iq to='{to}' type='get' id='4'><q xmlns='urn:example:q'/></iq>"));
    juliet.hears("iq get romeo: 4").await;
    romeo.finished(5).await;
    juliet.leaves();

    romeo.hears("iq error juliet: service-unavailable").await;
    let mut heard = other.rest().await;
    heard.retain(|line| line.starts_with("message"));
    heard.sort();
    assert_eq!(heard, TEXTS[..2]);
}

#[tokio::test]
async fn a_message_that_two_sessions_were_given_comes_to_neither_twice() {
    for archive in [true, false] {
        let mut stage = Stage::new().await;
        stage.archives = archive;
        let house = stage.open().await;
        let edge = Edge::open("edge", house.wire()).await;
        let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
        let other = edge.binds_managed("juliet@verona.example/other").await;
        other.says("<presence/>");
        other.hears("presence").await;
        romeo.says(&chat("juliet", "1"));
        romeo.finished(2).await;
        other.hears("message").await;
        other.acks();
        juliet.hears("message").await;
        juliet.leaves();
        juliet.hibernates().await;

        let heard = other.rest().await;
        assert!(heard.iter().all(|line| !line.starts_with("message")), "{heard:?}");
        other.leaves();
        other.hibernates().await;
        let juliet = edge.enters("juliet").await;
        assert_eq!(juliet.rest().await, [""; 0]);
    }
}

#[tokio::test]
async fn without_an_archive_messages_are_spooled_when_nobody_can_take_them() {
    let mut stage = Stage::new().await;
    stage.archives = false;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;

    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    assert!(stage.archive("juliet").await[0].spool);
    let juliet = edge.enters("juliet").await;
    juliet.hears("message chat romeo: 1").await;
    juliet.acks();
    romeo.says(&chat("juliet", "2"));
    juliet.hears("2").await;
    romeo.finished(3).await;
    juliet.rest().await;
    assert!(stage.archive("juliet").await.is_empty(), "1 was taken, 2 is held");
    juliet.vanishes();
    juliet.hibernates().await;
    romeo.says(&chat("juliet", "3"));
    romeo.finished(4).await;
    assert_eq!(stage.archive("juliet").await.len(), 1, "3");
    house.skips(601_000).await;
    juliet.rest().await;
    assert_eq!(stage.archive("juliet").await.len(), 2, "2 came back when the session ended");

    let juliet = edge.enters("juliet").await;
    let mut heard = juliet.hears_all("message", 2).await;
    heard.sort();
    assert_eq!(heard, ["2", "3"]);
    juliet.acks();
    juliet.rest().await;
    assert!(stage.archive("juliet").await.is_empty());
    assert!(stage.archive("romeo").await.is_empty());
}

#[tokio::test]
async fn what_is_being_stored_when_a_client_comes_keeps_its_place_behind_the_backlog() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    romeo.says(&chat("juliet", "2"));
    romeo.finished(3).await;
    let juliet = edge.binds_managed("juliet@verona.example/home").await;
    stage.switch.delay(Duration::from_millis(200));
    romeo.says(&chat("juliet", "3"));
    tokio::time::sleep(Duration::from_millis(60)).await;
    juliet.says("<presence/>");
    romeo.finished(4).await;
    romeo.says(&chat("juliet", "4"));
    romeo.finished(5).await;

    assert_eq!(juliet.hears_all("message", 4).await, ["1", "2", "3", "4"]);
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn more_than_a_mailbox_holds_is_delivered_from_the_archive() {
    let stage = Stage::with(|config| config.mailbox_bytes_max = 40_000).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    let long = "x".repeat(1_000);
    for n in 0..100 {
        let to = "juliet@verona.example";
        romeo.says(&format!(
            "<message to='{to}' type='chat'><body>{n}</body><x xmlns='urn:example:x'>{long}</x></message>"
        ));
    }
    romeo.finished(101).await;

    let juliet = edge.enters("juliet").await;
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(juliet.hears_all("message", 100).await, expected);
    juliet.vanishes();
    juliet.hibernates().await;
    let refused = edge.resumes("juliet@verona.example", &juliet.previd(), 51).await.err();
    assert_eq!(
        refused,
        Some(("item-not-found".into(), Some(1))),
        "its mailbox was too small for what it did not take"
    );
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.hears_all("message", 50).await, expected[50..]);
    juliet.acks();
    juliet.leaves();
    juliet.hibernates().await;
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn a_full_backlog_is_told() {
    let stage = Stage::with(|config| config.backlog_max = 2).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    for (text, h) in [("1", 2), ("2", 3), ("3", 4)] {
        romeo.says(&chat("juliet", text));
        romeo.finished(h).await;
    }
    romeo.hears("message error juliet: service-unavailable").await;
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, TEXTS[..2]);
}

#[tokio::test]
async fn what_waits_comes_when_the_store_can_be_read_and_nothing_comes_before_it() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    stage.switch.fault(Fault::Refused);
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, [""; 0]);
    stage.switch.fault(Fault::None);
    romeo.says(&chat("juliet", "2"));
    assert_eq!(juliet.hears_all("message", 2).await, ["1", "2"]);
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn a_message_that_was_refused_does_not_wait() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    stage.switch.fault(Fault::Refused);
    romeo.says(&chat("juliet", "1"));
    romeo.hears("message error juliet: resource-constraint").await;
    romeo.rest().await; // her archive refuses it, too
    stage.switch.fault(Fault::None);
    let juliet = edge.enters("juliet").await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn a_session_of_negative_priority_takes_nothing_that_waits() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    let juliet = edge.binds_managed("juliet@verona.example/home").await;
    juliet.says("<presence><priority>-1</priority></presence>");
    juliet.hears("presence").await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    assert_eq!(juliet.rest().await, [""; 0]);
    juliet.says("<presence><priority>1</priority></presence>");
    juliet.hears("message chat romeo: 1").await;
}

#[tokio::test]
async fn a_cursor_never_passes_what_is_being_stored() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.says(&chat("juliet", "1"));
    juliet.hears("1").await;
    stage.switch.delay(Duration::from_millis(300));
    romeo.says(&chat("juliet", "2"));
    romeo.says(&chat("juliet", "3"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    juliet.acks();
    juliet.says("<presence><status>told</status></presence>");
    juliet.until("a cursor", |desk| (desk.cursor > 0).then_some(())).await;
    let before = juliet.desk();
    romeo.finished(4).await;
    house.dies();
    edge.breaks();
    // The owner has stored 2 and 3, and died before it could give them.
    juliet.with(|desk| *desk = before);
    stage.switch.delay(Duration::ZERO);
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    assert_eq!(juliet.hears_all("message", 2).await, ["2", "3"]);
}
