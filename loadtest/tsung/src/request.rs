//! Requests: logins, and what Tsung's 39 types of XMPP requests are here.

mod answers;
mod login;
mod pubsub;

use std::collections::BTreeMap;

use scenario::{Partner, Step, Value};

use crate::session::{Session, State};
use crate::xml::{Tag, escape};

/// The variable with the contact that was added last.
const CONTACT: &str = "contact";
const ROSTER_GET: &str = "<iq type='get' id='{uuid}'><query xmlns='jabber:iq:roster'/></iq>";

/// A request that is read.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a, 'i> {
    /// The element `<jabber>`.
    pub(crate) tag: Tag<'a, 'i>,
    pub(crate) kind: &'a str,
    /// Whether variables are replaced.
    pub(crate) subst: bool,
    /// Whether something is kept or looked for in its answer.
    pub(crate) looks_at_answer: bool,
}

impl Session<'_> {
    /// Adds the steps of a request.
    pub(crate) fn request(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let looks = |child: &Tag<'_, '_>| matches!(child.name(), "match" | "dyn_variable");
        let Some(inner) = tag.children().find(|child| !looks(child)) else {
            self.notes.error(tag, "an empty <request>");
            return;
        };
        if inner.name() != "jabber" {
            self.notes.error(inner, format!("<{}> is no XMPP request", inner.name()));
            return;
        }
        let request = Request {
            tag: inner,
            kind: inner.attribute("type").unwrap_or("chat"),
            subst: tag.attribute("subst").is_some_and(|subst| subst != "false"),
            looks_at_answer: tag.children().any(|child| looks(&child)),
        };
        if self.login(request, out) {
            if request.looks_at_answer {
                self.notes.info(
                    tag,
                    "what is looked for in answers to logins is left out: a failed login is counted",
                );
            }
            return;
        }
        match self.state {
            State::Offline => self.notes.error(inner, format!("`{}` before `connect`", request.kind)),
            State::Connecting => {
                self.notes.warn(inner, "the session logs in before this, although it only connects in Tsung");
                self.state = State::Online;
            }
            State::Online | State::Closed => {}
        }
        let mut steps = self.sent(request);
        self.look_at_answer(tag, request, &mut steps);
        if inner.is("ack", "global") {
            steps.push(self.meeting());
        }
        self.has_begun |= !steps.is_empty();
        out.append(&mut steps);
    }

    /// What is sent.
    fn sent(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        match request.kind {
            "presence" => vec![presence(None, None)],
            "presence:initial" => self.initial_presence(),
            "presence:final" => vec![unanswered("<presence type='unavailable'/>".to_owned())],
            "presence:broadcast" => {
                let show = request.tag.attribute("show").unwrap_or("chat");
                let status = request.tag.attribute("status").unwrap_or("Available");
                vec![presence(Some(show.to_owned()), Some(self.names.literal(status)))]
            }
            "presence:directed" => {
                let show = escape(request.tag.attribute("show").unwrap_or("chat"));
                let status = escape(request.tag.attribute("status").unwrap_or("Available"));
                let status = self.names.literal(&status);
                let inner = format!("<show>{show}</show><status>{status}</status>");
                let xml = format!("<presence to='{{partner}}'>{inner}</presence>");
                vec![Step::Choose(Partner::Online), unanswered(xml)]
            }
            "presence:roster" => {
                let xml = "<presence to='{partner}' type='subscribed'/>".to_owned();
                vec![Step::Choose(self.partner(request)), unanswered(xml)]
            }
            "chat" => self.chat(request),
            "raw" | "wait" => self.raw(request),
            "ping" => Self::ping(request),
            "muc:join" | "muc:chat" | "muc:nick" | "muc:exit" => self.room(request),
            "privacy:get_names" => {
                let query = "<query xmlns='jabber:iq:privacy'/>";
                vec![named(request.kind, format!("<iq type='get' id='{{uuid}}'>{query}</iq>"))]
            }
            "privacy:set_active" => {
                let list = "<active name='{username}@{domain}_list'/>";
                let query = format!("<query xmlns='jabber:iq:privacy'>{list}</query>");
                vec![named(request.kind, format!("<iq type='set' id='{{uuid}}'>{query}</iq>"))]
            }
            kind if kind.starts_with("iq:roster:") || kind == "presence:subscribe" => self.roster(request),
            kind if kind.starts_with("pubsub:") => self.pubsub(request),
            kind => {
                self.notes.error(request.tag, format!("`{kind}` is no type of XMPP request that Tsung has"));
                Vec::new()
            }
        }
    }

    /// Presence right after the login is the login's.
    fn initial_presence(&mut self) -> Vec<Step> {
        if self.has_begun || self.presence {
            return vec![presence(None, None)];
        }
        self.presence = true;
        Vec::new()
    }

    fn chat(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        let text = request.tag.attribute("data");
        let text = text.map(|text| self.names.text(text, request.subst, request.tag, self.notes));
        if request.tag.is("stamped", "true") {
            self.notes.info(request.tag, "stamps are left out: every message is followed and timed");
        }
        let body = request.tag.size("size").unwrap_or_default();
        vec![Step::Chat { to: Some(self.partner(request)), body, text, receipt: false }]
    }

    fn raw(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        let data = request.tag.attribute("data").unwrap_or_default();
        let xml = self.names.text(data, request.subst, request.tag, self.notes);
        let expect = request.tag.attribute("regexp").and_then(|regexp| self.expected(regexp, request.tag));
        let wait = !request.tag.is("ack", "no_ack");
        let is_iq = xml.trim_start().starts_with("<iq");
        if xml.is_empty() && expect.is_none() {
            self.notes.warn(request.tag, "a request that sends nothing and waits for nothing is left out");
            return Vec::new();
        }
        if wait && expect.is_none() && !is_iq {
            self.notes.info(request.tag, "what is not answered is not waited for, whatever its `ack`");
        }
        vec![Step::Raw { xml, name: None, expect, wait, keep: BTreeMap::new() }]
    }

    fn ping(request: Request<'_, '_>) -> Vec<Step> {
        let other = request.tag.is("destination", "online");
        let to = if other { "{partner}" } else { "{domain}" };
        let ping = if request.looks_at_answer {
            let ping = "<ping xmlns='urn:xmpp:ping'/>";
            named(request.kind, format!("<iq type='get' to='{to}' id='{{uuid}}'>{ping}</iq>"))
        } else {
            Step::Ping { to: other.then(|| to.to_owned()) }
        };
        let choose = other.then_some(Step::Choose(Partner::Online));
        choose.into_iter().chain([ping]).collect()
    }

    fn room(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        let tag = request.tag;
        let name = self.names.text(tag.attribute("room").unwrap_or_default(), request.subst, tag, self.notes);
        let room = format!("{name}@{}", self.options.service(&self.options.muc_service));
        let nick = tag.attribute("nick").map(|nick| self.names.text(nick, request.subst, tag, self.notes));
        let body = tag.size("size").unwrap_or_default();
        vec![match request.kind {
            "muc:join" => Step::Join { room, nick },
            "muc:chat" => Step::Say { room, body },
            "muc:exit" => Step::Leave { room },
            _ => {
                let nick = escape(nick.as_deref().unwrap_or("{username}"));
                unanswered(format!("<presence to='{room}/{nick}'/>"))
            }
        }]
    }

    fn roster(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        let has_contact = self.names.find(CONTACT).is_some();
        let contact = || format!("{{{CONTACT}}}");
        let group = request.tag.attribute("group").unwrap_or("Tsung Group");
        let group = Some(self.names.literal(group));
        match request.kind {
            "iq:roster:get" if request.looks_at_answer => vec![named(request.kind, ROSTER_GET.to_owned())],
            "iq:roster:get" => vec![Step::Roster {}],
            "iq:roster:add" => {
                self.names.set_as(CONTACT, CONTACT);
                let to = Value::Text("{partner}".to_owned());
                vec![
                    Step::Choose(self.partner(request)),
                    Step::Set { name: CONTACT.to_owned(), to },
                    Step::RosterSet { jid: contact(), name: Some(contact()), group },
                ]
            }
            kind if !has_contact => {
                self.notes
                    .warn(request.tag, format!("`{kind}` before `iq:roster:add` is left out, as in Tsung"));
                Vec::new()
            }
            "iq:roster:rename" => {
                let name = Some("Tsung Testuser".to_owned());
                vec![Step::RosterSet { jid: contact(), name, group }]
            }
            "iq:roster:remove" => vec![Step::RosterRemove { jid: contact() }],
            "presence:subscribe" => {
                vec![unanswered(format!("<presence to='{}' type='subscribe'/>", contact()))]
            }
            kind => {
                self.notes.error(request.tag, format!("`{kind}` is no type of XMPP request that Tsung has"));
                Vec::new()
            }
        }
    }

    /// To whom a request goes.
    fn partner(&mut self, request: Request<'_, '_>) -> Partner {
        match request.tag.attribute("destination").unwrap_or("random") {
            "online" => Partner::Online,
            "offline" => Partner::Offline,
            "random" => Partner::Anyone,
            "previous" => Partner::Previous,
            "unique" => {
                let first = self.options.username().replace("{n}", "1");
                if first.contains('{') {
                    self.notes.warn(request.tag, "the first account of a file is not known: anyone is taken");
                    return Partner::Anyone;
                }
                Partner::Jid(format!("{first}@{{domain}}"))
            }
            name => {
                let name = self.names.text(name, request.subst, request.tag, self.notes);
                Partner::Jid(format!("{name}@{{domain}}"))
            }
        }
    }
}

fn presence(show: Option<String>, status: Option<String>) -> Step {
    Step::Presence { show, status, priority: None }
}

/// A stanza to which no answer comes.
fn unanswered(xml: String) -> Step {
    Step::Raw { xml, name: None, expect: None, wait: false, keep: BTreeMap::new() }
}

/// A request that no step is made for, measured under Tsung's name for it.
fn named(kind: &str, xml: String) -> Step {
    let name = Some(kind.replace(':', "-"));
    Step::Raw { xml, name, expect: None, wait: true, keep: BTreeMap::new() }
}
