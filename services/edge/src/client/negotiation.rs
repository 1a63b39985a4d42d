//! Until a resource is bound: TLS, and an exchange with an owner.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use node::carry::{self, View};
use proto::session::{
    Bind, Binding, Gone, Login, LoginStart, Register, Resume, edge_frame::Kind, login::Step,
};
use tokio_rustls::TlsAcceptor;
use xmpp::{
    jid::Jid,
    sasl::{self, Mechanism},
    stanza::StanzaError,
    stream::{Condition, Ending, Event},
};

use super::{Client, LINGER, State, record::frame};
use crate::{hub::Place, link::Link, metrics, route, transport::Transport};

/// A client that has no stream with an owner yet.
pub(super) struct Exchange {
    /// Number of the exchange on its link.
    id: Option<u64>,
    /// Slot of the account that the login names.
    slot: Option<u16>,
    pub(super) address: Box<str>,
    /// The transport is protected.
    pub(super) tls: bool,
    /// End of the TLS handshake that runs.
    pub(super) handshake_until: Option<Instant>,
    /// STARTTLS was accepted: the handshake begins when the answer is written.
    upgrade: bool,
    /// A header came before any owner said which hosts there are.
    domain: Option<Jid>,
}

impl Exchange {
    pub(super) fn new(place: &Place, tls: bool, handshake_until: Option<Instant>) -> Self {
        Self {
            id: None,
            slot: None,
            address: place.address().to_string().into(),
            tls,
            handshake_until,
            upgrade: false,
            domain: None,
        }
    }
}

impl Client {
    // --- TLS ---

    /// Ready: whether the transport is protected now.
    pub(super) fn poll_handshake(&self, state: &mut State, now: Instant, cx: &mut Context<'_>) -> Poll<bool> {
        let Transport::Handshake(accept) = &mut state.transport else { return Poll::Ready(true) };
        let Poll::Ready(tls) = accept.as_mut().poll(cx) else {
            let late = state.exchange.as_ref().and_then(|exchange| exchange.handshake_until);
            if late.is_some_and(|until| now >= until) {
                metrics::HANDSHAKES_FAILED.inc();
                return Poll::Ready(false);
            }
            return Poll::Pending;
        };
        let (Ok(stream), Some(tls)) = (tls, &self.hub.tls) else {
            metrics::HANDSHAKES_FAILED.inc();
            return Poll::Ready(false);
        };
        state.machine.secure(tls.security(stream.get_ref().1));
        state.transport = Transport::Tls(Box::new(stream));
        if let Some(exchange) = &mut state.exchange {
            exchange.tls = true;
            exchange.handshake_until = None;
        }
        Poll::Ready(true)
    }

    /// Begins the handshake once `<proceed/>` is written.
    pub(super) fn upgrade(&self, state: &mut State, now: Instant) {
        let due = state.exchange.as_ref().is_some_and(|exchange| exchange.upgrade) && state.queue.is_empty();
        let (true, Some(tls)) = (due, &self.hub.tls) else { return };
        state.transport = match std::mem::replace(&mut state.transport, Transport::Gone) {
            Transport::Tcp(tcp) => {
                let accept =
                    TlsAcceptor::from(Arc::clone(&tls.starttls)).accept_with(tcp, crate::tls::prepare);
                Transport::Handshake(Box::pin(accept))
            }
            other => other,
        };
        if let Some(exchange) = &mut state.exchange {
            exchange.upgrade = false;
            let limit = Duration::from_secs(self.hub.config.limits.handshake_s);
            exchange.handshake_until = Some(now + limit);
        }
    }

    // --- events ---

