//! Giving stanzas to sessions: numbers, mailboxes, and what an acknowledgement settles.

use features::about::At;
use features::account::{Origin, Session, blob};
use features::context::Next;
use node::carry;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;
use store::Uid;
use xmpp::stanza::Stanza;

use crate::lane::Arrival;
use crate::marks::Marks;
use crate::resident::Resident;
use crate::shard::{Cx, Held};
use crate::stream::{Mail, Stream};
use crate::uid;
use crate::work::Finish;

/// A mailbox that is full by this part of its limit takes no more of what is stored.
const SLOW_PART: usize = 4;

/// What is to be known of a stanza beside what it says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Give {
    pub(crate) archive_id: u64,
    pub(crate) settles: bool,
    /// Key of what waits for it to be kept, plus one.
    pub(crate) held: u32,
    pub(crate) uid: Option<Uid>,
}

impl Resident {
    /// Gives a stanza to a session, unless its rules hold it back.
    pub(crate) fn deliver(&mut self, cx: &mut Cx<'_>, id: Origin, mut stanza: Stanza, give: Give) {
        let Some(session) = self.account.session(id) else {
            return Self::dropped(cx, give.held);
        };
        if session.inactive || !session.held_back.is_empty() {
            let ((_, next), outputs) = self.with_features(cx.now_ms, Some(id), |context| {
                cx.owner.chain.run(At::Deliver, 0, context, &mut stanza)
            });
            for output in outputs {
                if let features::context::Output::ToSession { stream, stanza } = output {
                    self.give(cx, stream, &stanza, Give::default());
                }
            }
            if !matches!(next, Next::Go) {
                return Self::dropped(cx, give.held);
            }
        }
        self.give(cx, id, &stanza, give);
    }

    /// Numbers a stanza and sends it to the session's edge.
    pub(crate) fn give(&mut self, cx: &mut Cx<'_>, id: Origin, stanza: &Stanza, give: Give) {
        let limit = cx.owner.config.mailbox_bytes_max;
        let Some(stream) = self.stream_mut(id) else { return Self::dropped(cx, give.held) };
        stream.outbound.n += 1;
        let n = stream.outbound.n;
        // Without an edge the owner's memory is all there is, until somebody resumes.
        let kept = stream.link.is_none();
        let slow = give.settles && stream.outbound.bytes > limit / SLOW_PART;
        stream.outbound.put(Mail {
            n,
            archive_id: give.archive_id,
            settles: give.settles,
            held: give.held,
            kept,
            uid: give.uid,
            stanza: carry::pack(stanza),
        });
        stream.send(cx);
        if slow && stream.outbound.sent == n {
            // A slow client costs no memory for what the archive has.
            stream.outbound.forget_last();
        }
        let full = stream.outbound.bytes > limit;
        if kept {
            Self::kept_one(cx, give.held);
        }
        if full {
            // A client that takes nothing: what is stored waits for the next one, the rest comes back.
            self.arrive(cx, Arrival::Close(id, "resource-constraint"));
        }
    }

    /// Sends what is in a session's mailbox and has not left for its edge.
    pub(crate) fn send_mailbox(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let at = self.at;
        let Some(stream) = self.stream_mut(id) else { return };
        let behind = stream.outbound.sent < stream.outbound.n;
        stream.send(cx);
        if behind && stream.outbound.sent == stream.outbound.n {
            // What is finished was not told before what had to leave.
            cx.handled(at, id);
        }
    }

    /// The edge has everything up to `n`.
    pub(crate) fn kept(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        let Some(stream) = self.stream_mut(id) else { return };
        let before = stream.outbound.kept;
        let n = n.min(stream.outbound.n);
        stream.outbound.kept = before.max(n);
        if stream.managed {
            // What was given before counting began is acknowledged by nobody.
            let base = stream.out_base.min(n);
            let held: Vec<u32> = stream
                .outbound
                .mailbox
                .iter_mut()
                .filter(|mail| mail.n > before && mail.n <= n && mail.held != 0 && !mail.kept)
                .map(|mail| {
                    mail.kept = true;
                    mail.held
                })
                .collect();
            for key in held {
                Self::kept_one(cx, key);
            }
            if before < base {
                self.settle_until(cx, id, base);
            }
        } else {
            self.settle_until(cx, id, n);
        }
    }

    /// The client has everything up to `n`.
    pub(crate) fn acked(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        let Some(stream) = self.stream_mut(id) else { return };
        let n = n.min(stream.outbound.n);
        stream.outbound.acked = stream.outbound.acked.max(n);
        stream.outbound.kept = stream.outbound.kept.max(n);
        self.settle_until(cx, id, n);
    }

