//! Plays: events are published in order and at least once, whatever becomes of the bus, and nobody waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proto::events::{Direction, MessageArchived, PresenceChanged};
use store::bus::{Bus, Record, Subscription, Topic};
use store::kafka::Options;
use store::{Error, Result};

use crate::testing::{Edge, PATIENCE, SILENCE, Stage, chat};

/// A bus that is away when it is told to be.
struct Wavering {
    bus: Arc<dyn Bus>,
    away: Arc<AtomicBool>,
}

#[async_trait]
impl Bus for Wavering {
    fn is_public(&self) -> bool {
        true
    }

    async fn publish(&self, topic: Topic, records: &[Record]) -> Result<()> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::Refused("away".into()));
        }
        self.bus.publish(topic, records).await
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>> {
        self.bus.subscribe(topic, group).await
    }
}

/// A stage whose bus others read.
struct Public {
    stage: Stage,
    bus: Arc<dyn Bus>,
    away: Arc<AtomicBool>,
}

impl Public {
    async fn new() -> Self {
        let mut stage = Stage::new().await;
        let (bus, away) = (store::memory::bus(true), Arc::new(AtomicBool::new(false)));
        stage.store.bus = Arc::new(Wavering { bus: bus.clone(), away: away.clone() });
        Self { stage, bus, away }
    }

    async fn reader(&self, topic: Topic) -> Reader {
        Reader(self.bus.subscribe(topic, "reader").await.unwrap())
    }
}

struct Reader(Box<dyn Subscription>);

impl Reader {
    /// So many records at least; none more come.
    async fn all<T: prost::Message + Default + std::fmt::Debug>(&mut self, count: usize) -> Vec<T> {
        let mut taken = Vec::new();
        loop {
            let patience = if taken.len() < count { PATIENCE } else { SILENCE };
            let Ok(records) = tokio::time::timeout(patience, self.0.next()).await else {
                assert!(taken.len() >= count, "{} of {count}: {taken:?}", taken.len());
                return taken;
            };
            taken.extend(records.unwrap().iter().map(|(_, record)| T::decode(&record.value[..]).unwrap()));
        }
    }

    /// The bodies of the messages archived for an account.
    async fn bodies(&mut self, of: &str, count: usize) -> Vec<String> {
        let events: Vec<MessageArchived> = self.all(2 * count).await;
        let of = events.iter().filter(|event| event.archive == format!("{of}@verona.example"));
        of.map(body).collect()
    }
}

fn body(event: &MessageArchived) -> String {
    let text = std::str::from_utf8(&event.message).unwrap();
    let body = text.split_once("<body>").and_then(|(_, rest)| rest.split_once("</body>"));
    body.unwrap_or_else(|| panic!("no body: {text}")).0.to_owned()
}

