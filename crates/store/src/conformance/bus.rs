//! The play about the bus.

use std::{future::Future, time::Duration};

use bytes::Bytes;

use crate::bus::{Bus, Place, Record, Subscription, Topic};

/// For a group of readers to come together, and for records to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every group gets every record, of a key in order, and those it has not committed again.
pub async fn bus(bus: &dyn Bus) {
    bus.publish(Topic::Messages, &[record("juliet", 1), record("romeo", 1)]).await.unwrap();
    bus.publish(Topic::Messages, &[record("juliet", 2)]).await.unwrap();
    bus.publish(Topic::Presence, &[record("juliet", 9)]).await.unwrap();
    bus.publish(Topic::Presence, &[]).await.unwrap();

    let mut montague = bus.subscribe(Topic::Messages, "montague").await.unwrap();
    let given = take(&mut *montague, 3).await;
    assert_eq!(of_key(&given, "juliet"), [1, 2]);
    assert_eq!(of_key(&given, "romeo"), [1]);
    montague.commit(&places(&given)).await.unwrap();

    bus.publish(Topic::Messages, &[record("juliet", 3)]).await.unwrap();
    let given = take(&mut *montague, 1).await;
    assert_eq!(of_key(&given, "juliet"), [3]);
    drop(montague);

    // What was not committed comes again, what was does not.
    let mut montague = bus.subscribe(Topic::Messages, "montague").await.unwrap();
    let given = take(&mut *montague, 1).await;
    assert_eq!((given.len(), of_key(&given, "juliet")), (1, vec![3]));

    let mut capulet = bus.subscribe(Topic::Messages, "capulet").await.unwrap();
    let given = take(&mut *capulet, 4).await;
    assert_eq!(of_key(&given, "juliet"), [1, 2, 3]);
    let mut present = bus.subscribe(Topic::Presence, "montague").await.unwrap();
    assert_eq!(of_key(&take(&mut *present, 1).await, "juliet"), [9]);

    let (given, ()) = tokio::join!(take(&mut *capulet, 1), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bus.publish(Topic::Messages, &[record("romeo", 2)]).await.unwrap();
    });
    assert_eq!(of_key(&given, "romeo"), [2], "whoever waits is told");
}

fn record(key: &str, number: u8) -> Record {
    Record { key: key.to_owned(), value: Bytes::from(vec![number]) }
}

/// So many records at least.
async fn take(subscription: &mut dyn Subscription, count: usize) -> Vec<(Place, Record)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(in_time(subscription.next()).await.unwrap());
    }
    taken
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("records come")
}

fn of_key(taken: &[(Place, Record)], key: &str) -> Vec<u8> {
    taken.iter().filter(|(_, record)| record.key == key).map(|(_, record)| record.value[0]).collect()
}

fn places(taken: &[(Place, Record)]) -> Vec<Place> {
    taken.iter().map(|(place, _)| *place).collect()
}
