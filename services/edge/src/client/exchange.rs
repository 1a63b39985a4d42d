//! What an owner is asked before there is a stream: the owner of the account's slot, and whoever owns it next if that
//! one has not answered. While nobody does, the question waits for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    delivery::{Moved, Origin},
    session::{Gone, Login, edge_frame::Kind, login::Step},
};
use xmpp::{jid::Jid, sasl, stream::Condition};

use super::{Client, State, record::frame};
use crate::{
    admission::Turn,
    hub::Place,
    link::{Link, slot},
};

/// A client that has no stream with an owner yet.
pub(super) struct Exchange {
    /// Number of the exchange on its link.
    id: Option<u64>,
    /// Slot of the account, once it is known.
    pub(super) slot: Option<u16>,
    question: Option<Box<Question>>,
    pub(super) address: Box<str>,
    /// The transport is protected.
    pub(super) tls: bool,
    /// End of the TLS handshake that runs.
    pub(super) handshake_until: Option<Instant>,
    /// STARTTLS was accepted: the handshake begins when the answer is written.
    pub(super) upgrade: bool,
    /// A header came before any owner said which hosts there are.
    pub(super) domain: Option<Jid>,
}

/// What the client waits to hear.
struct Question {
    /// Without the number of its exchange.
    kind: Kind,
    /// A login waits until there is room for one more.
    admission: Option<Turn>,
    /// An owner has it, of this epoch of the slot.
    asked: Option<u64>,
    /// The owner that says that it is not the one, and the epoch it was asked in.
    refused: Option<(Arc<Link>, u64)>,
    /// End of waiting for an owner.
    until: Instant,
}

/// What can be done with a question now.
enum Next {
    Ask(Arc<Link>, u64),
    Wait,
    /// Nobody will ever answer it.
    Never,
}

impl Exchange {
    pub(super) fn new(place: &Place, tls: bool, handshake_until: Option<Instant>) -> Self {
        Self {
            id: None,
            slot: None,
            question: None,
            address: place.address().to_string().into(),
            tls,
            handshake_until,
            upgrade: false,
            domain: None,
        }
    }

    /// When it wants to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.question.as_ref().filter(|question| question.waits_for_owner());
        [self.handshake_until, waits.map(|question| question.until)].into_iter().flatten().min()
    }
}

impl Question {
    fn waits_for_owner(&self) -> bool {
        self.asked.is_none() && matches!(self.admission, None | Some(Turn::Now))
    }

    /// Whether it makes work that is budgeted.
    fn begins(&self) -> bool {
        matches!(&self.kind, Kind::Login(Login { step: Some(Step::Start(_)), .. }))
    }

    /// Whether another owner can answer it: the middle of a login is known to the one that began it.
    fn repeats(&self) -> bool {
        !matches!(&self.kind, Kind::Login(Login { step: Some(Step::Response(_)), .. }))
    }
}

impl Client {
    /// Asks the owner, or whoever is the next one.
    pub(super) fn ask(self: &Arc<Self>, state: &mut State, kind: Kind, now: Instant) {
        let Some(exchange) = &mut state.exchange else { return };
        let until = now + self.owner_wait();
        exchange.question =
            Some(Box::new(Question { kind, admission: None, asked: None, refused: None, until }));
        self.pursue(state, now);
    }

    /// The client has given up its login: nobody answers to that.
    pub(super) fn abort(state: &mut State) {
        let Some(exchange) = &mut state.exchange else { return };
        if let (Some(link), Some(id)) = (&state.link, exchange.id) {
            link.send(&mut vec![frame(Kind::Login(Login { exchange: id, step: Some(Step::Abort(true)) }))]);
        }
    }

