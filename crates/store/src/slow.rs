//! A store whose archive is slow or fails when told to: for the tests of whoever waits for it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use xmpp::jid::Jid;

use crate::{Archive, Error, Result, Row, Store};

/// What becomes of an append.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It is performed.
    #[default]
    None,
    /// It is refused and not performed.
    Refused,
    /// It is performed, and its outcome reported as unknown.
    UnknownWritten,
    /// It is not performed, and its outcome reported as unknown.
    UnknownLost,
}

/// Says how appends to a wrapped store behave from now on; where they are refused, messages that wait are not read either.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<Mutex<(Duration, Fault)>>);

impl Switch {
    /// Each append waits this long before anything happens.
    pub fn delay(&self, delay: Duration) {
        self.0.lock().0 = delay;
    }

    /// Each append ends like this.
    pub fn fault(&self, fault: Fault) {
        self.0.lock().1 = fault;
    }
}

/// Wraps a store; until the switch is used it behaves as before.
pub fn wrap(mut store: Store) -> (Store, Switch) {
    let switch = Switch::default();
    store.archive = Arc::new(Slow { archive: store.archive, switch: switch.clone() });
    (store, switch)
}

struct Slow {
    archive: Arc<dyn Archive>,
    switch: Switch,
}

#[async_trait]
impl Archive for Slow {
    async fn append(&self, rows: &[Row]) -> Result<()> {
        let (delay, fault) = *self.switch.0.lock();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let why = || "a fault was asked for".to_owned();
        match fault {
            Fault::None => self.archive.append(rows).await,
            Fault::Refused => Err(Error::Refused(why())),
            Fault::UnknownLost => Err(Error::Unknown(why())),
            Fault::UnknownWritten => {
                self.archive.append(rows).await?;
                Err(Error::Unknown(why()))
            }
        }
    }

    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()> {
        self.archive.delete(archive, ids).await
    }

    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>> {
        self.archive.row(archive, id).await
    }

    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        if self.switch.0.lock().1 == Fault::Refused {
            return Err(Error::Refused("a fault was asked for".to_owned()));
        }
        self.archive.after(archive, id, limit).await
    }

    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        self.archive.before(archive, id, limit).await
    }

    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>> {
        self.archive.tail(archive, since_ms, limit).await
    }

    async fn last_id(&self, archive: &Jid) -> Result<u64> {
        self.archive.last_id(archive).await
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Direction, Uid};

    fn row(id: u64) -> Row {
        let jid = |text| Jid::from_prepared(text).unwrap();
        Row {
            archive: jid("juliet@capulet.example"),
            id,
            uid: Uid::default(),
            epoch: 1,
            direction: Direction::Received,
            with: jid("romeo@montague.example"),
            address: None,
            deliver: true,
            spool: false,
            stamp_ms: 0,
            stanza: Bytes::new(),
        }
    }

    #[tokio::test]
    async fn an_append_ends_as_the_switch_says() {
        let (store, switch) = wrap(crate::memory::open());
        let archive = &store.archive;
        let cases = [
            (Fault::None, true, Ok(())),
            (Fault::Refused, false, Err(Error::Refused("a fault was asked for".into()))),
            (Fault::UnknownLost, false, Err(Error::Unknown("a fault was asked for".into()))),
            (Fault::UnknownWritten, true, Err(Error::Unknown("a fault was asked for".into()))),
        ];
        for (id, (fault, written, outcome)) in (1..).zip(cases) {
            switch.fault(fault);
            assert_eq!(archive.append(&[row(id)]).await, outcome, "{fault:?}");
            assert_eq!(archive.row(&row(id).archive, id).await.unwrap().is_some(), written, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn an_append_waits_as_long_as_the_switch_says() {
        let (store, switch) = wrap(crate::memory::open());
        switch.delay(Duration::from_millis(30));

        let start = std::time::Instant::now();
        store.archive.append(&[row(1)]).await.unwrap();

        assert!(start.elapsed() >= Duration::from_millis(30));
    }
}