    pub(super) fn negotiate(self: &Arc<Self>, state: &mut State, event: Event, now: Instant) {
        let step = match event {
            Event::Opened { domain } => {
                if let Some(exchange) = &mut state.exchange {
                    exchange.domain = Some(domain);
                }
                return self.find_host(state);
            }
            Event::StartTls => {
                if let Some(exchange) = &mut state.exchange {
                    exchange.upgrade = true;
                }
                return;
            }
            Event::Over(ending) => {
                if let Ending::Failed(error) = ending {
                    metrics::failed(error.condition);
                }
                state.until = Some(now + LINGER);
                return;
            }
            Event::Login { mechanism, initial } => {
                let slot = route::slot(mechanism, initial.as_deref().unwrap_or_default(), &facts(state).0);
                self.route(state, slot);
                Step::Start(start(state, mechanism, initial))
            }
            Event::Response(data) => Step::Response(data.into()),
            Event::LoginAborted => Step::Abort(true),
            Event::Register(stanza) => {
                let (domain, address, tls) = facts(state);
                let stanza = carry::pack(&stanza);
                return self.ask(state, |exchange| {
                    Kind::Register(Register { exchange, domain, address, tls, stanza })
                });
            }
            Event::Bind { resource } => {
                let (_, address, tls) = facts(state);
                let (jid, resource) = (authorised(state), resource.unwrap_or_default());
                return self
                    .ask(state, |exchange| Kind::Bind(Bind { exchange, jid, resource, address, tls }));
            }
            Event::Resume { previd, h } => {
                let (_, address, _) = facts(state);
                let jid = authorised(state);
                return self
                    .ask(state, |exchange| Kind::Resume(Resume { exchange, jid, previd, h, address }));
            }
            // Only a bound stream has these.
            Event::Stanza(_) | Event::Acked(_) | Event::Enable { .. } | Event::Active(_) => return,
        };
        self.ask(state, |exchange| Kind::Login(Login { exchange, step: Some(step) }));
    }

    /// Accepts the domain of the first header, or not; without a word of any owner, it waits.
    pub(super) fn find_host(self: &Arc<Self>, state: &mut State) {
        let Some(exchange) = &mut state.exchange else { return };
        let Some(domain) = exchange.domain.take() else { return };
        match self.hub.host(domain.as_str(), self) {
            crate::hub::Found::Host(host) => state.machine.accept(host, &mut state.queue.out),
            crate::hub::Found::Later => exchange.domain = Some(domain),
            crate::hub::Found::Unknown => {
                metrics::failed(Condition::HostUnknown);
                state.machine.fail(&Condition::HostUnknown.into(), &mut state.queue.out);
            }
        }
    }

    /// A login begins: it goes to the owner of the slot, wherever one before it went.
    fn route(&self, state: &mut State, slot: Option<u16>) {
        let Some(exchange) = &mut state.exchange else { return };
        exchange.slot = slot;
        let next = self.hub.link(slot);
        if let Some(link) =
            state.link.take_if(|link| next.as_ref().is_none_or(|next| !Arc::ptr_eq(next, link)))
            && let Some(id) = exchange.id.take()
        {
            link.finish(id);
            link.send(&mut vec![frame(Kind::Gone(Gone { exchange: id }))]);
        }
    }

    /// Sends a step of the exchange to its owner.
    fn ask(self: &Arc<Self>, state: &mut State, kind: impl FnOnce(u64) -> Kind) {
        let Some(exchange) = &mut state.exchange else { return };
        if exchange.id.is_none() {
            state.link = self.hub.link(exchange.slot);
            exchange.id = state.link.as_ref().map(|link| link.begin(self));
        }
        let sent = match (&state.link, exchange.id) {
            (Some(link), Some(id)) => link.send(&mut vec![frame(kind(id))]),
            _ => false,
        };
        if !sent {
            Self::unanswered(state);
        }
    }

