//! Sessions: the requests up to the login are how a population connects, those after it are its script.

use std::time::Duration;

use scenario::{Management, Mechanism, OnLoss, Pace, Partner, Population, Repeat, Span, Step, Transport};

use crate::names::Names;
use crate::notes::Notes;
use crate::options::Options;
use crate::xml::Tag;

/// A session while it is read.
pub(crate) struct Session<'a> {
    pub(crate) options: &'a Options,
    pub(crate) notes: &'a mut Notes,
    pub(crate) names: Names,
    pub(crate) state: State,
    pub(crate) transport: Transport,
    pub(crate) sasl: Mechanism,
    pub(crate) register: bool,
    pub(crate) resource: Option<String>,
    pub(crate) connect_after: Option<Span>,
    /// Presence was sent before anything else.
    pub(crate) presence: bool,
    /// Something was sent after the login.
    pub(crate) has_begun: bool,
    /// The table whose rows are accounts.
    pub(crate) account_table: Option<String>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Offline,
    Connecting,
    Online,
    Closed,
}

/// The population of a session.
pub(crate) fn population(
    tag: Tag<'_, '_>,
    transport: Transport,
    options: &Options,
    notes: &mut Notes,
) -> Population {
    let kind = tag.attribute("type").unwrap_or_default();
    if kind != "ts_jabber" {
        notes.error(tag, format!("sessions of type `{kind}` do not speak XMPP"));
    }
    let mut session = Session {
        options,
        notes,
        names: Names::of(tag),
        state: State::Offline,
        transport,
        sasl: Mechanism::Plain,
        register: false,
        resource: None,
        connect_after: None,
        presence: false,
        has_begun: false,
        account_table: None,
    };
    let mut script = if kind == "ts_jabber" { session.steps(tag) } else { Vec::new() };
    session.tidy(&mut script);
    match session.state {
        State::Offline if kind == "ts_jabber" => session.notes.error(tag, "a session that never connects"),
        State::Connecting if !session.register => {
            session.notes.warn(tag, "the session logs in, although it only connects in Tsung");
        }
        _ => {}
    }
    let weight = tag.number("weight").or_else(|| tag.number("probability")).unwrap_or(1.0);
    Population {
        name: tag.attribute("name").unwrap_or("session").to_owned(),
        weight,
        at: Vec::new(),
        transport: session.transport,
        sasl: session.sasl,
        resource: session.resource,
        register: session.register,
        management: None::<Management>,
        roster: false,
        presence: session.presence,
        carbons: false,
        receipts: false,
        connect_after: session.connect_after,
        patience: None,
        // Tsung tries again as well, and begins with the login.
        on_loss: OnLoss::StayAway,
        partner: Partner::Anyone,
        values: session.names.values(),
        script,
    }
}

impl Session<'_> {
    /// The steps of an element's children.
    pub(crate) fn steps(&mut self, tag: Tag<'_, '_>) -> Vec<Step> {
        let mut out = Vec::new();
        for child in tag.children() {
            self.element(child, &mut out);
        }
        out
    }

    /// Takes away what the model does by itself.
    fn tidy(&self, script: &mut Vec<Step>) {
        // The row of the account is that of its number.
        let row = |step: &Step| matches!((step, &self.account_table), (Step::NextRow(it), Some(table)) if it == table);
        if let Some(at) = script.iter().position(row) {
            script.remove(at);
        }
        // A script logs out at its end.
        while let Some(last) = script.last_mut() {
            match last {
                Step::Quit {} => _ = script.pop(),
                Step::Measure { steps, .. } if steps.last() == Some(&Step::Quit {}) => {
                    steps.pop();
                    if steps.is_empty() {
                        script.pop();
                    }
                }
                _ => break,
            }
        }
    }
}

/// How long a script takes on average, answers aside.
pub(crate) fn lasts(script: &[Step]) -> Duration {
    script.iter().map(step_lasts).sum()
}

fn step_lasts(step: &Step) -> Duration {
    match step {
        // Those who think longer than most are to come to their end as well.
        Step::Think(Span::About(mean)) => *mean * 3,
        Step::Think(span) => span.mean(),
        Step::Repeat(repeat) => {
            let rounds = u32::try_from(repeat.times.unwrap_or(1)).unwrap_or(u32::MAX);
            lasts(&repeat.steps).saturating_mul(rounds)
        }
        _ => step.within().into_iter().map(|(_, steps)| lasts(steps)).max().unwrap_or_default(),
    }
}

/// Steps played again and again, with nothing said of when.
pub(crate) fn rounds(steps: Vec<Step>) -> Repeat {
    Repeat {
        times: None,
        until: None,
        while_holds: None,
        each: None,
        counter: None,
        pace: Pace::Closed,
        steps,
    }
}
