//! Messages between two, and their receipts (XEP-0184).

use std::sync::Arc;

use client::Element;
use figures::{Address, MessageId};
use xmpp::xml::{write_attribute, write_text};

use crate::acts::{Body, To};
use crate::session::{Followed, Over, Session, Tempo};

/// How long a closed loop waits with nothing arriving of what is under way, in microseconds.
const WINDOW_US_MAX: u64 = 60_000_000;
/// How long a closed loop waits before it tries again to send what the connection had no room for, in microseconds.
const ROOM_US: u64 = 5_000;

impl Session {
    pub(crate) async fn chat(&mut self, to: &To, body: &Body, receipt: bool) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let intended_us = self.intended_us();
        self.choose(to);
        let Some(partner) = self.partner.take() else {
            stage.failed(stage.measures.chat, "no-partner");
            return self.breathe().await;
        };
        let number = partner.account;
        let local = number.and_then(|number| stage.seats.seat(number));
        // Nobody here sees it arrive: the addressee has to say so.
        let receipt = receipt || self.windowed && local.is_none();
        let id = match (&mut self.halves, number) {
            (Some(halves), Some(number)) => {
                Some(halves.outgoing.sent(Address::Account(number as u32), intended_us))
            }
            _ => None,
        };
        let mut stanza = std::mem::take(&mut self.scratch);
        stanza.clear();
        stanza.extend_from_slice(b"<message type='chat'");
        write_attribute(&mut stanza, "to", &partner.jid);
        stanza.extend_from_slice(b" id='");
        match &id {
            Some(id) => id.write(&mut stanza),
            None => stanza.extend_from_slice(self.next_id().as_bytes()),
        }
        stanza.extend_from_slice(b"'>");
        self.write_body(body, &mut stanza);
        if receipt {
            stanza.extend_from_slice(b"<request xmlns='urn:xmpp:receipts'/>");
        }
        stanza.extend_from_slice(b"</message>");
        if let (Some(seat), Some(_)) = (local, &id) {
            seat.expect();
        }
        let followed = id.map(|id| Followed { to: id.to, seq: id.seq, at_us: id.at_us });
        self.partner = Some(partner);
        let sent = self.send(&stanza, followed).await;
        self.scratch = stanza;
        if sent? {
            stage.recorder.count("sent", 1);
            self.window += u32::from(id.is_some());
        } else {
            stage.failed(stage.measures.chat, "queue-full");
        }
        Ok(())
    }

    /// Has a followed stanza written; in a closed loop, waits until there is room for it. Whether it was taken.
    pub(crate) async fn send(&mut self, stanza: &[u8], followed: Option<Followed>) -> Result<bool, Over> {
        self.unsent = followed;
        while !self.push(stanza, followed) {
            // With a stream that was lost for good, the message was given up.
            let given_up = followed.is_some() && self.unsent.is_none();
            if given_up || matches!(self.tempo, Tempo::Open { .. }) {
                self.give_up_unsent();
                return Ok(false);
            }
            let until_us = self.now_us() + ROOM_US;
            self.turn(until_us).await?;
        }
        self.unsent = None;
        Ok(true)
    }

    /// What was to be sent was not.
    pub(crate) fn give_up_unsent(&mut self) {
        let Some(Followed { to, seq, .. }) = self.unsent.take() else { return };
        if let Some(halves) = &mut self.halves {
            halves.outgoing.failed(to, seq);
        }
        self.give_up(to);
    }

    pub(crate) fn write_body(&mut self, body: &Body, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<body>");
        match body {
            Body::Bytes(bytes) => out.extend_from_slice(self.stage.filling(*bytes)),
            Body::Text(template) => {
                let text = self.text(template);
                write_text(out, &text);
            }
        }
        out.extend_from_slice(b"</body>");
    }

    /// Waits until fewer messages than these are under way.
    pub(crate) async fn wait_for_window(&mut self, size: u32, until_us: u64) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let seat = stage.seats.own(self.account);
        self.take_landed();
        if self.window < size {
            return Ok(());
        }
        seat.set_waits(true);
        let limit_us = until_us.min(self.now_us() + WINDOW_US_MAX);
        let waited = self.wait_for(limit_us, |session| {
            session.take_landed();
            session.window < size
        });
        let waited = waited.await;
        seat.set_waits(false);
        if !waited? && self.now_us() < until_us {
            stage.failed(stage.measures.chat, "timeout");
            self.window = 0;
        }
        Ok(())
    }

    fn take_landed(&mut self) {
        let landed = self.seat().take_landed();
        self.window = self.window.saturating_sub(landed);
    }

    /// A message came back with an error.
    pub(crate) fn bounced(&mut self, id: &MessageId, element: &Element) {
        if u64::from(id.from) != self.account {
            return;
        }
        let measures = &self.stage.measures;
        let measure = if matches!(id.to, Address::Room(_)) { measures.say } else { measures.chat };
        self.stage.failed(measure, element.error_condition().unwrap_or("undefined-condition"));
        let for_now =
            element.error_type() == Some("wait") || element.error_condition() == Some("resource-constraint");
        if let Some(halves) = &mut self.halves {
            if for_now {
                halves.outgoing.unknown(id.to, id.seq);
            } else {
                halves.outgoing.failed(id.to, id.seq);
            }
        }
        self.give_up(id.to);
        self.window = self.window.saturating_sub(1);
    }

    /// Says that a message has arrived.
    pub(crate) fn receipt(&mut self, message: &Element) {
        let (Some(from), Some(id)) = (message.from(), message.id()) else { return };
        let answer_id = self.next_id();
        let mut stanza = b"<message type='chat'".to_vec();
        write_attribute(&mut stanza, "to", &crate::stage::unescape(from));
        write_attribute(&mut stanza, "id", &answer_id);
        stanza.extend_from_slice(b"><received xmlns='urn:xmpp:receipts'");
        write_attribute(&mut stanza, "id", id);
        stanza.extend_from_slice(b"/></message>");
        self.push(&stanza, None);
    }

    /// Somebody says that a message of this session has arrived.
    pub(crate) fn receipt_came(&mut self, id: &MessageId) {
        if u64::from(id.from) != self.account {
            return;
        }
        self.stage.done(self.stage.measures.receipt, id.at_us);
        let Address::Account(to) = id.to else { return };
        if self.stage.seats.seat(u64::from(to)).is_none() {
            self.window = self.window.saturating_sub(1);
        }
    }
}
