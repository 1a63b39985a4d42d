//! §4, §6: clocks of owners differ by minutes, and are put right under way (attack case 64).

use crate::testing::cities::Cities;
use crate::testing::{Client, Edge, House, Stage, chat};

/// Five minutes.
const STEP_MS: u64 = 300_000;

/// What a client was told in messages, when nothing more comes.
async fn chats(client: &Client) -> Vec<String> {
    let heard = client.rest().await.into_iter();
    heard.filter_map(|line| line.strip_prefix("message chat ").map(str::to_owned)).collect()
}

fn lines(from: &str, texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| format!("{from}: {text}")).collect()
}

#[tokio::test]
async fn case_64_a_clock_that_steps_to_and_fro_changes_no_order_and_loses_nothing() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    house.skips(STEP_MS).await;
    romeo.says(&chat("juliet", "2"));
    romeo.finished(3).await;
    house.steps_back(2 * STEP_MS).await;
    for (n, text) in ["3", "4"].into_iter().enumerate() {
        romeo.says(&chat("juliet", text));
        romeo.finished(4 + n as u64).await;
    }
    house.skips(STEP_MS).await;
    romeo.says(&chat("juliet", "5"));
    romeo.finished(6).await;

    assert_eq!(chats(&juliet).await, lines("romeo", &["1", "2", "3", "4", "5"]));
    assert_eq!(romeo.rest().await, [""; 0], "nothing was refused");
    for name in ["romeo", "juliet"] {
        let rows = stage.archive(name).await;
        assert_eq!(rows.len(), 5);
        assert!(rows.is_sorted_by(|one, next| one.id < next.id), "the archive's order is the live one");
        let stamps: Vec<u64> = rows.iter().map(|row| row.stamp_ms).collect();
        assert!(stamps[2] < stamps[1], "messages bear the time there was");
    }
}

#[tokio::test]
async fn case_64_an_owner_whose_clock_is_behind_goes_on_above_what_the_last_one_stored() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    house.skips(STEP_MS).await;
    for text in ["1", "2"] {
        romeo.says(&chat("juliet", text));
    }
    romeo.finished(3).await;

    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    house.steps_back(STEP_MS).await;
    edge.connects(house.wire()).await;
    for text in ["3", "4"] {
        romeo.says(&chat("juliet", text));
    }

    romeo.finished(5).await;
    assert_eq!(chats(&juliet).await, lines("romeo", &["1", "2", "3", "4"]));
    let rows = stage.archive("juliet").await;
    assert_eq!(rows.len(), 4);
    assert!(rows[1].stamp_ms > rows[2].stamp_ms && rows[1].id < rows[2].id);
    // And what waits is found behind what was read.
    juliet.acks();
    juliet.vanishes();
    juliet.hibernates().await;
    romeo.says(&chat("juliet", "5"));
    romeo.finished(6).await;
    let h = juliet.with(|desk| desk.out_n - desk.out_base) as u32;
    let juliet = edge.resumes("juliet@verona.example", &juliet.previd(), h).await.unwrap();
    assert_eq!(chats(&juliet).await, lines("romeo", &["5"]));
}

