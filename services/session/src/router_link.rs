//! Other owners, by way of the routers.
//!
//! Stanzas for a slot use one router until it breaks or the slot moves; then all that is unfinished for the slot is sent
//! again, oldest first, before anything new, under the next run. So first arrivals are in order (`marks`).

use std::collections::VecDeque;
use std::sync::Weak;

use hashbrown::HashMap;
use node::{Outbox, carry};
use parking_lot::Mutex;
use proto::delivery as wire;
use proto::router::Frame;
use proto::router::frame::Kind;
use xmpp::stanza::{Condition, StanzaError};

use crate::config::Config;
use crate::owner::Owner;
use crate::receiving::Receiving;
use crate::slots::Hold;
use crate::uid;
use crate::work::{Finish, Inbound};

/// Items of one slot that are not finished; beyond, senders are told to wait.
const PATH_ITEMS_MAX: usize = 65_536;

/// A connection to a router: which one, and which of the connections to it.
pub(crate) type RouterLink = (u32, u32);

/// What became of a stanza that was to be sent.
pub(crate) enum Sent {
    /// It is on its way, or will be.
    Gone,
    /// Too much is on its way there already: it is refused.
    Full(Finish),
    /// Its slot has become this owner's meanwhile.
    Mine(Box<Inbound>),
}

/// Everything between this owner and the routers.
pub(crate) struct Routes {
    pub(crate) owner: Weak<Owner>,
    pub(crate) config: Config,
    pub(crate) epoch: u64,
    sending: Mutex<Sending>,
    pub(crate) receiving: Receiving,
}

#[derive(Default)]
struct Sending {
    routers: Vec<Router>,
    paths: HashMap<u16, Path>,
}

/// A router, connected or not; one that is gone for good keeps its place.
#[derive(Default)]
struct Router {
    name: String,
    outbox: Option<Outbox<Frame>>,
    connection: u32,
    seq: u64,
    /// Which slot's item a number on this connection is.
    slots: HashMap<u64, u16>,
}

/// What goes to a slot of another owner.
#[derive(Default)]
struct Path {
    /// The slot is on its way from this owner to another: nothing is sent yet.
    blocked: bool,
    router: Option<usize>,
    run: u64,
    unfinished: VecDeque<Unfinished>,
}

struct Unfinished {
    seq: u64,
    item: wire::Item,
    finish: Finish,
}

impl Routes {
    pub(crate) fn new(owner: Weak<Owner>, config: Config, epoch: u64) -> Self {
        Self { owner, config, epoch, sending: Mutex::default(), receiving: Receiving::default() }
    }

    /// The place of a router of this name.
    pub(crate) fn place(&self, name: &str) -> u32 {
        let routers = &mut self.sending.lock().routers;
        let at = routers.iter().position(|router| router.name == name).unwrap_or_else(|| {
            routers.push(Router { name: name.to_owned(), ..Router::default() });
            routers.len() - 1
        });
        at as u32
    }

    /// The connection to a router that is not to be used any more, if there is one.
    pub(crate) fn present(&self, index: u32) -> Option<RouterLink> {
        let sending = self.sending.lock();
        let router = sending.routers.get(index as usize).filter(|router| router.outbox.is_some())?;
        Some((index, router.connection))
    }

    /// A router is there: paths that have none use it.
    pub(crate) fn connected(&self, index: u32, outbox: Outbox<Frame>) -> RouterLink {
        let mut sending = self.sending.lock();
        let router = &mut sending.routers[index as usize];
        router.connection += 1;
        router.outbox = Some(outbox);
        router.seq = 0;
        router.slots.clear();
        let link = (index, router.connection);
        let waiting: Vec<u16> =
            sending.paths.iter().filter(|(_, path)| path.router.is_none()).map(|(slot, _)| *slot).collect();
        for slot in waiting {
            sending.restart(slot);
        }
        link
    }

    /// A router is gone: its paths use another one.
    pub(crate) fn lost(&self, link: RouterLink) {
        let mut sending = self.sending.lock();
        let router = &mut sending.routers[link.0 as usize];
        if router.connection != link.1 {
            return;
        }
        router.outbox = None;
        let index = link.0 as usize;
        let broken: Vec<u16> = sending
            .paths
            .iter()
            .filter(|(_, path)| path.router == Some(index))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in broken {
            sending.restart(slot);
        }
        drop(sending);
        self.receiving.lost(link);
    }

