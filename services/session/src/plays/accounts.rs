//! §7, §10: whose sessions there are, and what becomes of them when their account goes.

use crate::config::Range;
use crate::testing::{Edge, Stage, account, chat};

#[tokio::test]
async fn an_account_that_is_removed_leaves_at_once_and_may_be_made_again() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    stage.store.remove_account(&account("juliet")).await.unwrap();
    house.at(|owner| owner.end(&account("juliet"), "not-authorized", true)).await;
    assert_eq!(juliet.closed().await, "not-authorized");
    romeo.says(&chat("juliet", "are you there"));
    romeo.hears("message error juliet: service-unavailable").await;
    assert!(edge.resumes("juliet@verona.example", &juliet.previd(), 1).await.is_err());
    assert!(edge.binds("juliet@verona.example/home").await.is_err());
    house.skips(1_000).await;
    assert!(stage.archive("juliet").await.is_empty());

    stage.store.accounts.create(&account("juliet"), store::Account::default()).await.unwrap();
    let juliet = edge.enters("juliet").await;
    romeo.says(&chat("juliet", "again"));
    juliet.hears("again").await;
}

#[tokio::test]
async fn an_account_there_is_not_has_no_sessions_and_leaves_no_trace() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    assert_eq!(edge.binds("nobody@verona.example/home").await.err().unwrap(), "service-unavailable");
    assert!(edge.binds("romeo@padua.example/home").await.is_err());
    assert!(edge.resumes("nobody@verona.example", "AAAA", 0).await.is_err());
    assert_eq!(house.residents().await, 0);
}

#[tokio::test]
async fn an_owner_takes_no_session_of_an_account_that_is_not_its_own() {
    let stage = Stage::with(|config| {
        let slot = node::slots::of(account("romeo").as_str(), "");
        config.member = "verona".into();
        config.owners = vec![Range { member: "mantua".into(), first: slot, last: slot }];
    })
    .await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    assert!(edge.binds("romeo@verona.example/home").await.is_err());
    assert!(edge.resumes("romeo@verona.example", "AAAA", 0).await.is_err());
    assert!(edge.binds("juliet@verona.example/home").await.is_ok());
}

#[tokio::test]
async fn who_says_to_be_another_is_closed() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo
        .says("<message from='tybalt@verona.example' to='juliet@verona.example'><body>lies</body></message>");
    assert_eq!(romeo.closed().await, "invalid-from");
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn a_stanza_behind_the_end_of_its_stream_is_nobodys() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.leaves();
    romeo.says(&chat("juliet", "too late"));
    romeo.hibernates().await;
    assert_eq!(romeo.closed().await, "connection-timeout");
    let heard = juliet.rest().await;
    assert!(heard.iter().all(|line| !line.contains("late")), "{heard:?}");
}

#[tokio::test]
async fn what_a_session_asked_for_outlives_its_owner() {
    let stage = Stage::new().await;
    stage.befriend("romeo", "juliet").await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    let other = edge.binds_managed("juliet@verona.example/other").await;
    other.says("<iq id='c' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
    other.hears("iq result").await;
    other.says_active(false);
    juliet.says("<presence><status>sleeping</status></presence>");
    romeo.hears("sleeping").await;
    other.rest().await;
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    romeo.says("<presence to='juliet@verona.example' type='probe'/>");
    romeo.hears("presence available juliet: sleeping").await;
    romeo.says(&chat("juliet", "hi"));
    juliet.hears("message chat romeo: hi").await;
    other.hears("message chat juliet").await;
    juliet.leaves();
    romeo.hears("presence unavailable juliet").await;
}
