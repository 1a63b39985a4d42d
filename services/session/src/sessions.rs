//! Sessions come, go, hibernate and come back.

use features::about::At;
use features::account::{Origin, Session, blob};
use node::carry;
use proto::session as wire;
use proto::session::ended::Why;
use proto::session::owner_frame::Kind as Frame;
use xmpp::stanza::{Condition, Stanza, Type};

use crate::edges::Link;
use crate::lane::{Arrival, Cause, Entry, Job, Wait};
use crate::owner::Owner;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::{Inbound, Outbound, Stream};
use crate::work::{Bind, Done, Finish, Resume, Work};

impl Resident {
    pub(crate) fn start_bind(&mut self, cx: &mut Cx<'_>, bind: &Bind) {
        if bind.link.is_gone() {
            return;
        }
        if self.removed {
            return cx.refuse_bind(bind, Condition::ServiceUnavailable);
        }
        let resource =
            if bind.resource.is_empty() { Owner::random_resource() } else { bind.resource.clone() };
        let Ok(jid) = self.account.jid.with_resource(&resource) else {
            return cx.refuse_bind(bind, Condition::BadRequest);
        };
        // RFC 6120 §7.7.2.2: the newer one wins; a client that lost its connection without knowing comes back so.
        if let Some(old) =
            self.account.resource(jid.resource().unwrap_or_default()).map(|session| session.stream)
        {
            self.close(cx, old, "conflict");
            self.end_session(cx, old);
        }
        if self.streams.len() >= cx.owner.config.sessions_max {
            return cx.refuse_bind(bind, Condition::ResourceConstraint);
        }
        let stream = Stream::new(Owner::new_stream(&self.account.jid), Some(bind.link.clone()));
        let frame = wire::Bound {
            exchange: bind.exchange,
            condition: String::new(),
            stream: carry::pack_origin(stream.id),
            generation: stream.generation,
            jid: jid.as_str().to_owned(),
        };
        cx.frame(&bind.link, Frame::Bound(frame));
        cx.common.by_stream.insert(stream.id, self.at);
        let session = Session::new(stream.id, jid, cx.now_ms);
        let id = stream.id;
        // Nearly every account has one or two: room for four would be most of what an idle one costs.
        self.account.sessions.reserve_exact(1);
        self.streams.reserve_exact(1);
        self.account.sessions.push(session);
        self.streams.push(stream);
        self.register(cx, id);
        self.tell_state(cx, id);
        let stanza = crate::job::placeholder();
        self.run(cx, Job { at: At::Bound, step: 0, session: Some(id), stanza, cause: Cause::Owner });
    }

    /// XEP-0198 §3: from here on both sides count.
    pub(crate) fn enabled(&mut self, cx: &mut Cx<'_>, enable: &wire::Enable) {
        let Ok(id) = carry::origin(enable.stream) else { return };
        let limit = cx.owner.config.resume_max_s;
        let Some(stream) = self.stream_mut(id) else { return };
        if enable.generation != stream.generation {
            return;
        }
        stream.managed = true;
        stream.resume = enable.resume && limit > 0;
        stream.max_s = if enable.max_s == 0 { limit } else { enable.max_s.min(limit) };
        stream.in_base = enable.in_base;
        stream.out_base = stream.outbound.n;
        stream.outbound.acked = stream.outbound.n;
        stream.outbound.enabling = true;
        self.register(cx, id);
        self.send_mailbox(cx, id);
    }

    /// A client wants its session back. It is answered when all that it had sent is finished: then the `h` it is told
    /// covers everything this owner has ever seen of it, and nothing of it can come twice.
    pub(crate) fn start_resume(&mut self, cx: &mut Cx<'_>, resume: Resume) {
        if resume.link.is_gone() {
            return;
        }
        let now_ms = cx.now_ms;
        let Some(stream) = self.stream_mut(resume.stream) else {
            let h = cx.owner.ended_h(&self.account.jid, resume.stream);
            return cx.refuse_resume(&resume, h);
        };
        if !stream.resume || stream.absolute(resume.h).is_none() {
            return cx.refuse_resume(&resume, None);
        }
        let generation = stream.generation;
        stream.generation += 1;
        stream.hibernate(now_ms);
        let before = stream.resuming.replace(Box::new(resume));
        if let Some(link) = stream.link.take() {
            // The old connection is dead, or will be: nothing more is taken from it.
            let frame = crate::dispatch::close(&stream.id, generation, "conflict");
            cx.frame(&link, frame);
        }
        let id = stream.id;
        if let Some(before) = before {
            cx.refuse_resume(&before, None);
        }
        self.watch(cx);
        self.keep_all(cx, id);
        self.resume_when_finished(cx, id);
    }

