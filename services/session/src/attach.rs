//! Streams that an edge had before this connection, or before this owner.
//!
//! If the owner lived, it knows the stream better than the edge: only what got lost between them is given again. If it
//! is new, the edge's copy is the stream; what was stored after its position is read from the archive and routed.

use bytes::Bytes;
use features::about::At;
use features::account::{Origin, blob};
use node::carry;
use proto::session as wire;
use store::Uid;

use crate::deliver::Give;
use crate::edges::Link;
use crate::lane::{Arrival, Cause, Job};
use crate::marks::Marks;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::{Inbound, Mail, OpenIq, Outbound, Stream};
use crate::uid;

impl Resident {
    pub(crate) fn start_attach(&mut self, cx: &mut Cx<'_>, id: Origin, link: &Link, attach: wire::Attach) {
        let generation = attach.generation;
        let lost = attach.lost || link.is_gone();
        if self.removed {
            cx.common.by_stream.remove(&id);
            cx.frame(link, crate::dispatch::close(&id, generation, "not-authorized"));
            return;
        }
        if self.stream(id).is_some_and(|stream| stream.restored && attach.generation >= stream.generation) {
            self.forget_restored(cx, id);
        }
        if self.stream(id).is_some() {
            self.attach_known(cx, id, link, &attach);
        } else if !self.attach_new(cx, id, Some(link), attach) {
            cx.common.by_stream.remove(&id);
            cx.frame(link, crate::dispatch::close(&id, generation, "internal-server-error"));
            return;
        }
        if lost {
            self.arrive(cx, Arrival::Ended(id, link.clone(), generation, wire::ended::Why::Lost));
        }
    }

    fn attach_known(&mut self, cx: &mut Cx<'_>, id: Origin, link: &Link, attach: &wire::Attach) {
        let at = self.at;
        let Some(stream) = self.stream_mut(id) else { return };
        if attach.generation < stream.generation {
            // Its client has resumed elsewhere meanwhile.
            cx.frame(link, crate::dispatch::close(&id, attach.generation, "conflict"));
            return;
        }
        if stream.link.as_ref().is_some_and(|present| link.is_before(present)) {
            // The edge has said more since, on the connection that took this one's place.
            return;
        }
        stream.link = Some(link.clone());
        stream.deadline_ms = 0;
        stream.inbound.torn = false;
        Self::discard_saved(stream, cx);
        self.register(cx, id);
        if attach.managed {
            self.acked(cx, id, attach.acked);
            // What it said of this may have been lost with the link.
            self.kept(cx, id, attach.out_n);
        }
        if !self.give_mailbox(cx, id, attach.out_n) {
            return self.arrive(cx, Arrival::Close(id, "resource-constraint"));
        }
        self.tell_state(cx, id);
        cx.handled(at, id);
    }

