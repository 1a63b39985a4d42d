//! Taking slots and letting go of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use hashbrown::{HashMap, HashSet};
use store::Registered;
use tokio::time::{Instant, sleep, timeout};

use super::{Assignments, CALL_MS_MAX};
use crate::gathering::Batch;
use crate::handover::Legacy;
use crate::metrics;
use crate::owner::Owner;
use crate::shard::{SHARDS, of_slot};
use crate::slots::Hold;
use crate::work::Work;

/// Slots that are let go of at a time, at most: their accounts are away for as long as that takes.
const SLOTS_AT_A_TIME: usize = 256;

/// Between slots that are let go of and the next ones, in milliseconds: their next owner has to take them up.
pub(super) const PACE_MS: u64 = 100;

/// How long what is under way may take to be finished before slots move, in milliseconds.
const QUIET_MS_MAX: u64 = 2_000;

/// Between looks at whether it is.
const LOOK: Duration = Duration::from_millis(10);

/// Calls to a store that are under way at a time while slots move.
const CALLS_MAX: usize = 64;

impl Owner {
    /// Whether slots are on their way from here to somebody else.
    pub(crate) fn is_moving(&self) -> bool {
        !self.released.lock().is_empty() || !self.slots.held(|hold| hold == Hold::Closing).is_empty()
    }

    /// Does what the table says of this owner. Of slots that it is to let go of, as many as hold `per_s` accounts, in a
    /// [`PACE_MS`].
    pub(crate) async fn adopt(self: &Arc<Self>, table: &Assignments, per_s: u64) {
        let me = self.life();
        let (mut take, mut asked, mut stay) = (Vec::new(), Vec::new(), Vec::new());
        for (slot, one) in (0_u16..).zip(&table.slots) {
            let mine = one.owner.as_ref() == Some(&me);
            match (self.slots.hold(slot), mine) {
                (Hold::Absent, true) if one.wanted.is_some() || self.released.lock().contains(&slot) => {
                    asked.push(slot);
                }
                (Hold::Absent, true) => {
                    self.slots.inherit(slot, one.released);
                    take.push((slot, one.epoch));
                }
                (Hold::Absent, false) => drop(self.released.lock().remove(&slot)),
                (_, false) => return self.end_fenced(),
                (_, true) if one.wanted.is_some() => asked.push(slot),
                // That they stay was written, and the answer lost.
                (Hold::Closing, true) => stay.push((slot, one.epoch)),
                (_, true) => {}
            }
        }
        self.take(&take);
        self.go_on_with(&stay);
        if !self.is_leaving() && !asked.is_empty() {
            // Those that it serves stay while there is trouble, or whoever is to have them is gone.
            let (steady, others) = (self.lease.is_steady(), self.others().await);
            let heir_is_there = |slot: u16| {
                let wanted = table.slots[usize::from(slot)].wanted.as_ref();
                wanted.is_some_and(|wanted| others.contains(wanted))
            };
            asked.retain(|slot| !self.slots.takes(*slot) || steady && heir_is_there(*slot));
        }
        let count = self.few(&asked, (per_s * PACE_MS / 1_000).max(1));
        if count > 0 {
            self.let_go(&asked[..count], table).await;
        }
    }

    /// How many of these slots have so many accounts, at least one.
    fn few(&self, slots: &[u16], accounts_max: u64) -> usize {
        let (accounts, mut sum) = (self.accounts(), 0);
        let fits = |slot: &&u16| {
            let fits = sum < accounts_max;
            sum += accounts.get(*slot).copied().unwrap_or_default();
            fits
        };
        slots.iter().take(SLOTS_AT_A_TIME).take_while(fits).count()
    }

    /// How many accounts with sessions each slot has.
    fn accounts(&self) -> HashMap<u16, u64> {
        let mut accounts = HashMap::new();
        for shard in &self.shards {
            let state = shard.state.lock();
            for (_, resident) in state.residents.iter().filter(|(_, one)| !one.streams.is_empty()) {
                *accounts.entry(resident.slot).or_default() += 1;
            }
        }
        accounts
    }

    /// Begins to own slots, each since an epoch: what is under way to them comes back, and their sessions are gathered.
    pub(crate) fn take(self: &Arc<Self>, slots: &[(u16, u64)]) {
        let Some(epoch) = slots.iter().map(|(_, epoch)| *epoch).max() else { return };
        let taken: Vec<u16> = slots.iter().map(|(slot, _)| *slot).collect();
        // Before an edge can hear of them, and answer.
        let batch = self.gathering.begin(taken.clone(), epoch);
        for (slot, epoch) in slots {
            self.slots.set(*slot, *epoch, Hold::Taking);
        }
        self.post_slots(&taken, Work::Taken);
        metrics::TAKEN.inc_by(taken.len() as u64);
        tracing::info!(slots = taken.len(), epoch, "slots are taken");
        self.announce();
        tokio::spawn(gather(Arc::downgrade(self), batch));
    }

