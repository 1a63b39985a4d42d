//! Kafka keeps the contract of the bus, and does no harm while it is away.
//!
//! With `KAFKA` (`host:port`, as `tests/infra/up kafka` says it) the plays are performed there.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use store::{
    Error,
    bus::{RECORD_BYTES_MAX, Record, Topic},
    conformance,
    kafka::{self, Options},
};

fn options(broker: String) -> Options {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    Options { prefix: format!("test-{now}"), partitions: 3, ..Options::new(vec![broker]) }
}

fn broker() -> Option<String> {
    let broker = std::env::var("KAFKA").ok();
    if broker.is_none() {
        println!("skipped: KAFKA names no broker (tests/infra/up kafka)");
    }
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_keeps_the_contract() {
    let Some(broker) = broker() else { return };
    let options = options(broker);
    assert_eq!(kafka::create_topics(&options).await.unwrap().len(), Topic::ALL.len());
    assert_eq!(kafka::create_topics(&options).await.unwrap(), [""; 0], "they are there");

    conformance::bus(&*kafka::open(options).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_record_is_taken_and_a_larger_one_is_not() {
    let Some(broker) = broker() else { return };
    let options = options(broker);
    kafka::create_topics(&options).await.unwrap();
    let bus = kafka::open(options).unwrap();
    let record = |bytes| Record { key: "juliet".into(), value: Bytes::from(vec![b'x'; bytes]) };

    let larger = bus.publish(Topic::Messages, &[record(RECORD_BYTES_MAX + 1)]).await;
    assert!(matches!(larger, Err(Error::TooLarge { .. })), "{larger:?}");
    // Brokers take 1 MiB with everything around it unless they are told otherwise.
    bus.publish(Topic::Messages, &[record(RECORD_BYTES_MAX - 64 * 1024)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_a_record_is_given_up_in_time() {
    let options = Options { timeout: Duration::from_secs(1), ..options("127.0.0.1:1".into()) };
    let bus = kafka::open(options).unwrap();
    let record = Record { key: "juliet".into(), value: Bytes::from_static(b"x") };

    let start = Instant::now();
    let published = bus.publish(Topic::Messages, &[record]).await;

    assert!(matches!(published, Err(Error::Unknown(_))), "{published:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
