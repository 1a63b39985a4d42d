//! What comes from a client: its stanzas in order, and what its edge says of it.

use bytes::Bytes;
use features::about::At;
use features::account::Origin;
use features::stanza_ids;
use node::carry;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};

use crate::dispatch::close;
use crate::edges::Link;
use crate::lane::{Arrival, Cause, Effect, Entry, Job, Wait};
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::Arrived;
use crate::work::{Finish, FromEdge};

impl Resident {
    /// An edge says something of a stream of this account.
    pub(crate) fn of_edge(&mut self, cx: &mut Cx<'_>, id: Origin, link: &Link, frame: FromEdge) {
        let attaches = matches!(frame, FromEdge::Attach(_)) || self.stream(id).is_none();
        if self.lane.as_ref().is_some_and(|lane| lane.edges > 0 || attaches && !lane.open()) {
            // Attaching has its turn in the lane: what the edge says behind it stays behind it.
            let lane = self.lane_mut();
            lane.edges += 1;
            lane.waiting.push_back(Arrival::Edge(id, link.clone(), Box::new(frame)));
            return;
        }
        self.edge_frame(cx, id, link, frame);
    }

    /// Its turn has come.
    pub(crate) fn edge_frame(&mut self, cx: &mut Cx<'_>, id: Origin, link: &Link, frame: FromEdge) {
        if let FromEdge::Attach(attach) = frame {
            return self.start_attach(cx, id, link, *attach);
        }
        // What another attachment says comes again on the present one, if it has to.
        let Some(stream) = self.stream_mut(id).filter(|stream| stream.link.as_ref() == Some(link)) else {
            return;
        };
        match frame {
            FromEdge::Item { generation, n, stanza } => {
                if generation == stream.generation && !stream.inbound.torn {
                    self.client_stanza(cx, id, n, stanza);
                }
            }
            FromEdge::Torn => stream.inbound.torn = true,
            FromEdge::Kept(n) => self.kept(cx, id, n),
            FromEdge::Acked(n) => self.acked(cx, id, n),
            FromEdge::Room => self.send_mailbox(cx, id),
            FromEdge::Enable(enable) => self.arrive(cx, Arrival::Enable(enable)),
            FromEdge::Csi(active) => self.arrive(cx, Arrival::Csi(id, active)),
            FromEdge::Ended { generation, why } => {
                if generation == stream.generation {
                    self.arrive(cx, Arrival::Ended(id, link.clone(), generation, why));
                }
            }
            FromEdge::Attach(_) => {}
        }
    }

    fn client_stanza(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64, packed: Bytes) {
        let stanza = carry::unpack(&packed);
        let (now_ms, limit) = (cx.now_ms, cx.owner.config.unfinished_max);
        let at = self.at;
        let Some(stream) = self.stream_mut(id) else { return };
        if stream.inbound.arrive(n, packed, now_ms) == Arrived::Known {
            cx.handled(at, id);
            return;
        }
        let crowded = stream.inbound.unfinished() > limit;
        let Ok(stanza) = stanza else {
            // Of a newer edge: it is counted, or the next one would be taken for it.
            return self.finished(cx, id, n, Some(StanzaError::from(Condition::BadRequest)));
        };
        if crowded || self.lane_is_full(cx) {
            self.finished(cx, id, n, Some(StanzaError::from(Condition::ResourceConstraint)));
            return;
        }
        self.watch(cx);
        self.arrive(cx, Arrival::Own { stream: id, n, stanza });
    }

