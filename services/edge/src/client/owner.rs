//! What the owner says to a bound stream.

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use node::carry::View;
use proto::delivery::Origin;
use proto::session::{
    Bound, Close, Deliver, EdgeFrame, Enabled, Handled, Kept, Resumed, State as Blob, edge_frame::Kind,
    ended::Why,
};
use xmpp::{
    jid::Jid,
    stream::{Condition, Counts, StreamError},
};

use super::{
    Client, State,
    record::{Record, frame},
};
use crate::{
    exit,
    link::{Link, slot},
    metrics,
    transport::Transport,
};

impl Client {
    /// The client has a resource. False: it is gone already.
    pub(crate) fn on_bound(self: &Arc<Self>, link: &Arc<Link>, id: Origin, bound: &Bound) -> bool {
        let Ok(jid) = Jid::from_prepared(&bound.jid) else { return false };
        let mut state = self.state.lock();
        if !self.enter(&mut state, link, bound.exchange, id) {
            return false;
        }
        let mut record = Record::new(id, bound.generation, link.outbox());
        record.holds = !self.hub.takes(link, slot(&id));
        state.record = Some(Box::new(record));
        let State { machine, queue, .. } = &mut *state;
        machine.bind(jid, Instant::now(), &mut queue.out);
        metrics::BOUND.inc();
        super::wake(state);
        true
    }

    /// The client has its old stream back; what it lacks follows. False: it is gone already.
    pub(crate) fn on_resumed(self: &Arc<Self>, link: &Arc<Link>, id: Origin, resumed: &Resumed) -> bool {
        let Ok(jid) = Jid::from_prepared(&resumed.jid) else { return false };
        let mut state = self.state.lock();
        if !self.enter(&mut state, link, resumed.exchange, id) {
            return false;
        }
        let mut record = Record::new(id, resumed.generation, link.outbox());
        record.holds = !self.hub.takes(link, slot(&id));
        record.resume(resumed);
        state.record = Some(Box::new(record));
        let counts = Counts {
            arrived: resumed.in_n,
            handled: resumed.in_n,
            in_base: resumed.in_base,
            given: resumed.acked,
            out_base: resumed.out_base,
            acked: resumed.acked,
        };
        let State { machine, queue, .. } = &mut *state;
        machine.resume(jid, &resumed.previd, counts, Instant::now(), &mut queue.out);
        metrics::RESUMED.inc();
        super::wake(state);
        true
    }

    /// Another connection has this stream now.
    pub(crate) fn displace(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.record = None;
        let State { machine, queue, .. } = &mut *state;
        machine.fail(&Condition::Conflict.into(), &mut queue.out);
        super::wake(state);
    }

