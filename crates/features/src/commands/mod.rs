//! Ad-hoc commands (XEP-0050), and the administration of the service by them (XEP-0133).
//!
//! The engine is here: which commands there are for whom, and the sessions in which forms are filled out. What the
//! commands do is [`admin`]. A command asks for one form at most, so there is no stage to go back to.

mod admin;
mod forms;
mod open;

use std::sync::Mutex;

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, Payload, Stanza, StanzaError};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::data_form::Submission;
use crate::iq;
use crate::ports::Ports;
use admin::{COMMANDS, Command, Office, Outcome};
use open::Open;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "commands",
    doc: "Lets administrators manage accounts and sessions from their client.",
    specs: &[
        Spec { xep: 50, version: "1.3.0", note: "one form a command" },
        Spec {
            xep: 133,
            version: "1.3.1",
            note: "no lists of active, idle or disabled users, no messages of the day",
        },
    ],
    host_disco: &[ns::COMMANDS],
    account_disco: &[],
    at: &[At::Host, At::Account],
};

/// Offers and runs commands. Clients may ask at the domain or, as some do, at the administrator's own account.
pub(crate) struct Commands {
    ports: Ports,
    open: Mutex<Open>,
}

impl Commands {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { ports: ports.clone(), open: Mutex::default() })
    }

    fn execute(&self, cx: &mut Context<'_>, stanza: &mut Stanza) -> Result<Next, StanzaError> {
        let request = iq::child(stanza, ns::COMMANDS, "command")?;
        // A form may hold a password: an error does not bring it back.
        stanza.payload = Payload::default();
        let node = request.attribute("node").ok_or(Condition::BadRequest)?;
        let command = COMMANDS.iter().find(|command| command.node == node).ok_or(Condition::ItemNotFound)?;
        let who = administrator(cx).ok_or(Condition::Forbidden)?;
        let action = request.attribute("action").unwrap_or("execute");
        let Some(id) = request.attribute("sessionid") else {
            return if action == "execute" {
                Ok(self.start(cx, stanza, command, who))
            } else {
                Err(bad("bad-action"))
            };
        };
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !open.has(id, &who, command.node) {
            return Err(bad("bad-sessionid"));
        }
        match action {
            "cancel" => {
                open.close(id);
                Ok(iq::answer(cx, stanza, &reply(command, id, "canceled")))
            }
            "execute" | "complete" => {
                let in_time = open.close(id).is_some_and(|until_ms| cx.now_ms <= until_ms);
                drop(open);
                if !in_time {
                    // XEP-0050 §4.6.
                    return Err(
                        StanzaError::from(Condition::NotAllowed).with_application(word("session-expired"))
                    );
                }
                let form = Submission::inside(&request).unwrap_or_default();
                Ok(self.complete(cx, command, who, id.to_owned(), form))
            }
            // Not among the actions that were offered.
            "prev" | "next" => Err(bad("bad-action")),
            _ => Err(bad("malformed-action")),
        }
    }

    fn start(&self, cx: &mut Context<'_>, stanza: &Stanza, command: &'static Command, who: Jid) -> Next {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let id = open.new_id(cx.now_ms);
        let Some(form) = forms::of(command.task) else {
            drop(open);
            return self.complete(cx, command, who, id, Submission::default());
        };
        open.add(id.clone(), who, command.node, cx.now_ms);
        let complete = Element::new(ns::COMMANDS, "complete");
        let actions = Element::new(ns::COMMANDS, "actions").attr("execute", "complete").with_child(complete);
        let asked = reply(command, &id, "executing").with_child(actions).with_child(form.into_element());
        iq::answer(cx, stanza, &asked)
    }

    fn complete(
        &self,
        cx: &Context<'_>,
        command: &'static Command,
        who: Jid,
        id: String,
        form: Submission,
    ) -> Next {
        let office = Office {
            ports: self.ports.clone(),
            domain: cx.host.domain.clone(),
            administrator: who,
            now_ms: cx.now_ms,
        };
        Next::later(async move {
            let Outcome { payload, send } = admin::run(command.task, &office, &form).await?;
            let answer = reply(command, &id, "completed").with_children(payload);
            tracing::info!(command = command.node, administrator = %office.administrator, "administered");
            after(move |cx, stanza| {
                if let Some((message, to)) = send {
                    cx.send_to(message, to);
                }
                iq::answer(cx, stanza, &answer)
            })
        })
    }
}

impl Feature for Commands {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if cx.session.is_none() {
            return Next::Go;
        }
        if iq::is_set(stanza, ns::COMMANDS, "command") {
            return iq::attempt(self.execute(cx, stanza));
        }
        for space in [ns::DISCO_ITEMS, ns::DISCO_INFO] {
            if iq::is_get(stanza, space, "query") {
                return discover(cx, stanza, space);
            }
        }
        Next::Go
    }
}

/// The administrator's session that asks, if it is one.
fn administrator(cx: &Context<'_>) -> Option<Jid> {
    cx.host.admins.contains(&cx.account.jid).then(|| cx.this().map(|session| session.jid.clone()))?
}

/// XEP-0050 §3.2: the list, and what a command is. Other nodes are for other rooms.
fn discover(cx: &mut Context<'_>, stanza: &Stanza, space: &str) -> Next {
    let Ok(query) = iq::child(stanza, space, "query") else { return Next::Go };
    let Some(node) = query.attribute("node") else { return Next::Go };
    let command = COMMANDS.iter().find(|command| command.node == node);
    let admin = administrator(cx).is_some();
    let answer = Element::new(space, "query").attr("node", node);
    let identity = |ty, name| {
        Element::new(space, "identity").attr("category", "automation").attr("type", ty).attr("name", name)
    };
    let feature = |var| Element::new(space, "feature").attr("var", var);
    let answer = match (space, command) {
        (ns::DISCO_ITEMS, None) if node == ns::COMMANDS => {
            let at = stanza.to.clone().unwrap_or_else(|| cx.account.jid.clone());
            let item = |command: &Command| {
                Element::new(space, "item")
                    .attr("jid", &at)
                    .attr("node", command.node)
                    .attr("name", command.name)
            };
            answer.with_children(COMMANDS.iter().filter(|_| admin).map(item))
        }
        (ns::DISCO_INFO, None) if node == ns::COMMANDS => {
            answer.with_child(identity("command-list", "Commands"))
        }
        (_, Some(_)) if !admin => return iq::refuse(Condition::Forbidden),
        (ns::DISCO_INFO, Some(command)) => answer
            .with_child(identity("command-node", command.name))
            .with_child(feature(ns::COMMANDS))
            .with_child(feature(ns::DATA_FORMS)),
        (_, Some(_)) => answer,
        (_, None) => return Next::Go,
    };
    iq::answer(cx, stanza, &answer)
}

fn reply(command: &Command, id: &str, status: &str) -> Element {
    let reply = Element::new(ns::COMMANDS, "command").attr("node", command.node);
    reply.attr("sessionid", id).attr("status", status)
}

fn word(name: &str) -> Element {
    Element::new(ns::COMMANDS, name)
}

/// XEP-0050 §4.6.
fn bad(what: &str) -> StanzaError {
    StanzaError::from(Condition::BadRequest).with_application(word(what))
}

#[cfg(test)]
mod tests;