    /// A client's stanza has its turn: the features of its phase, then the way it goes.
    pub(crate) fn start_own(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64, mut stanza: Stanza) {
        let finish = Finish::Client(id, n);
        let Some(session) = self.account.session(id) else {
            cx.finish(finish, None);
            return;
        };
        if let Some(condition) = stanza.fault() {
            self.refuse_own(cx, id, finish, &stanza, condition.into());
            return;
        }
        // RFC 6120 §8.1.2.1: a client may say its bare or full JID, and nobody else's.
        if stanza.from.as_ref().is_some_and(|from| *from != session.jid && *from != self.account.jid) {
            self.push(cx, Entry { wait: Wait::Nothing, effects: vec![end(id, "invalid-from")], finish });
            return;
        }
        stanza.from = Some(session.jid.clone());
        let was_eligible = session.eligible();
        let at = phase(&stanza, &self.account.jid, &self.host.domain);
        if at == At::Account && stanza.kind == Kind::Message {
            // RFC 6120 §10.3.1: as if it had been sent to the sender's own bare JID.
            stanza.to = Some(self.account.jid.clone());
        }
        let at = if stanza.kind == Kind::Message { At::Sent } else { at };
        let cause = Cause::Own { stream: id, n, was_eligible };
        self.run(cx, Job { at, step: 0, session: Some(id), stanza, cause });
    }

