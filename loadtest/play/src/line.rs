//! A session's connection: made, lost, and made again.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Error, Hash, Mechanism, Stage as Part, Transport};
use figures::End;
use scenario::OnLoss;

use crate::pace;
use crate::session::{Followed, Halves, Over, Session};

/// Everything up to the end of a login may take so long, unless the population has less patience.
const LOGIN_TIMEOUT: Duration = Duration::from_mins(1);
/// Waiting before a return doubles with each that fails, so often.
const DOUBLINGS_MAX: u32 = 5;
/// Between two logins that fail there is at least this, in microseconds: a server that is down is not to be flooded.
const RETRY_US_MIN: u64 = 100_000;
/// Stanzas that wait for their acknowledgement at most.
const UNACKNOWLEDGED_MAX: u32 = 10_000;

impl Session {
    /// What is the same for all of the session's connections.
    pub(crate) fn plan_connections(&mut self) {
        let stage = Arc::clone(&self.stage);
        let role = &stage.script.roles[self.role];
        let population = &role.population;
        let resource = role.resource.as_ref().map(|resource| self.text(resource));
        let plan = &mut self.plan;
        plan.transport = transport(population.transport);
        plan.tls = Some(stage.options.tls.clone());
        plan.mechanism = mechanism(population.sasl);
        plan.resource = resource;
        plan.register = population.register;
        plan.timeout = population.patience.unwrap_or(LOGIN_TIMEOUT);
        plan.management = population.management.as_ref().map(|management| client::Management {
            resume: management.resume,
            request_every: management.request_every,
            unacknowledged_max: UNACKNOWLEDGED_MAX,
        });
    }

    /// Logs in for the first time; goes on trying as the population does whose connection is lost.
    pub(crate) async fn come(&mut self, intended_us: u64) -> Result<(), Over> {
        match self.connect(intended_us).await? {
            Ok(()) => Ok(()),
            Err(error) if is_final(&error) || self.epilogue => Err(Over::Script),
            Err(_) => self.come_back().await,
        }
    }

    /// Connects again, after a while, and again.
    pub(crate) async fn come_back(&mut self) -> Result<(), Over> {
        let OnLoss::Return(span) = self.role().population.on_loss else { return Err(Over::Script) };
        loop {
            let least = if self.attempts > 0 { RETRY_US_MIN } else { 0 };
            let after = pace::draw(span, &mut self.random).max(least) << self.attempts.min(DOUBLINGS_MAX);
            let intended_us = self.now_us() + after;
            self.pause_until(intended_us).await?;
            match self.connect(intended_us).await? {
                Ok(()) => return Ok(()),
                Err(error) if is_final(&error) => return Err(Over::Script),
                Err(_) => {}
            }
        }
    }

    /// One attempt to log in, or to resume what was lost. Where nobody listens the next address is tried at once, as
    /// clients do that have found several (RFC 6120 §3.2.1).
    async fn connect(&mut self, intended_us: u64) -> Result<Result<(), Error>, Over> {
        let number = self.stage.connection();
        let mut others = self.stage.options.endpoints.len().saturating_sub(1) as u64;
        loop {
            self.aim(number + others);
            match self.attempt(intended_us).await? {
                Err(error) if error.is_refusal() && others > 0 => others -= 1,
                Err(error) => {
                    self.attempts += 1;
                    return Ok(Err(error));
                }
                Ok(()) => return Ok(Ok(())),
            }
        }
    }

    async fn attempt(&mut self, intended_us: u64) -> Result<Result<(), Error>, Over> {
        let plan = self.plan.clone();
        let mut state = self.state.take();
        let was_resumable = state.is_some();
        let attempt = async {
            match &mut state {
                None => client::connect(&plan).await.map(|client| (client, None)),
                Some(state) => {
                    let resumption = client::resume(&plan, state).await?;
                    Ok((resumption.client, Some((resumption.resumed, resumption.acknowledged))))
                }
            }
        };
        let attempted = self.unless_over(attempt).await?;
        let stage = Arc::clone(&self.stage);
        let (client, resumption) = match attempted {
            Ok(connected) => connected,
            Err(error) => {
                self.state = state;
                self.login_failed(&error);
                return Ok(Err(error));
            }
        };
        self.attempts = 0;
        self.plan.register = false;
        stage.recorder.session_opened();
        let resumed = match resumption {
            None => false,
            Some((resumed, acknowledged)) => {
                self.acknowledged(acknowledged);
                resumed
            }
        };
        stage.done(if resumed { stage.measures.resume } else { stage.measures.login }, intended_us);
        self.timed(&client);
        self.heard();
        if resumed {
            stage.done(stage.measures.away, self.lost_us);
            self.client = Some(client);
            stage.seats.came(self.account);
        } else {
            // Whatever there was before is gone.
            stage.recorder.count("sessions-forgotten", u64::from(was_resumable));
            self.close_book(End::Left);
            self.fail_questions("session-lost");
            self.settle_in(client);
        }
        Ok(Ok(()))
    }

    /// Where the next connection goes, and from where.
    fn aim(&mut self, number: u64) {
        let stage = Arc::clone(&self.stage);
        if let Some(endpoint) = stage.options.endpoint(self.role().population.transport, number) {
            self.plan.address = endpoint.address;
            if let Some(path) = &endpoint.path {
                self.plan.path = Arc::clone(path);
            }
        }
        self.plan.source = stage.options.source(number);
    }

