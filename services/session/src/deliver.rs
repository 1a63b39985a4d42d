//! Giving stanzas to sessions: numbers, mailboxes, and what an acknowledgement settles.

use bytes::Bytes;
use features::about::At;
use features::account::{Origin, Session, blob};
use features::context::{Context, Next};
use node::carry;
use proto::delivery;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;
use store::Uid;
use xmpp::stanza::{Kind, Stanza, Type};

use crate::lane::Arrival;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::{Mail, Stream};

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
            self.kept_one(cx, give.held);
            return;
        };
        if session.inactive || !session.held_back.is_empty() {
            let mut outputs = Vec::new();
            let host = std::sync::Arc::clone(&self.host);
            let owner = std::sync::Arc::clone(cx.owner);
            let mut context = Context {
                now_ms: cx.now_ms,
                host: &host,
                account: &mut self.account,
                session: Some(id),
                outputs: &mut outputs,
            };
            let (_, next) = owner.chain.run(At::Deliver, 0, &mut context, &mut stanza);
            for output in outputs {
                if let features::context::Output::ToSession { stream, stanza } = output {
                    self.give(cx, stream, stanza, Give::default());
                }
            }
            if !matches!(next, Next::Go) {
                self.kept_one(cx, give.held);
                return;
            }
        }
        self.give(cx, id, stanza, give);
    }

    /// Numbers a stanza and sends it to the session's edge.
    pub(crate) fn give(&mut self, cx: &mut Cx<'_>, id: Origin, stanza: Stanza, give: Give) {
        let limit = cx.owner.config.mailbox_bytes_max;
        let Some(stream) = self.stream_mut(id) else { return self.kept_one(cx, give.held) };
        stream.outbound.n += 1;
        let n = stream.outbound.n;
        // Without an edge the owner's memory is all there is, until somebody resumes.
        let hibernates = stream.link.is_none();
        if let Some(link) = stream.link.clone() {
            let frame = stream.deliver(n, give, carry::pack(&stanza));
            cx.frame(&link, Frame::Deliver(frame.into()));
        }
        let request = stanza.kind == Kind::Iq && matches!(stanza.ty, Type::Get | Type::Set);
        if stream.managed || give.held != 0 || give.settles || request || stream.link.is_none() {
            stream.outbound.put(Mail {
                n,
                archive_id: give.archive_id,
                settles: give.settles,
                held: if hibernates { 0 } else { give.held },
                uid: give.uid,
                stanza: Some(stanza),
            });
        }
        if hibernates {
            self.kept_one(cx, give.held);
        }
        let Some(stream) = self.stream(id) else { return };
        if stream.outbound.bytes > limit {
            // A client that takes nothing: what is stored waits for the next one, the rest comes back.
            self.arrive(cx, Arrival::Close(id, "resource-constraint"));
        }
    }

    /// The edge has everything up to `n`.
    pub(crate) fn kept(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        let Some(stream) = self.stream_mut(id) else { return };
        let before = stream.outbound.kept;
        let n = n.min(stream.outbound.n);
        stream.outbound.kept = before.max(n);
        if stream.managed {
            let held: Vec<u32> = stream
                .outbound
                .mailbox
                .iter_mut()
                .filter(|mail| mail.n > before && mail.n <= n && mail.held != 0)
                .map(|mail| std::mem::take(&mut mail.held))
                .collect();
            held.into_iter().for_each(|key| self.kept_one(cx, key));
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
            self.kept_one(cx, mail.held);
            if mail.settles {
                self.settle(cx, mail.archive_id);
            }
        }
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
    pub(crate) fn kept_one(&mut self, cx: &mut Cx<'_>, key: u32) {
        let Some(key) = key.checked_sub(1) else { return };
        let Some(held) = cx.common.held.get_mut(key as usize) else { return };
        held.waits -= 1;
        if held.waits == 0 {
            let held = cx.common.held.remove(key as usize);
            cx.finish(held.finish, None);
        }
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
                stream: Bytes::copy_from_slice(&id),
                generation: stream.generation,
                blob: blob::encode(session),
                cursor,
                position: stream.position,
            };
            cx.frame(link, Frame::State(frame));
        }
    }
}

impl Stream {
    pub(crate) fn deliver(&self, n: u64, give: Give, stanza: delivery::Stanza) -> wire::Deliver {
        wire::Deliver {
            stream: self.name.clone(),
            generation: self.generation,
            out_n: n,
            archive_id: give.archive_id,
            position: if give.archive_id == 0 { self.position } else { give.archive_id.max(self.position) },
            settles: give.settles,
            stanza: Some(stanza),
            held: give.held != 0,
            uid: give.uid.map(|uid| delivery::Uid {
                origin: Bytes::copy_from_slice(&uid.origin),
                n: uid.n,
                k: uid.k,
            }),
        }
    }
}