    /// No edge will say any more what it has: the owner does, who keeps it all until somebody resumes.
    fn keep_all(&mut self, cx: &mut Cx<'_>, id: Origin) {
        if let Some(n) = self.stream(id).filter(|stream| stream.managed).map(|stream| stream.outbound.n) {
            self.kept(cx, id, n);
        }
    }

    /// A stanza was finished: perhaps the last one that a resumption has waited for.
    pub(crate) fn resume_when_finished(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let Some(stream) = self.stream(id).filter(|stream| stream.inbound.unfinished() == 0) else { return };
        let Some(resume) = &stream.resuming else { return };
        let generation = stream.generation;
        if let Some(acked) = stream.absolute(resume.h) {
            self.acked(cx, id, acked);
        }
        if self.archive.above.is_empty() {
            return self.resume(cx, id, generation);
        }
        // Its edge was not there when what is settled was acknowledged, and the lowest row it is told does not say it
        // all: the next owner finds the rest in the store.
        let cursors = [(self.account.jid.clone(), self.archive.cursor())];
        let (store, at) = (cx.owner.store.clone(), self.at);
        cx.spawn(async move {
            crate::tick::save(&store, &cursors).await;
            Work::Done(at, Done::Resumable(id, generation))
        });
    }

    /// Nothing is left that the resumption of this generation has to wait for.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>, id: Origin, generation: u64) {
        let stream = self.stream_mut(id).filter(|stream| stream.generation == generation);
        if let Some(resume) = stream.and_then(|stream| stream.resuming.take()) {
            self.answer_resume(cx, &resume);
        }
    }

    fn answer_resume(&mut self, cx: &mut Cx<'_>, resume: &Resume) {
        let id = resume.stream;
        let Some(jid) = self.account.session(id).map(|session| session.jid.clone()) else {
            return cx.refuse_resume(resume, None);
        };
        let state = self.account.session(id).map(blob::encode).unwrap_or_default();
        let Some(stream) = self.stream_mut(id) else { return };
        let Some(acked) = stream.absolute(resume.h) else {
            return cx.refuse_resume(resume, None);
        };
        self.acked(cx, id, acked);
        let recent = self.acknowledged();
        let Some(stream) = self.stream_mut(id) else { return };
        if !stream.outbound.is_whole(acked) {
            // A client that took too little for too long: what is stored comes to its next session.
            let h = stream.h() as u32;
            self.end_session(cx, id);
            return cx.refuse_resume(resume, Some(h));
        }
        stream.link = Some(resume.link.clone());
        stream.deadline_ms = 0;
        stream.inbound.torn = false;
        Self::discard_saved(stream, cx);
        // The rest follows, and only then is it decided.
        stream.outbound.sent = acked;
        let frame = wire::Resumed {
            exchange: resume.exchange,
            condition: String::new(),
            h: stream.h() as u32,
            has_h: true,
            stream: carry::pack_origin(id),
            generation: stream.generation,
            jid: jid.as_str().to_owned(),
            in_n: stream.inbound.h,
            in_base: stream.in_base,
            out_base: stream.out_base,
            acked,
            state,
            position: stream.position_told(),
            previd: resume.previd.clone(),
            max_s: stream.max_s,
            recent,
        };
        cx.frame(&resume.link, Frame::Resumed(frame.into()));
        self.register(cx, id);
        self.give_mailbox(cx, id, acked);
        self.tell_state(cx, id);
        // XEP-0352 §5.2: a client that is back says again that its user looks elsewhere.
        self.start_csi(cx, id, true);
    }

    /// Gives again what the session's edge does not have: everything in the mailbox above `n`. False: not all of it is
    /// there.
    pub(crate) fn give_mailbox(&mut self, cx: &mut Cx<'_>, id: Origin, n: u64) -> bool {
        let Some(stream) = self.stream_mut(id) else { return true };
        if stream.link.is_none() {
            return true;
        }
        if !stream.outbound.is_whole(n) {
            return false;
        }
        stream.outbound.sent = n;
        // An edge that did not hear of it asks again.
        stream.outbound.enabling = false;
        self.send_mailbox(cx, id);
        true
    }

    pub(crate) fn start_ended(
        &mut self,
        cx: &mut Cx<'_>,
        id: Origin,
        link: &Link,
        generation: u64,
        why: Why,
    ) {
        let Some(stream) = self.stream_mut(id) else { return };
        // Its edge may have attached it again meanwhile, and said whether its client is there.
        let again = stream.link.as_ref().is_some_and(|present| present != link);
        if stream.generation != generation || again {
            return;
        }
        let link = stream.link.take();
        if stream.resume && matches!(why, Why::Lost | Why::Drained) {
            stream.hibernate(cx.now_ms);
            self.watch(cx);
            self.keep_all(cx, id);
            self.push_missed(cx, id);
            self.save_hibernated(cx, id, link.map(|link| (link, generation)));
            return;
        }
        self.end_session(cx, id);
        if let Some(link) = link {
            let frame = wire::Hibernated { stream: carry::pack_origin(id), generation };
            cx.frame(&link, Frame::Hibernated(frame));
        }
    }

    /// The edge of a stream is gone, and with it perhaps the client: a moment to come back, longer where it can resume.
    pub(crate) fn link_lost(&mut self, cx: &mut Cx<'_>, link: &Link) {
        let gather_ms = cx.owner.config.gather_ms;
        let mut lost = false;
        for stream in &mut self.streams {
            stream.resuming.take_if(|resume| resume.link == *link);
            if stream.link.as_ref() == Some(link) {
                stream.link = None;
                stream.hibernate(cx.now_ms);
                if !stream.resume {
                    stream.deadline_ms = cx.now_ms + gather_ms;
                }
                lost = true;
            }
        }
        if lost {
            self.watch(cx);
        }
    }

    /// A session is over: its contacts learn of it, and what it was given and did not take goes its way.
    pub(crate) fn end_session(&mut self, cx: &mut Cx<'_>, id: Origin) {
        let Some(at) = self.streams.iter().position(|stream| stream.id == id) else { return };
        let mut stream = self.streams.swap_remove(at);
        cx.common.by_stream.remove(&id);
        self.unregister(cx, id);
        Self::discard_saved(&mut stream, cx);
        cx.owner.remember_ended(&self.account.jid, id, stream.h());
        if let Some(resume) = &stream.resuming {
            cx.refuse_resume(resume, Some(stream.h() as u32));
        }
        let Some(session) = self.account.session(id) else { return };
        if let Some(events) = &cx.owner.events {
            events.ended(session, cx.now_ms);
        }
        let jid = session.jid.clone();
        let stanza = Stanza::presence(Type::Unavailable).with_from(jid.clone());
        self.run(cx, Job { at: At::Ended, step: 0, session: Some(id), stanza, cause: Cause::Owner });
        self.account.sessions.retain(|session| session.stream != id);
        if self.host.anonymous && self.streams.is_empty() {
            self.forget_anonymous(cx);
        }
        self.return_mail(cx, stream.outbound.mailbox);
        // Its edge forgets what it has settled: the next tick saves the cursor.
        self.saved_ms = 0;
        self.watch(cx);
    }

    /// An anonymous account ends with its session.
    fn forget_anonymous(&mut self, cx: &mut Cx<'_>) {
        self.removed = true;
        let (store, jid) = (cx.owner.store.clone(), self.account.jid.clone());
        tokio::spawn(async move {
            if let Err(error) = crate::login::anonymous::remove(&store, &jid).await {
                tracing::warn!(%error, "an anonymous account could not be removed");
            }
        });
    }

    pub(crate) fn start_csi(&mut self, cx: &mut Cx<'_>, id: Origin, active: bool) {
        let ((), outputs) =
            self.with_features(cx.now_ms, Some(id), |context| features::csi::set(context, active));
        let effects = outputs.into_iter().map(crate::lane::Effect::Output).collect();
        self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
    }

    /// A session that the registry knew when this owner took its slot. Unless its edge or its copy has told of it, nobody has
    /// it any more: its contacts learn so.
    pub(crate) fn start_registered(&mut self, cx: &mut Cx<'_>, registered: store::Registered) {
        let id = registered.origin;
        if self.stream(id).is_some() {
            return;
        }
        self.unregister(cx, id);
        let taken = |resource| self.account.resource(resource).is_some();
        if self.removed || registered.jid.resource().is_none_or(taken) {
            return;
        }
        let mut session = Session::new(id, registered.jid.clone(), cx.now_ms);
        session.presence = Some(Box::new(Stanza::presence(Type::Available)));
        if let Some(events) = &cx.owner.events {
            events.ended(&session, cx.now_ms);
        }
        self.account.sessions.push(session);
        let stanza = Stanza::presence(Type::Unavailable).with_from(registered.jid);
        self.run(cx, Job { at: At::Ended, step: 0, session: Some(id), stanza, cause: Cause::Owner });
        self.account.sessions.retain(|session| session.stream != id);
        if self.host.anonymous && self.streams.is_empty() {
            self.forget_anonymous(cx);
        }
    }

    /// Ends all sessions of the account.
    pub(crate) fn end_all(&mut self, cx: &mut Cx<'_>, condition: &'static str, removed: bool) {
        let all: Vec<Origin> = self.streams.iter().map(|stream| stream.id).collect();
        for id in all {
            self.arrive(cx, Arrival::Close(id, condition));
        }
        self.removed |= removed;
        self.watch(cx);
    }
}

