//! Items on their way from owner to owner, and what is said about them on the way back.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use node::Outbox;
use proto::delivery as wire;
use proto::router::Frame;
use proto::router::frame::Kind;

use crate::table::Table;

/// A connection of an owner to this router.
pub(crate) type LinkId = u64;

/// What is on the way through a router.
pub(crate) struct Relay {
    links: HashMap<LinkId, Link>,
    next: LinkId,
    /// Owners that come now are turned away.
    stopped: bool,
    table: Table,
    items_max: usize,
    /// Items that were passed on: the connection and number there, and where they came from.
    passed: HashMap<(LinkId, u64), (LinkId, u64), RandomState>,
    /// Where items came from, and how much of them is on the way.
    open: HashMap<(LinkId, u64), Open, RandomState>,
    /// The run that was last passed on, of each sender and slot.
    runs: HashMap<(LinkId, u32), u64, RandomState>,
    /// Runs that were dropped from an item on: nothing of them passes any more.
    dropped: HashMap<(LinkId, u32), u64>,
    /// Those of them that were dropped for want of room: their senders are told when there is some.
    crowded: Vec<(LinkId, u32, u64)>,
}

struct Link {
    outbox: Outbox<Frame>,
    seq: u64,
}

#[derive(Default)]
struct Open {
    ways: u32,
    refused: Vec<wire::Refused>,
}

impl Relay {
    pub(crate) fn new(items_max: usize) -> Self {
        Self {
            links: HashMap::new(),
            next: 1,
            stopped: false,
            table: Table::new(),
            items_max,
            passed: HashMap::default(),
            open: HashMap::default(),
            runs: HashMap::default(),
            dropped: HashMap::new(),
            crowded: Vec::new(),
        }
    }

    pub(crate) fn connect(&mut self, outbox: Outbox<Frame>) -> LinkId {
        let id = self.next;
        self.next += 1;
        if self.stopped {
            outbox.close();
        }
        self.links.insert(id, Link { outbox, seq: 0 });
        id
    }

    /// Ends every connection: owners look for another router, and begin new runs there.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.links.values().for_each(|link| link.outbox.close());
    }

    /// A connection is gone: what was on the way to it is lost, and comes again when its owner is back.
    pub(crate) fn lost(&mut self, link: LinkId) {
        self.links.remove(&link);
        // What was passed on to it may be lost: nothing of those runs may arrive behind the gap.
        for ((from, slot), run) in &self.runs {
            if self.table.owner(*slot) == Some(link) {
                drop_run(&mut self.dropped, (*from, *slot), *run);
            }
        }
        self.table.lost(link);
        self.runs.retain(|(from, _), _| *from != link);
        self.open.retain(|(from, _), _| *from != link);
        let open = &mut self.open;
        self.passed.retain(|(to, _), from| {
            if *to == link {
                // Its other ways are of no use: it comes again as a whole.
                open.remove(from);
            }
            *to != link && from.0 != link
        });
        self.dropped.retain(|(from, _), _| *from != link);
        self.crowded.retain(|(from, ..)| *from != link);
        self.make_room();
    }

    /// An owner says all that it owns: everybody sends again what was on its way to slots that are its only now.
    pub(crate) fn owned(&mut self, link: LinkId, table: &wire::Table) {
        let changed = self.table.owned(link, table);
        // Whoever had these slots before may be gone unnoticed, with what was passed on to it.
        for ((from, slot), run) in &self.runs {
            if changed.binary_search_by_key(slot, |(slot, _)| *slot).is_ok() {
                drop_run(&mut self.dropped, (*from, *slot), *run);
            }
        }
        let mut told = wire::Table::default();
        for (slot, epoch) in changed.into_iter().filter(|(_, epoch)| *epoch > 0) {
            match told.owned.last_mut() {
                Some(last) if last.last + 1 == slot && last.epoch == epoch => last.last = slot,
                _ => told.owned.push(wire::Slots { first: slot, last: slot, epoch, member: String::new() }),
            }
        }
        if told.owned.is_empty() {
            return;
        }
        for (id, other) in &self.links {
            if *id != link {
                other.outbox.send(Frame { kind: Some(Kind::Table(told.clone())) });
            }
        }
    }

    /// Passes an item on, to each owner its part of the addressees.
    pub(crate) fn item(&mut self, from: LinkId, item: &wire::Item) {
        let mut ways: Vec<(LinkId, Vec<wire::Target>)> = Vec::new();
        for target in &item.to {
            if self.dropped.get(&(from, target.slot)).is_some_and(|run| target.run <= *run) {
                continue;
            }
            let full = self.passed.len() >= self.items_max;
            let Some(owner) = self.table.owner(target.slot).filter(|_| !full) else {
                drop_run(&mut self.dropped, (from, target.slot), target.run);
                if full {
                    self.crowded.push((from, target.slot, target.run));
                }
                continue;
            };
            self.runs.insert((from, target.slot), target.run);
            match ways.iter_mut().find(|(way, _)| *way == owner) {
                Some((_, targets)) => targets.push(target.clone()),
                None => ways.push((owner, vec![target.clone()])),
            }
        }
        if ways.is_empty() {
            return;
        }
        self.open.insert((from, item.seq), Open { ways: ways.len() as u32, refused: Vec::new() });
        for (owner, to) in ways {
            let Some(link) = self.links.get_mut(&owner) else { continue };
            link.seq += 1;
            let part = wire::Item { seq: link.seq, to, ..item.clone() };
            self.passed.insert((owner, link.seq), (from, item.seq));
            link.outbox.send(Frame { kind: Some(Kind::Item(part.into())) });
        }
    }

    /// An owner says what became of items it was passed: so are told those they came from.
    pub(crate) fn done(&mut self, link: LinkId, done: wire::Done) {
        let mut back: HashMap<LinkId, wire::Done> = HashMap::new();
        for range in done.finished {
            for seq in range.first..=range.last.max(range.first) {
                self.way_done(link, seq, None, &mut back);
            }
        }
        for refused in done.refused {
            self.way_done(link, refused.seq, Some(refused), &mut back);
        }
        for (from, done) in back {
            if let Some(link) = self.links.get(&from) {
                link.outbox.send(Frame { kind: Some(Kind::Done(done)) });
            }
        }
        self.make_room();
    }

    /// Half of the room is free again: whoever was turned away may begin the next run.
    fn make_room(&mut self) {
        if self.crowded.is_empty() || self.passed.len() * 2 > self.items_max {
            return;
        }
        for (from, slot, run) in std::mem::take(&mut self.crowded) {
            if let Some(link) = self.links.get(&from) {
                let moved = wire::Moved { slot, run, ..Default::default() };
                link.outbox.send(Frame { kind: Some(Kind::Moved(moved)) });
            }
        }
    }

    fn way_done(
        &mut self,
        link: LinkId,
        seq: u64,
        refused: Option<wire::Refused>,
        back: &mut HashMap<LinkId, wire::Done>,
    ) {
        let Some((from, from_seq)) = self.passed.remove(&(link, seq)) else { return };
        let Some(open) = self.open.get_mut(&(from, from_seq)) else { return };
        open.refused.extend(refused.map(|refused| wire::Refused { seq: from_seq, ..refused }));
        open.ways -= 1;
        if open.ways > 0 {
            return;
        }
        let Some(open) = self.open.remove(&(from, from_seq)) else { return };
        let done = back.entry(from).or_default();
        if open.refused.is_empty() {
            push(&mut done.finished, from_seq);
        } else {
            done.refused.extend(open.refused);
        }
    }
}

