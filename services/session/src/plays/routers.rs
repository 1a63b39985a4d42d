//! §4: over routers, everything arrives once and in order, whichever of them dies.

use std::time::Duration;

use store::slow::Fault;

use crate::testing::cities::Cities;
use crate::testing::{Edge, chat};

#[tokio::test]
async fn a_chat_goes_over_all_hops() {
    let cities = Cities::new(1).await;
    cities.stage.befriend("romeo", "juliet").await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    romeo.hears("presence available juliet").await;

    romeo.says(&chat("juliet", "hi"));
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='q'><q xmlns='urn:example:q'/></iq>");
    juliet.hears("message chat romeo: hi").await;
    juliet.hears("iq get romeo: q").await;
    juliet.says("<iq to='romeo@verona.example/home' type='result' id='q'/>");
    romeo.hears("iq result juliet: q").await;
    romeo.says("<message to='nobody@verona.example' type='chat' id='n'><body>who</body></message>");
    romeo.hears("message error nobody: service-unavailable").await;
    romeo.finished(4).await;
    juliet.finished(2).await;
    romeo.leaves();
    juliet.hears("presence unavailable romeo").await;
}

#[tokio::test]
async fn a_router_that_dies_loses_and_doubles_nothing() {
    let mut cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    romeo.says(&chat("juliet", "0"));
    juliet.hears("0").await;

    cities.stage.switch.delay(Duration::from_millis(150));
    let all: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    for text in &all[..10] {
        romeo.says(&chat("juliet", text));
    }
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='q'><q xmlns='urn:example:q'/></iq>");
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>news</body></message>");
    tokio::time::sleep(Duration::from_millis(50)).await;
    cities.routers[0].dies();
    for text in &all[10..] {
        romeo.says(&chat("juliet", text));
    }
    cities.router_returns(0).await;

    romeo.finished(24).await;
    assert_eq!(romeo.rest().await, [""; 0]);
    let heard = juliet.rest().await;
    assert_eq!(heard.iter().filter(|line| line.starts_with("iq")).count(), 1);
    assert_eq!(heard.iter().filter(|line| line.contains("headline")).count(), 1);
    let chats: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("message chat romeo: ")).collect();
    assert_eq!(chats, all);
    assert_eq!(cities.stage.archive("juliet").await.len(), 21);
}

#[tokio::test]
async fn while_one_router_is_dead_the_other_is_used() {
    let mut cities = Cities::new(2).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    let mut expected = Vec::new();
    for round in 0..4 {
        for n in 0..10 {
            let text = format!("{round}.{n}");
            romeo.says(&chat("juliet", &text));
            expected.push(text);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        cities.routers[round % 2].dies();
        romeo.says(&chat("juliet", &format!("{round}.x")));
        expected.push(format!("{round}.x"));
        cities.router_returns(round % 2).await;
    }

    romeo.finished(1 + expected.len() as u64).await;
    let heard = juliet.rest().await;
    let chats: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("message chat romeo: ")).collect();
    assert_eq!(chats, expected);
    assert_eq!(romeo.rest().await, [""; 0]);
}

#[tokio::test]
async fn the_addressees_owner_dies_and_the_next_one_gets_what_is_unfinished() {
    let mut cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    cities.stage.switch.delay(Duration::from_millis(100));
    for n in 0..10 {
        romeo.says(&chat("juliet", &n.to_string()));
        romeo.says("<message to='juliet@verona.example/home' type='headline'><body>news</body></message>");
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    cities.mantua.dies();
    cities.east.breaks();
    cities.mantua_returns().await;
    cities.east.connects(cities.mantua.wire()).await;

    romeo.finished(21).await;
    let heard = juliet.rest().await;
    let chats: Vec<_> = heard.iter().filter_map(|line| line.strip_prefix("message chat romeo: ")).collect();
    assert_eq!(chats, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(heard.iter().filter(|line| line.contains("headline")).count(), 10);
    assert_eq!(cities.stage.archive("juliet").await.len(), 10);
}

#[tokio::test]
async fn a_refusal_that_was_lost_is_no_success() {
    let mut cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    romeo.says(&chat("juliet", "0"));
    juliet.hears("0").await;
    cities.stage.switch.delay(Duration::from_millis(100));
    cities.stage.switch.fault(Fault::Refused);
    romeo.says("<message to='juliet@verona.example' type='chat'><body>lost</body></message>");
    tokio::time::sleep(Duration::from_millis(50)).await;
    cities.routers[0].dies();
    tokio::time::sleep(Duration::from_millis(200)).await;
    cities.stage.switch.fault(Fault::None);
    cities.router_returns(0).await;

    romeo.hears("message error juliet: resource-constraint").await;
    romeo.finished(3).await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn without_a_router_senders_are_told_to_wait() {
    let mut cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    cities.routers[0].dies();
    romeo.says(&chat("juliet", "lost"));
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='q'><q xmlns='urn:example:q'/></iq>");
    romeo.rest().await;
    cities.verona.skips(11_000).await;
    let mut heard = [romeo.hears("error juliet").await.kind, romeo.hears("error juliet").await.kind];
    heard.sort_by_key(|kind| kind.name());
    assert_eq!(heard.iter().map(|kind| kind.name()).collect::<Vec<_>>(), ["iq", "message"]);
    romeo.finished(3).await;
    cities.router_returns(0).await;
    assert_eq!(juliet.rest().await, [""; 0], "what was given up does not come later");
    romeo.says(&chat("juliet", "next"));
    juliet.hears("next").await;
}

#[tokio::test]
async fn what_is_held_far_away_is_finished_when_its_edge_has_it() {
    let cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    cities.east.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>1</body></message>");
    juliet.hears("1").await;
    romeo.rest().await;
    assert_eq!(romeo.h(), 1);
    juliet.acks();
    romeo.finished(2).await;
}

#[tokio::test]
async fn what_was_heard_before_resuming_elsewhere_is_not_given_again_by_the_next_owner() {
    let mut cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    cities.east.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>1</body></message>");
    juliet.hears("1").await;
    // Her owner hears that she has it, romeo's does not; and then whoever knew is gone.
    cities.routers[0].dies();
    let h = juliet.with(|desk| desk.out_n - desk.out_base) as u32;
    let north = Edge::open("north", cities.mantua.wire()).await;
    let juliet = north.resumes("juliet@verona.example", &juliet.previd(), h).await.unwrap();
    cities.east.dies();
    cities.mantua.dies();
    north.breaks();
    cities.mantua_returns().await;
    north.connects(cities.mantua.wire()).await;
    cities.router_returns(0).await;

    romeo.finished(2).await;
    assert_eq!(juliet.rest().await, [""; 0]);
}
