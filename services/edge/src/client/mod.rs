//! One client: a transport, the stream machine, and what is remembered for its owner.
//!
//! Each connection is one task that sleeps in [`Client::poll`] and holds no buffer while it does. Frames of the owner
//! are performed by whoever reads them from the link: they are written straight to the socket if it takes them, and
//! only what it does not take wakes the task.

mod exchange;
mod negotiation;
mod owner;
pub(crate) mod record;

use std::{
    cell::RefCell,
    future::poll_fn,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use parking_lot::{Mutex, MutexGuard};
use proto::session::{Acked, Csi, EdgeFrame, Enable, Ended, edge_frame::Kind, ended::Why};
use xmpp::stream::{Condition, Ending, Event, Framing, Machine, StreamError};

use self::{
    exchange::Exchange,
    record::{Record, frame},
};
use crate::{
    config::{Listener, Transport as Kind_, settings},
    hub::{Hub, Place},
    link::Link,
    metrics,
    transport::{Queue, Read, Transport},
    wheel::Wake,
};

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Reads of one client before others have their turn.
const READS_MAX: usize = 8;
/// For the client to take the last bytes and to close.
const LINGER: Duration = Duration::from_secs(3);

thread_local! {
    /// Space for reading and for frames, shared by all clients that this thread serves.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { input: None, frames: Vec::new() }) };
}

struct Scratch {
    input: Option<BytesMut>,
    frames: Vec<EdgeFrame>,
}

/// A client. Its lock is never held while another client's, or a table of clients, is waited for the other way round:
/// client first, then table.
pub(crate) struct Client {
    hub: Arc<Hub>,
    state: Mutex<State>,
}

struct State {
    machine: Machine,
    transport: Transport,
    /// What came and is not read yet: a stanza's beginning, or what waits for an answer.
    input: BytesMut,
    queue: Queue,
    waker: Option<Waker>,
    /// When the wheel comes by.
    due: Option<Instant>,
    exchange: Option<Box<Exchange>>,
    record: Option<Box<Record>>,
    /// The stream is over; the transport is until then.
    until: Option<Instant>,
    /// What is in `input` waits for an answer of the owner's, not for more input.
    held: bool,
    /// Something was queued since [`Client::settle`].
    dirty: bool,
    /// The owner that the exchange, then the stream, is with.
    link: Option<Arc<Link>>,
    /// Pings within which minute since 1970.
    controls: (u32, u32),
    place: Option<Place>,
}

impl Wake for Client {
    fn wake(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.due = None;
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Serves a client until it is gone.
pub(crate) async fn serve(hub: Arc<Hub>, transport: Transport, listener: Listener, place: Place) {
    let client = Client::new(hub, transport, listener, place);
    client.hub.enter(&client);
    poll_fn(|cx| client.poll(cx)).await;
    client.hub.leave(&client);
    client.leave();
}

impl Client {
    fn new(hub: Arc<Hub>, transport: Transport, listener: Listener, place: Place) -> Arc<Self> {
        let framing =
            if listener.transport == Kind_::WebSocket { Framing::Messages } else { Framing::Document };
        let now = Instant::now();
        let mut seed = [0; 16];
        // Without randomness ids would repeat, which RFC 6120 §4.7.3 forbids but nothing here depends on.
        let _ = getrandom::fill(&mut seed);
        let settings = hub.settings(listener, || settings(&hub.config, listener));
        let security = listener.protected.then(Default::default);
        let machine = Machine::new(settings, framing, security, seed, now);
        let handshake_until =
            transport.is_handshake().then(|| now + Duration::from_secs(hub.config.limits.handshake_s));
        let exchange = Some(Box::new(Exchange::new(&place, listener.protected, handshake_until)));
        let state = State {
            machine,
            transport,
            input: BytesMut::new(),
            queue: Queue::new(framing == Framing::Messages),
            waker: None,
            due: None,
            exchange,
            record: None,
            until: None,
            held: false,
            dirty: false,
            link: None,
            controls: (0, 0),
            place: Some(place),
        };
        Arc::new(Self { hub, state: Mutex::new(state) })
    }

    /// Ready: the client is gone.
    fn poll(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        let now = Instant::now();
        if state.transport.is_handshake() {
            match self.poll_handshake(state, now, cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Pending => {
                    self.arm(state);
                    return Poll::Pending;
                }
            }
        }
        SCRATCH.with_borrow_mut(|scratch| self.turn(state, scratch, now, cx))
    }

    /// Time, then writing, then reading.
    fn turn(
        self: &Arc<Self>,
        state: &mut State,
        scratch: &mut Scratch,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let State { machine, queue, transport, .. } = &mut *state;
        let due = machine.deadline().is_some_and(|deadline| now >= deadline);
        if let Some(event) = machine.tick(now, &mut queue.out) {
            self.perform(state, event, now, scratch);
        } else if due {
            transport.ping(cx, queue);
        }
        self.find_host(state);
        self.pursue(state, now);
        let mut failed = false;
        for turn in 1..=READS_MAX {
            failed = !self.read_what_is_there(state, scratch, now, cx);
            if failed || state.machine.is_over() || state.machine.is_paused() || !self.may_read(state, cx) {
                break;
            }
            match self.poll_input(state, scratch, now, cx) {
                // There may be more: nothing else would bring the task back to it.
                Poll::Ready(true) if turn == READS_MAX => cx.waker().wake_by_ref(),
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    failed = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        failed |= !self.flush(state, cx, &mut scratch.frames);
        if let Some(record) = &mut state.record {
            record.send(&mut scratch.frames);
        }
        scratch.frames.clear();
        if failed {
            return Poll::Ready(());
        }
        if state.machine.is_over() {
            return self.poll_end(state, now, cx);
        }
        self.upgrade(state, now);
        if state.transport.is_handshake() {
            cx.waker().wake_by_ref();
        }
        self.arm(state);
        Poll::Pending
    }

    /// Performs what has been read. False: the transport failed.
    fn read_what_is_there(
        self: &Arc<Self>,
        state: &mut State,
        scratch: &mut Scratch,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> bool {
        if state.held && !state.machine.is_paused() {
            let mut input = std::mem::take(&mut state.input);
            self.read(state, &mut input, scratch, now);
            state.input = input;
        }
        self.flush(state, cx, &mut scratch.frames)
    }

    /// Reads once from the transport. False: it is closed.
    fn poll_input(
        self: &Arc<Self>,
        state: &mut State,
        scratch: &mut Scratch,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let rest = std::mem::take(&mut state.input);
        let shared = rest.is_empty();
        let mut input = if shared { scratch.input.take().unwrap_or_default() } else { rest };
        input.reserve(if shared { READ_BYTES } else { READ_BYTES / 4 });
        let read = state.transport.poll_read(cx, &mut input);
        let read = match read {
            Poll::Ready(Ok(Read::Some)) => {
                self.read(state, &mut input, scratch, now);
                Poll::Ready(true)
            }
            Poll::Ready(Ok(Read::Control)) => Poll::Ready(self.control(state)),
            Poll::Ready(Ok(Read::End) | Err(_)) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        };
        if shared {
            // The space is everybody's: what isn't read yet gets its own.
            if !input.is_empty() {
                state.input = BytesMut::from(&input[..]);
                input.clear();
            }
            scratch.input = Some(input);
        } else if !input.is_empty() {
            state.input = input;
        }
        read
    }

    fn read(self: &Arc<Self>, state: &mut State, input: &mut BytesMut, scratch: &mut Scratch, now: Instant) {
        loop {
            let State { machine, queue, .. } = &mut *state;
            let Some(event) = machine.next(input, now, &mut queue.out) else { break };
            self.perform(state, event, now, scratch);
        }
        let State { machine, queue, .. } = &mut *state;
        machine.settle(now, &mut queue.out);
        state.held = state.machine.is_paused() && !input.is_empty();
    }

    /// Pings come for free only in moderation.
    fn control(&self, state: &mut State) -> bool {
        let (count, within) = &mut state.controls;
        let minute = (unix_ms() / 60_000) as u32;
        if minute != *within {
            (*count, *within) = (0, minute);
        }
        *count += 1;
        *count <= self.hub.config.limits.control_frames
    }

    /// Whether the owner, and what waits for the client, leave room for more.
    fn may_read(&self, state: &State, cx: &mut Context<'_>) -> bool {
        if !state.queue.is_empty() {
            return false;
        }
        let Some(record) = &state.record else { return true };
        let limits = &self.hub.config.limits;
        let (items, bytes) = record.unfinished();
        items < limits.unfinished_items
            && bytes < limits.unfinished_bytes
            && state.link.as_ref().is_none_or(|link| link.credit.has_room(cx))
    }

    fn perform(self: &Arc<Self>, state: &mut State, event: Event, now: Instant, scratch: &mut Scratch) {
        let Some(record) = state.record.as_deref_mut() else {
            return self.negotiate(state, event, now);
        };
        match event {
            Event::Stanza(stanza) => {
                metrics::STANZAS_IN.inc();
                let n = state.machine.counts().arrived;
                state.controls.0 = 0;
                let item = record.item(n, &stanza, unix_ms());
                if let (Some((frame, bytes)), Some(link)) = (item, &state.link) {
                    scratch.frames.push(frame);
                    link.credit.spend(1, bytes as u64);
                }
            }
            Event::Acked(out_n) => {
                record.acked(out_n);
                scratch.frames.push(frame(Kind::Acked(Acked { stream: Some(record.id), out_n })));
            }
            Event::Enable { resume, max_s } => {
                let (stream, generation) = (Some(record.id), record.generation);
                let in_base = state.machine.counts().in_base;
                let enable = Enable { stream, generation, resume, max_s: max_s.unwrap_or(0), in_base };
                scratch.frames.push(record.says(Kind::Enable(enable)));
            }
            Event::Active(active) => {
                let (stream, generation) = (Some(record.id), record.generation);
                scratch.frames.push(record.says(Kind::Csi(Csi { stream, generation, active })));
            }
            Event::Over(ending) => {
                let why = match ending {
                    Ending::Closed => Why::Closed,
                    Ending::Lost => Why::Lost,
                    Ending::Failed(error) => {
                        metrics::failed(error.condition);
                        Why::Failed
                    }
                };
                Self::end(state, why, now, &mut scratch.frames);
            }
            other => {
                tracing::error!(event = ?std::mem::discriminant(&other), "not an event of a bound stream");
            }
        }
    }

    /// Tells the owner that the client is gone. What was kept for it stays until the owner says otherwise.
    fn end(state: &mut State, why: Why, now: Instant, frames: &mut Vec<EdgeFrame>) {
        state.until = Some(now + LINGER);
        if let Some(record) = &mut state.record {
            let (stream, generation) = (Some(record.id), record.generation);
            frames.push(record.says(Kind::Ended(Ended { stream, generation, why: why.into() })));
            record.send(frames);
        }
    }

    /// Writes what waits. False: the transport failed, or the client is too slow.
    fn flush(&self, state: &mut State, cx: &mut Context<'_>, frames: &mut Vec<EdgeFrame>) -> bool {
        let State { transport, queue, .. } = state;
        match transport.poll_write(cx, queue) {
            Poll::Ready(Ok(())) => {
                Self::written(state, frames);
                true
            }
            Poll::Ready(Err(_)) => false,
            Poll::Pending => {
                let slow = state.queue.len() > self.hub.config.limits.out_queue_bytes;
                if slow {
                    metrics::SLOW.inc();
                }
                !slow
            }
        }
    }

    /// The stream is over: the client gets its last bytes and a moment to read them.
    fn poll_end(self: &Arc<Self>, state: &mut State, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let until = *state.until.get_or_insert(now + LINGER);
        if now >= until {
            return Poll::Ready(());
        }
        self.arm_at(state, until);
        if !state.queue.is_empty() {
            return Poll::Pending;
        }
        if ready!(state.transport.poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        // Closing while input waits would reset the connection and lose the last words (RFC 1122 §4.2.2.13).
        let mut waste = BytesMut::with_capacity(READ_BYTES / 4);
        for _ in 0..READS_MAX {
            match ready!(state.transport.poll_read(cx, &mut waste)) {
                Ok(Read::End) | Err(_) => return Poll::Ready(()),
                Ok(_) => waste.clear(),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The task ends: the transport is gone.
    fn leave(self: &Arc<Self>) {
        let mut frames = Vec::new();
        let mut state = self.state.lock();
        let now = Instant::now();
        if state.until.is_none() {
            Self::end(&mut state, Why::Lost, now, &mut frames);
        }
        state.transport = Transport::Gone;
        state.waker = None;
        state.input = BytesMut::new();
        state.queue.clear();
        state.place = None;
        self.leave_exchange(&mut state);
    }

    fn arm(self: &Arc<Self>, state: &mut State) {
        let exchange = state.exchange.as_ref().and_then(|exchange| exchange.deadline());
        let deadline = [state.machine.deadline(), exchange].into_iter().flatten().min();
        if let Some(deadline) = deadline {
            self.arm_at(state, deadline);
        }
    }

    fn arm_at(self: &Arc<Self>, state: &mut State, deadline: Instant) {
        if state.due.is_none_or(|due| due > deadline + crate::wheel::TICK) {
            let who: Weak<Self> = Arc::downgrade(self);
            state.due = Some(self.hub.wheel.set(deadline, who));
        }
    }

    /// Ends the stream with an error of ours.
    pub(crate) fn fail(self: &Arc<Self>, error: &StreamError, why: Why) {
        let mut frames = Vec::new();
        let mut state = self.state.lock();
        if state.machine.is_over() || state.transport.is_gone() {
            return;
        }
        let State { machine, queue, .. } = &mut *state;
        machine.fail(error, &mut queue.out);
        Self::end(&mut state, why, Instant::now(), &mut frames);
        wake(state);
    }

    /// Ends the stream because this edge goes away.
    pub(crate) fn drain(self: &Arc<Self>) {
        let error = match &self.hub.config.see_other_host {
            Some(host) => StreamError::see_other_host(host.clone()),
            None => Condition::SystemShutdown.into(),
        };
        self.fail(&error, Why::Drained);
    }

    /// Whether its stream can be resumed elsewhere.
    pub(crate) fn is_resumable(&self) -> bool {
        self.state.lock().record.as_ref().is_some_and(|record| record.resume)
    }

    /// Lets the task have its turn.
    pub(crate) fn nudge(&self) {
        wake(self.state.lock());
    }
}

fn wake(state: MutexGuard<'_, State>) {
    let waker = state.waker.clone();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
