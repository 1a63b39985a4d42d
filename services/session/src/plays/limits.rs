//! §5: every queue has an end, and whoever comes to it is told.

use std::time::Duration;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn a_lane_that_is_full_refuses_and_finishes() {
    let stage = Stage::with(|config| config.lane_max = 10).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    let tybalt = edge.enters("tybalt").await;
    stage.switch.delay(Duration::from_millis(300));
    for n in 0..20 {
        // Nothing is stored on romeo's side.
        let hint = "<no-permanent-store xmlns='urn:xmpp:hints'/>";
        romeo.says(&format!(
            "<message to='juliet@verona.example' type='headline'><body>h{n}</body>{hint}</message>"
        ));
        tybalt.says(&chat("juliet", &n.to_string()));
    }

    romeo.finished(21).await;
    tybalt.finished(21).await;
    let refused =
        |lines: Vec<String>| lines.iter().filter(|line| line.contains("resource-constraint")).count();
    let (of_romeo, of_tybalt) = (refused(romeo.rest().await), refused(tybalt.rest().await));
    let heard = juliet.rest().await.iter().filter(|line| line.starts_with("message")).count();
    assert!(of_romeo + of_tybalt > 0);
    assert_eq!(heard + of_romeo + of_tybalt, 40, "told or delivered, never both");
}

#[tokio::test]
async fn a_client_with_too_much_unfinished_is_told_to_wait() {
    let stage = Stage::with(|config| config.unfinished_max = 5).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    far.keeps_quiet(true);
    for n in 0..10 {
        romeo.says(&format!(
            "<message to='juliet@verona.example/home' type='headline'><body>{n}</body></message>"
        ));
    }
    assert_eq!(romeo.hears_all("message error", 5).await, ["resource-constraint"; 5]);
    assert_eq!(juliet.hears_all("message", 5).await, ["0", "1", "2", "3", "4"]);
    juliet.acks();
    romeo.finished(11).await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn an_edge_gets_no_more_than_it_takes_and_the_rest_in_order() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    // Her own presence is the first.
    let far = Edge::open_taking("far", house.wire(), 3).await;
    let (romeo, juliet) =
        (edge.enters("romeo").await, far.binds("juliet@verona.example/home").await.unwrap());
    juliet.says("<presence/>");
    juliet.hears("presence").await;
    let headline = |n: u32| {
        romeo.says(&format!(
            "<message to='juliet@verona.example/home' type='headline'><body>{n}</body></message>"
        ));
    };
    (0..4).for_each(headline);
    assert_eq!(juliet.hears_all("message", 2).await, ["0", "1"]);
    assert_eq!(juliet.rest().await, [""; 0]);

    let enabling = tokio::spawn({
        let juliet = juliet.clone();
        async move { juliet.enables().await }
    });
    far.takes_more(1);
    assert_eq!(juliet.hears_all("message", 1).await, ["2"]);
    assert_eq!(juliet.rest().await, [""; 0]);
    assert!(!juliet.desk().managed, "what was given before is not counted, so it comes before");
    far.takes_more(10);
    assert_eq!(juliet.hears_all("message", 1).await, ["3"]);
    enabling.await.unwrap();
    assert_eq!(juliet.desk().out_base, 5);
    headline(4);
    assert_eq!(juliet.hears_all("message", 1).await, ["4"]);
    juliet.acks();
    romeo.finished(6).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_closed_and_loses_nothing_that_is_stored() {
    let stage = Stage::with(|config| config.mailbox_bytes_max = 20_000).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    for managed in [true, false] {
        let far = Edge::open("far", house.wire()).await;
        far.keeps_quiet(true);
        let romeo = edge.enters("romeo").await;
        let juliet = far.binds("juliet@verona.example/home").await.unwrap();
        if managed {
            juliet.enables().await;
        }
        juliet.says("<presence/>");
        juliet.hears("presence").await;
        romeo.says(&chat("juliet", "kept"));
        let long = "x".repeat(1_000);
        for _ in 0..25 {
            let to = "juliet@verona.example/home";
            romeo.says(&format!("<message to='{to}' type='headline'><body>{long}</body></message>"));
        }

        assert_eq!(juliet.closed().await, "resource-constraint", "managed: {managed}");
        romeo.finished(27).await;
        romeo.leaves();
        far.dies();
        let juliet = edge.enters("juliet").await;
        juliet.hears("message chat romeo: kept").await;
        juliet.acks();
        juliet.leaves();
        juliet.hibernates().await;
    }
}

#[tokio::test]
async fn an_account_has_so_many_sessions_and_no_more() {
    let stage = Stage::with(|config| config.sessions_max = 2).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    for resource in ["a", "b"] {
        edge.binds(&format!("juliet@verona.example/{resource}")).await.unwrap();
    }
    assert_eq!(edge.binds("juliet@verona.example/c").await.err().unwrap(), "resource-constraint");
    assert!(edge.binds("juliet@verona.example/a").await.is_ok(), "in place of the old one");
}

#[tokio::test]
async fn questions_beyond_the_limit_are_refused_and_none_goes_unanswered() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    for n in 0..300 {
        romeo.says(&format!(
            "<iq to='juliet@verona.example/home' type='get' id='{n}'><q xmlns='urn:example:q'/></iq>"
        ));
    }
    romeo.finished(301).await;
    let refused = romeo.rest().await.len();
    assert!(refused > 0);
    juliet.leaves();
    assert_eq!(
        romeo.hears_all("iq error juliet: service-unavailable", 300 - refused).await.len(),
        300 - refused
    );
    romeo.rest().await;
    house.skips(301_000).await;
    assert_eq!(romeo.rest().await, [""; 0], "each was answered once");
}

#[tokio::test]
async fn memory_returns_to_what_it_was() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.says(&chat("juliet", "hi"));
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>news</body></message>");
    romeo.says(&chat("nobody", "hi"));
    juliet.hears("news").await;
    romeo.finished(4).await;
    romeo.leaves();
    juliet.vanishes();
    juliet.hibernates().await;
    house.skips(601_000).await;
    juliet.rest().await;
    house.skips(61_000).await;

    assert_eq!(house.residents().await, 0);
    let held = house
        .at(|owner| owner.shards.iter().map(|shard| shard.state.lock().common.held.len()).sum::<usize>());
    assert_eq!(held.await, 0);
}
