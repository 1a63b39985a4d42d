//! Juliet's account on stage: her sessions say things, she hears things, and what follows is read as lines
//! `who <- what`, in order.

use store::{Change, Item, Subscription};
use xmpp::jid::Jid;
use xmpp::stanza::{ContentNs, Kind, Stanza};

use super::Presence;
use crate::about::At;
use crate::account::Origin;
use crate::chain::Feature;
use crate::context::{Next, Output};
use crate::roster::Rosters;
use crate::testing::{Stage, jid, stanza, wait};

pub(crate) struct Play {
    pub(crate) stage: Stage,
    roster: Box<dyn Feature>,
    presence: Box<dyn Feature>,
}

impl Play {
    pub(crate) fn new() -> Self {
        Self::on(Stage::new())
    }

    pub(crate) fn on(stage: Stage) -> Self {
        let (roster, presence) = (stage.room(Rosters::build), stage.room(Presence::build));
        Self { stage, roster, presence }
    }

    /// A contact who was there before the play, stored and in memory.
    pub(crate) fn contact(&mut self, contact: &str, subscription: Subscription) {
        let changes = vec![Change::Put(Item { subscription, ..Item::new(jid(contact)) })];
        let rosters = self.stage.ports.store.rosters.clone();
        let version = wait(rosters.apply(&self.stage.account.jid, changes.clone())).unwrap();
        self.stage.account.roster.apply(version, changes);
    }

    /// A session that is bound, and nothing more.
    pub(crate) fn bind(&mut self, resource: &str) -> Origin {
        self.stage.bind(resource)
    }

    /// A session that is available.
    pub(crate) fn enter(&mut self, resource: &str) -> Origin {
        self.stage.enter(resource)
    }

    /// A session that is available and has asked for the roster.
    pub(crate) fn enter_interested(&mut self, resource: &str) {
        let stream = self.enter(resource);
        self.stage.account.session_mut(stream).unwrap().interested = true;
    }

    /// A session sends a stanza; the phase is the core's choice.
    pub(crate) fn says(&mut self, resource: &str, xml: &str) -> Vec<String> {
        let session = self.stage.account.resource(resource).unwrap();
        let stream = session.stream;
        let mut stanza = stanza(xml).with_from(session.jid.clone());
        let at = match stanza.kind {
            Kind::Presence if stanza.to.is_none() => At::Presence,
            Kind::Iq => At::Account,
            _ => At::Sent,
        };
        self.plays(at, Some(stream), &mut stanza)
    }

    /// A stanza comes for the account.
    pub(crate) fn hears(&mut self, xml: &str) -> Vec<String> {
        let mut stanza = stanza(xml);
        let at = if stanza.kind == Kind::Iq { At::Account } else { At::Received };
        self.plays(at, None, &mut stanza)
    }

    /// A session is over.
    pub(crate) fn ends(&mut self, resource: &str) -> Vec<String> {
        let session = self.stage.account.resource(resource).unwrap();
        let (stream, jid) = (session.stream, session.jid.clone());
        let lines =
            self.plays(At::Ended, Some(stream), &mut stanza("<presence type='unavailable'/>").with_from(jid));
        self.stage.account.sessions.retain(|session| session.stream != stream);
        lines
    }

    fn plays(&mut self, at: At, session: Option<Origin>, stanza: &mut Stanza) -> Vec<String> {
        let room = if stanza.kind == Kind::Iq { &self.roster } else { &self.presence };
        let next = self.stage.meet(&**room, at, session, stanza);
        let mut lines: Vec<_> =
            std::mem::take(&mut self.stage.outputs).into_iter().filter_map(|it| self.line(it)).collect();
        match next {
            Next::Refuse(error) => lines.push(format!("refused: {}", error.condition.name())),
            Next::Go if at == At::Sent => lines.push(format!("routed {}", xml(stanza))),
            _ => {}
        }
        lines
    }

    fn line(&self, output: Output) -> Option<String> {
        let (who, stanza) = match output {
            Output::ToSession { stream, stanza } => {
                (self.stage.account.session(stream)?.jid.resource()?.to_owned(), stanza)
            }
            Output::Send { stanza, to } if to.is_empty() => ("world".to_owned(), stanza),
            Output::Send { stanza, to } => {
                let names: Vec<_> = to.iter().map(Jid::as_str).collect();
                (names.join(" "), stanza)
            }
            Output::Changed(_) | Output::End { .. } => return None,
        };
        Some(format!("{who} <- {}", xml(&stanza)))
    }
}

fn xml(stanza: &Stanza) -> String {
    String::from_utf8(stanza.to_bytes(ContentNs::Inherited)).unwrap()
}
