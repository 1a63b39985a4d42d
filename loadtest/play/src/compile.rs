//! From a scenario to what is played.

use std::collections::BTreeMap;

use figures::{PhaseSpan, Recorder};
use scenario::{Pace, Partner, Population, Repeat, Scenario, Step, Value};

use crate::acts::{Act, Acts, Beat, Body, Condition, Counter, Loop, Node, Raw, Role, Script, Setting, To};
use crate::barrier::Barrier;
use crate::data::Tables;
use crate::pace::Rate;
use crate::text::{Template, Words};

/// The variable that holds the last answer.
const ANSWER: &str = "answer";

/// When each phase is, in milliseconds since the run's start.
pub fn phases(scenario: &Scenario) -> Vec<PhaseSpan> {
    let mut from_ms = 0;
    let spans = scenario.phases.iter().map(|phase| {
        let to_ms = from_ms + phase.lasts.as_millis() as u64;
        let span = PhaseSpan { name: phase.name.clone(), from_ms, to_ms };
        from_ms = to_ms;
        span
    });
    spans.collect()
}

/// What is known of the run beside its scenario.
pub(crate) struct Compiler<'a> {
    pub recorder: &'a Recorder,
    pub tables: &'a Tables,
    pub words: Words,
    /// All sessions that are to arrive where barriers are: at this worker, or at all.
    pub sessions: u64,
    pub workers: u64,
    /// How many workers have barriers of their own.
    pub barriers_of: u64,
}

impl Compiler<'_> {
    /// Compiles all scripts. The error is a sentence: an expression that is none, for example.
    pub(crate) fn compile(mut self, scenario: &Scenario) -> Result<Script, String> {
        for population in &scenario.populations {
            declare(&population.script, &mut self.words);
        }
        let mut scripts = Scripts {
            phases: phases(scenario),
            barriers: BTreeMap::new(),
            needed: Vec::new(),
            rates: Vec::new(),
            known: self,
        };
        let roles = scenario.populations.iter().map(|population| scripts.role(population));
        let roles = roles.collect::<Result<Vec<_>, String>>()?;
        Ok(Script {
            roles: roles.into(),
            barriers: scripts.needed.iter().map(|&needed| Barrier::new(needed)).collect(),
            rates: scripts.rates.into(),
            variables: scripts.known.words.variables.len(),
            end_us: scripts.phases.last().map_or(0, |phase| phase.to_ms * 1000),
        })
    }
}

/// Makes the variables of these steps known.
fn declare(steps: &[Step], words: &mut Words) {
    for step in steps {
        match step {
            Step::Set { name, .. } => {
                words.variable(name);
            }
            Step::Raw { keep, .. } => {
                words.variable(ANSWER);
                for name in keep.keys() {
                    words.variable(name);
                }
            }
            Step::Repeat(repeat) => {
                for name in repeat.each.iter().flat_map(|each| [&each.name, &each.of]) {
                    words.variable(name);
                }
                if let Some(counter) = &repeat.counter {
                    words.variable(&counter.name);
                }
                declare(&repeat.steps, words);
            }
            Step::Chance { steps, .. } | Step::Measure { steps, .. } => declare(steps, words),
            Step::When { steps, otherwise, .. } => {
                declare(steps, words);
                declare(otherwise, words);
            }
            _ => {}
        }
    }
}

/// What is compiled so far.
struct Scripts<'a> {
    known: Compiler<'a>,
    phases: Vec<PhaseSpan>,
    barriers: BTreeMap<String, usize>,
    needed: Vec<u64>,
    rates: Vec<Rate>,
}

