//! Until a resource is bound: TLS, and what owners are asked and answer (`exchange.rs`).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use node::carry::{self, View};
use proto::session::{Bind, Binding, Login, LoginStart, Register, Resume, edge_frame::Kind, login::Step};
use tokio_rustls::TlsAcceptor;
use xmpp::{
    jid::Jid,
    sasl::{self, Mechanism},
    stanza::StanzaError,
    stream::{Condition, Ending, Event},
};

use super::{Client, LINGER, State};
use crate::{link::Link, metrics, route, transport::Transport};

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
        let question = match event {
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
                let slot =
                    route::of_login(mechanism, initial.as_deref().unwrap_or_default(), &facts(state).0);
                state.is_about(slot);
                login(Step::Start(start(state, mechanism, initial)))
            }
            Event::Response(data) => login(Step::Response(data.into())),
            Event::LoginAborted => return Self::abort(state),
            Event::Register(stanza) => {
                let (domain, address, tls) = facts(state);
                state.is_about(route::of_registration(&stanza, &domain));
                let stanza = carry::pack(&stanza);
                Kind::Register(Register { exchange: 0, domain, address, tls, stanza })
            }
            Event::Bind { resource } => {
                let (_, address, tls) = facts(state);
                let (jid, resource) = (authorised(state), resource.unwrap_or_default());
                Kind::Bind(Bind { exchange: 0, jid, resource, address, tls })
            }
            Event::Resume { previd, h } => {
                let (_, address, _) = facts(state);
                let jid = authorised(state);
                Kind::Resume(Resume { exchange: 0, jid, previd, h, address })
            }
            // Only a bound stream has these.
            Event::Stanza(_) | Event::Acked(_) | Event::Enable { .. } | Event::Active(_) => return,
        };
        self.ask(state, question, now);
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

    /// The owner's answer to a step of a login.
    pub(crate) fn on_login(&self, link: &Arc<Link>, exchange: u64, step: proto::session::login_reply::Step) {
        use proto::session::login_reply::Step;
        let mut state = self.state.lock();
        if !state.is_answered(link, exchange) {
            return;
        }
        if let Step::Success(success) = &step
            && let Ok(jid) = Jid::from_prepared(&success.jid)
        {
            state.is_about(Some(route::of(&jid)));
        }
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
    pub(crate) fn on_registered(&self, link: &Arc<Link>, exchange: u64, stanza: &[u8]) {
        let mut state = self.state.lock();
        if !state.is_answered(link, exchange) {
            return;
        }
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
    pub(crate) fn on_refused(&self, link: &Arc<Link>, exchange: u64, condition: &str, h: Option<u32>) {
        let mut state = self.state.lock();
        if !state.is_answered(link, exchange) {
            return;
        }
        let State { machine, queue, .. } = &mut *state;
        let condition = xmpp::stanza::Condition::from_name(condition)
            .unwrap_or(xmpp::stanza::Condition::InternalServerError);
        machine.refuse_resume(condition.name(), h, &mut queue.out);
        machine.refuse_bind(&StanzaError::from(condition), &mut queue.out);
        super::wake(state);
    }
}

impl State {
    /// Which slot is asked about from here on.
    fn is_about(&mut self, slot: Option<u16>) {
        if let Some(exchange) = &mut self.exchange {
            exchange.slot = slot;
        }
    }
}

fn login(step: Step) -> Kind {
    Kind::Login(Login { exchange: 0, step: Some(step) })
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
