//! §2, §4: one lane for each pair, whatever the store does.

use std::time::Duration;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn nothing_overtakes_a_message_that_is_being_stored() {
    let stage = Stage::new().await;
    stage.befriend("romeo", "juliet").await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (juliet, romeo) = (edge.enters("juliet").await, edge.enters("romeo").await);
    juliet.hears("presence available romeo").await;

    stage.switch.delay(Duration::from_millis(200));
    romeo.says(&chat("juliet", "1"));
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='2'><q xmlns='urn:example:q'/></iq>");
    romeo.says(&chat("juliet", "3"));
    romeo.says("<presence><status>4</status></presence>");
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>5</body></message>");
    romeo.says("<presence type='unavailable'><status>6</status></presence>");

    assert_eq!(juliet.hears_all(" romeo: ", 6).await, ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn a_subscription_is_approved_before_presence_comes() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    romeo.says("<iq id='roster' type='get'><query xmlns='jabber:iq:roster'/></iq>");
    romeo.says("<presence to='juliet@verona.example' type='subscribe' id='s'/>");
    juliet.hears("presence subscribe romeo").await;
    romeo.finished(3).await;
    romeo.rest().await;
    juliet.says("<presence to='romeo@verona.example' type='subscribed' id='ed'/>");

    let heard = romeo.rest().await;
    let presences: Vec<_> = heard.iter().filter(|line| line.starts_with("presence")).collect();
    assert_eq!(presences, ["presence subscribed juliet: ed", "presence available juliet: "]);
    juliet.finished(2).await;
}

#[tokio::test]
async fn a_thousand_messages_keep_their_order_live_and_in_the_archive() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    stage.switch.delay(Duration::from_millis(5));
    let expected: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    for text in &expected {
        romeo.says(&chat("juliet", text));
    }

    assert_eq!(juliet.hears_all("message", 500).await, expected);
    let rows = stage.archive("juliet").await;
    let ids: Vec<u64> = rows.iter().map(|row| row.uid.n).collect();
    assert!(ids.is_sorted(), "the archive has the live order");
    romeo.finished(501).await;
}

#[tokio::test]
async fn two_who_talk_at_once_see_one_order_each() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    for n in 0..100 {
        romeo.says(&chat("juliet", &n.to_string()));
        juliet.says(&chat("romeo", &n.to_string()));
    }

    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(juliet.hears_all("message", 100).await, expected);
    assert_eq!(romeo.hears_all("message", 100).await, expected);
}
