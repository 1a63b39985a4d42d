//! Wires between machines: frames take their time, and a wire can be cut in each direction.
//!
//! What is said into a cut wire waits, as TCP says it again; after [`SILENCE_MS`] both ends know that the connection is
//! broken, as HTTP/2's pings tell them (`node::wire`). A killed process's connections break at once, with what was on its
//! way or without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body::{Body as _, Frame};
use node::{Wire, wire};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Bytes, Service};

use super::machine::STEP_MS;
use super::random::Random;

/// A connection that lets nothing through for so long is broken, in milliseconds.
const SILENCE_MS: u64 = wire::KEEPALIVE_INTERVAL_MS + wire::KEEPALIVE_TIMEOUT_MS;

/// What a frame takes at most, in milliseconds.
const DELAY_MS_MAX: u64 = 4;

/// Who is reached, by name.
pub(super) type Name = &'static str;

#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<Inner>>);

struct Inner {
    now_ms: u64,
    random: Random,
    doors: BTreeMap<Name, mpsc::UnboundedSender<Call>>,
    frozen: BTreeSet<Name>,
    cuts: BTreeSet<(Name, Name)>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

/// Somebody calls: the connection, the request and where the answer goes.
type Call = (u64, Request<Body>, oneshot::Sender<Response<()>>);

struct Connection {
    ends: [Name; 2],
    /// From the first end to the second, and back.
    pipes: [Pipe; 2],
    silent_since_ms: Option<u64>,
    broken: bool,
    breaks: Arc<Notify>,
}

#[derive(Default)]
struct Pipe {
    way: VecDeque<(u64, Frame<Bytes>)>,
    ready: VecDeque<Frame<Bytes>>,
    ended: bool,
    waker: Option<Waker>,
}

/// Where frames of a direction come out.
struct End {
    network: Network,
    connection: u64,
    direction: usize,
}

/// Breaks a connection whose process is killed.
struct Guard(Option<(Network, u64)>);

#[derive(Clone)]
struct Line {
    network: Network,
    from: Name,
    to: Name,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now_ms: 0,
            random: Random::new(seed ^ 0x6e65_7477),
            doors: BTreeMap::new(),
            frozen: BTreeSet::new(),
            cuts: BTreeSet::new(),
            connections: BTreeMap::new(),
            next: 0,
        })))
    }

    pub(super) fn wire(&self, from: Name, to: Name) -> Wire {
        wire::local(Line { network: self.clone(), from, to })
    }

    /// Answers calls, in the process that they are to.
    pub(super) async fn serve<S>(self, name: Name, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let (door, mut calls) = mpsc::unbounded_channel();
        self.0.lock().doors.insert(name, door);
        while let Some((id, request, reply)) = calls.recv().await {
            let (mut service, network) = (service.clone(), self.clone());
            tokio::spawn(async move {
                let Ok(response) = service.call(request).await;
                let (parts, body) = response.into_parts();
                tokio::spawn(network.pump(id, 1, body));
                let _ = reply.send(Response::from_parts(parts, ()));
            });
        }
    }

    /// Whoever calls is turned away.
    pub(super) fn close(&self, name: Name) {
        let door = self.0.lock().doors.remove(name);
        drop(door);
    }

    pub(super) fn freeze(&self, name: Name, frozen: bool) {
        let mut inner = self.0.lock();
        if frozen {
            inner.frozen.insert(name)
        } else {
            inner.frozen.remove(name)
        };
    }

    pub(super) fn cut(&self, from: Name, to: Name) {
        self.0.lock().cuts.insert((from, to));
    }

    pub(super) fn mend(&self, from: Name, to: Name) {
        self.0.lock().cuts.remove(&(from, to));
    }

    /// Time passes: what is due arrives, and who is silent is given up.
    pub(super) fn step(&self, now_ms: u64) {
        let mut wakers = Vec::new();
        let mut inner = self.0.lock();
        inner.now_ms = now_ms;
        let Inner { cuts, frozen, connections, .. } = &mut *inner;
        for connection in connections.values_mut() {
            let [one, other] = connection.ends;
            let cut = [cuts.contains(&(one, other)), cuts.contains(&(other, one))];
            for (pipe, cut) in connection.pipes.iter_mut().zip(cut) {
                while !cut && pipe.way.front().is_some_and(|(due_ms, _)| *due_ms <= now_ms) {
                    pipe.ready.extend(pipe.way.pop_front().map(|(_, frame)| frame));
                }
                if !pipe.ready.is_empty() || pipe.ended && pipe.way.is_empty() {
                    wakers.extend(pipe.waker.take());
                }
            }
            if cut == [false; 2] && !connection.ends.iter().any(|end| frozen.contains(end)) {
                connection.silent_since_ms = None;
            } else if now_ms >= *connection.silent_since_ms.get_or_insert(now_ms) + SILENCE_MS {
                connection.breaks(false, &mut wakers);
            }
        }
        connections.retain(|_, connection| !connection.is_over());
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn connect(self, from: Name, to: Name, request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut waited_ms = 0;
        let door = loop {
            tokio::time::sleep(Duration::from_millis(STEP_MS)).await;
            waited_ms += STEP_MS;
            let inner = self.0.lock();
            let Some(door) = inner.doors.get(to) else { return Err(Status::unavailable("nobody is there")) };
            if inner.lets_through(from, to) {
                break door.clone();
            }
            if waited_ms > wire::CONNECT_MS_MAX {
                return Err(Status::unavailable("nobody answers"));
            }
        };
        let id = self.open(from, to);
        let (parts, body) = request.into_parts();
        tokio::spawn(self.clone().pump(id, 0, body));
        let far = Body::new(End { network: self.clone(), connection: id, direction: 0 });
        let near = Body::new(End { network: self, connection: id, direction: 1 });
        let (reply, answer) = oneshot::channel();
        let gone = || Status::unavailable("it has gone away");
        door.send((id, Request::from_parts(parts, far), reply)).map_err(|_| gone())?;
        let (parts, ()) = answer.await.map_err(|_| gone())?.into_parts();
        Ok(Response::from_parts(parts, near))
    }

    fn open(&self, from: Name, to: Name) -> u64 {
        let mut inner = self.0.lock();
        inner.next += 1;
        let id = inner.next;
        let connection = Connection {
            ends: [from, to],
            pipes: Default::default(),
            silent_since_ms: None,
            broken: false,
            breaks: Arc::default(),
        };
        inner.connections.insert(id, connection);
        id
    }

    /// Puts into the wire what a process says.
    async fn pump(self, id: u64, direction: usize, mut body: Body) {
        let Some(breaks) =
            self.0.lock().connections.get(&id).map(|connection| Arc::clone(&connection.breaks))
        else {
            return;
        };
        let mut guard = Guard(Some((self.clone(), id)));
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let frame = tokio::select! {
                biased;
                () = breaks.notified() => return,
                frame = frame => frame,
            };
            let Some(Ok(frame)) = frame else { break };
            self.put(id, direction, frame);
        }
        if let Some(connection) = self.0.lock().connections.get_mut(&id) {
            connection.pipes[direction].ended = true;
        }
        guard.0 = None;
    }

    fn put(&self, id: u64, direction: usize, frame: Frame<Bytes>) {
        let mut inner = self.0.lock();
        let due_ms = inner.now_ms + inner.random.within(0..DELAY_MS_MAX + 1);
        if let Some(connection) = inner.connections.get_mut(&id).filter(|connection| !connection.broken) {
            let way = &mut connection.pipes[direction].way;
            let due_ms = way.back().map_or(due_ms, |(last_ms, _)| due_ms.max(*last_ms));
            way.push_back((due_ms, frame));
        }
    }

    fn breaks(&self, id: u64) {
        let mut wakers = Vec::new();
        let mut inner = self.0.lock();
        let arrives = inner.random.one_in(2);
        if let Some(connection) = inner.connections.get_mut(&id) {
            connection.breaks(arrives, &mut wakers);
        }
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    fn lets_through(&self, from: Name, to: Name) -> bool {
        let cut = self.cuts.contains(&(from, to)) || self.cuts.contains(&(to, from));
        !cut && !self.frozen.contains(to)
    }
}