    /// Sends a stanza to an account of another owner.
    pub(crate) fn send(&self, slot: u16, now_ms: u64, inbound: Box<Inbound>) -> Sent {
        let Some(owner) = self.owner.upgrade() else { return Sent::Full(inbound.finish) };
        let mut sending = self.sending.lock();
        // Slots become this owner's under this lock: what was sent before has come back by then, and is ahead.
        let hold = owner.slots.hold(slot);
        if hold == Hold::Owned {
            return Sent::Mine(inbound);
        }
        let Inbound { uid, finish, must, to, stanza, .. } = *inbound;
        let item = wire::Item {
            uid: Some(uid::pack(uid)),
            must,
            sent_at: now_ms,
            from_epoch: self.epoch,
            to: vec![wire::Target {
                slot: u32::from(slot),
                epoch: 0,
                run: 0,
                addressees: vec![to.as_str().to_owned()],
            }],
            stanza: carry::pack(&stanza),
            from_member: self.config.member.clone(),
            ..wire::Item::default()
        };
        let path = sending.paths.entry(slot).or_default();
        if path.unfinished.len() >= PATH_ITEMS_MAX {
            return Sent::Full(finish);
        }
        path.unfinished.push_back(Unfinished { seq: 0, item, finish });
        path.blocked = hold != Hold::Absent;
        if path.router.is_none() {
            sending.restart(slot);
        } else {
            sending.send_last(slot);
        }
        Sent::Gone
    }

    /// A slot becomes this owner's: what was on its way there comes back, oldest first.
    #[allow(clippy::vec_box, reason = "they come and go in their boxes")]
    pub(crate) fn take_over(&self, slot: u16) -> Vec<Box<Inbound>> {
        let Some(owner) = self.owner.upgrade() else { return Vec::new() };
        let mut sending = self.sending.lock();
        if owner.slots.hold(slot) == Hold::Taking {
            owner.slots.set(slot, owner.slots.epoch(slot), Hold::Owned);
        }
        let Some(path) = sending.paths.get_mut(&slot) else { return Vec::new() };
        // Whoever has the slot after this owner has heard of its runs: they are counted on.
        path.blocked = false;
        let (unfinished, router) = (std::mem::take(&mut path.unfinished), path.router.take());
        if let Some(router) = router {
            for unfinished in &unfinished {
                sending.routers[router].slots.remove(&unfinished.seq);
            }
        }
        unfinished.into_iter().filter_map(Unfinished::back).collect()
    }

    /// Slots are another's for good: what has waited for that is sent.
    pub(crate) fn unblock(&self, slots: &[u16]) {
        let mut sending = self.sending.lock();
        for slot in slots {
            if let Some(path) = sending.paths.get_mut(slot) {
                path.blocked = false;
                sending.restart(*slot);
            }
        }
    }

    /// The present run to a slot.
    #[cfg(test)]
    pub(crate) fn run(&self, slot: u16) -> u64 {
        self.sending.lock().paths.get(&slot).map_or(0, |path| path.run)
    }

    /// Whether nothing is on its way to other owners.
    pub(crate) fn is_idle(&self) -> bool {
        self.sending.lock().paths.values().all(|path| path.unfinished.is_empty())
    }

    /// Says to the routers which slots are this owner's.
    pub(crate) fn announce(&self, table: &wire::Table) {
        let sending = self.sending.lock();
        for outbox in sending.routers.iter().filter_map(|router| router.outbox.as_ref()) {
            outbox.send(Frame { kind: Some(Kind::Table(table.clone())) });
        }
    }

    /// What became of items, as their addressees' owners say.
    pub(crate) fn done(&self, link: RouterLink, done: wire::Done) {
        let mut finished = Vec::new();
        {
            let mut sending = self.sending.lock();
            for range in done.finished {
                for seq in range.first..=range.last.max(range.first) {
                    finished.extend(sending.take(link, seq).map(|finish| (finish, None)));
                }
            }
            for refused in done.refused {
                let condition =
                    Condition::from_name(&refused.condition).unwrap_or(Condition::ServiceUnavailable);
                let mut error = StanzaError::from(condition);
                if !refused.text.is_empty() {
                    error = error.with_text(refused.text);
                }
                finished.extend(sending.take(link, refused.seq).map(|finish| (finish, Some(error))));
            }
        }
        let Some(owner) = self.owner.upgrade() else { return };
        for (finish, error) in finished {
            owner.finished(finish, error);
        }
    }

    /// A slot has moved, or its owner has dropped a run: all of it again, under the next.
    pub(crate) fn moved(&self, moved: &wire::Moved) {
        let mut sending = self.sending.lock();
        let slot = moved.slot as u16;
        if sending.paths.get(&slot).is_some_and(|path| path.run <= moved.run) {
            sending.restart(slot);
        }
    }