    /// Sees to it that the question is with whom it belongs.
    pub(super) fn pursue(self: &Arc<Self>, state: &mut State, now: Instant) {
        self.recall(state, now);
        let question = state.exchange.as_ref().and_then(|exchange| exchange.question.as_ref());
        if question.is_none_or(|question| question.asked.is_some()) || !self.is_admitted(state, now) {
            return;
        }
        // First, as owners may say something new meanwhile.
        self.hub.wait(self);
        match self.next(state) {
            Next::Ask(link, epoch) => self.put(state, &link, epoch),
            Next::Wait if state.deadline_of_question().is_some_and(|until| now < until) => {}
            Next::Wait | Next::Never => Self::unanswered(state),
        }
    }

    /// Whether it is this login's turn; everything else needs none.
    fn is_admitted(self: &Arc<Self>, state: &mut State, now: Instant) -> bool {
        let Some(question) = state.exchange.as_mut().and_then(|exchange| exchange.question.as_mut()) else {
            return false;
        };
        if !question.begins() {
            return true;
        }
        let turn = *question.admission.get_or_insert_with(|| self.hub.admission.ask(self, now));
        if turn == Turn::Never {
            state.machine.fail(&Condition::ResourceConstraint.into(), &mut state.queue.out);
            Self::depart(state);
        }
        turn == Turn::Now
    }

    /// A login's turn has come.
    pub(crate) fn admitted(self: &Arc<Self>, ticket: u64) {
        let mut state = self.state.lock();
        let question = state.exchange.as_mut().and_then(|exchange| exchange.question.as_mut());
        if let Some(question) = question.filter(|question| question.admission == Some(Turn::Later(ticket))) {
            question.admission = Some(Turn::Now);
            question.until = Instant::now() + self.owner_wait();
        }
        super::wake(state);
    }

    /// Leaves an owner that has lost the slot to somebody else.
    fn recall(&self, state: &mut State, now: Instant) {
        let (Some(exchange), Some(link)) = (&mut state.exchange, &state.link) else { return };
        if exchange.id.is_none() || exchange.slot.is_none_or(|slot| !self.hub.is_elsewhere(slot, link)) {
            return;
        }
        if let Some(question) = exchange.question.as_mut().filter(|question| question.asked.is_some()) {
            question.asked = None;
            question.until = now + self.owner_wait();
        }
        Self::depart(state);
    }

    fn next(&self, state: &State) -> Next {
        let Some(exchange) = &state.exchange else { return Next::Never };
        let Some(question) = &exchange.question else { return Next::Never };
        if !question.repeats() {
            return match (&state.link, exchange.id) {
                (Some(link), Some(_)) if link.is_up() => Next::Ask(Arc::clone(link), 0),
                _ => Next::Never,
            };
        }
        let refused = |link: &Arc<Link>, epoch| {
            question.refused.as_ref().is_some_and(|(by, at)| Arc::ptr_eq(by, link) && *at == epoch)
        };
        match self.hub.owner(exchange.slot) {
            Some((link, epoch)) if !refused(&link, epoch) => Next::Ask(link, epoch),
            _ => Next::Wait,
        }
    }

    fn put(self: &Arc<Self>, state: &mut State, link: &Arc<Link>, epoch: u64) {
        if state.link.as_ref().is_none_or(|with| !Arc::ptr_eq(with, link)) {
            Self::depart(state);
            state.link = Some(Arc::clone(link));
        }
        let Some(exchange) = &mut state.exchange else { return };
        let id = *exchange.id.get_or_insert_with(|| link.begin(self));
        let Some(question) = &mut exchange.question else { return };
        if link.send(&mut vec![frame(numbered(question.kind.clone(), id))]) {
            question.asked = Some(epoch);
        }
    }

    /// Leaves the owner that the exchange is with.
    fn depart(state: &mut State) {
        let id = state.exchange.as_mut().and_then(|exchange| exchange.id.take());
        if let (Some(link), Some(id)) = (&state.link, id)
            && link.finish(id).is_some()
        {
            link.send(&mut vec![frame(Kind::Gone(Gone { exchange: id }))]);
        }
    }

