//! §8: a client that comes back has everything, once, and only its own.

use std::time::Duration;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn a_client_that_resumes_gets_what_it_has_not_acknowledged_under_the_same_numbers() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    for text in ["1", "2"] {
        romeo.says(&chat("juliet", text));
    }
    juliet.hears("2").await;
    juliet.says(&chat("romeo", "said"));
    juliet.finished(2).await;
    juliet.vanishes();
    juliet.hibernates().await;
    romeo.says(&chat("juliet", "3"));

    let juliet = far.resumes("juliet@verona.example", &juliet.previd(), 2).await.unwrap();

    romeo.finished(4).await;
    assert_eq!(juliet.hears_all("message", 2).await, ["2", "3"]);
    assert_eq!((juliet.h(), juliet.desk().in_n), (2, 2), "what it had said is counted");
    juliet.says(&chat("romeo", "again"));
    juliet.finished(3).await;
    assert_eq!(romeo.hears_all("message", 2).await, ["said", "again"]);
}

#[tokio::test]
async fn an_edge_that_dies_takes_nothing_with_it() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    let previd = juliet.previd();
    romeo.says(&chat("juliet", "1"));
    juliet.hears("1").await;
    far.dies();
    romeo.says(&chat("juliet", "2"));
    romeo.finished(3).await;

    let juliet = edge.resumes("juliet@verona.example", &previd, 1).await.unwrap();
    assert_eq!(juliet.hears_all("message", 2).await, ["1", "2"]);
}

#[tokio::test]
async fn a_stream_is_resumed_by_its_own_account_only() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (juliet, tybalt) = (edge.enters("juliet").await, edge.enters("tybalt").await);
    juliet.vanishes();

    let stolen = edge.resumes("tybalt@verona.example", &juliet.previd(), 1).await.err();
    assert_eq!(stolen, Some(("item-not-found".into(), None)));
    let forged = edge.resumes("tybalt@verona.example", "nothing", 1).await.err();
    assert_eq!(forged, Some(("item-not-found".into(), None)));
    house.skips(700_000).await;
    tybalt.rest().await;
    let late = edge.resumes("tybalt@verona.example", &juliet.previd(), 1).await.err();
    assert_eq!(late, Some(("item-not-found".into(), None)), "not even what its owner has finished");
}

#[tokio::test]
async fn who_comes_too_late_learns_how_far_its_stanzas_were_finished() {
    let stage = Stage::new().await;
    stage.befriend("romeo", "juliet").await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    juliet.says(&chat("romeo", "hi"));
    juliet.finished(2).await;
    romeo.hears("hi").await;
    juliet.vanishes();
    juliet.hibernates().await;
    let heard = romeo.rest().await;
    assert!(heard.iter().all(|line| !line.contains("unavailable")), "its presence stands: {heard:?}");

    house.skips(601_000).await;

    romeo.hears("presence unavailable juliet").await;
    let late = edge.resumes("juliet@verona.example", &juliet.previd(), 1).await.err();
    assert_eq!(late, Some(("item-not-found".into(), Some(2))));
}

#[tokio::test]
async fn an_h_of_what_was_never_given_is_refused_and_the_session_stays() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let juliet = edge.enters("juliet").await;
    juliet.vanishes();
    juliet.hibernates().await;

    assert!(edge.resumes("juliet@verona.example", &juliet.previd(), 99).await.is_err());
    assert!(edge.resumes("juliet@verona.example", &juliet.previd(), 1).await.is_ok());
    juliet.vanishes();
    assert!(edge.resumes("juliet@verona.example", &juliet.previd(), 99).await.is_err());
    house.skips(601_000).await;
    house.skips(61_000).await;
    assert_eq!(house.residents().await, 0, "a refused one still ends in time");
}

#[tokio::test]
async fn of_two_who_resume_at_once_the_later_has_it() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    juliet.vanishes();
    juliet.hibernates().await;
    let first = edge.resumes("juliet@verona.example", &juliet.previd(), 1).await.unwrap();
    let second = far.resumes("juliet@verona.example", &juliet.previd(), 1).await.unwrap();

    assert_eq!(first.closed().await, "conflict");
    romeo.says(&chat("juliet", "hi"));
    second.hears("hi").await;
    assert_eq!(first.rest().await, [""; 0]);
    first.says(&chat("romeo", "of an attachment that is over"));
    assert!(romeo.rest().await.is_empty());
    first.acks();
    assert_eq!(second.desk().mailbox.len(), 1);
    first.vanishes();
    romeo.says(&chat("juliet", "still here"));
    second.hears("still here").await;
}