impl Cx<'_> {
    pub(crate) fn refuse_bind(&mut self, bind: &Bind, condition: Condition) {
        let frame = wire::Bound {
            exchange: bind.exchange,
            condition: condition.name().to_owned(),
            ..Default::default()
        };
        self.frame(&bind.link, Frame::Bound(frame));
    }

    pub(crate) fn refuse_resume(&mut self, resume: &Resume, h: Option<u32>) {
        let frame = wire::Resumed {
            exchange: resume.exchange,
            condition: Condition::ItemNotFound.name().to_owned(),
            h: h.unwrap_or_default(),
            has_h: h.is_some(),
            previd: resume.previd.clone(),
            ..Default::default()
        };
        self.frame(&resume.link, Frame::Resumed(frame.into()));
    }
}

impl Stream {
    pub(crate) fn new(id: Origin, link: Option<Link>) -> Self {
        Self {
            id,
            link,
            generation: 1,
            deadline_ms: 0,
            managed: false,
            resume: false,
            max_s: 0,
            in_base: 0,
            out_base: 0,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            position: 0,
            open_iqs: std::collections::VecDeque::new(),
            resuming: None,
            saved: None,
            restored: false,
        }
    }

    /// What its client is told is finished of what it sent since it enabled stream management.
    fn h(&self) -> u64 {
        self.inbound.h.saturating_sub(self.in_base)
    }

