//! Logins of clients, before they have a stream: exchanges of SASL and registrations in band.
//!
//! An edge names an exchange, and this side keeps it from frame to frame. A step may ask the store or hash a password,
//! so it is done by a task of its own, which takes the exchange with it: [`attempt`] is that task's work. What an edge
//! says meanwhile finds the exchange at work.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use parking_lot::Mutex;
use proto::session as wire;
use proto::session::login::Step as FromEdge;
use proto::session::login_reply::Step as ToEdge;
use proto::session::owner_frame::Kind as Frame;
use xmpp::sasl::Condition;

use crate::edges::Link;
use crate::owner::Owner;

pub(crate) mod anonymous;
mod attempt;
mod limits;
mod register;
pub(crate) mod secret;

pub(crate) use attempt::Refusal;
use attempt::{Attempt, Outcome};
pub(crate) use limits::Limits;

/// Exchanges of one edge under way; beyond, clients are told to try later.
const EXCHANGES_MAX: usize = 20_000;
/// How long an exchange may last, in milliseconds: a person may be asked for a password meanwhile.
const LIFETIME_MS: u64 = 120_000;

/// The exchanges of one edge.
#[derive(Default)]
pub(crate) struct Logins {
    exchanges: Mutex<HashMap<u64, Exchange, RandomState>>,
}

struct Exchange {
    since_ms: u64,
    /// None: a task has it.
    attempt: Option<Box<Attempt>>,
}

/// Why a client's frame goes no further.
enum Misplaced {
    /// There is no such exchange, or no more.
    Unknown,
    /// It is at work: this client does not wait its turn (RFC 4422 §3.4).
    Early,
}

impl Logins {
    /// Something of a client that logs in. Unless it gives up, it is answered by one frame, now or later.
    pub(crate) fn login(self: &Arc<Self>, owner: &Arc<Owner>, link: &Link, frame: wire::Login) {
        let exchange = frame.exchange;
        let refusal = match frame.step {
            Some(FromEdge::Start(start)) => self.start(owner, link, exchange, start).err(),
            Some(FromEdge::Response(data)) => match self.take(exchange, owner.clock.now_ms()) {
                Ok(attempt) => {
                    self.spawn(owner, link, exchange, attempt, data);
                    None
                }
                Err(Misplaced::Early) => {
                    self.gone(exchange);
                    Some(Condition::MalformedRequest.into())
                }
                Err(Misplaced::Unknown) => Some(Condition::MalformedRequest.into()),
            },
            // The edge has told its client; an answer would be taken for one to the client's next attempt.
            Some(FromEdge::Abort(_)) => {
                self.gone(exchange);
                None
            }
            None => Some(Condition::MalformedRequest.into()),
        };
        if let Some(refusal) = refusal {
            link.send_one(reply(exchange, Outcome::Failure(refusal)));
        }
    }

    /// A registration before login. It is answered by one frame, unless its client is gone.
    pub(crate) fn register(self: &Arc<Self>, owner: &Arc<Owner>, link: &Link, frame: wire::Register) {
        let exchange = frame.exchange;
        if !self.open(exchange, owner.clock.now_ms()) {
            return link.send_one(register::reply(exchange, register::busy(&frame).as_ref()));
        }
        let (logins, owner, link) = (Arc::clone(self), Arc::clone(owner), link.clone());
        tokio::spawn(async move {
            let answer = register::answer(&owner, frame).await;
            if logins.gone(exchange) {
                link.send_one(register::reply(exchange, answer.as_ref()));
            }
        });
    }

    /// An exchange is over, or its client is; false: it was so already.
    pub(crate) fn gone(&self, exchange: u64) -> bool {
        self.exchanges.lock().remove(&exchange).is_some()
    }

    fn start(
        self: &Arc<Self>,
        owner: &Arc<Owner>,
        link: &Link,
        exchange: u64,
        start: wire::LoginStart,
    ) -> Result<(), Refusal> {
        let initial = if start.has_initial { start.initial.clone() } else { Bytes::new() };
        let attempt = Attempt::begin(owner, start)?;
        if !self.open(exchange, owner.clock.now_ms()) {
            return Err(Condition::TemporaryAuthFailure.into());
        }
        self.spawn(owner, link, exchange, Box::new(attempt), initial);
        Ok(())
    }

    /// Makes room for an exchange that is at work from the start; false: there is none, or it is there already.
    fn open(&self, exchange: u64, now_ms: u64) -> bool {
        let mut exchanges = self.exchanges.lock();
        if exchanges.len() >= EXCHANGES_MAX {
            exchanges.retain(|_, exchange| !exchange.is_stale(now_ms));
        }
        if exchanges.len() >= EXCHANGES_MAX {
            tracing::warn!(exchanges = exchanges.len(), "too many logins are under way, one is turned away");
            return false;
        }
        match exchanges.entry(exchange) {
            Entry::Occupied(_) => false,
            Entry::Vacant(room) => {
                room.insert(Exchange { since_ms: now_ms, attempt: None });
                true
            }
        }
    }

    fn take(&self, exchange: u64, now_ms: u64) -> Result<Box<Attempt>, Misplaced> {
        let mut exchanges = self.exchanges.lock();
        let Entry::Occupied(mut found) = exchanges.entry(exchange) else { return Err(Misplaced::Unknown) };
        if found.get().is_stale(now_ms) {
            found.remove();
            return Err(Misplaced::Unknown);
        }
        found.get_mut().attempt.take().ok_or(Misplaced::Early)
    }

    /// Gives an exchange back until its client responds; false: the client is gone.
    fn put_back(&self, exchange: u64, attempt: Box<Attempt>) -> bool {
        let mut exchanges = self.exchanges.lock();
        let found = exchanges.get_mut(&exchange);
        found.map(|exchange| exchange.attempt = Some(attempt)).is_some()
    }

    /// Whether anybody still waits for what is done for an exchange.
    fn wants(&self, exchange: u64, now_ms: u64) -> bool {
        self.exchanges.lock().get(&exchange).is_some_and(|exchange| !exchange.is_stale(now_ms))
    }

    fn spawn(
        self: &Arc<Self>,
        owner: &Arc<Owner>,
        link: &Link,
        exchange: u64,
        attempt: Box<Attempt>,
        data: Bytes,
    ) {
        let (logins, owner, link) = (Arc::clone(self), Arc::clone(owner), link.clone());
        tokio::spawn(async move {
            let wanted = {
                let (logins, owner) = (Arc::clone(&logins), Arc::clone(&owner));
                move || logins.wants(exchange, owner.clock.now_ms())
            };
            let (attempt, outcome) = attempt.step(&owner, data, wanted).await;
            let there = match attempt {
                Some(attempt) => logins.put_back(exchange, attempt),
                None => logins.gone(exchange),
            };
            if there {
                link.send_one(reply(exchange, outcome));
            }
        });
    }
}

impl Exchange {
    fn is_stale(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) > LIFETIME_MS
    }
}

fn reply(exchange: u64, outcome: Outcome) -> Frame {
    let step = match outcome {
        Outcome::Challenge(challenge) => ToEdge::Challenge(challenge.into()),
        Outcome::Success(account, data) => ToEdge::Success(wire::LoginSuccess {
            data: data.unwrap_or_default().into(),
            jid: account.as_str().to_owned(),
        }),
        Outcome::Failure(Refusal { condition, text, close }) => ToEdge::Failure(wire::LoginFailure {
            condition: condition.name().to_owned(),
            text: text.to_owned(),
            close,
        }),
    };
    Frame::Login(wire::LoginReply { exchange, step: Some(step) })
}

#[cfg(test)]
mod tests;
