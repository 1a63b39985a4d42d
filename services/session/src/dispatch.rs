//! What each kind of work means for the account it concerns.

use std::sync::Arc;

use node::slots;
use proto::session as wire;
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use crate::edges::Link;
use crate::lane::Arrival;
use crate::owner::Owner;
use crate::resident::{Pending, Resident};
use crate::shard::{Cx, State};
use crate::slots::Hold;
use crate::work::{Bind, FromEdge, Inbound, Resume, Work};

/// Stanzas of a shard that wait until sessions are gathered; beyond, senders are told to wait.
const GATHERING_MAX: usize = 16_384;

impl State {
    /// Does one piece of work.
    pub(crate) fn work(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, work: Work) {
        match work {
            Work::Stream(stream, link, FromEdge::Attach(attach)) => {
                self.attach(owner, shard, now_ms, stream, &link, attach);
            }
            Work::Stream(stream, link, frame) => self.stream(owner, shard, now_ms, stream, &link, frame),
            Work::Bind(bind) => self.bind(owner, shard, now_ms, bind),
            Work::Resume(resume) => self.resume(owner, shard, now_ms, resume),
            Work::Inbound(inbound) => self.inbound(owner, shard, now_ms, inbound),
            Work::Finished(stream, n, refused) => {
                let Some(at) = self.common.by_stream.get(&stream).copied() else { return };
                if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                    resident.finished(&mut cx, stream, n, refused);
                }
            }
            Work::Done(at, done) => {
                if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                    resident.done(&mut cx, done);
                }
            }
            Work::Loaded(at, slot, loaded) => {
                if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                    resident.loaded(&mut cx, *loaded);
                }
                owner.gathering.load_ends(slot);
                self.forget_absent(at);
            }
            Work::Stored(rows, good) => self.stored(owner, shard, now_ms, &rows, good),
            Work::LinkLost(link) => self.link_lost(owner, shard, now_ms, &link),
            Work::EndAll(jid, condition, removed) => {
                let Some(at) = self.common.by_jid.get(&jid).copied() else { return };
                if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                    resident.end_all(&mut cx, condition, removed);
                }
            }
            Work::Taken(slots) => self.taken(owner, &slots),
            Work::Kept(slots) => self.kept(owner, shard, now_ms, &slots),
            Work::Gathered(slots) => self.gathered(owner, shard, now_ms, &slots),
            Work::Registered(session) => self.registered(owner, shard, now_ms, session),
            Work::Tick => self.tick(owner, shard, now_ms),
        }
    }

    /// An edge says something of a stream that it has attached.
    fn stream(
        &mut self,
        owner: &Arc<Owner>,
        shard: usize,
        now_ms: u64,
        stream: [u8; 16],
        link: &Link,
        mut frame: FromEdge,
    ) {
        if !owner.slots.takes(slot_of(&stream)) && matches!(frame, FromEdge::Item { .. }) {
            // Its edge keeps it, and says it to whoever has the slot next: perhaps to this owner.
            frame = FromEdge::Torn;
        }
        let Some(at) = self.common.by_stream.get(&stream).copied() else {
            // Told late, or by an edge that was thought dead: its client has to log in again.
            if let FromEdge::Item { generation, .. } = frame {
                link.send_one(close(&stream, generation, "connection-timeout"));
            }
            return;
        };
        if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
            resident.of_edge(&mut cx, stream, link, frame);
        }
    }

    fn bind(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, bind: Bind) {
        let slot = slots::of(bind.jid.bare_str(), "");
        if !owner.slots.takes(slot) {
            return bind.link.send_one(elsewhere(slot, bind.exchange));
        }
        if !self.common.is_gathered(slot) {
            return self.common.early.push(Work::Bind(bind));
        }
        if let Some((resident, mut cx)) = self.own(owner, shard, now_ms, &bind.jid.bare()) {
            resident.arrive(&mut cx, Arrival::Bind(bind));
        } else {
            self.cx(owner, shard, now_ms).refuse_bind(&bind, Condition::ItemNotFound);
        }
    }

    fn resume(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, resume: Resume) {
        let slot = slots::of(resume.jid.bare_str(), "");
        if !owner.slots.takes(slot) {
            return resume.link.send_one(elsewhere(slot, resume.exchange));
        }
        if !self.common.is_gathered(slot) {
            // The edge that had it may not have said so yet.
            return self.common.early.push(Work::Resume(resume));
        }
        if let Some((resident, mut cx)) = self.own(owner, shard, now_ms, &resume.jid.bare()) {
            resident.arrive(&mut cx, Arrival::Resume(resume));
        } else {
            self.cx(owner, shard, now_ms).refuse_resume(&resume, None);
        }
    }

    fn attach(
        &mut self,
        owner: &Arc<Owner>,
        shard: usize,
        now_ms: u64,
        stream: [u8; 16],
        link: &Link,
        attach: Box<wire::Attach>,
    ) {
        let generation = attach.generation;
        let jid = node::carry::address(&attach.jid).ok().flatten().map(|jid| jid.bare());
        if !owner.slots.takes(slot_of(&stream)) {
            // It was another's by the time this came; the edge will hear whose.
            return;
        }
        let own = |jid: &Jid| slots::of(jid.as_str(), "") == slot_of(&stream);
        let resident = jid.filter(own).and_then(|jid| self.own(owner, shard, now_ms, &jid));
        let Some((resident, mut cx)) = resident else {
            link.send_one(close(&stream, generation, "internal-server-error"));
            return;
        };
        cx.common.by_stream.insert(stream, resident.at);
        resident.of_edge(&mut cx, stream, link, FromEdge::Attach(attach));
    }

    fn cx<'a>(&'a mut self, owner: &'a Arc<Owner>, shard: usize, now_ms: u64) -> Cx<'a> {
        Cx { owner, shard, now_ms, common: &mut self.common }
    }

    /// The account of a bare JID, if its sessions are this owner's.
    pub(crate) fn own<'a>(
        &'a mut self,
        owner: &'a Arc<Owner>,
        shard: usize,
        now_ms: u64,
        jid: &Jid,
    ) -> Option<(&'a mut Resident, Cx<'a>)> {
        let takes = owner.slots.takes(slots::of(jid.as_str(), ""));
        takes.then(|| self.account(owner, shard, now_ms, jid)).flatten()
    }

    /// The account of a bare JID, in memory or on its way there.
    fn account<'a>(
        &'a mut self,
        owner: &'a Arc<Owner>,
        shard: usize,
        now_ms: u64,
        jid: &Jid,
    ) -> Option<(&'a mut Resident, Cx<'a>)> {
        let gone =
            |at: &usize| self.residents.get(*at).is_some_and(|there| there.removed && there.is_unused());
        if let Some(at) = self.common.by_jid.get(jid).copied().filter(gone) {
            // Somebody may have registered the name again before a tick came by.
            self.residents.remove(at);
            self.common.by_jid.remove(jid);
        }
        let at = if let Some(at) = self.common.by_jid.get(jid) {
            *at
        } else {
            let host = owner.host(jid.domain())?;
            let at = self.residents.insert(Box::new(Resident::new(jid.clone(), host, now_ms)));
            self.common.by_jid.insert(jid.clone(), at);
            let (resident, cx) = self.resident(owner, shard, now_ms, at)?;
            resident.at = at;
            owner.gathering.load_begins(resident.slot);
            resident.begin(Pending::Load);
            resident.load(&cx, 0);
            at
        };
        self.resident(owner, shard, now_ms, at)
    }

    pub(crate) fn inbound(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, inbound: Box<Inbound>) {
        let bare = inbound.to.bare();
        debug_assert_eq!(shard, crate::shard::of_slot(slots::of(bare.as_str(), "")), "posted to its shard");
        // Not whether the owner gathers: what comes when it has just ended stays behind what has waited.
        let slot = slots::of(bare.as_str(), "");
        if owner.slots.hold(slot) == Hold::Absent {
            return self.elsewhere(owner, shard, now_ms, slot, inbound);
        }
        if !self.common.is_gathered(slot) {
            if self.common.gathering.len() < GATHERING_MAX {
                self.common.gathering.push(inbound);
            } else {
                self.cx(owner, shard, now_ms)
                    .finish(inbound.finish, Some(Condition::ResourceConstraint.into()));
            }
            return;
        }
        if let Some((resident, mut cx)) = self.account(owner, shard, now_ms, &bare) {
            resident.arrive(&mut cx, Arrival::Inbound(inbound));
            return;
        }
        let error = StanzaError::from(Condition::RemoteServerNotFound);
        self.cx(owner, shard, now_ms).finish(inbound.finish, Some(error));
    }

    fn stored(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, rows: &[(usize, u64)], good: bool) {
        for (at, id) in rows {
            if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, *at) {
                resident.stored(&mut cx, *id, good);
            }
        }
    }

    fn link_lost(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64, link: &Link) {
        let all: Vec<usize> = self.residents.iter().map(|(at, _)| at).collect();
        for at in all {
            if let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) {
                resident.link_lost(&mut cx, link);
            }
        }
    }

    /// An account that does not exist leaves no trace.
    fn forget_absent(&mut self, at: usize) {
        if self.residents.get(at).is_some_and(|resident| resident.absent && resident.is_unused()) {
            let resident = self.residents.remove(at);
            self.common.by_jid.remove(&resident.account.jid);
        }
    }
}

/// The slot that a stream's id begins with.
fn slot_of(stream: &[u8; 16]) -> u16 {
    u16::from_be_bytes([stream[0], stream[1]])
}

/// Tells an edge to try an exchange with another owner.
fn elsewhere(slot: u16, exchange: u64) -> wire::owner_frame::Kind {
    wire::owner_frame::Kind::Moved(proto::delivery::Moved {
        slot: u32::from(slot),
        exchange,
        ..Default::default()
    })
}

/// Tells an edge to end a stream.
pub(crate) fn close(stream: &[u8; 16], generation: u64, condition: &str) -> wire::owner_frame::Kind {
    wire::owner_frame::Kind::Close(wire::Close {
        stream: node::carry::pack_origin(*stream),
        generation,
        condition: condition.to_owned(),
        text: String::new(),
    })
}