    /// Work for each shard that has some of these slots.
    fn post_slots(self: &Arc<Self>, slots: &[u16], work: impl Fn(Vec<u16>) -> Work) {
        let mut by_shard: HashMap<usize, Vec<u16>> = HashMap::new();
        for slot in slots {
            by_shard.entry(of_slot(*slot)).or_default().push(*slot);
        }
        self.post_all(by_shard.into_iter().map(|(shard, slots)| (shard, work(slots))));
    }

    /// Says to everybody which slots are this owner's.
    pub(crate) fn announce(&self) {
        let table = self.slots.table();
        let held = self.slots.held(|hold| hold != Hold::Absent).len();
        metrics::SLOTS.set(i64::try_from(held).unwrap_or(i64::MAX));
        for link in self.links.lock().iter() {
            link.send_one(proto::session::owner_frame::Kind::Table(table.clone()));
        }
        self.routes.announce(&table);
    }

    /// Gives slots to whom the table wants to have them, unless what is under way in them takes too long.
    async fn let_go(self: &Arc<Self>, slots: &[u16], table: &Assignments) {
        let held: Vec<u16> =
            slots.iter().copied().filter(|slot| self.slots.hold(*slot) != Hold::Absent).collect();
        for slot in &held {
            self.slots.set(*slot, self.slots.epoch(*slot), Hold::Closing);
        }
        self.announce();
        if !self.quiet(&held).await && !self.is_leaving() {
            // Edges and other owners have kept what came meanwhile, and say it again for the new epoch.
            return self.keep(&held).await;
        }
        self.released.lock().extend(&held);
        let legacy = self.forget(&held);
        if timeout(Duration::from_millis(CALL_MS_MAX), legacy.leave(&self.store)).await.is_err() {
            tracing::warn!("what the next owner of slots wants could not be left in time");
        }
        if !self.release(slots, table).await {
            return;
        }
        // What is still this owner's, since whoever was to have it is gone, is taken anew at the next look.
        self.released.lock().retain(|slot| !slots.contains(slot));
        metrics::RELEASED.inc_by(slots.len() as u64);
        tracing::info!(slots = slots.len(), "slots are let go of");
    }

    /// Writes that slots are let go of into the table as it was last seen, or else as it is. False: the store does not answer.
    async fn release(&self, slots: &[u16], table: &Assignments) -> bool {
        let mut next = table.clone();
        next.release(&self.life(), slots);
        if self.write_table(&next).await {
            return true;
        }
        let Some(mut now) = self.read_table().await else { return false };
        now.release(&self.life(), slots);
        self.write_table(&now).await
    }

    /// Slots that were to be let go of stay, under a new epoch.
    async fn keep(self: &Arc<Self>, slots: &[u16]) {
        let me = self.life();
        let Some(mut table) = self.read_table().await else { return };
        let epoch = table.version + 1;
        for slot in slots {
            let one = &mut table.slots[usize::from(*slot)];
            if one.owner.as_ref() == Some(&me) {
                (one.epoch, one.released, one.wanted) = (epoch, 0, None);
            }
        }
        if self.write_table(&table).await {
            metrics::KEPT.inc_by(slots.len() as u64);
            tracing::warn!(slots = slots.len(), "slots are kept: what is under way in them takes too long");
            self.go_on_with(&slots.iter().map(|slot| (*slot, epoch)).collect::<Vec<_>>());
        }
    }

