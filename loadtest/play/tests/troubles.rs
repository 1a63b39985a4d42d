//! Servers that stall and connections that break: what was not the generator's choice is in the figures and no loss.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stand;

use std::time::Duration;

use rig::faults::{Log, Plan, Proxy, Towards};

use stand::{null_server, options, played, scenario};

const OPEN: &str =
    "script = [{ until = 'steady' }, { repeat = { pace = { rate = 500 }, steps = [{ chat = {} }] } }]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_is_in_every_percentile_that_it_must_be_in() {
    let log = Log::new(std::io::sink());
    let proxy = Proxy::bind(([127, 0, 0, 1], 0).into(), null_server(), Plan::default(), Towards::Client, log);
    let proxy = proxy.await.unwrap();
    let options = options(proxy.address().unwrap());
    // Everybody is there after a second; of the two seconds that follow, one stands still.
    tokio::spawn(proxy.run(Some((Duration::from_millis(1600), Duration::from_secs(1)))));
    let record = played(&scenario(OPEN), options).await;

    assert!(record.ledger.is_clean(), "{:?}", record.ledger);
    let chat = &record.latencies["chat"]["steady"];
    // Half of the messages were intended while it stood still, and waited evenly between nothing and a second.
    let p75_us = chat.unpack().unwrap().value_at_quantile(0.75);
    assert!((350_000..700_000).contains(&p75_us), "p75 {p75_us}");
    assert!((650_000..950_000).contains(&chat.p90_us), "p90 {}", chat.p90_us);
    assert!((900_000..1_300_000).contains(&chat.max_us), "max {}", chat.max_us);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_whose_connections_are_cut_come_back_and_nothing_counts_as_lost() {
    let on_loss = "on-loss = { return = '10ms..50ms' }\n";
    let text = scenario(&(on_loss.to_owned() + OPEN)) + "[[fault]]\nat = '2s'\ndo.cut = 0.5\n";
    let record = played(&text, options(null_server())).await;

    let cut = record.counts["connections-cut"];
    assert!((3..18).contains(&cut), "about half of twenty: {cut}");
    assert_eq!(record.marks.len(), 1, "{:?}", record.marks);
    let logins: u64 = record.latencies["login"].values().map(|spread| spread.count).sum();
    assert_eq!(logins, 20 + cut, "each came back once");
    assert!(record.ledger.is_clean(), "{:?}", record.ledger);
    assert!(record.ledger.delivered > record.ledger.sent * 8 / 10, "{:?}", record.ledger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_for_too_long_is_given_up_and_tried_again() {
    let log = Log::new(std::io::sink());
    let proxy = Proxy::bind(([127, 0, 0, 1], 0).into(), null_server(), Plan::default(), Towards::Client, log);
    let proxy = proxy.await.unwrap();
    let options = options(proxy.address().unwrap());
    tokio::spawn(proxy.run(Some((Duration::from_millis(1600), Duration::from_millis(600)))));
    let impatient = "management = {}\npatience = '200ms'\non-loss = { return = '10ms..50ms' }\n";
    let record = played(&scenario(&(impatient.to_owned() + OPEN)), options).await;

    assert_eq!(record.counts["connections-given-up"], 20, "all had one, and none was answered");
    let logins: u64 = record.latencies["login"].values().map(|spread| spread.count).sum();
    assert_eq!(logins, 40, "all are back: {:?}", record.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stays_away_does_not_come_back() {
    let on_loss = "on-loss = 'stay-away'\n";
    let text = scenario(&(on_loss.to_owned() + OPEN)) + "[[fault]]\nat = '2s'\ndo.cut = 1.0\n";
    let record = played(&text, options(null_server())).await;

    assert_eq!(record.counts["connections-cut"], 20);
    assert_eq!(record.seconds[2].sessions, 0);
    assert_eq!(record.ledger.lost, 0, "{:?}", record.ledger);
}
