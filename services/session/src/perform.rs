//! The turn of what has started: sessions get what is theirs, and whoever waits is told.

use features::context::Output;
use features::keep::{self, Keep};
use features::routing::{self, Route};
use features::{carbons, stanza_ids};
use xmpp::stanza::{Condition, Kind, StanzaError, Type};

use crate::deliver::Give;
use crate::lane::{Arrival, Effect, Entry, Message, Wait};
use crate::resident::Resident;
use crate::shard::{Cx, Held};
use crate::work::{Finish, Inbound};

impl Resident {
    /// Puts an entry at the end of the lane, or performs it at once where nothing is before it.
    pub(crate) fn push(&mut self, cx: &mut Cx<'_>, entry: Entry) {
        let behind = self.lane.as_ref().is_some_and(|lane| !lane.started.is_empty());
        if behind || !self.is_ready(&entry.wait) {
            self.lane_mut().started.push_back(entry);
        } else {
            self.perform(cx, entry);
        }
    }

    /// Performs entries as long as the first one's turn has come.
    pub(crate) fn drain(&mut self, cx: &mut Cx<'_>) {
        loop {
            let Some(lane) = &self.lane else { return };
            let Some(first) = lane.started.front() else { break };
            if !self.is_ready(&first.wait) {
                return;
            }
            if let Some(entry) = self.lane_mut().started.pop_front() {
                self.perform(cx, entry);
            }
        }
        self.take_turn(cx);
        self.read_soon(cx);
        if self.lane.as_ref().is_some_and(|lane| lane.is_idle()) {
            self.lane = None;
        }
    }

    /// Rows up to `id` are durable, or the one with `id` could not be written.
    pub(crate) fn stored(&mut self, cx: &mut Cx<'_>, id: u64, good: bool) {
        if !good {
            self.fail(cx, id);
        }
        self.archive.stored = self.archive.stored.max(id);
        self.drain(cx);
    }

    fn is_ready(&self, wait: &Wait) -> bool {
        match wait {
            Wait::Nothing => true,
            Wait::Stored(id) => *id <= self.archive.stored,
        }
    }

    /// A row could not be written: what it is of is refused, and nobody gets it.
    fn fail(&mut self, cx: &mut Cx<'_>, id: u64) {
        let Some(lane) = &mut self.lane else { return };
        let Some(entry) = lane.started.iter_mut().find(|entry| entry.wait == Wait::Stored(id)) else {
            return;
        };
        entry.effects.clear_messages(cx);
        let finish = std::mem::replace(&mut entry.finish, Finish::Nobody);
        cx.finish(finish, Some(unavailable()));
    }

    fn perform(&mut self, cx: &mut Cx<'_>, entry: Entry) {
        if let Wait::Stored(id) = entry.wait {
            self.archive.performed = self.archive.performed.max(id);
        }
        for effect in entry.effects {
            match effect {
                Effect::Output(output) => self.output(cx, output),
                Effect::Message(message) => self.message(cx, *message),
                Effect::Iq(inbound) => self.iq(cx, *inbound),
                Effect::Sent(from, stanza) => {
                    for (stream, copy) in carbons::sent(&self.account, &stanza, from) {
                        self.deliver(cx, stream, copy, Give::default());
                    }
                }
                Effect::Again(inbound) => cx.again(&inbound),
                Effect::Answered(stream, n) => self.answered(cx, stream, n),
                Effect::Enabled(enable) => self.enabled(cx, &enable),
            }
        }
        match entry.finish {
            Finish::Client(id, n) if self.stream(id).is_some() => self.finish_part(cx, id, n),
            finish => cx.finish(finish, None),
        }
    }

    pub(crate) fn output(&mut self, cx: &mut Cx<'_>, output: Output) {
        match output {
            Output::ToSession { stream, mut stanza } => {
                if stanza.to.is_none() {
                    stanza.to = self.account.session(stream).map(|session| session.jid.clone());
                }
                self.deliver(cx, stream, stanza, Give::default());
            }
            Output::Changed(stream) => {
                self.tell_state(cx, stream);
                if let (Some(events), Some(session)) = (&cx.owner.events, self.account.session(stream)) {
                    events.changed(session, cx.now_ms);
                }
            }
            Output::End { stream, condition } => self.arrive(cx, Arrival::Close(stream, condition)),
            Output::Send { stanza, to } => {
                let uid = cx.owner.own_uid(&self.account.jid);
                cx.route(uid, Finish::Nobody, stanza, &to);
            }
        }
    }

