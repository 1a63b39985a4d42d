//! Runs against the server that does next to nothing: everything arrives, and is measured.

use std::collections::BTreeMap;

use figures::Record;
use play::{Endpoint, Options, Part};
use rig::null;
use scenario::Scenario;

/// A null server in this process, and what the operator would say to play against it.
fn options() -> Options {
    let bind = null::Options {
        plain: Some(([127, 0, 0, 1], 0).into()),
        direct: None,
        domain: "example.org".to_owned(),
    };
    let server = null::Server::bind(&bind).unwrap();
    let address = server.addresses().unwrap().0.unwrap();
    tokio::spawn(server.serve());
    Options {
        endpoints: vec![Endpoint { address, path: None }],
        target: "null".to_owned(),
        domain: "example.org".to_owned(),
        tls: client::Tls::insecure().unwrap(),
        sources: Vec::new(),
        watch: BTreeMap::new(),
        metrics: None,
        hooks: BTreeMap::new(),
        seed: 1,
        worker: Part::WHOLE,
        others: None,
        run: 7,
        start: None,
        stop: std::sync::Arc::default(),
    }
}

async fn played(text: &str) -> Record {
    let scenario = Scenario::parse(text, "test.toml", &BTreeMap::new()).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let played = play::run(&scenario, options(), |_| {}).await.unwrap();
    played.settle(&scenario.ledger)
}

fn scenario(population: &str) -> String {
    format!(
        "name = 'test'\nabout = 'a test'\n[accounts]\ncount = 20\n\
         [[phase]]\nname = 'arriving'\nfor = '1s'\narrive = {{ burst = 20 }}\n\
         [[phase]]\nname = 'steady'\nfor = '2s'\n\
         [[population]]\nname = 'people'\n{population}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_rate_of_messages_all_arrives() {
    let script =
        "script = [{ until = 'steady' }, { repeat = { pace = { rate = 500 }, steps = [{ chat = {} }] } }]";
    let record = played(&scenario(script)).await;

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
    let record = played(&scenario(script)).await;
    assert!(record.ledger.is_clean(), "{:?}", record.ledger);
    assert!(record.ledger.sent > 2000, "{}", record.ledger.sent);
    assert_eq!(record.ledger.delivered, record.ledger.sent);
    assert!(!record.counts.keys().any(|name| name.starts_with("failed.")), "{:?}", record.counts);
}
