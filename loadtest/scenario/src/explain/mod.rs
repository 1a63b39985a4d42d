//! A scenario in plain words, for who has not read the schema.

mod load;
mod steps;

use std::fmt::{self, Write};

use crate::span::write_time;
use crate::{
    Arrive, Fault, FaultKind, LedgerRules, Mechanism, OnLoss, Population, Scenario, Target, Transport,
};

pub use load::{PhaseLoad, expected};

/// Says who comes when, what they do, how much that is to be, and what decides whether the run succeeds.
pub fn explain(scenario: &Scenario) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_all(scenario, &mut out);
    out
}

fn write_all(scenario: &Scenario, out: &mut String) -> fmt::Result {
    writeln!(out, "{}: {}", scenario.name, scenario.about)?;
    if !scenario.parameters.is_empty() {
        let all: Vec<_> =
            scenario.parameters.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        writeln!(out, "Parameters: {}", all.join(", "))?;
    }
    target(&scenario.target, out)?;
    accounts(scenario, out)?;
    phases(scenario, out)?;
    let come: Vec<f64> = scenario.populations.iter().map(|it| load::arrivals(scenario, it)).collect();
    for (population, sessions) in scenario.populations.iter().zip(&come) {
        let all = come.iter().sum::<f64>().round();
        writeln!(out, "\n{} ({} of {} sessions)", population.name, short(sessions.round()), short(all))?;
        population_words(population, out)?;
    }
    if !scenario.faults.is_empty() {
        writeln!(out, "\nMeanwhile:")?;
        for it in &scenario.faults {
            fault(it, out)?;
        }
    }
    writeln!(out, "\nExpected, if the server keeps up:")?;
    load_table(scenario, out)?;
    writeln!(out, "\nThe run succeeds if:")?;
    ledger(&scenario.ledger, out)?;
    scenario.goals.iter().try_for_each(|goal| writeln!(out, "  - {goal}"))
}

fn target(target: &Target, out: &mut String) -> fmt::Result {
    let addresses = target.addresses.join(", ");
    match (&target.domain, target.addresses.is_empty()) {
        (Some(domain), true) => writeln!(out, "Against {domain}, unless told otherwise."),
        (Some(domain), false) => writeln!(out, "Against {domain} at {addresses}, unless told otherwise."),
        (None, false) => writeln!(out, "Against {addresses}, unless told otherwise."),
        (None, true) => Ok(()),
    }
}

fn accounts(scenario: &Scenario, out: &mut String) -> fmt::Result {
    let accounts = &scenario.accounts;
    let number = |n: u64| accounts.username.replace("{n}", &n.to_string());
    let last = accounts.first + accounts.count.saturating_sub(1);
    writeln!(out, "Accounts: {} ({} … {})", accounts.count, number(accounts.first), number(last))?;
    let most = expected(scenario).iter().map(|load| load.sessions).fold(0.0, f64::max);
    if most.round() > accounts.count as f64 {
        let more = "more sessions are there at a time than accounts: one that finds none free fails";
        writeln!(out, "  {more}.")?;
    }
    Ok(())
}

fn phases(scenario: &Scenario, out: &mut String) -> fmt::Result {
    writeln!(out, "\nPhases, {} in all:", write_time(scenario.lasts()))?;
    let width = scenario.phases.iter().map(|phase| phase.name.len()).max().unwrap_or(0);
    for phase in &scenario.phases {
        let arrivals = match phase.arrive {
            Arrive::Nobody => "nobody comes; who is there goes on".to_owned(),
            Arrive::Rate(rate) => format!("{} sessions a second come, at random distances", short(rate)),
            Arrive::Ramp { from, to } => {
                format!("sessions come, from {} a second to {} at its end", short(from), short(to))
            }
            Arrive::Burst(sessions) => format!("{sessions} sessions come at once"),
            Arrive::Storm => "every session loses its connection at once, and comes back".to_owned(),
        };
        let most = phase.sessions_max.map(|max| format!(", {max} at most")).unwrap_or_default();
        let name = &phase.name;
        writeln!(out, "  {name:width$}  {:>6}  {arrivals}{most}", write_time(phase.lasts))?;
        for (name, weight) in &phase.weights {
            writeln!(out, "  {:width$}          {name} with weight {}", "", short(*weight))?;
        }
    }
    Ok(())
}

