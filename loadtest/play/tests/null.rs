//! Runs against the server that does next to nothing: everything arrives, and is measured.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod stand;

use stand::{null_server, options, played, scenario};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_rate_of_messages_all_arrives() {
    let script =
        "script = [{ until = 'steady' }, { repeat = { pace = { rate = 500 }, steps = [{ chat = {} }] } }]";
    let record = played(&scenario(script), options(null_server())).await;

    let ledger = &record.ledger;
    assert!(ledger.is_clean(), "{ledger:?}");
    assert!((800..1200).contains(&ledger.sent), "{} of about 1000", ledger.sent);
    assert_eq!(ledger.delivered, ledger.sent);
    assert_eq!(record.counts["sent"], ledger.sent);
    assert_eq!(record.latencies["chat"]["steady"].count, ledger.sent);
    assert_eq!(record.latencies["login"]["arriving"].count, 20);
    assert_eq!(record.seconds[1].sessions, 20);
    assert!(
        record.warnings.iter().all(|warning| warning.starts_with("the generator")),
        "{:?}",
        record.warnings
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_window_goes_as_fast_as_messages_arrive() {
    let script =
        "script = [{ until = 'steady' }, { repeat = { pace = { window = 4 }, steps = [{ chat = {} }] } }]";
    let record = played(&scenario(script), options(null_server())).await;
    assert!(record.ledger.is_clean(), "{:?}", record.ledger);
    assert!(record.ledger.sent > 2000, "{}", record.ledger.sent);
    assert_eq!(record.ledger.delivered, record.ledger.sent);
    assert!(!record.counts.keys().any(|name| name.starts_with("failed.")), "{:?}", record.counts);
}