    fn settle_until(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        let Some(stream) = self.stream_mut(id) else { return };
        for mail in stream.outbound.take_until(n) {
            if !mail.kept {
                Self::kept_one(cx, mail.held);
            }
            Self::released(cx, mail.held, true);
            if mail.settles {
                self.settle(cx, mail.archive_id);
            }
            if let Some(uid) = mail.uid {
                self.marks.get_or_insert_with(|| Marks::new(cx.now_ms)).acknowledged(uid);
            }
        }
        // The next tick gives back the room of what is empty now.
        self.watch(cx);
    }

    /// A row has been delivered for good.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, archive_id: u64) {
        if self.archive.settle(archive_id) {
            let (store, jid) = (cx.owner.store.clone(), self.account.jid.clone());
            tokio::spawn(async move {
                if let Err(error) = store.archive.delete(&jid, &[archive_id]).await {
                    tracing::warn!(%error, "a delivered message could not be removed from the spool");
                }
            });
        }
    }

    /// One of those that had to keep a held stanza has it, or is no more.
    pub(crate) fn kept_one(cx: &mut Cx<'_>, key: u32) {
        let Some(held) = held(cx, key) else { return };
        held.waits = held.waits.saturating_sub(1);
        if held.waits == 0 {
            let finish = std::mem::replace(&mut held.finish, Finish::Nobody);
            cx.finish(finish, None);
        }
    }

    /// A held stanza is in one mailbox less; `acked`: since the client has it.
    pub(crate) fn released(cx: &mut Cx<'_>, key: u32, acked: bool) {
        let Some(held) = held(cx, key) else { return };
        held.acked |= acked;
        held.mails = held.mails.saturating_sub(1);
        if held.mails == 0 {
            cx.common.held.remove(key as usize - 1);
        }
    }

    /// A session does not get a held stanza.
    fn dropped(cx: &mut Cx<'_>, key: u32) {
        Self::kept_one(cx, key);
        Self::released(cx, key, false);
    }

    /// Every eligible session has been decided about up to this row.
    pub(crate) fn pass(&mut self, archive_id: u64) {
        for stream in &mut self.streams {
            if self.account.session(stream.id).is_some_and(Session::eligible) {
                stream.position = archive_id;
            }
        }
    }

    /// Hands the state of a session to its edge.
    pub(crate) fn tell_state(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let cursor = self.archive.lowest;
        let Some(session) = self.account.session(id) else { return };
        let Some(stream) = self.stream(id) else { return };
        if let Some(link) = &stream.link {
            let frame = wire::State {
                stream: carry::pack_origin(id),
                generation: stream.generation,
                blob: blob::encode(session),
                cursor,
                position: stream.position_told(),
            };
            cx.frame(link, Frame::State(frame));
        }
    }
}

/// What a key stands for; 0 stands for nothing.
pub(crate) fn held<'a>(cx: &'a mut Cx<'_>, key: u32) -> Option<&'a mut Held> {
    cx.common.held.get_mut(key.checked_sub(1)? as usize)
}

impl Stream {
    /// Sends what its edge takes of what has not left.
    fn send(&mut self, cx: &mut Cx<'_>) {
        let Some(link) = &self.link else { return };
        let mut told = None;
        loop {
            if self.outbound.enabling && self.outbound.sent >= self.out_base {
                self.outbound.enabling = false;
                cx.frame(link, Frame::Enabled(self.enabled()));
            }
            let Some(mail) = self.outbound.next().filter(|mail| link.takes(self.id, mail.stanza.len()))
            else {
                return;
            };
            let mut frame = self.frame(mail);
            self.outbound.sent = mail.n;
            // Looking for what holds it back is worth it only when that may have left.
            if frame.archive_id != 0 {
                told = None;
            }
            frame.position = frame.archive_id.max(*told.get_or_insert_with(|| self.position_told()));
            cx.frame(link, Frame::Deliver(frame.into()));
        }
    }

    fn enabled(&self) -> wire::Enabled {
        wire::Enabled {
            stream: carry::pack_origin(self.id),
            generation: self.generation,
            resume: self.resume,
            max_s: self.max_s,
            out_base: self.out_base,
            id: crate::owner::resumption_id(&self.id),
        }
    }

    /// All but the position, which is known once it counts as sent.
    fn frame(&self, mail: &Mail) -> wire::Deliver {
        wire::Deliver {
            stream: carry::pack_origin(self.id),
            generation: self.generation,
            out_n: mail.n,
            archive_id: mail.archive_id,
            position: 0,
            settles: mail.settles,
            stanza: mail.stanza.clone(),
            held: mail.held != 0,
            uid: mail.uid.map(uid::pack),
        }
    }
}