    /// From now on its time runs out.
    fn hibernate(&mut self, now_ms: u64) {
        self.deadline_ms = now_ms + u64::from(self.max_s) * 1_000;
    }

    /// What a client's count modulo 2^32 stands for; none: it counts what it was never given.
    pub(crate) fn absolute(&self, h: u32) -> Option<u64> {
        let acked = self.outbound.acked.saturating_sub(self.out_base);
        let ahead = h.wrapping_sub(acked as u32);
        let n = self.outbound.acked + u64::from(ahead);
        (n <= self.outbound.n).then_some(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_count_goes_on_where_it_wraps() {
        let mut stream = Stream::new([0; 16], None);
        let given = |n: u64| (1 << 32) + 7 + n;
        (stream.out_base, stream.outbound.acked, stream.outbound.n) = (7, given(0) - 1, given(2));
        assert_eq!(stream.absolute(u32::MAX), Some(given(0) - 1));
        assert_eq!([0, 1, 2].map(|h| stream.absolute(h)), [0, 1, 2].map(|n| Some(given(n))));
        assert_eq!(stream.absolute(3), None, "more than it was given");
        assert_eq!(stream.absolute(u32::MAX - 1), None, "less than it has acknowledged");
        assert_eq!(stream.absolute(1 << 31), None);
    }
}
