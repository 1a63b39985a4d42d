//! The bus in memory: a log a topic, of one part, that forgets its oldest records.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    Result,
    bus::{Bus, Place, Record, Subscription, Topic},
};

/// Records of a topic that are remembered.
const RECORDS_MAX: usize = 65_536;
/// Records given at a time.
const GIVEN_MAX: usize = 256;

/// Logs that are gone with their last handle; `public` is what [`Bus::is_public`] says.
pub fn bus(public: bool) -> Arc<dyn Bus> {
    Arc::new(Logs { public, logs: Arc::default() })
}

struct Logs {
    public: bool,
    logs: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    logs: Mutex<HashMap<Topic, Log>>,
    written: Notify,
}

#[derive(Default)]
struct Log {
    records: VecDeque<Record>,
    /// The offset of the oldest record.
    oldest: u64,
    groups: HashMap<String, Group>,
}

/// How far a group is: what it has committed, and what its readers were given.
#[derive(Default)]
struct Group {
    committed: u64,
    given: u64,
}

struct Reader {
    logs: Arc<Shared>,
    topic: Topic,
    group: String,
}

#[async_trait]
impl Bus for Logs {
    fn is_public(&self) -> bool {
        self.public
    }

    async fn publish(&self, topic: Topic, records: &[Record]) -> Result<()> {
        records.iter().try_for_each(Record::check)?;
        {
            let mut logs = self.logs.logs.lock();
            let log = logs.entry(topic).or_default();
            log.records.extend(records.iter().cloned());
            let forgotten = log.records.len().saturating_sub(RECORDS_MAX);
            log.records.drain(..forgotten);
            log.oldest += forgotten as u64;
        }
        self.logs.written.notify_waiters();
        Ok(())
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>> {
        let reader = Reader { logs: Arc::clone(&self.logs), topic, group: group.to_owned() };
        Ok(Box::new(reader))
    }
}

#[async_trait]
impl Subscription for Reader {
    async fn next(&mut self) -> Result<Vec<(Place, Record)>> {
        loop {
            let written = self.logs.written.notified();
            let given = self.with(Log::give);
            if !given.is_empty() {
                return Ok(given);
            }
            written.await;
        }
    }

    async fn commit(&mut self, places: &[Place]) -> Result<()> {
        if let Some(last) = places.iter().max() {
            self.with(|_, group| group.committed = group.committed.max(last.offset + 1));
        }
        Ok(())
    }
}

impl Reader {
    fn with<T>(&self, act: impl FnOnce(&mut Log, &mut Group) -> T) -> T {
        let mut logs = self.logs.logs.lock();
        let log = logs.entry(self.topic).or_default();
        let mut group = log.groups.remove(&self.group).unwrap_or_default();
        let done = act(log, &mut group);
        log.groups.insert(self.group.clone(), group);
        done
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.with(|_, group| group.given = group.committed);
        self.logs.written.notify_waiters();
    }
}

impl Log {
    fn give(&mut self, group: &mut Group) -> Vec<(Place, Record)> {
        group.given = group.given.max(self.oldest);
        let from = (group.given - self.oldest) as usize;
        let records = self.records.iter().skip(from).take(GIVEN_MAX);
        let given: Vec<_> = (group.given..)
            .zip(records)
            .map(|(offset, record)| (Place { part: 0, offset }, record.clone()))
            .collect();
        group.given += given.len() as u64;
        given
    }
}