impl Connection {
    fn breaks(&mut self, arrives: bool, wakers: &mut Vec<Waker>) {
        if std::mem::replace(&mut self.broken, true) {
            return;
        }
        for pipe in &mut self.pipes {
            let way = std::mem::take(&mut pipe.way).into_iter().map(|(_, frame)| frame);
            if arrives {
                pipe.ready.extend(way);
            }
            wakers.extend(pipe.waker.take());
        }
        // One permit for each pump, whether it waits or not.
        self.breaks.notify_waiters();
        self.breaks.notify_one();
    }

    fn is_over(&self) -> bool {
        self.pipes.iter().all(|pipe| pipe.ended && pipe.way.is_empty() && pipe.ready.is_empty())
    }
}

impl tonic::codegen::Body for End {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut inner = self.network.0.lock();
        let Some(connection) = inner.connections.get_mut(&self.connection) else { return Poll::Ready(None) };
        let broken = connection.broken;
        let pipe = &mut connection.pipes[self.direction];
        if let Some(frame) = pipe.ready.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if broken {
            return Poll::Ready(Some(Err(Status::unavailable("the connection is broken"))));
        }
        if pipe.ended && pipe.way.is_empty() {
            return Poll::Ready(None);
        }
        pipe.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Whoever called gives the connection up; whoever was called may have something to say still.
        if self.direction == 1 {
            self.network.breaks(self.connection);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((network, id)) = self.0.take() {
            network.breaks(id);
        }
    }
}

impl Service<Request<Body>> for Line {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { network, from, to } = self.clone();
        Box::pin(async move {
            Ok(network.connect(from, to, request).await.unwrap_or_else(tonic::Status::into_http))
        })
    }
}
