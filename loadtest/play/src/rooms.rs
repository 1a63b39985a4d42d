//! Rooms (XEP-0045): entering, speaking, leaving.

use std::sync::Arc;

use client::Element;
use figures::Address;
use xmpp::xml::write_attribute;

use crate::acts::Body;
use crate::asking::{ANSWER_US_MAX, Then};
use crate::session::{Followed, Over, Session};
use crate::stage::unescape;
use crate::text::Template;

/// How often a room that is locked is tried.
const LOCKED_TRIES_MAX: usize = 50;
/// How long is waited before it is tried again, in microseconds.
const LOCKED_US: u64 = 100_000;

/// A room that the session is in, or on its way into or out of.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    jid: String,
    nick: String,
    address: Address,
    is: Is,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Is {
    Entering,
    Within,
    /// It was made by entering, and waits to be configured (§10.1.2).
    New,
    Leaving,
    Refused(String),
}

impl Session {
    pub(crate) async fn join(&mut self, room: &Template, nick: Option<&Template>) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let (measure, intended_us) = (stage.measures.join, self.intended_us());
        let jid = self.text(room);
        let nick = match nick {
            Some(nick) => self.text(nick),
            None => stage.names.username(self.account),
        };
        self.rooms.retain(|room| room.jid != jid);
        self.rooms.push(Room { address: Address::room(&jid), jid: jid.clone(), nick, is: Is::Entering });
        for _ in 0..LOCKED_TRIES_MAX {
            self.enter_room(&jid);
            let limit_us = self.now_us() + ANSWER_US_MAX;
            self.wait_for(limit_us, |session| session.room_is(&jid) != Some(&Is::Entering)).await?;
            // Somebody else has made it, and it is locked until they have configured it (§10.1.2).
            let is_locked =
                matches!(self.room_is(&jid), Some(Is::Refused(condition)) if condition == "item-not-found");
            if !is_locked {
                break;
            }
            let until_us = self.now_us() + LOCKED_US;
            self.wait_until(until_us).await?;
        }
        if self.room_is(&jid) == Some(&Is::New) {
            let form = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
            let id = self.ask(stage.recorder.measure("room-setup"), Some(&jid), "set", form, Then::Nothing);
            self.answer(&id).await?;
            self.entered(&jid);
        }
        self.waited();
        match self.room_is(&jid) {
            Some(Is::Within) => stage.done(measure, intended_us),
            Some(Is::Refused(condition)) => stage.failed(measure, condition),
            _ => stage.failed(measure, "timeout"),
        }
        Ok(())
    }

    fn enter_room(&mut self, jid: &str) {
        if let Some(at) = self.rooms.iter().position(|room| room.jid == jid) {
            self.enter(at);
        }
    }

    fn enter(&mut self, at: usize) {
        self.rooms[at].is = Is::Entering;
        let Room { jid, nick, .. } = &self.rooms[at];
        let mut stanza = b"<presence".to_vec();
        write_attribute(&mut stanza, "to", &format!("{jid}/{nick}"));
        stanza.extend_from_slice(
            b"><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>",
        );
        self.push(&stanza, None);
    }

    /// In a new session, enters the rooms that the one before was in, and is owed what comes from nodes.
    pub(crate) fn enter_again(&mut self) {
        for at in 0..self.rooms.len() {
            self.enter(at);
        }
        let now_ms = self.stage.clock.now_ms();
        if let Some(halves) = &mut self.halves {
            self.nodes.iter().for_each(|&node| halves.incoming.joined(node, now_ms));
        }
    }

    /// The session itself is in the room from now on.
    fn entered(&mut self, jid: &str) {
        let now_ms = self.stage.clock.now_ms();
        let Some(room) = self.rooms.iter_mut().find(|room| room.jid == jid) else { return };
        room.is = Is::Within;
        if let Some(halves) = &mut self.halves {
            halves.incoming.joined(room.address, now_ms);
        }
    }

    /// Presence of somebody in a room.
    pub(crate) fn occupant(&mut self, element: &Element, ty: Option<&str>) {
        if self.rooms.is_empty() {
            return;
        }
        let Some(from) = element.from().map(|from| unescape(from).into_owned()) else { return };
        let (jid, nick) = from.split_once('/').unwrap_or((&from, ""));
        let Some(room) = self.rooms.iter_mut().find(|room| room.jid == jid) else { return };
        let has = |code: &str| {
            element
                .tag()
                .children()
                .flat_map(|x| x.children())
                .any(|status| status.name() == b"status" && status.attribute("code") == Some(code))
        };
        match ty {
            Some("error") => {
                let condition = element.error_condition().unwrap_or("undefined-condition");
                room.is = Is::Refused(condition.to_owned());
            }
            Some("unavailable") if room.is == Is::Leaving && (nick == room.nick || has("110")) => {
                self.rooms.retain(|room| room.jid != jid);
            }
            None if room.is == Is::Entering && (nick == room.nick || has("110")) => {
                if has("201") {
                    room.is = Is::New;
                } else {
                    self.entered(jid);
                }
            }
            _ => {}
        }
    }

    pub(crate) async fn say(&mut self, room: &Template, body: &Body) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let intended_us = self.intended_us();
        let jid = self.text(room);
        let is_within = self.room_is(&jid) == Some(&Is::Within);
        let Some(halves) = self.halves.as_mut().filter(|_| is_within) else {
            stage.failed(stage.measures.say, "not-in-the-room");
            return self.breathe().await;
        };
        let id = halves.outgoing.sent(Address::room(&jid), intended_us);
        let mut stanza = std::mem::take(&mut self.scratch);
        stanza.clear();
        stanza.extend_from_slice(b"<message type='groupchat'");
        write_attribute(&mut stanza, "to", &jid);
        stanza.extend_from_slice(b" id='");
        id.write(&mut stanza);
        stanza.extend_from_slice(b"'>");
        self.write_body(body, &mut stanza);
        stanza.extend_from_slice(b"</message>");
        let followed = Followed { to: id.to, seq: id.seq, at_us: intended_us };
        let sent = self.send(&stanza, Some(followed)).await;
        self.scratch = stanza;
        if sent? {
            stage.recorder.count("sent", 1);
        } else {
            stage.failed(stage.measures.say, "queue-full");
        }
        Ok(())
    }

    pub(crate) async fn leave_room(&mut self, room: &Template) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let intended_us = self.intended_us();
        let jid = self.text(room);
        let Some(room) = self.rooms.iter_mut().find(|room| room.jid == jid) else { return Ok(()) };
        room.is = Is::Leaving;
        if let Some(halves) = &mut self.halves {
            halves.incoming.left(room.address);
        }
        let mut stanza = b"<presence type='unavailable'".to_vec();
        write_attribute(&mut stanza, "to", &format!("{jid}/{}", room.nick));
        stanza.extend_from_slice(b"/>");
        self.push(&stanza, None);
        let limit_us = self.now_us() + ANSWER_US_MAX;
        let left = self.wait_for(limit_us, |session| session.room_is(&jid).is_none()).await?;
        self.waited();
        if left {
            stage.done(stage.measures.leave, intended_us);
        } else {
            self.rooms.retain(|room| room.jid != jid);
            stage.failed(stage.measures.leave, "timeout");
        }
        Ok(())
    }

    fn room_is(&self, jid: &str) -> Option<&Is> {
        self.rooms.iter().find(|room| room.jid == jid).map(|room| &room.is)
    }
}