    /// The owner of the exchange is gone.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut state = self.state.lock();
        Self::unanswered(&mut state);
        super::wake(state);
    }

    fn unanswered(state: &mut State) {
        let State { machine, queue, exchange, .. } = state;
        let Some(exchange) = exchange else { return };
        exchange.id = None;
        let authorised = machine.authorised().is_some();
        // A login may be tried again; what follows it is known to that owner only.
        machine.refuse_login(sasl::Condition::TemporaryAuthFailure, "", false, &mut queue.out);
        if authorised || machine.is_paused() && exchange.domain.is_none() && !exchange.upgrade {
            machine.fail(&Condition::ResourceConstraint.into(), &mut queue.out);
        }
    }

    /// The client is gone, or has its stream.
    pub(super) fn leave_exchange(state: &mut State) {
        let id = state.exchange.take().and_then(|exchange| exchange.id);
        if let (Some(link), Some(id)) = (&state.link, id)
            && link.finish(id).is_some()
        {
            link.send(&mut vec![frame(Kind::Gone(Gone { exchange: id }))]);
        }
    }

    /// The exchange ended in a stream.
    pub(super) fn enter(state: &mut State, link: &Link) {
        if let Some(id) = state.exchange.take().and_then(|exchange| exchange.id) {
            link.finish(id);
        }
    }

    /// The owner's answer to a step of a login.
    pub(crate) fn on_login(&self, step: proto::session::login_reply::Step) {
        use proto::session::login_reply::Step;
        let mut state = self.state.lock();
        let State { machine, queue, .. } = &mut *state;
        let out = &mut queue.out;
        match step {
            Step::Challenge(data) => machine.challenge(&data, out),
            Step::Success(success) => match Jid::from_prepared(&success.jid) {
                Ok(jid) => {
                    metrics::LOGINS.inc();
                    machine.authorise(jid, &success.data, xmpp::stream::Then::Restart, out);
                }
                Err(_) => machine.fail(&Condition::InternalServerError.into(), out),
            },
            Step::Failure(failure) => {
                metrics::LOGINS_FAILED.inc();
                let condition = sasl::Condition::parse(&failure.condition);
                let condition = condition.unwrap_or(sasl::Condition::NotAuthorized);
                machine.refuse_login(condition, &failure.text, failure.close, out);
            }
        }
        super::wake(state);
    }

    /// The owner's answer to a stanza of registration.
    pub(crate) fn on_registered(&self, stanza: &[u8]) {
        let mut state = self.state.lock();
        let State { machine, queue, .. } = &mut *state;
        let framed = queue.out.is_framed();
        match View::of(stanza) {
            Ok(answer) => {
                machine.registered(&mut queue.out, |bytes| crate::exit::write(&answer, framed, bytes));
            }
            Err(_) => machine.fail(&Condition::InternalServerError.into(), &mut queue.out),
        }
        super::wake(state);
    }

    /// No resource, or no old stream, for the client.
    pub(crate) fn on_refused(&self, condition: &str, h: Option<u32>) {
        let mut state = self.state.lock();
        let State { machine, queue, .. } = &mut *state;
        let condition = xmpp::stanza::Condition::from_name(condition)
            .unwrap_or(xmpp::stanza::Condition::InternalServerError);
        machine.refuse_resume(condition.name(), h, &mut queue.out);
        machine.refuse_bind(&StanzaError::from(condition), &mut queue.out);
        super::wake(state);
    }
}

fn start(state: &State, mechanism: Mechanism, initial: Option<Vec<u8>>) -> LoginStart {
    let (domain, address, tls) = facts(state);
    let offered = state.machine.mechanisms();
    let bindings = state.machine.security().map_or(&[][..], |security| &security.bindings);
    LoginStart {
        domain,
        mechanism: mechanism.name().to_owned(),
        has_initial: initial.is_some(),
        initial: initial.unwrap_or_default().into(),
        plain_allowed: offered.contains(&Mechanism::Plain),
        offered: offered.iter().map(|mechanism| mechanism.name().to_owned()).collect(),
        bindings: bindings
            .iter()
            .map(|binding| Binding {
                r#type: binding.kind.name().to_owned(),
                data: binding.bytes.clone().into(),
            })
            .collect(),
        tls,
        address,
    }
}

fn facts(state: &State) -> (String, String, bool) {
    let domain = state.machine.host().map_or_else(String::new, |host| host.domain.to_string());
    let exchange = state.exchange.as_ref();
    (
        domain,
        exchange.map_or_else(String::new, |exchange| exchange.address.to_string()),
        exchange.is_some_and(|exchange| exchange.tls),
    )
}

fn authorised(state: &State) -> String {
    state.machine.authorised().map_or_else(String::new, |jid| jid.as_str().to_owned())
}