    /// A new session: what it does before its script. Nothing of it is waited for.
    fn settle_in(&mut self, client: Client) {
        client.jid().clone_into(&mut self.jid);
        self.client = Some(client);
        if self.epilogue {
            return;
        }
        let stage = Arc::clone(&self.stage);
        let account = self.account as u32;
        let halves = {
            let mut book = stage.book.lock();
            Halves {
                outgoing: book.outgoing(account),
                incoming: book.incoming(account, stage.clock.now_ms()),
            }
        };
        self.halves = Some(halves);
        let population = &stage.script.roles[self.role].population;
        if population.roster {
            self.ask_roster();
        }
        if population.carbons {
            self.push(b"<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>", None);
        }
        if population.presence {
            self.push(b"<presence/>", None);
        }
        self.enter_again();
        stage.seats.came(self.account);
    }

    fn timed(&self, client: &Client) {
        let (measures, recorder, timings) = (&self.stage.measures, &self.stage.recorder, client.timings());
        let now_us = self.now_us();
        let stages = [
            (measures.connect, timings.connect),
            (measures.tls, timings.tls),
            (measures.register, timings.register),
            (measures.auth, timings.auth),
            (measures.bind, timings.bind),
        ];
        for (measure, took) in stages {
            if !took.is_zero() {
                recorder.record(measure, now_us, took.as_micros() as u64);
            }
        }
    }

    fn login_failed(&self, error: &Error) {
        let measures = &self.stage.measures;
        let stage = match error.stage {
            Part::Connect => Some(measures.connect),
            Part::Tls => Some(measures.tls),
            Part::Register => Some(measures.register),
            Part::Auth => Some(measures.auth),
            Part::Bind => Some(measures.bind),
            _ => None,
        };
        if let Some(stage) = stage {
            self.stage.failed(stage, &error.condition);
        }
        let whole = if self.state.is_some() { measures.resume } else { measures.login };
        self.stage.failed(whole, &error.condition);
        tracing::debug!(account = self.account, %error, "login failed");
    }

    /// Logs out properly, and in again.
    pub(crate) async fn relogin(&mut self) -> Result<(), Over> {
        self.log_out().await;
        self.close_book(End::Left);
        self.fail_questions("logged-out");
        let intended_us = self.now_us();
        self.come(intended_us).await?;
        self.waited();
        self.be_ready().await
    }

    /// The connection is gone, or is to be.
    pub(crate) fn lose(&mut self, why: &'static str) {
        let Some(client) = self.client.take() else { return };
        let managed = client.is_managed();
        self.state = client.abandon();
        self.lost_us = self.now_us();
        self.went();
        if self.epilogue {
            return;
        }
        self.stage.recorder.count(why, 1);
        if self.state.is_none() {
            self.close_book(if managed { End::Left } else { End::Broken });
            self.fail_questions("connection-lost");
        }
    }

    /// Is not logged in any more.
    pub(crate) fn went(&mut self) {
        if self.seat().is_online() {
            self.stage.recorder.session_closed();
        }
        self.stage.seats.went(self.account);
    }

    /// The session will not go on: the ledger gets both halves back.
    pub(crate) fn close_book(&mut self, end: End) {
        self.window = 0;
        self.give_up_unsent();
        let unknown: Vec<Followed> = self.unacknowledged.drain(..).flatten().collect();
        let Some(Halves { mut outgoing, incoming }) = self.halves.take() else { return };
        for followed in unknown {
            outgoing.unknown(followed.to, followed.seq);
            self.give_up(followed.to);
        }
        let mut book = self.stage.book.lock();
        book.sender_ended(outgoing, end);
        book.receiver_ended(incoming, end, self.stage.clock.now_ms());
    }

    /// The server has acknowledged so many more of the stanzas pushed.
    pub(crate) fn acknowledged(&mut self, count: u32) {
        let count = (count as usize).min(self.unacknowledged.len());
        let stage = &self.stage;
        for followed in self.unacknowledged.drain(..count).flatten() {
            if let Some(halves) = &mut self.halves {
                halves.outgoing.acknowledged(followed.to, followed.seq);
            }
            stage.done(stage.measures.chat_ack, followed.at_us);
        }
    }

    /// Has a stanza written, with the next wait. Whether there was room for it.
    pub(crate) fn push(&mut self, stanza: &[u8], followed: Option<Followed>) -> bool {
        let Some(client) = &mut self.client else { return false };
        if client.push(stanza).is_err() {
            return false;
        }
        if client.is_managed() {
            self.unacknowledged.push_back(followed);
        }
        true
    }
}

/// Whether trying again would be of no use.
fn is_final(error: &Error) -> bool {
    error.stage == Part::Auth
        && matches!(&*error.condition, "not-authorized" | "invalid-mechanism" | "account-disabled")
}

fn transport(transport: scenario::Transport) -> Transport {
    match transport {
        scenario::Transport::Tcp => Transport::Tcp,
        scenario::Transport::Starttls => Transport::Starttls,
        scenario::Transport::Tls => Transport::Tls,
        scenario::Transport::Websocket => Transport::WebSocket,
        scenario::Transport::WebsocketTls => Transport::WebSocketTls,
        scenario::Transport::Bosh => Transport::Bosh,
        scenario::Transport::BoshTls => Transport::BoshTls,
    }
}

fn mechanism(mechanism: scenario::Mechanism) -> Mechanism {
    match mechanism {
        scenario::Mechanism::Plain => Mechanism::Plain,
        scenario::Mechanism::ScramSha1 => Mechanism::Scram { hash: Hash::Sha1, plus: false },
        scenario::Mechanism::ScramSha256 => Mechanism::Scram { hash: Hash::Sha256, plus: false },
        scenario::Mechanism::ScramSha512 => Mechanism::Scram { hash: Hash::Sha512, plus: false },
        scenario::Mechanism::Anonymous => Mechanism::Anonymous,
    }
}