    /// Owners are there, or there again: what was on its way to their slots is sent again, and nothing passes any more
    /// under the runs that were broken off.
    pub(crate) fn owned(&self, table: &wire::Table) {
        let mut sending = self.sending.lock();
        let slots = sending.paths.keys().copied();
        let there: Vec<u16> =
            slots.filter(|slot| table.owned.iter().any(|owned| holds(owned, *slot))).collect();
        for slot in there {
            sending.restart(slot);
        }
    }

    /// Gives up what has waited for longer than a lifetime: its senders have been told to wait.
    pub(crate) fn tick(&self, now_ms: u64) {
        let oldest_ms = now_ms.saturating_sub(self.config.item_lifetime_ms);
        let mut given_up = Vec::new();
        {
            let mut sending = self.sending.lock();
            let late: Vec<u16> = sending
                .paths
                .iter()
                .filter(|(_, path)| {
                    path.unfinished.front().is_some_and(|first| first.item.sent_at < oldest_ms)
                })
                .map(|(slot, _)| *slot)
                .collect();
            for slot in late {
                let Some(path) = sending.paths.get_mut(&slot) else { continue };
                while path.unfinished.front().is_some_and(|first| first.item.sent_at < oldest_ms) {
                    given_up.extend(path.unfinished.pop_front().map(|first| first.finish));
                }
                // Late copies of the old run are refused from here on.
                sending.restart(slot);
            }
        }
        let Some(owner) = self.owner.upgrade() else { return };
        for finish in given_up {
            owner.finished(finish, Some(StanzaError::from(Condition::RemoteServerTimeout)));
        }
    }
}

impl Sending {
    /// A new run for a slot, by whichever router is there: everything unfinished, oldest first.
    fn restart(&mut self, slot: u16) {
        let alive: Vec<usize> = self
            .routers
            .iter()
            .enumerate()
            .filter(|(_, router)| router.outbox.is_some())
            .map(|(at, _)| at)
            .collect();
        let Some(path) = self.paths.get_mut(&slot) else { return };
        if let Some(router) = path.router {
            for unfinished in &path.unfinished {
                self.routers[router].slots.remove(&unfinished.seq);
            }
        }
        // A way that works is kept.
        path.router = path.router.filter(|router| alive.contains(router));
        path.router = path.router.or_else(|| alive.get(usize::from(slot) % alive.len().max(1)).copied());
        path.run += 1;
        let Some(router) = path.router.filter(|_| !path.blocked) else { return };
        let router = &mut self.routers[router];
        for unfinished in &mut path.unfinished {
            unfinished.number(router, slot, path.run);
        }
    }

    fn send_last(&mut self, slot: u16) {
        let Some(path) = self.paths.get_mut(&slot) else { return };
        let (Some(router), Some(last)) = (path.router, path.unfinished.back_mut()) else { return };
        if path.blocked {
            return;
        }
        last.number(&mut self.routers[router], slot, path.run);
    }

    /// Takes out what a number on a connection stands for.
    fn take(&mut self, link: RouterLink, seq: u64) -> Option<Finish> {
        let router = self.routers.get_mut(link.0 as usize).filter(|router| router.connection == link.1)?;
        let slot = router.slots.remove(&seq)?;
        let path = self.paths.get_mut(&slot)?;
        let at = path.unfinished.iter().position(|unfinished| unfinished.seq == seq)?;
        path.unfinished.remove(at).map(|unfinished| unfinished.finish)
    }
}

impl Unfinished {
    /// As it was before it was packed; what cannot be read is nobody's.
    fn back(self) -> Option<Box<Inbound>> {
        let uid = uid::unpack(&self.item.uid?)?;
        let to = carry::address(self.item.to.first()?.addressees.first()?).ok()??;
        let stanza = carry::unpack(&self.item.stanza).ok()?;
        Some(Box::new(Inbound { uid, finish: self.finish, must: self.item.must, marked: false, to, stanza }))
    }

    fn number(&mut self, router: &mut Router, slot: u16, run: u64) {
        router.seq += 1;
        self.seq = router.seq;
        router.slots.insert(self.seq, slot);
        self.item.seq = self.seq;
        if let Some(target) = self.item.to.first_mut() {
            target.run = run;
        }
        if let Some(outbox) = &router.outbox {
            outbox.send(Frame { kind: Some(Kind::Item(self.item.clone().into())) });
        }
    }
}

fn holds(slots: &wire::Slots, slot: u16) -> bool {
    (slots.first..=slots.last).contains(&u32::from(slot))
}