#[tokio::test]
async fn a_message_is_published_for_each_archive_as_it_is_there() {
    let public = Public::new().await;
    let mut reader = public.reader(Topic::Messages).await;
    let house = public.stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;

    let mut events: Vec<MessageArchived> = reader.all(2).await;
    events.sort_by(|one, other| one.archive.cmp(&other.archive));
    let [received, sent] = &events[..] else { panic!("two archives: {events:?}") };
    let row = &public.stage.archive("juliet").await[0];
    assert_eq!(received.archive, "juliet@verona.example");
    assert_eq!(received.archive_id, features::stanza_ids::text(row.id));
    assert_eq!(received.direction(), Direction::Received);
    assert_eq!((&*received.with, &*received.r#type), ("romeo@verona.example/home", "chat"));
    assert_eq!((received.time_ms, &*received.to), (row.stamp_ms, "juliet@verona.example"));
    assert!(received.from.starts_with("romeo@verona.example/"), "{}", received.from);
    assert_eq!((body(received), body(sent)), ("1".into(), "1".into()));
    assert!(received.message.starts_with(b"<message xmlns="));
    assert_eq!((&*sent.archive, sent.direction()), ("romeo@verona.example", Direction::Sent));
    assert_eq!(received.uid, sent.uid);
}

#[tokio::test]
async fn while_the_bus_is_away_nobody_waits_and_nothing_is_lost() {
    let public = Public::new().await;
    let mut reader = public.reader(Topic::Messages).await;
    let house = public.stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.says(&chat("juliet", "0"));
    assert_eq!(reader.bodies("juliet", 1).await, ["0"]);

    public.away.store(true, Ordering::Relaxed);
    let texts: Vec<String> = (1..=50).map(|n| n.to_string()).collect();
    for text in &texts {
        romeo.says(&chat("juliet", text));
    }
    juliet.hears("50").await;
    romeo.finished(52).await;
    public.away.store(false, Ordering::Relaxed);

    let bodies = reader.bodies("juliet", 50).await;
    let mut once = bodies.clone();
    once.dedup();
    assert_eq!(once, texts, "in order, each at least once: {bodies:?}");
}

#[tokio::test]
async fn what_an_owner_did_not_publish_the_next_one_does() {
    let public = Public::new().await;
    let mut reader = public.reader(Topic::Messages).await;
    let mut house = public.stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    assert_eq!(reader.bodies("juliet", 1).await, ["1"]);
    public.away.store(true, Ordering::Relaxed);
    romeo.says(&chat("juliet", "2"));
    romeo.finished(3).await;
    house.dies();
    public.away.store(false, Ordering::Relaxed);

    public.stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    edge.enters("juliet").await;
    let bodies = reader.bodies("juliet", 1).await;
    assert_eq!(bodies.last().map(String::as_str), Some("2"), "{bodies:?}");
}

#[tokio::test]
async fn presence_is_published_when_it_changes() {
    let public = Public::new().await;
    let mut reader = public.reader(Topic::Presence).await;
    let house = public.stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says("<presence><show>away</show><priority>5</priority></presence>");
    romeo.says_active(false);
    romeo.says("<presence type='unavailable'/>");
    romeo.finished(3).await;

    let events: Vec<PresenceChanged> = reader.all(3).await;
    let told: Vec<_> = events.iter().map(|event| (event.available, &*event.show, event.priority)).collect();
    assert_eq!(told, [(true, "", 0), (true, "away", 5), (false, "", 0)]);
    assert!(events.iter().all(|event| event.account == "romeo@verona.example" && !event.resource.is_empty()));
}

#[tokio::test]
async fn a_bus_that_nobody_reads_is_told_nothing() {
    let mut stage = Stage::new().await;
    let bus = store::memory::bus(false);
    stage.store.bus = bus.clone();
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;

    let mut reader = bus.subscribe(Topic::Messages, "reader").await.unwrap();
    let heard = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// On a real Kafka (`KAFKA`, from `tests/infra/up kafka`), which is killed and started again if that may be
/// (`KAFKA_CTL`: `tests/infra/ctl`, with the `INFRA_` variables of its start).
#[tokio::test(flavor = "multi_thread")]
async fn on_kafka_as_in_memory() {
    let Ok(broker) = std::env::var("KAFKA") else {
        println!("skipped: KAFKA names no broker (tests/infra/up kafka)");
        return;
    };
    let prefix = format!("test-{}", std::process::id());
    let options = Options { prefix, partitions: 2, ..Options::new(vec![broker]) };
    store::kafka::create_topics(&options).await.unwrap();
    let mut stage = Stage::new().await;
    stage.store.bus = store::kafka::open(options).unwrap();
    let mut reader = Reader(stage.store.bus.subscribe(Topic::Messages, "reader").await.unwrap());
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.says(&chat("juliet", "0"));
    assert_eq!(reader.bodies("juliet", 1).await, ["0"]);

    let Ok(ctl) = std::env::var("KAFKA_CTL") else { return };
    let tell = |what| std::process::Command::new(&ctl).args([what, "kafka"]).status().unwrap();
    assert!(tell("kill").success());
    let texts: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    for text in &texts {
        romeo.says(&chat("juliet", text));
    }
    juliet.hears("20").await;
    romeo.finished(22).await;
    assert!(tell("start").success());
    let bodies = reader.bodies("juliet", 20).await;
    // What the reader has not committed comes again when it has found its broker again.
    let missing: Vec<_> = texts.iter().filter(|text| !bodies.contains(text)).collect();
    assert!(missing.is_empty(), "{missing:?} of {bodies:?}");
}
