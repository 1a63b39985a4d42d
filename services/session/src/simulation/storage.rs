//! The store that all owners share: the one in memory, which can be slow and refuse, and keeps a late owner out as one
//! that processes share does (`docs/decisions/0008`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use store::{Archive, Error, Handovers, Liveness, Member, Members, Result, Row, Store};
use xmpp::jid::Jid;

use super::random::Random;

#[derive(Clone)]
pub(super) struct Switch(Arc<Mutex<State>>);

struct State {
    refuses: bool,
    deaf: bool,
    slow_ms: u64,
    random: Random,
    /// The epochs since which an archive was somebody's, and what its last row was then.
    taken: HashMap<Jid, Vec<(u64, u64)>>,
}

struct Shared {
    store: Store,
    switch: Switch,
}

impl Switch {
    /// Everything durable is refused, or nothing is.
    pub(super) fn refuses(&self, refuses: bool) {
        self.0.lock().refuses = refuses;
    }

    /// Nobody can say or hear who is there.
    pub(super) fn deaf(&self, deaf: bool) {
        self.0.lock().deaf = deaf;
    }

    /// Writes take up to this long.
    pub(super) fn slow(&self, ms: u64) {
        self.0.lock().slow_ms = ms;
    }

    fn ask(&self) -> Result<()> {
        if self.0.lock().refuses { Err(Error::Refused("it is down".into())) } else { Ok(()) }
    }

    async fn passes(&self) -> Result<()> {
        self.ask()?;
        let ms = {
            let state = &mut *self.0.lock();
            state.random.within(0..state.slow_ms + 1)
        };
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.ask()
    }
}

/// A store, and the switch that its faults are made with.
pub(super) fn open(seed: u64) -> (Store, Switch) {
    let random = Random::new(seed ^ 0x7374_6f72);
    let state = State { refuses: false, deaf: false, slow_ms: 8, random, taken: HashMap::new() };
    let (store, switch) = (store::memory::open(), Switch(Arc::new(Mutex::new(state))));
    let shared = Arc::new(Shared { store: store.clone(), switch: switch.clone() });
    (
        Store {
            archive: shared.clone(),
            handovers: shared.clone(),
            members: shared.clone(),
            liveness: shared,
            ..store
        },
        switch,
    )
}

#[async_trait]
impl Archive for Shared {
    async fn append(&self, rows: &[Row]) -> Result<()> {
        self.switch.passes().await?;
        let seen: Vec<Row> = {
            let state = self.switch.0.lock();
            let late = |row: &&Row| {
                let mut taken = state.taken.get(&row.archive).into_iter().flatten();
                taken.any(|(epoch, last)| row.epoch < *epoch && row.id > *last)
            };
            rows.iter().filter(|row| !late(row)).cloned().collect()
        };
        self.store.archive.append(&seen).await?;
        // It is written, and nobody may ever hear so.
        self.switch.ask().map_err(|_| Error::Unknown("it is down".into()))
    }

    async fn take_over(&self, archive: &Jid, epoch: u64) -> Result<u64> {
        self.switch.ask()?;
        let last = self.store.archive.take_over(archive, epoch).await?;
        self.switch.0.lock().taken.entry(archive.clone()).or_default().push((epoch, last));
        Ok(last)
    }

    async fn delete(&self, archive: &Jid, ids: &[u64]) -> Result<()> {
        self.switch.passes().await?;
        self.store.archive.delete(archive, ids).await
    }

    async fn row(&self, archive: &Jid, id: u64) -> Result<Option<Row>> {
        self.switch.ask()?;
        self.store.archive.row(archive, id).await
    }

    async fn after(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        self.switch.ask()?;
        self.store.archive.after(archive, id, limit).await
    }

    async fn before(&self, archive: &Jid, id: u64, limit: usize) -> Result<Vec<Row>> {
        self.switch.ask()?;
        self.store.archive.before(archive, id, limit).await
    }

    async fn tail(&self, archive: &Jid, since_ms: u64, limit: usize) -> Result<Vec<Row>> {
        self.switch.ask()?;
        self.store.archive.tail(archive, since_ms, limit).await
    }

    async fn last_id(&self, archive: &Jid) -> Result<u64> {
        self.switch.ask()?;
        self.store.archive.last_id(archive).await
    }
}

#[async_trait]
impl Members for Shared {
    async fn join(&self, name: &str, incarnation: u64) -> Result<()> {
        self.switch.passes().await?;
        self.store.members.join(name, incarnation).await
    }

    async fn beat(&self, name: &str, incarnation: u64, beat: u64) -> Result<bool> {
        self.switch.passes().await?;
        self.store.members.beat(name, incarnation, beat).await
    }

    async fn fence(&self, name: &str, incarnation: u64) -> Result<()> {
        self.switch.passes().await?;
        self.store.members.fence(name, incarnation).await
    }

    async fn leave(&self, name: &str, incarnation: u64) -> Result<()> {
        self.switch.passes().await?;
        self.store.members.leave(name, incarnation).await
    }

    async fn list(&self) -> Result<Vec<Member>> {
        self.switch.ask()?;
        self.store.members.list().await
    }

    async fn table(&self) -> Result<(u64, Bytes)> {
        self.switch.ask()?;
        self.store.members.table().await
    }

    async fn replace_table(&self, version: u64, table: Bytes) -> Result<bool> {
        self.switch.passes().await?;
        self.store.members.replace_table(version, table).await
    }
}

#[async_trait]
impl Handovers for Shared {
    async fn put(&self, account: &Jid, copy: Bytes, for_ms: u64) -> Result<()> {
        self.hears()?;
        self.store.handovers.put(account, copy, for_ms).await
    }

    async fn take(&self, account: &Jid) -> Result<Option<Bytes>> {
        self.hears()?;
        self.store.handovers.take(account).await
    }
}

#[async_trait]
impl Liveness for Shared {
    async fn say(&self, member: &str, for_ms: u64) -> Result<()> {
        self.hears()?;
        self.store.liveness.say(member, for_ms).await
    }

    async fn gone(&self, member: &str) -> Result<()> {
        self.hears()?;
        self.store.liveness.gone(member).await
    }

    async fn are_there(&self, members: &[String]) -> Result<Vec<bool>> {
        self.hears()?;
        self.store.liveness.are_there(members).await
    }
}

impl Shared {
    fn hears(&self) -> Result<()> {
        if self.switch.0.lock().deaf { Err(Error::Refused("nobody hears".into())) } else { Ok(()) }
    }
}
