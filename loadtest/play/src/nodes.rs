//! Pub-sub nodes (XEP-0060).

use std::sync::Arc;

use client::Element;
use figures::{Address, MessageId};
use xmpp::xml::write_attribute;

use crate::acts::{Body, Node};
use crate::asking::Then;
use crate::session::{Followed, Over, Session, Tempo};

impl Session {
    pub(crate) async fn create_node(&mut self, node: &Node) -> Result<(), Over> {
        let (service, name) = self.node(node);
        let payload = of_pubsub("create", &[("node", &name)], "");
        let measure = self.stage.measures.create_node;
        let id = self.ask(measure, Some(&service), "set", &payload, Then::ConflictIsFine);
        self.answer(&id).await?;
        Ok(())
    }

    pub(crate) async fn subscribe(&mut self, node: &Node) -> Result<(), Over> {
        let (service, name) = self.node(node);
        let payload = of_pubsub("subscribe", &[("node", &name), ("jid", &self.bare)], "");
        let measure = self.stage.measures.subscribe;
        let id = self.ask(measure, Some(&service), "set", &payload, Then::Nothing);
        if self.answer(&id).await?.is_some() {
            let (address, now_ms) = (address(&service, &name), self.stage.clock.now_ms());
            self.nodes.push(address);
            if let Some(halves) = &mut self.halves {
                halves.incoming.joined(address, now_ms);
            }
        }
        Ok(())
    }

    pub(crate) async fn unsubscribe(&mut self, node: &Node) -> Result<(), Over> {
        let (service, name) = self.node(node);
        let address = address(&service, &name);
        self.nodes.retain(|known| *known != address);
        if let Some(halves) = &mut self.halves {
            halves.incoming.left(address);
        }
        let payload = of_pubsub("unsubscribe", &[("node", &name), ("jid", &self.bare)], "");
        let measure = self.stage.measures.unsubscribe;
        let id = self.ask(measure, Some(&service), "set", &payload, Then::Nothing);
        self.answer(&id).await?;
        Ok(())
    }

    /// Publishes an item; the ledger's id is the item's.
    pub(crate) async fn publish(&mut self, node: &Node, payload: &Body) -> Result<(), Over> {
        let stage = Arc::clone(&self.stage);
        let intended_us = self.intended_us();
        let (service, name) = self.node(node);
        let Some(halves) = &mut self.halves else { return Ok(()) };
        let id = halves.outgoing.sent(address(&service, &name), intended_us);
        let followed = Followed { to: id.to, seq: id.seq, at_us: intended_us };
        let mut item = Vec::new();
        item.extend_from_slice(b"<item");
        write_attribute(&mut item, "id", &id.to_string());
        item.extend_from_slice(b"><entry xmlns='http://www.w3.org/2005/Atom'>");
        match payload {
            Body::Bytes(bytes) => item.extend_from_slice(stage.filling(*bytes)),
            Body::Text(template) => xmpp::xml::write_text(&mut item, &self.text(template)),
        }
        item.extend_from_slice(b"</entry></item>");
        let payload = of_pubsub("publish", &[("node", &name)], &String::from_utf8_lossy(&item));
        let question =
            self.ask(stage.measures.publish_ack, Some(&service), "set", &payload, Then::Published(followed));
        stage.recorder.count("sent", 1);
        if self.tempo == Tempo::Closed {
            self.answer(&question).await?;
        }
        Ok(())
    }

    /// The service has answered a publication.
    pub(crate) fn published(&mut self, followed: Followed, answer: &Element) {
        let Some(halves) = &mut self.halves else { return };
        let Followed { to, seq, .. } = followed;
        if !answer.is_error() {
            halves.outgoing.acknowledged(to, seq);
        } else if answer.error_type() == Some("wait") {
            halves.outgoing.unknown(to, seq);
        } else {
            halves.outgoing.failed(to, seq);
        }
    }

    /// An item has come.
    pub(crate) fn notified(&mut self, id: &MessageId, was_stored: bool) {
        // The last item is sent again to whoever comes (§12.6), with its date.
        if was_stored {
            return;
        }
        let measure = self.stage.measures.publish;
        self.take(id, measure, was_stored);
    }

    fn node(&mut self, node: &Node) -> (String, String) {
        (self.text(&node.service), self.text(&node.node))
    }
}

fn address(service: &str, node: &str) -> Address {
    Address::room(&format!("{service} {node}"))
}

fn of_pubsub(action: &str, attributes: &[(&str, &str)], content: &str) -> String {
    let mut payload = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'><{action}").into_bytes();
    for (name, value) in attributes {
        write_attribute(&mut payload, name, value);
    }
    payload.extend_from_slice(format!(">{content}</{action}></pubsub>").as_bytes());
    String::from_utf8_lossy(&payload).into_owned()
}
