//! Kafka as it is configured: where public events go.

use std::time::Duration;

use anyhow::Context as _;
use node::config::{Problem, Settings};
use serde::Deserialize;
use store::Store;
use store::kafka::Options;

use crate::configuration::Configuration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    brokers: Vec<String>,
    prefix: String,
    timeout_ms: u64,
    queue_bytes_max: usize,
    partitions: u16,
    replicas: u16,
}

/// The options of [kafka]; none if it names no broker.
pub(crate) fn options(settings: &Settings, problems: &mut Vec<Problem>) -> Option<Options> {
    let section: Section = settings.section("kafka").map_err(|problem| problems.push(problem)).ok()?;
    let mut expect = |holds: bool, key: &str, expected: &str| {
        if !holds {
            let found = settings.value(key).map(|value| value.to_string()).unwrap_or_default();
            problems.push(settings.problem(key, found, expected));
        }
    };
    let with_port = |broker: &String| {
        broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    expect(
        section.brokers.iter().all(with_port),
        "kafka.brokers",
        "a host and a port each, as kafka.example:9092",
    );
    // Kafka's own rule for the names of topics.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = !section.prefix.is_empty() && section.prefix.chars().all(plain);
    expect(fits, "kafka.prefix", "letters, digits, dots, hyphens and underscores");
    (!section.brokers.is_empty()).then(|| Options {
        brokers: section.brokers,
        prefix: section.prefix,
        timeout: Duration::from_millis(section.timeout_ms),
        queue_bytes_max: section.queue_bytes_max,
        partitions: section.partitions,
        replicas: section.replicas,
    })
}

/// The store with Kafka as its bus, if one is configured.
pub(crate) fn over(configuration: &Configuration, store: Store) -> anyhow::Result<Store> {
    let Some(options) = configuration.kafka.clone() else { return Ok(store) };
    let bus = store::kafka::open(options).context("[kafka] cannot be used")?;
    Ok(Store { bus, ..store })
}
