//! Rosters, presence, and subscriptions (RFC 6121 §2 to §4).

use std::sync::Arc;

use client::Element;
use xmpp::xml::{write_attribute, write_text};

use crate::acts::To;
use crate::asking::{ANSWER_US_MAX, Then};
use crate::session::{Over, Session, Tempo};
use crate::stage::unescape;
use crate::text::Template;

impl Session {
    /// Waits for what was asked at login and the script may rely on.
    pub(crate) async fn be_ready(&mut self) -> Result<(), Over> {
        let limit_us = self.now_us() + ANSWER_US_MAX;
        self.wait_for(limit_us, |session| !session.asks_for_roster()).await?;
        Ok(())
    }

    pub(crate) fn ask_roster(&mut self) -> String {
        let measure = self.stage.measures.roster;
        self.ask(measure, None, "get", "<query xmlns='jabber:iq:roster'/>", Then::Roster)
    }

    pub(crate) async fn roster(&mut self) -> Result<(), Over> {
        let id = self.ask_roster();
        if self.tempo == Tempo::Closed {
            self.answer(&id).await?;
        }
        Ok(())
    }

    pub(crate) fn take_roster(&mut self, roster: &Element) {
        let items = roster.child().into_iter().flat_map(|query| query.children());
        self.contacts =
            items.filter_map(|item| Some(unescape(item.attribute("jid")?).into_owned())).collect();
    }

    pub(crate) async fn roster_set(
        &mut self,
        jid: &Template,
        name: Option<&Template>,
        group: Option<&Template>,
    ) -> Result<(), Over> {
        let mut query = b"<query xmlns='jabber:iq:roster'><item".to_vec();
        write_attribute(&mut query, "jid", &self.text(jid));
        if let Some(name) = name {
            write_attribute(&mut query, "name", &self.text(name));
        }
        query.push(b'>');
        if let Some(group) = group {
            query.extend_from_slice(b"<group>");
            write_text(&mut query, &self.text(group));
            query.extend_from_slice(b"</group>");
        }
        query.extend_from_slice(b"</item></query>");
        let measure = self.stage.measures.roster_set;
        self.ask_in_turn(measure, None, "set", &String::from_utf8_lossy(&query), Then::Nothing).await
    }

    pub(crate) async fn roster_remove(&mut self, jid: &Template) -> Result<(), Over> {
        let mut query = b"<query xmlns='jabber:iq:roster'><item".to_vec();
        write_attribute(&mut query, "jid", &self.text(jid));
        query.extend_from_slice(b" subscription='remove'/></query>");
        let measure = self.stage.measures.roster_remove;
        self.ask_in_turn(measure, None, "set", &String::from_utf8_lossy(&query), Then::Nothing).await
    }

    pub(crate) fn announce(
        &mut self,
        show: Option<&Template>,
        status: Option<&Template>,
        priority: Option<i8>,
    ) {
        let mut stanza = b"<presence>".to_vec();
        for (name, text) in [("show", show), ("status", status)] {
            if let Some(text) = text {
                stanza.extend_from_slice(format!("<{name}>").as_bytes());
                write_text(&mut stanza, &self.text(text));
                stanza.extend_from_slice(format!("</{name}>").as_bytes());
            }
        }
        if let Some(priority) = priority {
            stanza.extend_from_slice(format!("<priority>{priority}</priority>").as_bytes());
        }
        stanza.extend_from_slice(b"</presence>");
        self.push(&stanza, None);
        self.stage.recorder.count("presences", 1);
    }

    /// Subscribes to the partner, and waits until that has said yes.
    pub(crate) async fn befriend(&mut self, to: &To) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let measure = stage.measures.befriend;
        let intended_us = self.intended_us();
        self.choose(to);
        let Some(partner) = self.partner.clone() else {
            stage.failed(measure, "no-partner");
            return Ok(());
        };
        let mut stanza = b"<presence type='subscribe'".to_vec();
        write_attribute(&mut stanza, "to", &partner.jid);
        stanza.extend_from_slice(b"/>");
        self.befriended.push(partner.jid.clone());
        self.push(&stanza, None);
        let limit_us = self.now_us() + ANSWER_US_MAX;
        let said_yes = self.wait_for(limit_us, |session| !session.befriended.contains(&partner.jid)).await?;
        self.waited();
        if said_yes {
            stage.done(measure, intended_us);
        } else {
            self.befriended.retain(|awaited| *awaited != partner.jid);
            stage.failed(measure, "timeout");
        }
        Ok(())
    }
}