/// Drops a run from here on; a later one may have been dropped before anything of it was passed.
fn drop_run(dropped: &mut HashMap<(LinkId, u32), u64>, way: (LinkId, u32), run: u64) {
    let dropped = dropped.entry(way).or_default();
    *dropped = (*dropped).max(run);
}

/// Adds a number to ranges, joined to the last where it follows it.
fn push(ranges: &mut Vec<wire::Range>, seq: u64) {
    if let Some(range) = ranges.last_mut()
        && range.last.max(range.first) + 1 == seq
    {
        range.last = seq;
        return;
    }
    ranges.push(wire::Range { first: seq, last: 0 });
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use node::Batches;

    use super::*;

    type Seen = Batches<Frame, Vec<Frame>>;

    fn link(relay: &mut Relay) -> (LinkId, Seen) {
        let (outbox, batches) = Outbox::new(|frames| frames);
        (relay.connect(outbox), batches)
    }

    /// Verona owns slots, and the first item of Romeo's first run is on its way there. What both see is kept open.
    fn one_under_way() -> (Relay, LinkId, LinkId, [Seen; 2]) {
        let mut relay = Relay::new(10);
        let (romeo, to_romeo) = link(&mut relay);
        let (verona, to_verona) = link(&mut relay);
        owns(&mut relay, verona, 0, 9);
        relay.item(romeo, &item(1, 1, &[3]));
        (relay, romeo, verona, [to_romeo, to_verona])
    }

    fn owns(relay: &mut Relay, link: LinkId, first: u32, last: u32) {
        let owned = vec![wire::Slots { first, last, epoch: 1, member: String::new() }];
        relay.owned(link, &wire::Table { owned, closing: Vec::new() });
    }

    fn item(seq: u64, run: u64, slots: &[u32]) -> wire::Item {
        let to = slots.iter().map(|slot| wire::Target { slot: *slot, run, ..Default::default() }).collect();
        wire::Item { seq, to, ..Default::default() }
    }

    async fn next(seen: &mut Seen) -> Vec<Kind> {
        seen.next().await.unwrap_or_default().into_iter().filter_map(|frame| frame.kind).collect()
    }

    #[tokio::test]
    async fn an_item_for_two_owners_is_done_when_both_are() {
        let mut relay = Relay::new(10);
        let (romeo, mut to_romeo) = link(&mut relay);
        let (verona, mut to_verona) = link(&mut relay);
        let (mantua, mut to_mantua) = link(&mut relay);
        owns(&mut relay, verona, 0, 9);
        owns(&mut relay, mantua, 10, 19);
        next(&mut to_romeo).await;
        next(&mut to_verona).await;
        next(&mut to_mantua).await;
        relay.item(romeo, &item(5, 1, &[3, 12]));
        assert!(
            matches!(&next(&mut to_verona).await[..], [Kind::Item(item)] if item.seq == 1 && item.to.len() == 1)
        );
        assert!(matches!(&next(&mut to_mantua).await[..], [Kind::Item(item)] if item.to[0].slot == 12));
        let done = wire::Done { finished: vec![wire::Range { first: 1, last: 0 }], ..Default::default() };
        relay.done(verona, done.clone());
        relay.done(mantua, done);
        assert!(matches!(&next(&mut to_romeo).await[..], [Kind::Done(done)] if done.finished[0].first == 5));
    }

    #[tokio::test]
    async fn who_was_turned_away_for_want_of_room_is_called_back() {
        let mut relay = Relay::new(2);
        let (romeo, mut to_romeo) = link(&mut relay);
        let (verona, mut to_verona) = link(&mut relay);
        owns(&mut relay, verona, 0, 9);
        next(&mut to_romeo).await;
        for seq in 1..=4 {
            relay.item(romeo, &item(seq, 1, &[3]));
        }
        assert_eq!(next(&mut to_verona).await.len(), 2);
        let done = wire::Done { finished: vec![wire::Range { first: 1, last: 2 }], ..Default::default() };
        relay.done(verona, done);
        let told = next(&mut to_romeo).await;
        assert!(matches!(&told[..], [Kind::Done(_), Kind::Moved(moved)] if moved.run == 1), "{told:?}");
        relay.item(romeo, &item(5, 2, &[3]));
        assert_eq!(next(&mut to_verona).await.len(), 1);
    }

    #[tokio::test]
    async fn nothing_of_a_run_arrives_behind_what_was_lost_with_its_owner() {
        let (mut relay, romeo, verona, _wires) = one_under_way();
        relay.lost(verona);
        let (next_verona, mut to_verona) = link(&mut relay);
        owns(&mut relay, next_verona, 0, 9);
        relay.item(romeo, &item(2, 1, &[3]));
        relay.item(romeo, &item(3, 2, &[3]));
        assert!(matches!(&next(&mut to_verona).await[..], [Kind::Item(item)] if item.to[0].run == 2));
    }

    #[tokio::test]
    async fn an_owner_that_comes_back_before_it_is_missed_gets_nothing_of_a_broken_run() {
        let (mut relay, romeo, verona, _wires) = one_under_way();
        let (next_verona, mut to_verona) = link(&mut relay);
        owns(&mut relay, next_verona, 0, 9);
        relay.item(romeo, &item(2, 1, &[3]));
        relay.lost(verona);
        relay.item(romeo, &item(3, 2, &[3]));
        assert!(matches!(&next(&mut to_verona).await[..], [Kind::Item(item)] if item.to[0].run == 2));
    }

    #[tokio::test]
    async fn an_owner_that_comes_back_gets_nothing_of_a_run_that_found_nobody() {
        let (mut relay, romeo, verona, _wires) = one_under_way();
        relay.lost(verona);
        relay.item(romeo, &item(2, 2, &[3]));
        let (next_verona, mut to_verona) = link(&mut relay);
        owns(&mut relay, next_verona, 0, 9);
        relay.item(romeo, &item(3, 2, &[3]));
        relay.item(romeo, &item(4, 3, &[3]));
        assert!(matches!(&next(&mut to_verona).await[..], [Kind::Item(item)] if item.to[0].run == 3));
    }

    #[test]
    fn an_owner_that_is_gone_leaves_nothing_behind() {
        let (mut relay, _, verona, _wires) = one_under_way();
        relay.lost(verona);
        assert_eq!((relay.open.len(), relay.passed.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_dropped_item_takes_the_rest_of_its_run_with_it() {
        let mut relay = Relay::new(10);
        let (romeo, _to_romeo) = link(&mut relay);
        relay.item(romeo, &item(1, 1, &[3]));
        let (verona, mut to_verona) = link(&mut relay);
        owns(&mut relay, verona, 0, 9);
        relay.item(romeo, &item(2, 1, &[3]));
        relay.item(romeo, &item(3, 2, &[3]));
        assert!(matches!(&next(&mut to_verona).await[..], [Kind::Item(item)] if item.to[0].run == 2));
    }
}