fn population_words(population: &Population, out: &mut String) -> fmt::Result {
    if !population.at.is_empty() {
        let at: Vec<_> = population.at.iter().map(|at| write_time(*at)).collect();
        writeln!(out, "  one comes at {}", at.join(", "))?;
    }
    if let Some(span) = population.connect_after {
        writeln!(out, "  wait {span}, then")?;
    }
    let transport = match population.transport {
        Transport::Tcp => "over plain TCP",
        Transport::Starttls => "over TCP with STARTTLS",
        Transport::Tls => "over TLS",
        Transport::Websocket => "over a WebSocket",
        Transport::WebsocketTls => "over a WebSocket with TLS",
        Transport::Bosh => "over BOSH",
        Transport::BoshTls => "over BOSH with TLS",
    };
    let register = if population.register { ", register an account" } else { "" };
    let mechanism = match population.sasl {
        Mechanism::Plain => "PLAIN",
        Mechanism::ScramSha1 => "SCRAM-SHA-1",
        Mechanism::ScramSha256 => "SCRAM-SHA-256",
        Mechanism::ScramSha512 => "SCRAM-SHA-512",
        Mechanism::Anonymous => "ANONYMOUS",
    };
    writeln!(out, "  connect {transport}{register}, log in with {mechanism}")?;
    let managed = population.management.as_ref().map(|management| {
        let resume = if management.resume { "with" } else { "without" };
        format!("stream management {resume} resumption, asking every {} stanzas", management.request_every)
    });
    let flags = [
        (population.roster, "load the roster"),
        (population.presence, "send presence"),
        (population.carbons, "enable carbons"),
        (population.receipts, "answer receipts"),
    ];
    let flags = flags.iter().filter(|(on, _)| *on).map(|(_, words)| (*words).to_owned());
    let all: Vec<String> = managed.into_iter().chain(flags).collect();
    if !all.is_empty() {
        writeln!(out, "  {}", all.join(", "))?;
    }
    if let Some(patience) = population.patience {
        writeln!(out, "  lose patience with a server that is silent for {}", write_time(patience))?;
    }
    match population.on_loss {
        OnLoss::Return(span) => writeln!(out, "  come back {span} after a lost connection")?,
        OnLoss::StayAway => writeln!(out, "  stay away after a lost connection")?,
    }
    steps::write(population, out)
}

fn fault(fault: &Fault, out: &mut String) -> fmt::Result {
    let every = fault.every.map(|every| format!(", and every {} after that", write_time(every)));
    let done = match &fault.kind {
        FaultKind::Hook(name) => format!("the operator's command `{name}` is run"),
        FaultKind::Kill(name) => format!("the process `{name}` is killed"),
        FaultKind::Cut(share) => {
            format!("{} % of the connections are cut without a word", short(share * 100.0))
        }
    };
    writeln!(out, "  at {}{}: {done}", write_time(fault.at), every.unwrap_or_default())
}

fn load_table(scenario: &Scenario, out: &mut String) -> fmt::Result {
    let width = scenario.phases.iter().map(|phase| phase.name.len()).max().unwrap_or(0).max(5);
    writeln!(out, "  {:width$}  sessions at its end  logins/s  messages/s  requests/s", "phase")?;
    let mut unbounded = false;
    for load in expected(scenario) {
        let more = if load.unbounded { "+" } else { "" };
        unbounded |= load.unbounded;
        writeln!(
            out,
            "  {:width$}  {:>19}  {:>8}  {:>10}  {:>10}",
            load.phase,
            short(load.sessions.round()),
            short(load.logins_per_second),
            format!("{}{more}", short(load.messages_per_second)),
            format!("{}{more}", short(load.requests_per_second)),
        )?;
    }
    if unbounded {
        writeln!(out, "  +: and as many as the server answers, where rounds have no distance")?;
    }
    Ok(())
}

fn ledger(rules: &LedgerRules, out: &mut String) -> fmt::Result {
    writeln!(out, "  - no message is lost, doubled or reordered")?;
    let delayed = write_time(rules.delayed_after);
    if let Some(max) = rules.delayed_max {
        writeln!(out, "  - at most {max} messages take longer than {delayed}")?;
    }
    if let Some(max) = rules.unknown_max {
        writeln!(out, "  - at most {max} messages are left without a word from the server")?;
    }
    if rules.archive {
        writeln!(out, "  - every archive has what was delivered, no more and no less")?;
    }
    Ok(())
}

/// A number without digits that say nothing.
fn short(number: f64) -> String {
    let digits = if number.abs() >= 100.0 { 0 } else { 2 };
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