    /// A stanza for the client. True: it is the first since [`Client::settle`].
    pub(crate) fn on_deliver(&self, link: &Arc<Link>, deliver: Deliver) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, transport, dirty, record, link: with, .. } = &mut *state;
        let Some(record) = of(record, with.as_ref(), link, deliver.generation) else { return false };
        // An owner that was told again what the client was given may have given more meanwhile, and gives that again.
        if deliver.out_n > 0 && deliver.out_n <= machine.counts().given {
            return false;
        }
        let gone = transport.is_gone() || machine.is_over();
        let stanza = View::of(&deliver.stanza).ok();
        if stanza.is_none() && !deliver.stanza.is_empty() {
            // Of a newer owner: left out it would be missing from what the client counts.
            machine.fail(&Condition::InternalServerError.into(), &mut queue.out);
        }
        record.give(deliver.position, stanza.as_ref());
        if let Some(stanza) = &stanza {
            let framed = queue.out.is_framed();
            if gone {
                machine.withhold(deliver.out_n);
            } else {
                metrics::STANZAS_OUT.inc();
                machine.deliver(deliver.out_n, &mut queue.out, |bytes| exit::write(stanza, framed, bytes));
            }
        }
        if machine.is_managed() || gone {
            record.keep(deliver);
        }
        !std::mem::replace(dirty, true)
    }

    /// After a batch: what was given goes to the socket, in this thread if the socket takes it.
    pub(crate) fn settle(self: &Arc<Self>, link: &Arc<Link>, frames: &mut Vec<EdgeFrame>) {
        let mut state = self.state.lock();
        if !is_with(state.link.as_ref(), link) {
            // It has moved since, and the next owner was told of all that it was given; the task writes it.
            let State { machine, queue, dirty, .. } = &mut *state;
            *dirty = false;
            machine.settle(Instant::now(), &mut queue.out);
            return super::wake(state);
        }
        let State { machine, queue, record, transport, dirty, .. } = &mut *state;
        *dirty = false;
        let Some(record) = record.as_deref_mut() else { return };
        machine.settle(Instant::now(), &mut queue.out);
        if machine.is_managed() {
            keep(record, machine.counts().given, frames);
        }
        if transport.is_gone() {
            return queue.clear();
        }
        if record.mailbox() > self.hub.config.limits.mailbox_items && !machine.is_over() {
            drop(state);
            self.fail(
                &StreamError::with_text(Condition::PolicyViolation, "too much not acknowledged"),
                Why::Lost,
            );
            return;
        }
        if queue.is_empty() {
            return;
        }
        // WebSocket keeps wakers of its own and must only be polled by its task.
        let direct = matches!(transport, Transport::Tcp(_) | Transport::Tls(_));
        if !direct || !self.flush(&mut state, &mut Context::from_waker(Waker::noop()), frames) {
            return super::wake(state);
        }
        if !state.queue.is_empty() {
            super::wake(state);
        }
    }

    /// All that was given is written; without stream management that is when it is kept.
    pub(super) fn written(state: &mut State, frames: &mut Vec<EdgeFrame>) {
        if let Some(record) = &mut state.record
            && !state.machine.is_over()
        {
            keep(record, state.machine.counts().given, frames);
        }
    }

    pub(crate) fn on_handled(&self, link: &Arc<Link>, handled: Handled) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, dirty, waker, record, link: with, .. } = &mut *state;
        let Some(record) = of(record, with.as_ref(), link, handled.generation) else { return false };
        machine.handled(handled.h, &mut queue.out);
        let limits = &self.hub.config.limits;
        let was_full = record.unfinished().0 >= limits.unfinished_items
            || record.unfinished().1 >= limits.unfinished_bytes;
        record.handled(handled.h, handled.above);
        if was_full && let Some(waker) = waker {
            waker.wake_by_ref();
        }
        !queue.is_empty() && !std::mem::replace(dirty, true)
    }

    pub(crate) fn on_state(&self, link: &Arc<Link>, blob: &Blob) {
        let State { record, link: with, .. } = &mut *self.state.lock();
        if let Some(record) = of(record, with.as_ref(), link, blob.generation) {
            record.remember(blob);
        }
    }

    pub(crate) fn on_enabled(&self, link: &Arc<Link>, enabled: &Enabled) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, dirty, record, link: with, .. } = &mut *state;
        let Some(record) = of(record, with.as_ref(), link, enabled.generation) else { return false };
        record.enabled(enabled.resume, enabled.max_s);
        machine.enable(enabled.resume.then_some((&*enabled.id, enabled.max_s)), &mut queue.out);
        !std::mem::replace(dirty, true)
    }

    /// The owner ends the stream. True: there is nothing left to remember.
    pub(crate) fn on_close(self: &Arc<Self>, link: &Arc<Link>, close: &Close) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, record, link: with, .. } = &mut *state;
        if of(record, with.as_ref(), link, close.generation).is_none() {
            return false;
        }
        match Condition::from_name(&close.condition) {
            Some(condition) if close.text.is_empty() => machine.fail(&condition.into(), &mut queue.out),
            Some(condition) => {
                machine.fail(&StreamError::with_text(condition, close.text.clone()), &mut queue.out);
            }
            None => machine.close(&mut queue.out),
        }
        Self::end(&mut state, Why::Closed, Instant::now(), &mut Vec::new());
        state.record = None;
        super::wake(state);
        true
    }

    /// Whether nothing is left to remember when this owner says that this generation is over.
    pub(crate) fn is_over(&self, link: &Arc<Link>, generation: u64) -> bool {
        let state = self.state.lock();
        is_with(state.link.as_ref(), link)
            && state.record.as_ref().is_none_or(|record| record.generation == generation)
    }

    /// The stream is this owner's from here on: says everything about it. False: there is nothing to remember.
    pub(crate) fn attach(&self, link: &Arc<Link>) -> bool {
        let mut frames = Vec::new();
        let mut state = self.state.lock();
        let State { machine, record, transport, place, .. } = &mut *state;
        let (Some(record), Some(jid)) = (record, machine.jid()) else { return false };
        let lost = transport.is_gone() || machine.is_over();
        record.outbox = link.outbox();
        record.holds = !self.hub.takes(link, slot(&record.id));
        let address = place.as_ref().map_or_else(String::new, |place| place.address().to_string());
        let (items, bytes) =
            record.attach(jid.as_str(), machine.counts(), machine.is_managed(), lost, address, &mut frames);
        record.send(&mut frames);
        link.credit.spend(items, bytes);
        if !is_with(state.link.as_ref(), link) {
            state.link = Some(Arc::clone(link));
            // It may wait for room at the owner before.
            super::wake(state);
        }
        true
    }

    /// The owner takes nothing new: items wait for the next one.
    pub(crate) fn hold(&self) {
        if let Some(record) = &mut self.state.lock().record {
            record.holds = true;
        }
    }
}

/// What is remembered, if this owner speaks of it.
fn of<'a>(
    record: &'a mut Option<Box<Record>>,
    with: Option<&Arc<Link>>,
    link: &Arc<Link>,
    generation: u64,
) -> Option<&'a mut Record> {
    record.as_deref_mut().filter(|record| is_with(with, link) && record.generation == generation)
}

fn is_with(with: Option<&Arc<Link>>, link: &Arc<Link>) -> bool {
    with.is_some_and(|with| Arc::ptr_eq(with, link))
}

fn keep(record: &mut Record, given: u64, frames: &mut Vec<EdgeFrame>) {
    if record.keeps(given) {
        frames.push(frame(Kind::Kept(Kept { stream: Some(record.id), out_n: given })));
    }
}