async fn both_are_understood(cities: &Cities, romeo: &Client, juliet: &Client, text: &str) {
    romeo.says(&chat("juliet", text));
    juliet.hears(&format!("message chat romeo: {text}")).await;
    juliet.says(&chat("romeo", text));
    romeo.hears(&format!("message chat juliet: {text}")).await;
    romeo.says(&format!(
        "<iq to='juliet@verona.example/home' type='get' id='q{text}'><q xmlns='urn:example:q'/></iq>"
    ));
    juliet.hears(&format!("iq get romeo: q{text}")).await;
    juliet.says(&format!("<iq to='romeo@verona.example/home' type='result' id='q{text}'/>"));
    romeo.hears(&format!("iq result juliet: q{text}")).await;
    for house in [&cities.verona, &cities.mantua] {
        house.skips(0).await;
    }
    assert_eq!(romeo.rest().await, [""; 0]);
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn case_64_owners_whose_clocks_differ_by_five_minutes_understand_each_other() {
    let cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    both_are_understood(&cities, &romeo, &juliet, "same").await;
    cities.mantua.steps_back(STEP_MS).await;
    both_are_understood(&cities, &romeo, &juliet, "behind").await;
    // At once, as whoever sets a clock does: nothing is under way that could grow old.
    cities.mantua.skips(2 * STEP_MS).await;
    both_are_understood(&cities, &romeo, &juliet, "ahead").await;
    let expected: Vec<_> = ["same", "behind", "ahead"].iter().flat_map(|text| [*text, *text]).collect();
    assert_eq!(texts(&cities, "juliet").await, expected);
}

/// What is in an archive, in its order.
async fn texts(cities: &Cities, name: &str) -> Vec<String> {
    let text = |row: &store::Row| features::stored::decode(&row.stanza).unwrap().id.unwrap().to_string();
    cities.stage.archive(name).await.iter().map(text).collect()
}

#[tokio::test]
async fn case_64_beyond_what_clocks_may_differ_by_senders_are_told_to_wait_and_nothing_comes_twice() {
    let cities = Cities::new(1).await;
    let (romeo, juliet) = (cities.west.enters("romeo").await, cities.east.enters("juliet").await);
    let too_far_ms = cities.stage.config.item_age_ms_max() + 60_000;
    cities.mantua.skips(too_far_ms).await;
    romeo.says(&chat("juliet", "old"));
    assert_eq!(juliet.rest().await, [""; 0], "it was refused unread");
    cities.verona.skips(cities.stage.config.item_lifetime_ms + 1_000).await;
    romeo.hears("message error juliet: resource-constraint").await;
    romeo.finished(2).await;
    assert_eq!(cities.stage.archive("juliet").await.len(), 0);

    cities.mantua.steps_back(too_far_ms).await;
    romeo.says(&chat("juliet", "new"));
    juliet.hears("message chat romeo: new").await;
    romeo.finished(3).await;
    assert_eq!(juliet.rest().await, [""; 0], "what was given up does not come later");
}

/// Juliet has read a message, and there was time to save that.
async fn reads(house: &House, romeo: &Client, juliet: &Client, text: &str) {
    romeo.says(&chat("juliet", text));
    juliet.hears(text).await;
    juliet.acks();
    juliet.rest().await;
    house.skips(6_000).await;
    juliet.rest().await;
}

#[tokio::test]
async fn case_64_what_was_read_after_a_step_back_does_not_come_again() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    reads(&house, &romeo, &juliet, "1").await;
    house.steps_back(STEP_MS).await;
    reads(&house, &romeo, &juliet, "2").await;

    house.dies();
    edge.dies();
    stage.reopen(&mut house).await;
    let edge = Edge::open("edge", house.wire()).await;
    let juliet = edge.enters("juliet").await;
    assert_eq!(chats(&juliet).await, [""; 0]);
}

#[tokio::test]
async fn case_64_whoever_is_away_while_the_clock_is_put_right_can_resume() {
    for back in [false, true] {
        let stage = Stage::new().await;
        let house = stage.open().await;
        let edge = Edge::open("edge", house.wire()).await;
        let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
        juliet.vanishes();
        juliet.hibernates().await;
        if back {
            house.steps_back(STEP_MS).await;
        } else {
            house.skips(STEP_MS).await;
        }
        house.skips(1_000).await;
        romeo.says(&chat("juliet", "hi"));
        romeo.finished(2).await;
        let juliet = edge.resumes("juliet@verona.example", &juliet.previd(), 1).await.unwrap();
        assert_eq!(chats(&juliet).await, lines("romeo", &["hi"]));
        // And it does not stay for ever: no longer than that later.
        juliet.vanishes();
        juliet.hibernates().await;
        house.skips(STEP_MS + 601_000).await;
        let late = edge.resumes("juliet@verona.example", &juliet.previd(), 2).await.err();
        assert_eq!(late.map(|(condition, _)| condition), Some("item-not-found".into()));
    }
}