    /// A message's turn: who is there now gets it.
    fn message(&mut self, cx: &mut Cx<'_>, mut message: Message) {
        let keep = match (message.archive_id, message.spool) {
            (0, _) => keep::received(&self.account, &self.host, &message.inbound.stanza),
            (_, true) => Keep::Spool,
            (_, false) => Keep::Archive,
        };
        let finish = message.inbound.finish;
        let route = routing::message(&self.account, &message.inbound.stanza, keep);
        if message.archive_id == 0 && matches!(route, Route::Sessions(_)) && self.is_read_for_all() {
            // What is stored and was sent before it is being read.
            return self.lane_mut().wait_again(message.inbound);
        }
        self.push_unseen(cx, keep, &message, &route);
        match route {
            Route::Sessions(_) if message.deliver && self.is_read_for_all() => {
                // It is behind what is being read of the archive, and will be read there.
                self.archive.waits(message.archive_id);
                cx.finish(finish, None);
            }
            Route::Sessions(streams) => {
                if message.archive_id != 0 && !message.spool {
                    stanza_ids::stamp(&mut message.inbound.stanza, &self.account.jid, message.archive_id);
                }
                self.give_message(cx, message, keep, &streams);
            }
            Route::Wait if message.archive_id == 0 => {
                // Somebody was there when it started, and is not now.
                let wait = Wait::Stored(self.append_received(cx, &mut message, true));
                let effects = vec![Effect::Message(Box::new(message))];
                self.lane_mut().started.push_front(Entry { wait, effects, finish: Finish::Nobody });
            }
            Route::Wait => {
                self.archive.waits(message.archive_id);
                self.watch(cx);
                cx.finish(finish, None);
            }
            Route::Refuse(condition) => cx.refuse(&message.inbound, condition.into()),
            Route::Drop | Route::Account => cx.finish(finish, None),
        }
    }

    fn give_message(&mut self, cx: &mut Cx<'_>, message: Message, keep: Keep, streams: &routing::Streams) {
        let Message { inbound, archive_id, deliver, spool } = message;
        let held = archive_id == 0 && keep != Keep::Transient;
        let key = held.then(|| {
            let waits = streams.len() as u32;
            let held = Held { waits, finish: inbound.finish, mails: waits, acked: false };
            cx.common.held.insert(held) as u32 + 1
        });
        let give =
            Give { archive_id, settles: deliver, held: key.unwrap_or(0), uid: held.then_some(inbound.uid) };
        if deliver {
            self.archive.given(archive_id, spool);
            self.watch(cx);
        }
        let copies = if self.account.sessions.len() > 1 {
            carbons::received(&self.account, &inbound.stanza, streams)
        } else {
            Vec::new()
        };
        let (last, others) =
            streams.split_last().map_or((None, &[][..]), |(last, others)| (Some(*last), others));
        for stream in others {
            self.deliver(cx, *stream, inbound.stanza.clone(), give);
        }
        if let Some(last) = last {
            self.deliver(cx, last, inbound.stanza, give);
        }
        for (stream, copy) in copies {
            self.deliver(cx, stream, copy, Give::default());
        }
        if archive_id != 0 {
            self.pass(archive_id);
        }
        if !held {
            cx.finish(inbound.finish, None);
        }
    }

    fn iq(&mut self, cx: &mut Cx<'_>, inbound: Inbound) {
        let Inbound { stanza, finish, .. } = inbound;
        match routing::iq(&self.account, &stanza) {
            Route::Sessions(streams) => {
                if let Some(stream) = streams.first().copied() {
                    self.close_iq(stream, &stanza);
                    self.deliver(cx, stream, stanza, Give::default());
                }
                cx.finish(finish, None);
            }
            Route::Refuse(condition) => {
                self.bounce(cx, &stanza, finish, condition);
            }
            _ => cx.finish(finish, None),
        }
    }

    /// Refuses a stanza: in its acknowledgement where somebody waits for one, else by an error of our own.
    pub(crate) fn bounce(
        &mut self,
        cx: &mut Cx<'_>,
        stanza: &xmpp::stanza::Stanza,
        finish: Finish,
        condition: Condition,
    ) {
        if finish != Finish::Nobody {
            cx.finish(finish, Some(condition.into()));
            return;
        }
        let request = stanza.kind == Kind::Iq && matches!(stanza.ty, Type::Get | Type::Set);
        if (request || stanza.kind == Kind::Message)
            && let Some(mut error) = stanza.error(StanzaError::from(condition))
        {
            error.from.get_or_insert_with(|| self.account.jid.clone());
            let uid = cx.owner.own_uid(&self.account.jid);
            cx.route(uid, Finish::Nobody, error, &[]);
        }
    }
}

trait Effects {
    fn clear_messages(&mut self, cx: &mut Cx<'_>);
}

impl Effects for Vec<Effect> {
    fn clear_messages(&mut self, cx: &mut Cx<'_>) {
        for effect in self.drain(..) {
            if let Effect::Message(message) = effect {
                cx.refuse(&message.inbound, unavailable());
            }
        }
    }
}

/// The store does not take it now.
fn unavailable() -> StanzaError {
    StanzaError::from(Condition::ResourceConstraint)
        .with_text("the message could not be stored, try again later")
}
