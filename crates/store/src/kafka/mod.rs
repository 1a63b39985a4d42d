//! The bus on Kafka: a topic a log, named by a prefix, its partitions the parts.
//!
//! The client is built without TLS and SASL, which would need OpenSSL: brokers are reached on a network of their own, or
//! through a proxy that speaks TLS.

mod reader;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join_all;
use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::RDKafkaLogLevel,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};

use crate::{
    Error, Result,
    bus::{Bus, RECORD_BYTES_MAX, Record, Subscription, Topic},
};

/// Beside its value a record has a key and some bytes of Kafka's own.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;

/// How Kafka is reached, and what its topics are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Some of its brokers, each a host and a port.
    pub brokers: Vec<String>,
    /// What topics, groups and the client are called by. Default `throng`.
    pub prefix: String,
    /// How long a record may take until it is acknowledged. Default 5 s.
    pub timeout: Duration,
    /// Bytes of records that wait for their acknowledgement; beyond it they are refused. Default 32 MiB.
    pub queue_bytes_max: usize,
    /// Of a topic that is created. Default 12.
    pub partitions: u16,
    /// Copies of a topic that is created; 0: as many as the brokers think fit. Default 0.
    pub replicas: u16,
}

impl Options {
    /// These brokers, and the default of everything else.
    pub fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            prefix: "throng".into(),
            timeout: Duration::from_secs(5),
            queue_bytes_max: 32 * 1024 * 1024,
            partitions: 12,
            replicas: 0,
        }
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.prefix)
            .set("message.max.bytes", (RECORD_BYTES_MAX + ENVELOPE_BYTES_MAX).to_string())
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Notice);
        client
    }

    fn topic(&self, topic: Topic) -> String {
        format!("{}.{}", self.prefix, topic.name())
    }
}

/// Begins to connect, in a thread of the client's own; that Kafka is away is no error.
///
/// # Errors
/// The options cannot be used.
pub fn open(options: Options) -> Result<Arc<dyn Bus>> {
    let producer = options
        .client()
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .set("message.timeout.ms", options.timeout.as_millis().to_string())
        .set("queue.buffering.max.kbytes", (options.queue_bytes_max / 1024).max(1).to_string())
        .create_with_context(Quiet)
        .map_err(|error| refused(&error))?;
    Ok(Arc::new(Kafka { options, producer }))
}

/// Creates the topics that are not there, and returns the names of those it has created.
///
/// # Errors
/// Kafka cannot be reached, or refuses.
pub async fn create_topics(options: &Options) -> Result<Vec<String>> {
    let admin: AdminClient<Quiet> =
        options.client().create_with_context(Quiet).map_err(|error| refused(&error))?;
    let names = Topic::ALL.map(|topic| options.topic(topic));
    let replicas = if options.replicas == 0 { -1 } else { i32::from(options.replicas) };
    let topics: Vec<_> = names
        .iter()
        .map(|name| NewTopic::new(name, i32::from(options.partitions), TopicReplication::Fixed(replicas)))
        .collect();
    let limit =
        AdminOptions::new().request_timeout(Some(options.timeout)).operation_timeout(Some(options.timeout));
    let mut created = Vec::new();
    for result in admin.create_topics(&topics, &limit).await.map_err(|error| refused(&error))? {
        match result {
            Ok(name) => created.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(Error::Refused(format!("kafka does not create {name}: {code}"))),
        }
    }
    Ok(created)
}

struct Kafka {
    options: Options,
    producer: FutureProducer<Quiet>,
}

#[async_trait]
impl Bus for Kafka {
    fn is_public(&self) -> bool {
        true
    }

    async fn publish(&self, topic: Topic, records: &[Record]) -> Result<()> {
        records.iter().try_for_each(Record::check)?;
        let topic = self.options.topic(topic);
        let mut acknowledgements = Vec::with_capacity(records.len());
        let mut full = None;
        for record in records {
            let record = FutureRecord::to(&topic).key(&record.key).payload(&record.value[..]);
            match self.producer.send_result(record) {
                Ok(acknowledgement) => acknowledgements.push(acknowledgement),
                Err((error, _)) => {
                    full = Some(error);
                    break;
                }
            }
        }
        for acknowledged in join_all(acknowledgements).await {
            match acknowledged {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => {
                    return Err(Error::Unknown(format!("kafka has not acknowledged: {error}")));
                }
                Err(_) => return Err(Error::Unknown("kafka's client has gone".into())),
            }
        }
        full.map_or(Ok(()), |error| Err(refused(&error)))
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>> {
        let topic = self.options.topic(topic);
        // A group of readers waits for each of them when another comes: those of other topics have no part in it.
        let group = format!("{topic}.{group}");
        Ok(Box::new(reader::Reader::open(self.options.client(), &topic, &group)?))
    }
}

fn refused(error: &KafkaError) -> Error {
    Error::Refused(format!("kafka: {error}"))
}

/// What the client has to say between requests goes to the log, where nobody is alarmed: it repeats itself for as long as
/// a broker is away.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, _: &str, message: &str) {
        tracing::debug!(message, "kafka's client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka's client");
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {
    fn commit_callback(&self, result: KafkaResult<()>, _: &rdkafka::TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "kafka has not taken a commit");
        }
    }
}
