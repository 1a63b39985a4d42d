//! An edge that goes away, and one that has more logins than it may pass on.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod hand;

use std::time::{Duration, Instant};

use hand::{Client, Hand, Running, STREAM, enabled};
use proto::session::{Hibernated, Welcome, edge_frame::Kind as Out, ended::Why, owner_frame::Kind as In};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_drain_closes_clients_and_waits_for_the_owner() {
    let (mut hand, edge, mut juliet) = hand::bound().await;
    edge.drainer.begin();
    juliet.hears("<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>").await;
    let Out::Ended(ended) = hand.hears().await else { panic!() };
    assert_eq!(ended.why(), Why::Drained);
    hand.says(In::Hibernated(Hibernated { stream: Some(STREAM), generation: 1 }));
    tokio::time::timeout(Duration::from_secs(5), edge.edge.finished()).await.unwrap();
}

#[tokio::test]
async fn an_edge_that_is_not_ready_any_more_serves_on() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    config.limits.drain_lame_s = 1;
    let edge = hand::edge_with(&hand, config);
    hand.welcome().await;
    hand.attached().await;
    assert!(health(&edge).await.starts_with("HTTP/1.1 200"));
    edge.drainer.begin();
    let begun = Instant::now();
    assert!(health(&edge).await.starts_with("HTTP/1.1 503"));
    let mut juliet = Client::connect(&edge).await;
    hand.bind(&mut juliet).await;
    juliet.hears("<system-shutdown").await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn whoever_can_come_back_is_closed_first_and_told_where_to_go() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    config.limits.drain_per_s = 2;
    config.see_other_host = Some("verona.example:5223".into());
    let edge = hand::edge_with(&hand, config);
    hand.welcome().await;
    let mut others = Vec::new();
    for _ in 0..3 {
        let mut other = Client::connect(&edge).await;
        other.open().await;
        others.push(other);
    }
    let mut juliet = Client::connect(&edge).await;
    hand.bind(&mut juliet).await;
    juliet.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    hand.until(|kind| matches!(kind, Out::Enable(_))).await;
    enabled(&hand, 0);
    juliet.hears("max='60'/>").await;
    edge.drainer.begin();
    let begun = Instant::now();
    let told =
        "<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>verona.example:5223</see-other-host>";
    juliet.hears(told).await;
    assert!(begun.elapsed() < Duration::from_millis(400), "she is the first");
    for other in &mut others {
        other.hears(told).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn neither_an_owner_nor_a_client_that_is_stuck_keeps_an_edge_from_ending() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    config.limits.drain_s = 2;
    config.limits.drain_per_s = 1;
    let edge = hand::edge_with(&hand, config);
    hand.welcome().await;
    let mut juliet = Client::connect(&edge).await;
    hand.bind(&mut juliet).await;
    // The owner never says that it has taken over, and these never read or close.
    let mut stuck = Vec::new();
    for _ in 0..10 {
        stuck.push(Client::connect(&edge).await);
    }
    edge.drainer.begin();
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_millis(2_300), edge.edge.finished()).await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1), "it did wait");
    juliet.hears("<system-shutdown").await;
}

#[tokio::test]
async fn logins_beyond_the_budget_wait_for_their_turn_and_too_many_are_refused() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    (config.limits.logins_burst, config.limits.logins_waiting) = (1, 2);
    let edge = hand::edge_with(&hand, config);
    hand.greet().await;
    hand.owns(0..=4095, 1);
    let host = proto::session::Host { domain: "capulet.example".into(), ..Default::default() };
    hand.says(In::Welcome(Welcome { hosts: vec![host], admissions_per_s: 2, ..Welcome::default() }));
    hand.owns(0..=4095, 1);
    hand.attached().await;
    hand.attached().await;
    let begun = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(&edge).await;
        client.open().await;
        client.begins().await;
        clients.push(client);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut last = Client::connect(&edge).await;
    last.open().await;
    last.begins().await;
    last.hears("<resource-constraint").await;
    // In the order in which they came.
    for client in &mut clients {
        let exchange = hand.login().await;
        hand.succeeds(exchange);
        client.hears("</success>").await;
    }
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
}

async fn health(edge: &Running) -> String {
    let mut socket = TcpStream::connect(edge.edge.addresses.http[0]).await.unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
