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
use crate::{exit, link::Link, metrics, transport::Transport};

impl Client {
    /// The client has a resource. False: it is gone already.
    pub(crate) fn on_bound(self: &Arc<Self>, link: &Arc<Link>, id: Origin, bound: &Bound) -> bool {
        let Ok(jid) = Jid::from_prepared(&bound.jid) else { return false };
        let mut state = self.state.lock();
        if state.exchange.is_none() || state.machine.is_over() {
            return false;
        }
        Self::enter(&mut state, link);
        state.record = Some(Box::new(Record::new(id, bound.generation, link.outbox())));
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
        if state.exchange.is_none() || state.machine.is_over() {
            return false;
        }
        Self::enter(&mut state, link);
        let mut record = Record::new(id, resumed.generation, link.outbox());
        record.resume(&resumed.state, resumed.position, resumed.max_s);
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
    pub(crate) fn on_deliver(&self, deliver: Deliver) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, record, transport, dirty, .. } = &mut *state;
        let Some(record) = record.as_deref_mut().filter(|record| record.generation == deliver.generation)
        else {
            return false;
        };
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
    pub(crate) fn settle(self: &Arc<Self>, frames: &mut Vec<EdgeFrame>) {
        let mut state = self.state.lock();
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

    pub(crate) fn on_handled(&self, handled: Handled) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, record, dirty, waker, .. } = &mut *state;
        let Some(record) = record.as_deref_mut().filter(|record| record.generation == handled.generation)
        else {
            return false;
        };
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

    pub(crate) fn on_state(&self, blob: &Blob) {
        let mut state = self.state.lock();
        if let Some(record) =
            state.record.as_deref_mut().filter(|record| record.generation == blob.generation)
        {
            record.remember(blob);
        }
    }

    pub(crate) fn on_enabled(&self, enabled: &Enabled) -> bool {
        let mut state = self.state.lock();
        let State { machine, queue, record, dirty, .. } = &mut *state;
        let Some(record) = record.as_deref_mut().filter(|record| record.generation == enabled.generation)
        else {
            return false;
        };
        record.enabled(enabled.resume, enabled.max_s);
        machine.enable(enabled.resume.then_some((&*enabled.id, enabled.max_s)), &mut queue.out);
        !std::mem::replace(dirty, true)
    }

    /// The owner ends the stream. True: there is nothing left to remember.
    pub(crate) fn on_close(self: &Arc<Self>, close: &Close) -> bool {
        let mut state = self.state.lock();
        if state.record.as_ref().is_none_or(|record| record.generation != close.generation) {
            return false;
        }
        let State { machine, queue, .. } = &mut *state;
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

    /// Whether what is remembered is of this generation, so that `Hibernated` ends it.
    pub(crate) fn is_generation(&self, generation: u64) -> bool {
        self.state.lock().record.as_ref().is_none_or(|record| record.generation == generation)
    }

    /// The link is new: says everything about the stream.
    pub(crate) fn attach(&self, link: &Link) {
        let mut frames = Vec::new();
        let mut state = self.state.lock();
        let State { machine, record, transport, place, .. } = &mut *state;
        let (Some(record), Some(jid)) = (record, machine.jid()) else { return };
        let lost = transport.is_gone() || machine.is_over();
        record.outbox = link.outbox();
        let address = place.as_ref().map_or_else(String::new, |place| place.address().to_string());
        record.attach(jid.as_str(), machine.counts(), machine.is_managed(), lost, address, &mut frames);
        record.send(&mut frames);
    }
}

fn keep(record: &mut Record, given: u64, frames: &mut Vec<EdgeFrame>) {
    if record.keeps(given) {
        frames.push(frame(Kind::Kept(Kept { stream: Some(record.id), out_n: given })));
    }
}