    /// Slots that were closing are owned on, under their new epochs.
    fn go_on_with(self: &Arc<Self>, slots: &[(u16, u64)]) {
        if slots.is_empty() {
            return;
        }
        for (slot, epoch) in slots {
            self.slots.set(*slot, *epoch, Hold::Taking);
        }
        self.post_slots(&slots.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), Work::Kept);
        self.announce();
    }

    /// Completes when nothing is under way in these slots; false: that takes too long.
    async fn quiet(&self, slots: &[u16]) -> bool {
        let until = Instant::now() + Duration::from_millis(QUIET_MS_MAX);
        let slots: HashSet<u16> = slots.iter().copied().collect();
        loop {
            sleep(LOOK).await;
            let busy = |shard: usize| {
                let state = self.shards[shard].state.lock();
                // What waits for sessions to be gathered has not begun yet.
                let gathers = |slot: &u16| of_slot(*slot) == shard && !state.common.is_gathered(*slot);
                let mut there = state.residents.iter().map(|(_, resident)| resident);
                slots.iter().any(gathers)
                    || there.any(|resident| slots.contains(&resident.slot) && resident.is_busy())
            };
            if !(0..SHARDS).any(busy) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
        }
    }

    /// Forgets the accounts of slots: edges have their copies of what is under way. What their next owner wants is left.
    fn forget(self: &Arc<Self>, slots: &[u16]) -> Legacy {
        let epochs: HashMap<u16, u64> = slots.iter().map(|slot| (*slot, self.slots.epoch(*slot))).collect();
        for slot in slots {
            self.slots.set(*slot, 0, Hold::Absent);
        }
        let mut legacy = Legacy::default();
        let (now_ms, archive) = (self.clock.now_ms(), &*self.store.archive);
        for (shard, part) in self.shards.iter().enumerate() {
            let mut state = part.state.lock();
            // Nothing of them begins between the one and the other.
            legacy.gather(&mut state, &epochs, archive, now_ms);
            state.forget(shard, now_ms, &epochs);
        }
        legacy.except(&self.routes.receiving, &epochs);
        self.routes.unblock(slots);
        self.announce();
        legacy
    }

    /// Gives every slot to the others, as long as there is time and somebody to take them.
    pub(crate) async fn leave(self: &Arc<Self>, until: Instant) {
        self.leaving.cancel();
        let me = self.life();
        while Instant::now() < until {
            let mut pause = LOOK;
            if let Some(mut table) = self.read_table().await {
                let mine: Vec<u16> = (0_u16..)
                    .zip(&table.slots)
                    .filter(|(_, one)| one.owner.as_ref() == Some(&me))
                    .map(|(slot, _)| slot)
                    .collect();
                let others = self.others().await;
                if mine.is_empty() || others.is_empty() {
                    break;
                }
                let asked = |slot: &u16| {
                    let wanted = table.slots[usize::from(*slot)].wanted.as_ref();
                    wanted.is_some_and(|wanted| others.contains(wanted))
                };
                if table.leaving.contains(&me) && mine.iter().all(asked) {
                    // In half of the time there is, if need be.
                    let left_ms = (until - Instant::now()).as_millis().max(1) as u64;
                    let accounts: u64 = self.accounts().values().sum();
                    self.adopt(&table, self.config.hand_over_per_s.max(2_000 * accounts / left_ms)).await;
                    if !self.slots.held(|hold| hold != Hold::Absent).is_empty() {
                        pause = Duration::from_millis(PACE_MS);
                    }
                } else {
                    table.leave(&me, &others);
                    self.write_table(&table).await;
                }
            }
            sleep(pause).await;
        }
        // What its accounts have said to others leaves before it does.
        let until = Instant::now() + Duration::from_millis(QUIET_MS_MAX);
        while !self.routes.is_idle() && Instant::now() < until {
            sleep(LOOK).await;
        }
        self.left.cancel();
        let _ = self.store.liveness.gone(&me.name).await;
        if let Err(error) = self.store.members.leave(&me.name, me.incarnation).await {
            tracing::warn!(%error, "this owner could not leave in order");
        }
    }

    /// Other members that are there.
    async fn others(&self) -> Vec<super::Life> {
        let list = timeout(Duration::from_millis(CALL_MS_MAX), self.store.members.list()).await;
        let members = list.ok().and_then(store::Result::ok).unwrap_or_default();
        let there = self.heard(&members).await.unwrap_or_else(|| vec![true; members.len()]);
        let others = members.into_iter().zip(there);
        others
            .filter(|(member, there)| *there && !member.fenced && member.name != self.config.member)
            .map(|(member, _)| super::Life { name: member.name, incarnation: member.incarnation })
            .collect()
    }

    fn is_leaving(&self) -> bool {
        self.leaving.is_cancelled()
    }
}

/// Lets what waited for the edges go its way at last, and ends the sessions that nobody has any more.
pub(crate) async fn gather(owner: std::sync::Weak<Owner>, batch: Arc<Batch>) {
    let Some(strong) = owner.upgrade() else { return };
    let limit = Duration::from_millis(strong.config.gather_ms);
    let mut registered = Vec::new();
    let all_known = async {
        // If it cannot be read, nobody knows which edges there are.
        registered = match strong.registered(&batch.slots).await {
            Ok(registered) => registered,
            Err(error) => {
                tracing::warn!(%error, "the registry could not be read: gathering lasts its whole time");
                return std::future::pending().await;
            }
        };
        let named = registered.iter().map(|(_, session)| session.edge.clone()).collect();
        let connected =
            || strong.links.lock().iter().map(|link| link.member().to_owned()).collect::<Vec<_>>();
        strong.gathering.complete(&batch, &named, connected).await;
        strong.gathering.settled(&batch).await;
    };
    let began = Instant::now();
    let complete = timeout(limit, all_known).await.is_ok();
    metrics::GATHERING.observe(began.elapsed().as_secs_f64());
    strong.gathering.end(&batch);
    // Whoever is needed later is read: nobody knows then whether a copy is older than what is stored.
    batch.slots.iter().for_each(|slot| strong.slots.inherit(*slot, 0));
    tracing::debug!(slots = batch.slots.len(), complete, "sessions are gathered");
    strong.post_slots(&batch.slots, Work::Gathered);
    let lost = registered.into_iter().map(|(slot, session)| (of_slot(slot), Work::Registered(session)));
    strong.post_all(lost);
}

impl Owner {
    /// The sessions that the registry has of slots; nothing where slots are fixed.
    async fn registered(&self, slots: &[u16]) -> store::Result<Vec<(u16, Registered)>> {
        if !self.config.shared {
            return Ok(Vec::new());
        }
        let read = |slot: u16| async move {
            let sessions = self.store.registry.of_slot(slot).await?;
            store::Result::Ok(sessions.into_iter().map(|session| (slot, session)).collect::<Vec<_>>())
        };
        let reads = futures_util::stream::iter(slots.iter().copied().map(read));
        let all: Vec<Vec<_>> = reads.buffer_unordered(CALLS_MAX).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }
}