impl Scripts<'_> {
    fn role(&mut self, population: &Population) -> Result<Role, String> {
        let outer = self.known.words.constants.clone();
        self.known.words.constants.extend(population.values.clone());
        let role = Role {
            resource: self.maybe(population.resource.as_deref()),
            partner: self.to(&population.partner),
            acts: self.acts(&population.script)?,
            population: population.clone(),
        };
        self.known.words.constants = outer;
        Ok(role)
    }

    fn acts(&mut self, steps: &[Step]) -> Result<Acts, String> {
        steps.iter().map(|step| self.act(step)).collect()
    }

    fn act(&mut self, step: &Step) -> Result<Act, String> {
        Ok(match step {
            Step::Think(span) => Act::Think(*span),
            Step::Until(phase) => Act::Until(self.begins_us(phase)),
            Step::Barrier { name, sessions } => Act::Barrier(self.barrier(name, *sessions)),
            Step::Repeat(repeat) => Act::Repeat(Box::new(self.repeat(repeat)?)),
            Step::Chance { of, steps } => Act::Chance { of: *of, acts: self.acts(steps)? },
            Step::When { test, steps, otherwise } => Act::When {
                test: self.condition(test)?,
                acts: self.acts(steps)?,
                otherwise: self.acts(otherwise)?,
            },
            Step::Measure { name, steps } => {
                Act::Measure { measure: self.known.recorder.measure(name), acts: self.acts(steps)? }
            }
            Step::Set { name, to } => {
                Act::Set { variable: self.known.words.variable(name), to: self.setting(to) }
            }
            Step::NextRow(table) => Act::NextRow(self.known.tables.number(table).unwrap_or_default()),
            Step::Relogin {} => Act::Relogin,
            Step::Drop {} => Act::Drop,
            Step::Quit {} => Act::Quit,
            Step::Abort {} => Act::Abort,
            Step::Raw { xml, name, expect, wait, keep } => {
                let keep = keep
                    .iter()
                    .map(|(name, capture)| Ok((self.known.words.variable(name), capture.compile()?)));
                let keep = keep.collect::<Result<Vec<_>, String>>()?;
                let usual = if xml.trim_start().starts_with("<iq") { "iq" } else { "raw" };
                Act::Raw(Box::new(Raw {
                    xml: self.text(xml),
                    measure: self.known.recorder.measure(name.as_deref().unwrap_or(usual)),
                    expect: self.maybe(expect.as_deref()),
                    wait: *wait,
                    keep: keep.into(),
                    answer: self.known.words.variable(ANSWER),
                }))
            }
            messaging => self.messaging(messaging),
        })
    }

    /// Steps that are XMPP.
    fn messaging(&self, step: &Step) -> Act {
        match step {
            Step::Choose(partner) => Act::Choose(self.to(partner)),
            Step::Chat { to, body, text, receipt } => Act::Chat {
                to: self.partner(to.as_ref()),
                body: text.as_ref().map_or(Body::Bytes(*body), |text| Body::Text(self.text(text))),
                receipt: *receipt,
            },
            Step::Presence { show, status, priority } => Act::Presence {
                show: self.maybe(show.as_deref()),
                status: self.maybe(status.as_deref()),
                priority: *priority,
            },
            Step::Befriend { to } => Act::Befriend(self.partner(to.as_ref())),
            Step::RosterSet { jid, name, group } => Act::RosterSet {
                jid: self.text(jid),
                name: self.maybe(name.as_deref()),
                group: self.maybe(group.as_deref()),
            },
            Step::RosterRemove { jid } => Act::RosterRemove(self.text(jid)),
            Step::Ping { to } => Act::Ping(self.maybe(to.as_deref())),
            Step::Join { room, nick } => {
                Act::Join { room: self.text(room), nick: self.maybe(nick.as_deref()) }
            }
            Step::Say { room, body } => Act::Say { room: self.text(room), body: Body::Bytes(*body) },
            Step::Leave { room } => Act::Leave(self.text(room)),
            Step::CreateNode { service, node } => Act::CreateNode(self.node(service, node)),
            Step::Subscribe { service, node } => Act::Subscribe(self.node(service, node)),
            Step::Unsubscribe { service, node } => Act::Unsubscribe(self.node(service, node)),
            Step::Publish { service, node, payload } => {
                Act::Publish { node: self.node(service, node), payload: Body::Bytes(*payload) }
            }
            Step::Page { items, next } => Act::Page { items: *items, next: *next },
            Step::Upload { file_bytes } => Act::Upload { file_bytes: *file_bytes },
            Step::Active {} => Act::Active,
            Step::Inactive {} => Act::Inactive,
            _ => Act::Roster,
        }
    }

    fn repeat(&mut self, repeat: &Repeat) -> Result<Loop, String> {
        let beat = match repeat.pace {
            Pace::Closed => Beat::Window(1),
            Pace::Window(size) => Beat::Window(size.max(1)),
            Pace::Every(span) => Beat::Every(span),
            Pace::Rate(rate) => {
                self.rates.push(Rate::new(rate / self.known.workers as f64));
                Beat::Rate(self.rates.len() - 1)
            }
        };
        let words = &mut self.known.words;
        let each = repeat.each.as_ref().map(|each| (words.variable(&each.name), words.variable(&each.of)));
        let counter = repeat.counter.as_ref().map(|counter| Counter {
            variable: words.variable(&counter.name),
            from: counter.from,
            by: counter.by,
        });
        let while_holds = repeat.while_holds.as_ref().map(|test| self.condition(test)).transpose()?;
        Ok(Loop {
            times: repeat.times,
            until_us: self.begins_us(repeat.until.as_deref().unwrap_or("end")),
            while_holds,
            each,
            counter,
            beat,
            acts: self.acts(&repeat.steps)?,
        })
    }

    /// When the phase of this name begins; `end`, or a name that no phase has, is the end of the last.
    fn begins_us(&self, phase: &str) -> u64 {
        let found = self.phases.iter().find(|span| span.name == phase).map(|span| span.from_ms);
        found.or_else(|| self.phases.last().map(|span| span.to_ms)).unwrap_or_default() * 1000
    }

    /// Where workers do not know of each other, each has its part of a barrier for itself.
    fn barrier(&mut self, name: &str, sessions: u64) -> usize {
        if let Some(&known) = self.barriers.get(name) {
            return known;
        }
        self.barriers.insert(name.to_owned(), self.needed.len());
        let own = if sessions == 0 { self.known.sessions } else { sessions.div_ceil(self.known.barriers_of) };
        self.needed.push(own);
        self.needed.len() - 1
    }

    fn condition(&self, test: &scenario::Condition) -> Result<Condition, String> {
        let compared = test.comparison();
        let (comparison, with) = compared.ok_or_else(|| format!("nothing is compared with {:?}", test.of))?;
        Ok(Condition { of: self.text(&test.of), comparison, with: self.text(with) })
    }

    fn setting(&self, value: &Value) -> Setting {
        match value {
            Value::Text(text) => Setting::Text(self.text(text)),
            Value::Letters(count) => Setting::Letters(*count),
            Value::Modulo(by) => Setting::Modulo(*by),
            Value::Number { from, to } => Setting::Number(*from, *to),
        }
    }

    fn partner(&self, to: Option<&Partner>) -> To {
        to.map_or(To::Population, |partner| self.to(partner))
    }

    fn to(&self, partner: &Partner) -> To {
        match partner {
            Partner::Pair => To::Pair,
            Partner::Ring => To::Ring,
            Partner::Anyone => To::Anyone,
            Partner::Online => To::Online,
            Partner::Offline => To::Offline,
            Partner::Contact => To::Contact,
            Partner::Previous => To::Previous,
            Partner::Oneself => To::Oneself,
            Partner::Jid(jid) => To::Jid(self.text(jid)),
        }
    }

    fn node(&self, service: &str, node: &str) -> Node {
        Node { service: self.text(service), node: self.text(node) }
    }

    fn maybe(&self, text: Option<&str>) -> Option<Template> {
        text.map(|text| self.text(text))
    }

    fn text(&self, text: &str) -> Template {
        Template::new(text, &self.known.words)
    }
}
