//! Sessions whose client is gone are kept where the next owner finds them (docs/delivery.md §8).
//!
//! What is written is what an edge would say of the stream. Its edge forgets it only when that is done; as long as the
//! session hibernates it is written again when something was given to it.

use features::account::{Origin, blob};
use node::carry;
use prost::Message;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;

use crate::edges::Link;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::{Mail, Stream};
use crate::uid;
use crate::work::{Done, Work};

/// What is known of a hibernating stream's copy in the store.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// As of these numbers; none: never.
    of: Option<Numbers>,
    writing: bool,
    /// Told when it is written: the edge that had it, and the generation there.
    tell: Option<(Link, u64)>,
}

/// Last given, acknowledged, finished, position.
type Numbers = (u64, u64, u64, u64);

impl Resident {
    /// A session hibernates: it is written, and then its edge is told.
    pub(crate) fn save_hibernated(&mut self, cx: &mut Cx<'_>, id: Origin, tell: Option<(Link, u64)>) {
        let Some(stream) = self.stream_mut(id) else { return };
        let numbers = numbers(stream);
        let saved = stream.saved.get_or_insert_default();
        if tell.is_some() {
            saved.tell = tell;
        }
        if saved.writing || saved.of == Some(numbers) && saved.tell.is_none() {
            return;
        }
        saved.writing = true;
        let Some(session) = self.hibernated(id) else {
            // The archive has what its mailbox lacks: only this owner can give that again.
            return self.saved(cx, id, Some(numbers));
        };
        let (store, at) = (cx.owner.store.clone(), self.at);
        cx.spawn(async move {
            let good = match store.hibernated.put(session).await {
                Ok(()) => true,
                Err(error) => {
                    // The next tick tries again.
                    crate::metrics::UNSAVED.inc();
                    tracing::debug!(%error, "a hibernating session could not be saved");
                    false
                }
            };
            Work::Done(at, Done::Saved(id, good.then_some(numbers)))
        });
    }

    /// It is written, as of these numbers; none: it could not be, and the next tick tries again.
    pub(crate) fn saved(&mut self, cx: &mut Cx<'_>, id: Origin, numbers: Option<Numbers>) {
        let Some(stream) = self.stream_mut(id) else {
            return discard(cx, id);
        };
        let back = stream.link.is_some();
        let Some(saved) = &mut stream.saved else { return };
        saved.writing = false;
        let Some(numbers) = numbers else { return };
        saved.of = Some(numbers);
        if let Some((link, generation)) = saved.tell.take() {
            let frame = wire::Hibernated { stream: carry::pack_origin(id), generation };
            cx.frame(&link, Frame::Hibernated(frame));
        }
        if back {
            stream.saved = None;
            discard(cx, id);
        }
    }

    /// A session has a client again, or is over: its copy is of no use any more.
    pub(crate) fn discard_saved(stream: &mut Stream, cx: &Cx<'_>) {
        stream.restored = false;
        // While it is being written it cannot be deleted for good.
        if stream.saved.as_ref().is_some_and(|saved| !saved.writing) {
            stream.saved = None;
            discard(cx, stream.id);
        }
    }

    /// Sessions that may be resumed and whose copies are behind, for whoever is about to have them. Those of edges, too: an
    /// edge that dies before it has attached them again takes nobody's session along.
    pub(crate) fn unsaved_sessions(&self, now_ms: u64) -> Vec<store::Session> {
        let behind = |stream: &&Stream| {
            stream.resume && stream.saved.as_ref().is_none_or(|saved| saved.of != Some(numbers(stream)))
        };
        let copy = |stream: &Stream| {
            let mut session = self.hibernated(stream.id)?;
            if stream.link.is_some() {
                session.deadline_ms = now_ms + u64::from(stream.max_s) * 1_000;
            }
            Some(session)
        };
        self.streams.iter().filter(behind).filter_map(copy).collect()
    }

    /// Sessions as they were kept: they hibernate on, or their time is over at the next tick.
    pub(crate) fn restore(&mut self, cx: &mut Cx<'_>, sessions: Vec<store::Session>) {
        for session in sessions {
            let id = session.origin;
            let Ok(attach) = wire::Attach::decode(session.state) else { continue };
            if self.stream(id).is_some() || !self.attach_new(cx, id, None, attach) {
                continue;
            }
            let Some(stream) = self.stream_mut(id) else { continue };
            stream.deadline_ms = session.deadline_ms.max(1);
            stream.restored = true;
            let of = Some(numbers(stream));
            stream.saved = Some(Box::new(Saved { of, ..Saved::default() }));
        }
    }

    fn hibernated(&self, id: Origin) -> Option<store::Session> {
        let (session, stream) = (self.account.session(id)?, self.stream(id)?);
        if !stream.outbound.is_whole(stream.outbound.acked) {
            return None;
        }
        let told = wire::Attach {
            stream: carry::pack_origin(id),
            generation: stream.generation,
            jid: session.jid.as_str().to_owned(),
            state: blob::encode(session),
            position: stream.position,
            h: stream.inbound.h,
            above: stream.inbound.finished_above().map(|n| wire::Above { n, hash: 0 }).collect(),
            open_iq: stream.open_iqs.iter().map(open_iq).collect(),
            mailbox: stream.outbound.mailbox.iter().map(|mail| deliver(stream, mail)).collect(),
            out_n: stream.outbound.n,
            acked: stream.outbound.acked,
            managed: stream.managed,
            resume: stream.resume,
            max_s: stream.max_s,
            in_base: stream.in_base,
            out_base: stream.out_base,
            // What its client had is in no edge's memory, and the stored cursor is some seconds older.
            cursor: self.archive.lowest,
            settled: self.archive.above.clone(),
            recent: self.acknowledged(),
            lost: true,
            ..wire::Attach::default()
        };
        Some(store::Session {
            origin: id,
            account: self.account.jid.clone(),
            deadline_ms: stream.deadline_ms,
            state: told.encode_to_vec().into(),
        })
    }
}

/// Deletes a copy; nobody waits for it.
fn discard(cx: &Cx<'_>, id: Origin) {
    let store = cx.owner.store.clone();
    tokio::spawn(async move {
        if let Err(error) = store.hibernated.take(id).await {
            tracing::debug!(%error, "the copy of a session could not be deleted");
        }
    });
}

fn numbers(stream: &Stream) -> Numbers {
    (stream.outbound.n, stream.outbound.acked, stream.inbound.h, stream.position)
}

fn open_iq(iq: &crate::stream::OpenIq) -> wire::OpenIq {
    wire::OpenIq { to: iq.to.as_str().to_owned(), id: iq.id.to_string(), deadline: iq.deadline_ms }
}

fn deliver(stream: &Stream, mail: &Mail) -> wire::Deliver {
    wire::Deliver {
        stream: carry::pack_origin(stream.id),
        generation: stream.generation,
        out_n: mail.n,
        archive_id: mail.archive_id,
        settles: mail.settles,
        stanza: mail.stanza.clone(),
        uid: mail.uid.map(uid::pack),
        ..wire::Deliver::default()
    }
}