    /// Makes the stream from what its edge kept; false if that cannot be read.
    pub(crate) fn attach_new(
        &mut self,
        cx: &mut Cx<'_>,
        id: Origin,
        link: Option<&Link>,
        attach: wire::Attach,
    ) -> bool {
        let Ok(session) = blob::decode(&attach.state) else { return false };
        if !session.jid.same_bare(&self.account.jid) {
            return false;
        }
        let taken = session.jid.resource().is_some_and(|resource| self.account.resource(resource).is_some());
        if taken || session.stream != id {
            return false;
        }
        let eligible = session.eligible();
        let mut stream = Stream::new(id, link.cloned());
        stream.generation = attach.generation;
        (stream.managed, stream.resume, stream.max_s) = (attach.managed, attach.resume, attach.max_s);
        (stream.in_base, stream.out_base) = (attach.in_base, attach.out_base);
        stream.position = attach.position;
        // Its edge may not have heard of the last ones that the owner before this one has finished.
        let h = self.marks.as_ref().map_or(0, |marks| marks.finished(id)).max(attach.h);
        stream.inbound = Inbound {
            h,
            seen: h,
            above: attach.above.iter().map(|above| above.n).collect(),
            ..Inbound::default()
        };
        let n = attach.out_n;
        stream.outbound = Outbound { n, sent: n, kept: n, acked: attach.acked, ..Outbound::default() };
        stream.open_iqs = attach.open_iq.into_iter().filter_map(|iq| open_iq(&iq, cx)).collect();
        self.refill(cx, &mut stream, attach.mailbox);
        for uid in attach.recent {
            if let Some(uid) = self.knows(cx, Some(uid)) {
                // Whoever has the stream next has to know it as well.
                self.marks.get_or_insert_with(|| Marks::new(cx.now_ms)).acknowledged(uid);
            }
        }
        cx.common.by_stream.insert(id, self.at);
        self.account.sessions.reserve_exact(1);
        self.streams.reserve_exact(1);
        self.account.sessions.push(session);
        self.streams.push(stream);
        self.register(cx, id);
        self.watch(cx);
        // The owner before this one may not have come to save its cursor.
        self.archive.settled_below(attach.cursor);
        for settled in attach.settled {
            self.archive.given(settled, false);
            self.settle(cx, settled);
        }
        if link.is_some() && cx.common.is_gathered(self.slot) {
            self.announce_again(cx, id);
        }
        if eligible && !self.catching_up {
            self.catching_up = true;
            // What senders send again is here when gathering is over: some of it comes before what was stored.
            if cx.common.is_gathered(self.slot) {
                self.arrive_next(cx, Arrival::CatchUp);
            }
        }
        true
    }

    /// An edge was late: its session's contacts may have been told that it is gone.
    fn announce_again(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let Some(presence) = self.account.session(id).and_then(|session| session.presence.as_deref()) else {
            return;
        };
        let stanza = presence.clone();
        self.run(cx, Job { at: At::Presence, step: 0, session: Some(id), stanza, cause: Cause::Owner });
    }

    /// An edge has a stream that was made from its copy in the store: the copy is older.
    fn forget_restored(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let Some(at) = self.streams.iter().position(|stream| stream.id == id) else { return };
        let mut stream = self.streams.swap_remove(at);
        Self::discard_saved(&mut stream, cx);
        self.account.sessions.retain(|session| session.stream != id);
        let rows: Vec<u64> =
            stream.outbound.mailbox.iter().filter(|mail| mail.settles).map(|mail| mail.archive_id).collect();
        self.archive.ungive(&rows);
    }

    /// What the owner before this one had received and no archive has.
    fn knows(&mut self, cx: &Cx<'_>, uid: Option<proto::delivery::Uid>) -> Option<Uid> {
        let uid = uid::unpack(&uid?)?;
        self.marks.get_or_insert_with(|| Marks::new(cx.now_ms)).add_passed(uid);
        Some(uid)
    }

    /// The mailbox as the edge has it: what of it is held is known by its uid should it come again.
    fn refill(&mut self, cx: &Cx<'_>, stream: &mut Stream, mailbox: Vec<wire::Deliver>) {
        for mail in mailbox {
            if mail.stanza.is_empty() {
                continue;
            }
            let uid = self.knows(cx, mail.uid);
            let give = Give { archive_id: mail.archive_id, settles: mail.settles, held: 0, uid };
            if give.settles {
                self.archive.given(give.archive_id, false);
            }
            stream.outbound.put(Mail {
                n: mail.out_n,
                archive_id: give.archive_id,
                settles: give.settles,
                held: 0,
                kept: true,
                uid,
                // A slice of the message that brought it would hold all of that.
                stanza: Bytes::copy_from_slice(&mail.stanza),
            });
        }
    }
}

/// A request whose answer the client waits for; never longer than one of this owner's would.
fn open_iq(iq: &wire::OpenIq, cx: &Cx<'_>) -> Option<OpenIq> {
    let latest_ms = cx.now_ms + cx.owner.config.iq_deadline_s * 1_000;
    let to = carry::address(&iq.to).ok()??;
    Some(OpenIq { to, id: iq.id.as_str().into(), deadline_ms: iq.deadline.min(latest_ms) })
}
