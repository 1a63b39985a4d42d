//! What runs are tried on: a null server in this process, and twenty people.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use figures::Record;
use play::{Endpoint, Options, Part};
use rig::null;
use scenario::Scenario;

/// A server that does next to nothing, in this process.
pub(crate) fn null_server() -> SocketAddr {
    let bind = null::Options {
        plain: Some(([127, 0, 0, 1], 0).into()),
        direct: None,
        domain: "example.org".to_owned(),
    };
    let server = null::Server::bind(&bind).unwrap();
    let address = server.addresses().unwrap().0.unwrap();
    tokio::spawn(server.serve());
    address
}

/// What the operator would say to play against that server.
pub(crate) fn options(address: SocketAddr) -> Options {
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

/// Plays a scenario.
pub(crate) async fn played(text: &str, options: Options) -> Record {
    let scenario = Scenario::parse(text, "test.toml", &BTreeMap::new()).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let played = play::run(&scenario, options, |_| {}).await.unwrap();
    played.settle(&scenario.ledger)
}

/// Twenty people who log in within a second, and two more seconds.
pub(crate) fn scenario(population: &str) -> String {
    format!(
        "name = 'test'\nabout = 'a test'\n[accounts]\ncount = 20\n\
         [[phase]]\nname = 'arriving'\nfor = '1s'\narrive = {{ burst = 20 }}\n\
         [[phase]]\nname = 'steady'\nfor = '2s'\n\
         [[population]]\nname = 'people'\n{population}\n"
    )
}
