//! One reader of a topic, in a consumer group.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::{Quiet, refused};
use crate::{
    Error, Result,
    bus::{Place, Record, Subscription},
};

/// Records given at a time.
const GIVEN_MAX: usize = 256;

pub(super) struct Reader {
    consumer: Arc<StreamConsumer<Quiet>>,
    topic: String,
}

impl Reader {
    pub(super) fn open(mut client: ClientConfig, topic: &str, group: &str) -> Result<Self> {
        let consumer: StreamConsumer<Quiet> = client
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("session.timeout.ms", "6000")
            .create_with_context(Quiet)
            .map_err(|error| refused(&error))?;
        consumer.subscribe(&[topic]).map_err(|error| refused(&error))?;
        Ok(Self { consumer: Arc::new(consumer), topic: topic.to_owned() })
    }
}

#[async_trait]
impl Subscription for Reader {
    async fn next(&mut self) -> Result<Vec<(Place, Record)>> {
        let first = loop {
            match self.consumer.recv().await {
                Ok(first) => break first,
                Err(error) if will_pass(&error) => {
                    tracing::debug!(%error, "kafka does not answer, waiting for it");
                }
                Err(error) => return Err(refused(&error)),
            }
        };
        let mut given = vec![read(&first)?];
        while given.len() < GIVEN_MAX
            && let Some(Ok(more)) = self.consumer.recv().now_or_never()
        {
            given.push(read(&more)?);
        }
        Ok(given)
    }

    async fn commit(&mut self, places: &[Place]) -> Result<()> {
        let mut done = TopicPartitionList::new();
        let mut last: Vec<Place> = places.to_vec();
        last.sort_unstable();
        for (at, place) in last.iter().enumerate() {
            if last.get(at + 1).is_some_and(|next| next.part == place.part) {
                continue;
            }
            let next = Offset::Offset(place.offset.cast_signed() + 1);
            done.add_partition_offset(&self.topic, place.part.cast_signed(), next)
                .map_err(|error| refused(&error))?;
        }
        if done.count() == 0 {
            return Ok(());
        }
        // The client waits in the thread that asks it.
        let consumer = Arc::clone(&self.consumer);
        let committed = tokio::task::spawn_blocking(move || consumer.commit(&done, CommitMode::Sync));
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Unknown(format!("kafka has not taken a commit: {error}"))),
            Err(error) => Err(Error::Unknown(error.to_string())),
        }
    }
}

impl Drop for Reader {
    /// Leaving a group takes a while, and the client waits for it in the thread that lets go last.
    fn drop(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        std::thread::spawn(move || drop(consumer));
    }
}

/// Whether the client goes on by itself: brokers come back, topics that are not there and what is forbidden do not.
fn will_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownTopicOrPartition};
    match error {
        KafkaError::MessageConsumption(code) => {
            !matches!(code, GroupAuthorizationFailed | TopicAuthorizationFailed | UnknownTopicOrPartition)
        }
        _ => false,
    }
}

fn read(message: &BorrowedMessage<'_>) -> Result<(Place, Record)> {
    let key = message.key().unwrap_or_default();
    let key = std::str::from_utf8(key).map_err(|error| Error::Corrupt(error.to_string()))?;
    let place = Place { part: message.partition().cast_unsigned(), offset: message.offset().cast_unsigned() };
    let value = Bytes::copy_from_slice(message.payload().unwrap_or_default());
    Ok((place, Record { key: key.to_owned(), value }))
}
