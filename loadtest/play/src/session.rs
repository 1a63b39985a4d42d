//! A session: an account that logs in, plays its population's script, and goes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use client::{Client, Element, State};
use figures::{Address, End, Incoming, Outgoing};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Sleep;

use crate::acts::Role;
use crate::asking::Question;
use crate::clock::Clock;
use crate::pace;
use crate::partners::Partner;
use crate::rooms::Room;
use crate::seats::Seat;
use crate::stage::Stage;
use crate::text::{Template, Values};

/// How long a server may take to close a stream, in microseconds.
const CLOSE_US_MAX: u64 = 5_000_000;

/// Why a session plays no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Its script has ended early, or its connection has.
    Script,
    /// The run is over.
    Run,
}

/// What decides when something was intended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tempo {
    /// Things happen when the ones before have.
    Closed,
    /// Things have their times, whatever became of the ones before.
    Open { due_us: u64 },
}

/// What the ledger follows of a session: from its login until it ends for good.
pub(crate) struct Halves {
    pub outgoing: Outgoing,
    pub incoming: Incoming,
}

/// A message that the server has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub to: Address,
    pub seq: u64,
    pub at_us: u64,
}

/// One session, which owns everything it needs while it plays.
pub(crate) struct Session {
    pub stage: Arc<Stage>,
    pub role: usize,
    pub account: u64,
    username: String,
    pub bare: String,
    pub jid: String,
    pub random: SmallRng,
    pub plan: client::Plan,
    pub client: Option<Client>,
    /// What a lost connection can be resumed with.
    pub state: Option<State>,
    /// When that was.
    pub lost_us: u64,
    /// When the server was last heard of.
    pub heard_us: u64,
    /// When it was asked for a sign, which it has not given.
    pub asked_us: Option<u64>,
    /// Logins and returns that have failed since the last one that did not.
    pub attempts: u32,
    pub halves: Option<Halves>,
    /// What was pushed and is not acknowledged, in order; `None` for what the ledger does not follow.
    pub unacknowledged: VecDeque<Option<Followed>>,
    pub questions: Vec<Question>,
    asked: u64,
    /// Messages that are under way, as far as is known.
    pub window: u32,
    /// Rounds wait for messages to arrive.
    pub windowed: bool,
    /// What is to be sent, and waits for room.
    pub unsent: Option<Followed>,
    /// How often the session had been called when it last looked.
    pub calls: u32,
    /// How often it has waited for something.
    pub turns: u64,
    pub sleep: Pin<Box<Sleep>>,
    pub tempo: Tempo,
    pub partner: Option<Partner>,
    pub contacts: Vec<String>,
    /// Whom the partner's answers to subscriptions are awaited from.
    pub befriended: Vec<String>,
    pub rooms: Vec<Room>,
    pub nodes: Vec<Address>,
    /// The text that a stanza is awaited with, and then the stanza.
    pub expected: Option<(String, Option<Element>)>,
    /// The last item of the archive that a page ended at.
    pub page: Option<String>,
    pub archive: Option<figures::Archive>,
    variables: Vec<Vec<String>>,
    rows: Vec<usize>,
    counted: u64,
    /// The run is over, and the session does what is left to do.
    pub epilogue: bool,
    /// What is being written.
    pub scratch: Vec<u8>,
}

/// Plays a session that is intended to begin at that time, to its end.
pub(crate) async fn perform(stage: Arc<Stage>, role: usize, account: u64, intended_us: u64) {
    let mut session = Session::new(Arc::clone(&stage), role, account);
    let played = session.live(intended_us).await;
    session.end(played).await;
    session.seat().leave();
    stage.free.give_back(account);
}

/// Logs in an account that has messages to read, and stays to the run's end.
pub(crate) async fn fetch(stage: Arc<Stage>, role: usize, account: u64, intended_us: u64) {
    let mut session = Session::new(stage, role, account);
    session.plan.register = false;
    let came = session.come(intended_us).await;
    let waited = match came {
        Ok(()) => session.wait_until(u64::MAX).await,
        Err(over) => Err(over),
    };
    session.end(waited).await;
}

/// Logs in only to read the account's archive.
pub(crate) async fn read_archive(stage: Arc<Stage>, role: usize, account: u64) {
    let mut session = Session::new(stage, role, account);
    session.epilogue = true;
    session.plan.register = false;
    let intended_us = session.now_us();
    match session.come(intended_us).await {
        Ok(()) => session.read_own_archive().await,
        Err(_) => session.stage.recorder.count("archives-unread", 1),
    }
    session.log_out().await;
}

