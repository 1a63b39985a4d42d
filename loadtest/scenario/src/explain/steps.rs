//! Steps in plain words.

use std::fmt::{self, Write};

use crate::{Condition, Pace, Partner, Population, Repeat, Step, Text, Value};

/// One line for each step, those within others indented.
pub(super) fn write(population: &Population, out: &mut String) -> fmt::Result {
    if population.script.is_empty() {
        return writeln!(out, "  then log out");
    }
    list(&population.script, population, 1, out)
}

fn list(steps: &[Step], population: &Population, depth: usize, out: &mut String) -> fmt::Result {
    for step in steps {
        writeln!(out, "{:1$}- {2}", "", depth * 2, words(step, population))?;
        for (key, inner) in step.within() {
            if key == "otherwise" && !inner.is_empty() {
                writeln!(out, "{:1$}  otherwise", "", depth * 2)?;
            }
            list(inner, population, depth + 1, out)?;
        }
    }
    Ok(())
}

fn words(step: &Step, population: &Population) -> String {
    let to = |to: &Option<Partner>| partner(to.as_ref().unwrap_or(&population.partner));
    match step {
        Step::Think(span) => format!("do nothing for {span}"),
        Step::Until(phase) => format!("do nothing until {}", moment(phase)),
        Step::Barrier { name, sessions: 0 } => format!("wait until everybody is at the barrier `{name}`"),
        Step::Barrier { name, sessions } => {
            format!("wait until {sessions} sessions are at the barrier `{name}`")
        }
        Step::Repeat(it) => repeat(it),
        Step::Chance { of, .. } => format!("in {} % of the cases", super::short(of * 100.0)),
        Step::When { test, .. } => format!("if {}", condition(test)),
        Step::Measure { name, .. } => format!("measured together as `{name}`"),
        Step::Set { name, to } => format!("let {{{name}}} be {}", value(to)),
        Step::NextRow(table) => format!("take the next row of `{table}`"),
        Step::Choose(it) => format!("choose {}", partner(it)),
        Step::Chat { to: whom, body, text, receipt } => {
            let text = text.as_ref().map_or_else(|| format!("{body} bytes"), |text| format!("\"{text}\""));
            let receipt = if *receipt { ", asking for a receipt" } else { "" };
            format!("send {text} to {}{receipt}", to(whom))
        }
        Step::Befriend { to: whom } => format!("become friends with {}", to(whom)),
        Step::Presence { show, status, priority } => {
            let show = show.iter().chain(status).cloned().chain(priority.map(|it| it.to_string()));
            let show: Vec<_> = show.collect();
            let what = if show.is_empty() { String::new() } else { format!(" ({})", show.join(", ")) };
            format!("send presence{what}")
        }
        Step::Relogin {} => "log out and in again".to_owned(),
        Step::Drop {} => "drop the connection without a word".to_owned(),
        Step::Quit {} => "log out: the script is over".to_owned(),
        Step::Abort {} => "end the whole run, which has failed".to_owned(),
        _ => request(step),
    }
}

/// The steps that ask the server for something.
fn request(step: &Step) -> String {
    match step {
        Step::Roster {} => "load the roster".to_owned(),
        Step::RosterSet { jid, .. } => format!("put {jid} on the roster"),
        Step::RosterRemove { jid } => format!("take {jid} off the roster"),
        Step::Ping { to } => format!("ping {}", to.as_deref().unwrap_or("the server")),
        Step::Join { room, .. } => format!("enter the room {room}"),
        Step::Say { room, body } => format!("say {body} bytes in the room {room}"),
        Step::Leave { room } => format!("leave the room {room}"),
        Step::CreateNode { service, node } => {
            format!("make the node {} if it is not there", at(node, service))
        }
        Step::Subscribe { service, node } => format!("subscribe to {}", at(node, service)),
        Step::Unsubscribe { service, node } => format!("unsubscribe from {}", at(node, service)),
        Step::Publish { service, node, payload } => {
            format!("publish {payload} bytes to {}", at(node, service))
        }
        Step::Page { items, next: false } => format!("read the newest {items} messages of the archive"),
        Step::Page { items, next: true } => format!("read the {items} messages before those"),
        Step::Upload { file_bytes } => format!("upload a file of {file_bytes} bytes"),
        Step::Active {} => "say that the user is looking".to_owned(),
        Step::Inactive {} => "say that the user is not looking".to_owned(),
        Step::Raw { xml, expect, name, .. } => {
            let name = name.as_ref().map(|name| format!(", measured as `{name}`")).unwrap_or_default();
            let wait = expect.as_ref().map(|expect| format!(", wait for \"{expect}\"")).unwrap_or_default();
            format!("send {xml}{wait}{name}")
        }
        _ => step.name().to_owned(),
    }
}

fn repeat(repeat: &Repeat) -> String {
    let often = match (repeat.times, &repeat.each) {
        (Some(times), _) => format!("{times} times"),
        (None, Some(each)) => format!("for each {{{}}} of `{}`", each.name, each.of),
        (None, None) => "again and again".to_owned(),
    };
    let until = repeat.until.as_ref().map(|phase| format!(", until {}", moment(phase))).unwrap_or_default();
    let holds =
        repeat.while_holds.as_ref().map(|it| format!(", while {}", condition(it))).unwrap_or_default();
    let pace = match repeat.pace {
        Pace::Closed => ", each when the one before has ended".to_owned(),
        Pace::Window(size) => format!(", {size} under way at a time"),
        Pace::Every(span) => format!(", one every {span} whatever became of those before"),
        Pace::Rate(rate) => {
            format!(", {} a second over all sessions whatever became of those before", super::short(rate))
        }
    };
    format!("{often}{until}{holds}{pace}")
}

fn condition(test: &Condition) -> String {
    let comparisons = [
        ("is", &test.is),
        ("is not", &test.is_not),
        ("is above", &test.above),
        ("is at least", &test.at_least),
        ("is below", &test.below),
        ("is at most", &test.at_most),
        ("matches", &test.matches),
        ("does not match", &test.matches_not),
    ];
    let given = comparisons.into_iter().find_map(|(how, text)| Some((how, text.as_ref()?)));
    given.map_or_else(|| test.of.clone(), |(how, text)| format!("{} {how} {text}", test.of))
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Letters(count) => format!("{count} letters by chance"),
        Value::Modulo(of) => format!("the account's number modulo {of}"),
        Value::Number { from, to } => format!("a number from {from} to {to} by chance"),
    }
}

fn partner(partner: &Partner) -> String {
    match partner {
        Partner::Pair => "the other one of its pair",
        Partner::Ring => "the account with the next number",
        Partner::Anyone => "anyone of the accounts",
        Partner::Online => "anyone who is logged in",
        Partner::Offline => "anyone who is not logged in",
        Partner::Contact => "a contact of the roster",
        Partner::Previous => "the same as the last time",
        Partner::Oneself => "itself",
        Partner::Jid(jid) => jid,
    }
    .to_owned()
}

fn at(node: &Text, service: &Text) -> String {
    format!("{node} at {service}")
}

fn moment(phase: &str) -> String {
    if phase == crate::check::END {
        "the end of the last phase".to_owned()
    } else {
        format!("{phase} begins")
    }
}
