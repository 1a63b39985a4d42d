//! What arrives: messages are told to the ledger, questions are answered, subscriptions accepted.

use std::sync::Arc;

use client::{Element, Event, Kind};
use figures::{Address, MessageId};
use xmpp::xml::write_attribute;

use crate::session::Session;

const RECEIPTS: &str = "urn:xmpp:receipts";
const PUBSUB_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
const ARCHIVE: &str = "urn:xmpp:mam:2";
/// XEP-0203: what was stored meanwhile, and the history of a room.
const DELAY: &[u8] = b"urn:xmpp:delay";

impl Session {
    pub(crate) fn dispatch(&mut self, event: Event) {
        match event {
            Event::Stanza(element) => {
                self.look_for_expected(&element);
                match element.kind() {
                    Kind::Message => self.message(&element),
                    Kind::Presence => self.presence(&element),
                    Kind::Iq => self.iq(&element),
                    Kind::Other => {}
                }
            }
            Event::Acknowledged(count) => self.acknowledged(count),
            Event::Other(element) => self.look_for_expected(&element),
            Event::Closed => self.lose(if self.epilogue { "closed" } else { "connections-lost" }),
        }
    }

    fn look_for_expected(&mut self, element: &Element) {
        if let Some((text, found @ None)) = &mut self.expected
            && element.contains(text.as_bytes())
        {
            *found = Some(element.clone());
        }
    }

    fn message(&mut self, element: &Element) {
        let own_run = |id: &MessageId| id.run == self.stage.options.run;
        let id = element.id().and_then(|id| MessageId::parse(id.as_bytes())).filter(own_run);
        match id {
            Some(id) if element.is_error() => self.bounced(&id, element),
            Some(id) => self.arrived(&id, element),
            None => self.wrapped(element),
        }
    }

    /// A message that the ledger follows.
    fn arrived(&mut self, id: &MessageId, element: &Element) {
        let was_stored = element.contains(DELAY);
        let in_room = matches!(id.to, Address::Room(_));
        // A room's history is for nobody's ledger: it was delivered to whoever was there.
        if in_room && was_stored {
            return;
        }
        let measures = &self.stage.measures;
        self.take(
            id,
            if in_room {
                measures.say
            } else if was_stored {
                measures.stored
            } else {
                measures.chat
            },
            was_stored,
        );
        if !in_room {
            self.seat().arrive();
            if let Some(sender) = self.stage.seats.seat(u64::from(id.from)) {
                sender.land();
            }
            let asks = element.contains(RECEIPTS.as_bytes())
                && element.tag().children().any(|child| child.name() == b"request");
            if asks && !was_stored && element.from().is_some() {
                self.receipt(element);
            }
        }
    }

    /// Tells the ledger and the figures.
    pub(crate) fn take(&mut self, id: &MessageId, measure: figures::Measure, was_stored: bool) {
        let took_us = self.now_us().saturating_sub(id.at_us);
        let delayed = !was_stored && took_us > self.stage.rules.delayed_after.as_micros() as u64;
        if let Some(halves) = &mut self.halves {
            halves.incoming.arrived(id, delayed);
        }
        self.stage.recorder.record(measure, id.at_us, took_us);
        self.stage.recorder.count("delivered", 1);
    }

    /// Messages around others: receipts, items, what an archive holds.
    fn wrapped(&mut self, element: &Element) {
        if self.stage.mark.find(element.bytes()).is_none() || element.is_error() {
            return;
        }
        let parse = |id: Option<&str>| {
            let id = id.and_then(|id| MessageId::parse(id.as_bytes()));
            id.filter(|id| id.run == self.stage.options.run)
        };
        for child in element.tag().children() {
            match child.attribute("xmlns") {
                Some(RECEIPTS) if child.name() == b"received" => {
                    if let Some(id) = parse(child.attribute("id")) {
                        return self.receipt_came(&id);
                    }
                }
                Some(PUBSUB_EVENT) => {
                    let lists = child.children().filter(|list| list.name() == b"items");
                    let items = lists.flat_map(|list| list.children()).filter(|item| item.name() == b"item");
                    let ids: Vec<MessageId> = items.filter_map(|item| parse(item.attribute("id"))).collect();
                    return ids.iter().for_each(|id| self.notified(id, element.contains(DELAY)));
                }
                Some(ARCHIVE) if child.name() == b"result" => {
                    let inner = element
                        .find("forwarded")
                        .and_then(|it| it.children().find(|it| it.name() == b"message"));
                    if let Some(id) = parse(inner.and_then(|message| message.attribute("id"))) {
                        return self.archive_holds(&id);
                    }
                }
                _ => {}
            }
        }
    }

    fn iq(&mut self, element: &Element) {
        if !matches!(element.ty(), Some("get" | "set")) {
            return self.answered(element);
        }
        let child = element.child();
        let ns = child.and_then(|child| child.attribute("xmlns")).unwrap_or_default();
        // Whoever does not know a request says so (RFC 6120 §8.2.3).
        let known = matches!(ns, "jabber:iq:roster" | "urn:xmpp:ping");
        let mut iq = std::mem::take(&mut self.scratch);
        iq.clear();
        iq.extend_from_slice(b"<iq");
        // As they were written: nothing has to be escaped.
        for (name, value) in [("id", element.id()), ("to", element.from())] {
            if let Some(value) = value {
                iq.extend_from_slice(format!(" {name}=\"{}\"", value.replace('"', "&quot;")).as_bytes());
            }
        }
        if known {
            iq.extend_from_slice(b" type='result'/>");
        } else {
            iq.extend_from_slice(
                b" type='error'><error type='cancel'>\
                  <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            );
        }
        self.push(&iq, None);
        self.scratch = iq;
    }

    fn presence(&mut self, element: &Element) {
        let from = element.from().unwrap_or_default();
        match element.ty() {
            Some("subscribe") => {
                let mut answer = b"<presence type='subscribed'".to_vec();
                write_attribute(&mut answer, "to", &crate::stage::unescape(from));
                answer.extend_from_slice(b"/>");
                self.push(&answer, None);
            }
            Some("subscribed") => {
                let bare = from.split_once('/').map_or(from, |(bare, _)| bare);
                self.befriended.retain(|awaited| awaited != bare);
            }
            ty => {
                let ty = ty.map(str::to_owned);
                self.occupant(element, ty.as_deref());
            }
        }
    }

    /// The script's connection to whoever waits for this session's messages.
    pub(crate) fn give_up(&self, to: Address) {
        if let Address::Account(number) = to
            && let Some(seat) = Arc::clone(&self.stage).seats.seat(u64::from(number))
        {
            seat.give_up();
        }
    }
}
