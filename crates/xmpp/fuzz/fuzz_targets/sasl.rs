//! No message of a client makes the server's side of a login panic, or lets anybody in without the password.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use xmpp::sasl::{Decoy, Exchange, Mechanism, Step, Terms};

static DECOY: LazyLock<Decoy> = LazyLock::new(|| Decoy::new(b"secret", 1));

fuzz_target!(|data: &[u8]| {
    let Some((choice, messages)) = data.split_first() else { return };
    let offered = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "SCRAM-SHA-512"];
    let offered: Vec<Mechanism> = offered.into_iter().filter_map(Mechanism::parse).collect();
    let mechanism = offered[usize::from(*choice) % offered.len()];
    let terms =
        Terms { domain: "example.com".into(), offered, bindings: Vec::new(), nonce: "3rfcNHYJY1ZVvWVs7j".into() };
    let Ok(mut exchange) = Exchange::start(mechanism, terms) else { return };
    for message in messages.split(|byte| *byte == 0xFF).take(4) {
        let mut step = exchange.step(message);
        if let Step::NeedCredentials { .. } = step {
            step = exchange.credentials(None, &DECOY);
        }
        match step {
            Step::Challenge(_) => {}
            Step::Success { .. } => panic!("in without an account"),
            Step::NeedCredentials { .. } | Step::Failure(_) => return,
        }
    }
});