impl Session {
    pub(crate) fn new(stage: Arc<Stage>, role: usize, account: u64) -> Self {
        let username = stage.names.username(account);
        let bare = format!("{username}@{}", stage.options.domain);
        let mut random =
            SmallRng::seed_from_u64(stage.options.seed ^ account.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let rows = (0..stage.tables.len()).map(|table| stage.tables.next_row(table, &mut random)).collect();
        let mut session = Self {
            role,
            account,
            jid: bare.clone(),
            plan: client::Plan::new(
                ([127, 0, 0, 1], 5222).into(),
                stage.options.domain.as_str(),
                &username,
                &stage.names.password(account),
            ),
            username,
            bare,
            random,
            client: None,
            state: None,
            lost_us: 0,
            heard_us: 0,
            asked_us: None,
            attempts: 0,
            halves: None,
            unacknowledged: VecDeque::new(),
            questions: Vec::new(),
            asked: 0,
            window: 0,
            windowed: false,
            unsent: None,
            calls: 0,
            turns: 0,
            sleep: Box::pin(tokio::time::sleep_until(stage.clock.at(0))),
            tempo: Tempo::Closed,
            partner: None,
            contacts: Vec::new(),
            befriended: Vec::new(),
            rooms: Vec::new(),
            nodes: Vec::new(),
            expected: None,
            page: None,
            archive: None,
            variables: vec![Vec::new(); stage.script.variables],
            rows,
            counted: 0,
            epilogue: false,
            scratch: Vec::new(),
            stage,
        };
        session.plan_connections();
        session
    }

    /// From the first login to the end of the script, and of the run if the script went on to that.
    async fn live(&mut self, intended_us: u64) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let role = &stage.script.roles[self.role];
        self.seat().take(self.role);
        let mut intended_us = intended_us;
        if let Some(after) = role.population.connect_after {
            intended_us += pace::draw(after, &mut self.random);
            self.pause_until(intended_us).await?;
        }
        self.come(intended_us).await?;
        self.be_ready().await?;
        stage.present[self.role].fetch_add(1, Ordering::Relaxed);
        let played = self.play(&role.acts).await;
        stage.present[self.role].fetch_sub(1, Ordering::Relaxed);
        played?;
        if self.now_us() >= stage.script.end_us {
            self.wait_until(u64::MAX).await?;
        }
        Ok(())
    }

    /// Reads what is left to be read, and logs out.
    async fn end(&mut self, played: Result<(), Over>) {
        self.epilogue = true;
        let was_there = self.client.is_some();
        let finished = played == Err(Over::Run) && was_there && !self.stage.is_aborted();
        if finished && self.stage.rules.archive {
            self.read_own_archive().await;
        }
        self.log_out().await;
        self.close_book(if finished { End::Finished } else { End::Left });
        self.fail_questions("unanswered");
    }

    /// Closes the stream, and takes what comes until the server has closed it as well.
    pub(crate) async fn log_out(&mut self) {
        if let Some(client) = &mut self.client {
            client.finish();
        }
        let limit_us = self.now_us() + CLOSE_US_MAX;
        while self.client.is_some() && self.now_us() < limit_us {
            self.step(limit_us).await;
        }
        self.went();
        self.client = None;
        self.state = None;
    }

    pub(crate) fn role(&self) -> &Role {
        &self.stage.script.roles[self.role]
    }

    pub(crate) fn seat(&self) -> &Seat {
        self.stage.seats.own(self.account)
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.stage.clock.now_us()
    }

    /// When what begins now was intended to.
    pub(crate) fn intended_us(&self) -> u64 {
        match self.tempo {
            Tempo::Closed => self.now_us(),
            Tempo::Open { due_us } => due_us,
        }
    }

    /// Something was waited for, after which the next thing cannot have been intended earlier.
    pub(crate) fn waited(&mut self) {
        if let Tempo::Open { due_us } = self.tempo {
            self.tempo = Tempo::Open { due_us: due_us.max(self.now_us()) };
        }
    }

    /// A new id for a stanza that the ledger does not follow.
    pub(crate) fn next_id(&mut self) -> String {
        self.asked += 1;
        format!("q{}", self.asked)
    }

    /// The text of a template.
    pub(crate) fn text(&mut self, template: &Template) -> String {
        if let Some(constant) = template.constant() {
            return constant.to_owned();
        }
        let mut out = String::new();
        template.write(self, &mut out);
        out
    }

    pub(crate) fn set(&mut self, variable: u16, values: Vec<String>) {
        if let Some(known) = self.variables.get_mut(usize::from(variable)) {
            *known = values;
        }
    }

    pub(crate) fn values(&self, variable: u16) -> &[String] {
        self.variables.get(usize::from(variable)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn next_row(&mut self, table: usize) {
        let row = self.stage.tables.next_row(table, &mut self.random);
        if let Some(current) = self.rows.get_mut(table) {
            *current = row;
        }
    }
}

impl Values for Session {
    fn number(&self) -> u64 {
        self.account
    }

    fn username(&self) -> &str {
        &self.username
    }

    fn jid(&self) -> &str {
        &self.jid
    }

    fn partner(&mut self) -> String {
        if self.partner.is_none() {
            let stage = Arc::clone(&self.stage);
            self.choose(&stage.script.roles[self.role].partner);
        }
        self.partner.as_ref().map(|partner| partner.jid.clone()).unwrap_or_default()
    }

    fn seq(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    fn now(&self) -> String {
        xmpp::datetime::write(Clock::unix_ms())
    }

    fn random(&mut self) -> u128 {
        self.random.random()
    }

    fn column(&self, file: u16, column: u16) -> &str {
        let row = self.rows.get(usize::from(file)).copied().unwrap_or_default();
        self.stage.tables.value(file, column, row)
    }

    fn variable(&self, number: u16) -> &str {
        self.values(number).first().map_or("", String::as_str)
    }
}