    /// The owner of the exchange can't be reached any more.
    pub(crate) fn abandoned(self: &Arc<Self>, link: &Arc<Link>) {
        let mut state = self.state.lock();
        let with = state.link.as_ref().is_some_and(|with| Arc::ptr_eq(with, link));
        if let Some(exchange) = state.exchange.as_mut().filter(|_| with) {
            exchange.id = None;
            if let Some(question) = &mut exchange.question {
                question.asked = None;
                question.until = Instant::now() + self.owner_wait();
            }
        }
        super::wake(state);
    }

    /// The owner says that it is not the one to be asked.
    pub(crate) fn on_moved(self: &Arc<Self>, link: &Arc<Link>, moved: &Moved) {
        let mut state = self.state.lock();
        if !state.is_asked(link, moved.exchange) {
            return;
        }
        link.finish(moved.exchange);
        if let Some(exchange) = &mut state.exchange {
            exchange.id = None;
            let known = exchange.slot.is_some();
            exchange.slot = exchange.slot.or(u16::try_from(moved.slot).ok());
            if let Some(question) = &mut exchange.question {
                let asked = question.asked.take().filter(|_| known);
                question.refused = asked.map(|epoch| (Arc::clone(link), epoch));
                question.until = Instant::now() + self.owner_wait();
            }
        }
        super::wake(state);
    }

    fn unanswered(state: &mut State) {
        let State { machine, queue, exchange, .. } = state;
        let Some(exchange) = exchange else { return };
        exchange.question = None;
        // A login may be tried again; what follows it ends the stream.
        machine.refuse_login(sasl::Condition::TemporaryAuthFailure, "", false, &mut queue.out);
        if machine.is_paused() {
            machine.fail(&Condition::ResourceConstraint.into(), &mut queue.out);
        }
        Self::depart(state);
    }

    /// The client is gone.
    pub(super) fn leave_exchange(&self, state: &mut State) {
        Self::depart(state);
        let question = state.exchange.take().and_then(|exchange| exchange.question);
        if let Some(Turn::Later(ticket)) = question.and_then(|question| question.admission) {
            self.hub.admission.leave(ticket);
        }
    }

    /// The exchange ends in a stream. False: the client is gone, or its account elsewhere, by now.
    pub(super) fn enter(&self, state: &mut State, link: &Arc<Link>, exchange: u64, stream: Origin) -> bool {
        let asked = state.is_asked(link, exchange) && !state.machine.is_over();
        if !asked || self.hub.is_elsewhere(slot(&stream), link) {
            return false;
        }
        link.finish(exchange);
        state.exchange = None;
        true
    }

    fn owner_wait(&self) -> Duration {
        Duration::from_millis(self.hub.config.limits.owner_wait_ms)
    }
}

impl State {
    /// Whether this owner is asked something by this exchange.
    fn is_asked(&self, link: &Arc<Link>, id: u64) -> bool {
        self.link.as_ref().is_some_and(|with| Arc::ptr_eq(with, link))
            && self.exchange.as_ref().is_some_and(|exchange| {
                exchange.id == Some(id)
                    && exchange.question.as_ref().is_some_and(|question| question.asked.is_some())
            })
    }

    /// The owner answers. False: somebody else is asked by now.
    pub(super) fn is_answered(&mut self, link: &Arc<Link>, id: u64) -> bool {
        let asked = self.is_asked(link, id);
        if let Some(exchange) = self.exchange.as_mut().filter(|_| asked) {
            exchange.question = None;
        }
        asked
    }

    fn deadline_of_question(&self) -> Option<Instant> {
        Some(self.exchange.as_ref()?.question.as_ref()?.until)
    }
}

fn numbered(mut kind: Kind, id: u64) -> Kind {
    match &mut kind {
        Kind::Login(login) => login.exchange = id,
        Kind::Register(register) => register.exchange = id,
        Kind::Bind(bind) => bind.exchange = id,
        Kind::Resume(resume) => resume.exchange = id,
        _ => {}
    }
    kind
}
