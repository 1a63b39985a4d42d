//! §1, §2: what an acknowledgement means, and when a stanza is finished.

use std::time::Duration;

use store::Direction;
use store::slow::Fault;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn a_chat_is_archived_on_both_sides_and_acknowledged() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    romeo.says(&chat("juliet", "hi"));

    juliet.hears("message chat romeo: hi").await;
    romeo.finished(2).await;
    let rows = |rows: Vec<store::Row>| rows.iter().map(|row| row.direction).collect::<Vec<_>>();
    assert_eq!(rows(stage.archive("romeo").await), [Direction::Sent]);
    assert_eq!(rows(stage.archive("juliet").await), [Direction::Received]);
}

#[tokio::test]
async fn h_is_the_end_of_what_is_finished_without_a_gap() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    far.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>slow</body></message>");
    romeo.says("<iq id='quick' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
    romeo.hears(": quick").await;
    assert_eq!(romeo.until("what is above h", |desk| desk.above.first().map(|above| above.n)).await, 3);
    assert_eq!(romeo.h(), 1, "the message is not finished");

    far.keeps_quiet(false);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>next</body></message>");
    romeo.finished(4).await;
    juliet.hears("next").await;
}

#[tokio::test]
async fn what_outlives_its_lifetime_is_refused_once_and_h_moves() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;

    stage.switch.delay(Duration::from_millis(700));
    romeo.says(&chat("juliet", "slow"));
    romeo.rest().await;
    assert_eq!(romeo.h(), 1);
    house.skips(11_000).await;

    romeo.finished(2).await;
    romeo.hears("message error juliet: resource-constraint").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(romeo.rest().await, [""; 0], "no second answer when the store is done at last");
}

#[tokio::test]
async fn a_store_that_refuses_is_told_once_and_nothing_is_delivered_later() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    for fault in [Fault::Refused, Fault::UnknownWritten] {
        stage.switch.fault(fault);
        romeo.says(&chat("juliet", "lost"));
        if fault == Fault::UnknownWritten {
            romeo.rest().await;
            house.skips(11_000).await;
        }
        romeo.hears("message error juliet: resource-constraint").await;
        stage.switch.fault(Fault::None);
        assert_eq!(romeo.rest().await, [""; 0], "one answer, {fault:?}");
    }
    romeo.finished(3).await;
    romeo.says(&chat("juliet", "found"));
    assert_eq!(juliet.hears_all("message", 1).await, ["found"]);
    assert_eq!(stage.archive("juliet").await.len(), 1);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_is_repeated_until_it_is_known() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    stage.switch.fault(Fault::UnknownWritten);
    romeo.says(&chat("juliet", "hi"));
    assert_eq!(juliet.rest().await, [""; 0]);
    stage.switch.fault(Fault::None);

    juliet.hears("hi").await;
    romeo.finished(2).await;
    assert_eq!(stage.archive("juliet").await.len(), 1, "under the same id");
}

#[tokio::test]
async fn held_messages_are_finished_when_the_edge_has_them() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    far.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='chat'><body>psst</body><no-store xmlns='urn:xmpp:hints'/></message>");
    juliet.hears("psst").await;
    romeo.rest().await;
    assert_eq!(romeo.h(), 1);
    far.keeps_quiet(false);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>next</body></message>");

    romeo.finished(3).await;
    assert!(stage.archive("juliet").await.is_empty());
}

#[tokio::test]
async fn transient_stanzas_are_finished_when_the_addressees_owner_has_them() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    far.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example' type='chat' id='typing'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>");
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='q'><q xmlns='urn:example:q'/></iq>");

    romeo.finished(3).await;
    assert_eq!(juliet.rest().await, ["message chat romeo: typing", "iq get romeo: q"]);
}

#[tokio::test]
async fn what_is_refused_without_a_store_is_finished_too() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;

    for (to, error) in [
        ("nobody@verona.example", "service-unavailable"),
        ("juliet@padua.example", "remote-server-not-found"),
        ("verona.example", "service-unavailable"),
    ] {
        romeo.says(&format!("<message to='{to}' type='chat'><body>hi</body></message>"));
        romeo.hears(error).await;
    }
    romeo.says("<message to='nobody@verona.example' type='error' id='e'/>");
    romeo.says("<presence to='nobody@verona.example/x'/>");
    romeo.finished(6).await;
    assert_eq!(romeo.rest().await, [""; 0]);
}