#[tokio::test]
async fn who_resumes_is_answered_when_all_it_sent_is_finished_and_nobody_waits_for_that() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    stage.switch.delay(Duration::from_millis(300));
    for text in ["1", "2"] {
        juliet.says(&chat("juliet", text));
        juliet.says(&chat("romeo", text));
        romeo.says(&chat("juliet", text));
    }
    juliet.vanishes();
    romeo.vanishes();
    let (one, other) = (edge.exchange(), edge.exchange());
    edge.asks(one, "juliet@verona.example", &juliet.previd(), 1);
    let juliet = edge.resumed(one).await.unwrap();
    edge.asks(other, "romeo@verona.example", &romeo.previd(), 1);
    let romeo = edge.resumed(other).await.unwrap();

    assert_eq!((juliet.h(), romeo.h()), (5, 3));
    let mut heard = juliet.hears_all("message", 4).await;
    heard.sort();
    assert_eq!(heard, ["1", "1", "2", "2"]);
    assert_eq!(romeo.hears_all("message", 2).await, ["1", "2"]);
}

#[tokio::test]
async fn nobody_waits_for_a_resumption_that_waits() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet, paris) =
        (edge.enters("romeo").await, edge.enters("juliet").await, far.enters("paris").await);

    far.keeps_quiet(true);
    juliet.says("<message to='paris@verona.example/home' type='headline'><body>1</body></message>");
    paris.hears("1").await;
    juliet.vanishes();
    let exchange = edge.exchange();
    edge.asks(exchange, "juliet@verona.example", &juliet.previd(), 1);
    romeo.says(&chat("juliet", "hi"));
    romeo.finished(2).await;
    far.keeps_quiet(false);
    romeo.says("<message to='paris@verona.example/home' type='headline'><body>2</body></message>");

    let juliet = edge.resumed(exchange).await.unwrap();
    juliet.hears("hi").await;
    assert_eq!(juliet.h(), 2);
}

#[tokio::test]
async fn an_edge_that_dies_with_a_resumption_does_not_keep_the_session() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let juliet = edge.enters("juliet").await;

    stage.switch.delay(Duration::from_millis(600));
    juliet.says(&chat("romeo", "slow"));
    juliet.rest().await;
    far.asks(1, "juliet@verona.example", &juliet.previd(), 1);
    juliet.closed().await;
    far.dies();
    juliet.rest().await;
    edge.asks(9, "juliet@verona.example", &juliet.previd(), 1);
    let juliet = edge.resumed(9).await.unwrap();
    assert_eq!(juliet.h(), 2);
}

#[tokio::test]
async fn the_newer_of_two_with_one_resource_wins() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let old = edge.enters("juliet").await;
    let new = far.enters("juliet").await;
    let romeo = edge.enters("romeo").await;

    assert_eq!(old.closed().await, "conflict");
    romeo.says(&chat("juliet", "hi"));
    new.hears("hi").await;
    let late = edge.resumes("juliet@verona.example", &old.previd(), 1).await.err();
    assert_eq!(late, Some(("item-not-found".into(), Some(1))));
}

#[tokio::test]
async fn without_stream_management_a_session_ends_with_its_edge() {
    let stage = Stage::new().await;
    stage.befriend("romeo", "juliet").await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    let juliet = far.binds("juliet@verona.example/home").await.unwrap();
    juliet.says("<presence/>");
    romeo.hears("presence available juliet").await;

    far.dies();
    romeo.rest().await;
    house.skips(1_000).await;
    romeo.hears("presence unavailable juliet").await;
}

#[tokio::test]
async fn what_a_client_was_sending_itself_does_not_keep_it_from_resuming() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let juliet = edge.enters("juliet").await;
    edge.keeps_quiet(true);
    juliet.says("<message to='juliet@verona.example/home' type='headline'><body>note</body></message>");
    juliet.hears("note").await;
    juliet.vanishes();

    let juliet = far.resumes("juliet@verona.example", &juliet.previd(), 1).await.unwrap();
    juliet.hears("note").await;
    assert_eq!(juliet.h(), 2);
}

#[tokio::test]
async fn what_was_acknowledged_before_a_resumption_does_not_come_again_from_the_next_owner() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, other) = (edge.enters("romeo").await, edge.enters("juliet").await);
    let juliet = edge.binds_managed("juliet@verona.example/garden").await;
    juliet.says("<presence/>");
    juliet.hears("presence available").await;
    // What the other one does not acknowledge keeps the cursor below what this one does.
    for (resource, text) in [("home", "1"), ("garden", "2")] {
        let to = format!("to='juliet@verona.example/{resource}'");
        romeo.says(&format!("<message {to} type='chat'><body>{text}</body></message>"));
    }
    romeo.says(&chat("juliet", "3"));
    other.hears("3").await;
    juliet.hears("3").await;
    juliet.acks();
    juliet.vanishes();
    let (previd, h) = (juliet.previd(), juliet.desk().out_n - juliet.desk().out_base);
    let juliet = edge.resumes("juliet@verona.example", &previd, h as u32).await.unwrap();
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    romeo.says(&chat("juliet", "4"));
    for client in [juliet, other] {
        assert_eq!(client.rest().await, ["message chat romeo: 4"]);
    }
}