    /// The features have let a client's stanza pass.
    pub(crate) fn go_own(&mut self, cx: &mut Cx<'_>, job: Job, mut effects: Vec<Effect>, id: Origin, n: u64) {
        let finish = Finish::Client(id, n);
        let stanza = job.stanza;
        match (job.at, stanza.kind) {
            (At::Account | At::Host, Kind::Iq) => {
                if matches!(stanza.ty, Type::Get | Type::Set) {
                    let error = StanzaError::from(Condition::ServiceUnavailable);
                    effects.extend(error_effect(id, &stanza, error));
                }
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish });
            }
            (At::Sent, Kind::Message) => self.go_message(cx, stanza, effects, id, n),
            (At::Sent, _) => {
                if self.open_iq(cx, id, &stanza) {
                    self.hand_over(cx, finish, id, n, stanza);
                } else {
                    let error = StanzaError::from(Condition::ResourceConstraint);
                    effects.extend(error_effect(id, &stanza, error));
                }
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish });
            }
            _ => self.push(cx, Entry { wait: Wait::Nothing, effects, finish }),
        }
    }

    /// A message goes to its addressee and, in parallel, into its sender's archive; the sender's other sessions get a
    /// copy when it is there.
    fn go_message(&mut self, cx: &mut Cx<'_>, stanza: Stanza, mut effects: Vec<Effect>, id: Origin, n: u64) {
        let finish = Finish::Client(id, n);
        let to_self = stanza.to.as_ref().is_some_and(|to| to.same_bare(&self.account.jid));
        let (mut archived, mut wait) = (None, Wait::Nothing);
        if !to_self
            && features::keep::sent(&self.account, &self.host, &stanza) == features::keep::Keep::Archive
        {
            archived = self.marks.as_ref().and_then(|marks| marks.sent(id, n));
            if archived.is_none() {
                let row = self.append_sent(cx, &stanza, id, n);
                (archived, wait) = (Some(row), Wait::Stored(row));
            }
        }
        if !to_self && self.account.sessions.iter().any(|session| session.carbons && session.stream != id) {
            let mut copy = stanza.clone();
            if let Some(row) = archived {
                // XEP-0313 §3.5: the other sessions learn what it is called; its addressee does not.
                stanza_ids::stamp(&mut copy, &self.account.jid, row);
            }
            effects.push(Effect::Sent(id, Box::new(copy)));
        }
        self.hand_over(cx, finish, id, n, stanza);
        if wait == Wait::Nothing && effects.is_empty() {
            self.finish_part(cx, id, n);
        } else {
            self.push(cx, Entry { wait, effects, finish });
        }
    }

    /// Gives the client's stanza to its addressee's owner.
    fn hand_over(&mut self, cx: &mut Cx<'_>, finish: Finish, id: Origin, n: u64, stanza: Stanza) {
        if let Some(stream) = self.stream_mut(id) {
            stream.inbound.more(n);
        }
        let uid = store::Uid { origin: id, n, k: 0 };
        cx.route(uid, finish, stanza, &[]);
    }

    /// A part of a client's stanza is finished, or it is refused.
    pub(crate) fn finished(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64, refused: Option<StanzaError>) {
        if let Some(error) = refused {
            self.answer_refused(cx, id, n, error);
        }
        self.finish_part(cx, id, n);
    }

    /// Answers a client's stanza with an error, unless one has answered it already. It is finished when the edge has been sent
    /// the answer: of whatever is forgotten before, the edge has the stanza still, and the next owner decides.
    pub(crate) fn answer_refused(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64, error: StanzaError) {
        let jid = self.account.session(id).map(|session| session.jid.clone());
        let stanza = self.stream_mut(id).and_then(|stream| stream.inbound.take_stanza(n));
        if let (Some(jid), Some(stanza)) = (jid, stanza)
            && let Some(answer) = stanza.with_from(jid).error(error)
        {
            self.close_iq(id, &answer);
            if let Some(stream) = self.stream_mut(id) {
                stream.inbound.answering(n);
            }
            self.arrive(cx, Arrival::ToSession(id, Some(n), answer));
        }
    }

    /// The error has left.
    pub(crate) fn answered(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        if self.stream_mut(id).is_some_and(|stream| stream.inbound.answered(n)) {
            self.handled(cx, id);
        }
    }

    pub(crate) fn finish_part(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) {
        if self.stream_mut(id).is_some_and(|stream| stream.inbound.finish(n)) {
            self.handled(cx, id);
        }
    }

    /// More of what a client sent is finished.
    pub(crate) fn handled(&mut self, cx: &mut Cx<'_>, id: Origin) {
        cx.handled(self.at, id);
        self.watch(cx);
        self.resume_when_finished(cx, id);
    }

    /// Tells the edge of a stream how far its stanzas are finished.
    pub(crate) fn tell_handled(&self, cx: &mut Cx<'_>, id: Origin) {
        let Some(stream) = self.stream(id) else { return };
        let Some(link) = &stream.link else { return };
        if stream.outbound.sent < stream.outbound.n {
            // An answer to it may be what the edge does not take yet: it hears of it when that has left.
            return;
        }
        let above = stream.inbound.finished_above().map(|n| wire::Above { n, hash: 0 }).collect();
        let frame = wire::Handled {
            stream: carry::pack_origin(id),
            generation: stream.generation,
            h: stream.inbound.h,
            above,
        };
        cx.frame(link, Frame::Handled(frame));
    }

    /// Refuses a client's own stanza.
    pub(crate) fn refuse_own(
        &mut self,
        cx: &mut Cx<'_>,
        id: Origin,
        finish: Finish,
        stanza: &Stanza,
        error: StanzaError,
    ) {
        let effects = error_effect(id, stanza, error).into_iter().collect();
        self.push(cx, Entry { wait: Wait::Nothing, effects, finish });
    }

    /// Ends one of the account's streams with a stream error.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>, id: Origin, condition: &str) {
        if let Some(stream) = self.stream(id)
            && let Some(link) = &stream.link
        {
            cx.frame(link, close(&id, stream.generation, condition));
        }
    }
}

/// The error that answers a client's stanza, if any does.
pub(crate) fn error_effect(id: Origin, stanza: &Stanza, error: StanzaError) -> Option<Effect> {
    let stanza = stanza.error(error)?;
    Some(Effect::Output(features::context::Output::ToSession { stream: id, stanza }))
}

fn end(stream: Origin, condition: &'static str) -> Effect {
    Effect::Output(features::context::Output::End { stream, condition })
}

/// Which rules a client's stanza meets (RFC 6120 §10.3, RFC 6121 §8).
fn phase(stanza: &Stanza, account: &Jid, domain: &Jid) -> At {
    match (&stanza.to, stanza.kind) {
        (None, Kind::Presence) => At::Presence,
        (None, _) => At::Account,
        (Some(to), Kind::Iq) if to == account => At::Account,
        (Some(to), Kind::Iq) if to == domain => At::Host,
        _ => At::Sent,
    }
}
