//! What slots that come and go mean for the accounts of a shard.

use std::mem::take;
use std::sync::Arc;

use hashbrown::HashMap;
use store::Registered;

use crate::lane::Arrival;
use crate::owner::Owner;
use crate::resident::Resident;
use crate::shard::{Cx, State, of_slot};
use crate::work::{Finish, Inbound};

/// How long work of the store may take at most, in milliseconds: longer than any of its calls, and an item's lifetime.
const HUSK_MS: u64 = 120_000;

impl State {
    /// Slots are this owner's: what it had on its way there has arrived, ahead of what comes now.
    pub(crate) fn taken(&mut self, owner: &Arc<Owner>, slots: &[u16]) {
        for slot in slots {
            self.common.set_gathered(*slot, false);
            self.common.gathering.extend(owner.routes.take_over(*slot));
        }
    }

    /// The sessions of slots are known: what has waited for that starts.
    pub(crate) fn gathered(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, slots: &[u16]) {
        for slot in slots {
            self.common.set_gathered(*slot, true);
        }
        let there = self.residents.iter().filter(|(_, one)| one.catching_up && slots.contains(&one.slot));
        for at in there.map(|(at, _)| at).collect::<Vec<_>>() {
            if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                resident.arrive_next(&mut cx, Arrival::CatchUp);
            }
        }
        // What is for slots that are not gathered yet waits again.
        for inbound in take(&mut self.common.gathering) {
            self.inbound(owner, shard, now_ms, inbound);
        }
        for work in take(&mut self.common.early) {
            self.work(owner, shard, now_ms, work);
        }
    }

    /// A session that the registry knew when its slot was taken.
    pub(crate) fn registered(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, session: Registered) {
        if let Some((resident, mut cx)) = self.own(owner, shard, now_ms, &session.jid.bare()) {
            resident.arrive(&mut cx, Arrival::Registered(Box::new(session)));
        }
    }

    /// A stanza for a slot that is not this owner's any more.
    pub(crate) fn elsewhere(
        &mut self,
        owner: &Arc<Owner>,
        shard: usize,
        now_ms: u64,
        slot: u16,
        inbound: Box<Inbound>,
    ) {
        debug_assert_eq!(shard, of_slot(slot), "posted to its shard");
        match inbound.finish {
            // Its sender has it, and sends it again when it hears whose the slot is.
            Finish::Remote(number) => owner.routes.receiving.drop_part(number),
            Finish::Nobody | Finish::Client(..) => {
                Cx { owner, shard, now_ms, common: &mut self.common }.hand(slot, inbound);
            }
        }
    }

    /// Places that nobody can mean any more are free again.
    pub(crate) fn sweep_husks(&mut self, now_ms: u64) {
        while self.common.husks.front().is_some_and(|(since_ms, _)| now_ms > since_ms + HUSK_MS) {
            if let Some((_, at)) = self.common.husks.pop_front() {
                self.residents.remove(at);
            }
        }
    }

    /// Slots were to be let go of, and stay: what has waited for that goes on, ahead of what comes now.
    pub(crate) fn kept(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, slots: &[u16]) {
        for slot in slots {
            for inbound in owner.routes.take_over(*slot) {
                self.inbound(owner, shard, now_ms, inbound);
            }
        }
    }

    /// Forgets the accounts of slots, which have epochs, and what has waited for them.
    pub(crate) fn forget(&mut self, shard: usize, now_ms: u64, slots: &HashMap<u16, u64>) {
        let gone: Vec<usize> = self
            .residents
            .iter()
            .filter(|(_, one)| !one.gone && slots.contains_key(&one.slot))
            .map(|(at, _)| at)
            .collect();
        for at in gone {
            let resident = &mut self.residents[at];
            self.common.by_jid.remove(&resident.account.jid);
            for stream in &resident.streams {
                self.common.by_stream.remove(&stream.id);
            }
            // Work of the store names an account by its place: nobody may have that before all of it has come.
            let (jid, host) = (resident.account.jid.clone(), Arc::clone(&resident.host));
            **resident = Resident::new(jid, host, now_ms);
            resident.gone = true;
            self.common.husks.push_back((now_ms, at));
        }
        for slot in slots.keys().filter(|slot| of_slot(**slot) == shard) {
            self.common.set_gathered(*slot, false);
        }
    }
}
