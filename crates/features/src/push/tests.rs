//! Juliet's phone sleeps.

use super::*;
use crate::account::Origin;
use crate::testing::{NOW_MS, Stage, jid, payload, stanza, wait};
use registration::REGISTRATIONS_MAX;

const SERVICE: &str = "push.capulet.example";

const OPTIONS: &str = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
    <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
    <field var='secret'><value>eruio</value></field></x>";

fn enable(node: &str, form: &str) -> String {
    format!(
        "<iq id='1' type='set'><enable xmlns='urn:xmpp:push:0' jid='{SERVICE}' node='{node}'>{form}</enable></iq>"
    )
}

fn disable(attributes: &str) -> String {
    format!("<iq id='1' type='set'><disable xmlns='urn:xmpp:push:0' {attributes}/></iq>")
}

fn scene() -> (Stage, Box<dyn Feature>, Origin) {
    let mut stage = Stage::new();
    let phone = stage.bind("phone");
    let room = stage.room(Push::build);
    (stage, room, phone)
}

/// What push services are told: their nodes, in order.
fn nodes(stage: &mut Stage) -> Vec<String> {
    notify(&mut stage.context(None), 1, |_| true);
    let node = |(_, iq): (String, Stanza)| {
        let pubsub = iq.payload.find_element(ns::PUBSUB, "pubsub").unwrap();
        pubsub.child("publish", ns::PUBSUB).unwrap().attribute("node").unwrap_or_default().to_owned()
    };
    stage.take().into_iter().map(node).collect()
}

fn answer(stage: &mut Stage, room: &dyn Feature, from: &str, id: &str, ty: &str) {
    let condition = if ty == "wait" { "resource-constraint" } else { "item-not-found" };
    let mut error = stanza(&format!(
        "<iq id='{id}' type='error' from='{from}' to='juliet@capulet.example'><error type='{ty}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    stage.meet(room, At::Account, None, &mut error);
}

#[test]
fn a_push_service_is_told_how_many_wait_and_no_more() {
    let (mut stage, room, phone) = scene();
    assert_eq!(stage.ask(&*room, At::Account, Some(phone), &enable("n1", OPTIONS)), "");
    notify(&mut stage.context(None), 3, |_| true);
    let (to, told) = stage.take().remove(0);
    assert_eq!((to.as_str(), told.ty, told.from.as_ref()), (SERVICE, Type::Set, Some(&stage.account.jid)));
    assert_eq!(
        payload(&told),
        format!(
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n1'><item>\
             <notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:push:summary</value></field>\
             <field var='message-count'><value>3</value></field></x></notification></item></publish>\
             <publish-options>{OPTIONS}</publish-options></pubsub>"
        )
    );
}

#[test]
fn each_node_is_told_once_and_the_last_form_counts() {
    let (mut stage, room, phone) = scene();
    for (node, form) in [("n1", OPTIONS), ("n2", ""), ("n1", "")] {
        stage.ask(&*room, At::Account, Some(phone), &enable(node, form));
    }
    assert_eq!(nodes(&mut stage), ["n2", "n1"]);
    assert!(stage.account.pushes.iter().all(|kept| kept.options.is_none()));
}

#[test]
fn what_is_disabled_is_not_told() {
    let (mut stage, room, phone) = scene();
    let ask = |stage: &mut Stage, iq: &str| stage.ask(&*room, At::Account, Some(phone), iq);
    for node in ["n1", "n2", "n3"] {
        ask(&mut stage, &enable(node, ""));
    }
    ask(&mut stage, &disable("jid='push.montague.example'"));
    ask(&mut stage, &disable(&format!("jid='{SERVICE}' node='n2'")));
    assert_eq!(nodes(&mut stage), ["n1", "n3"]);
    ask(&mut stage, &disable(&format!("jid='{SERVICE}'")));
    assert!(nodes(&mut stage).is_empty());
    assert!(wait(load(&*stage.ports.store.documents, &stage.account.jid)).unwrap().is_empty());
}

#[test]
fn they_are_there_when_the_account_is_loaded_again() {
    let (mut stage, room, phone) = scene();
    stage.ask(&*room, At::Account, Some(phone), &enable("n1", OPTIONS));
    stage.ask(&*room, At::Account, Some(phone), &enable("", ""));
    let loaded = wait(load(&*stage.ports.store.documents, &stage.account.jid)).unwrap();
    assert_eq!(format!("{loaded:?}"), format!("{:?}", stage.account.pushes));
}

#[test]
fn the_oldest_gives_way_and_what_makes_no_sense_is_refused() {
    let (mut stage, room, phone) = scene();
    let ask = |stage: &mut Stage, iq: &str| stage.ask(&*room, At::Account, Some(phone), iq);
    for n in 0..=REGISTRATIONS_MAX {
        assert_eq!(ask(&mut stage, &enable(&n.to_string(), "")), "");
    }
    assert_eq!(nodes(&mut stage)[0], "1");
    let heavy = "n".repeat(registration::BYTES_MAX);
    for (iq, error) in [
        (enable("n", &OPTIONS.replace("publish-options", "other")), "error bad-request"),
        (enable("n", "").replace("jid=", "not="), "error bad-request"),
        (enable("n", "").replace(SERVICE, "@"), "error jid-malformed"),
        (disable("node='n'"), "error bad-request"),
        (enable(&heavy, ""), "error policy-violation"),
    ] {
        assert_eq!(ask(&mut stage, &iq), error, "{iq:.200}");
    }
    let stranger = enable("n", "").replace("<iq ", "<iq from='romeo@montague.example/x' ");
    assert_eq!(stage.ask(&*room, At::Account, None, &stranger), "go");
}

#[test]
fn who_refuses_is_not_told_any_more() {
    let (mut stage, room, phone) = scene();
    for node in ["n1", "n2"] {
        stage.ask(&*room, At::Account, Some(phone), &enable(node, ""));
    }
    notify(&mut stage.context(None), 1, |_| true);
    let ids: Vec<_> = stage.take().into_iter().filter_map(|(_, iq)| iq.id).collect();
    answer(&mut stage, &*room, SERVICE, &ids[0], "wait");
    answer(&mut stage, &*room, "tybalt@capulet.example/x", &ids[0], "cancel");
    answer(&mut stage, &*room, SERVICE, "other", "cancel");
    assert_eq!(nodes(&mut stage), ["n1", "n2"]);
    answer(&mut stage, &*room, SERVICE, &ids[0], "cancel");
    assert_eq!(nodes(&mut stage), ["n2"]);
    assert_eq!(wait(load(&*stage.ports.store.documents, &stage.account.jid)).unwrap().len(), 1);
}

#[test]
fn a_push_service_elsewhere_is_not_told() {
    let (mut stage, room, phone) = scene();
    stage.ask(&*room, At::Account, Some(phone), &enable("n1", ""));
    let home = jid("capulet.example");
    notify(&mut stage.context(None), 1, |service| service.domain() == home.domain());
    assert!(stage.take().is_empty());
    assert!(stage.account.pushes[0].unreached, "that is logged once");
    assert_eq!(stage.now_ms, NOW_MS);
}

#[test]
fn a_device_is_woken_for_what_its_user_wants_to_see() {
    for (inner, worth) in [
        ("<body>hark</body>", true),
        ("<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true),
        ("<encrypted xmlns='urn:xmpp:omemo:2'/>", true),
        ("<propose xmlns='urn:xmpp:jingle-message:0' id='c'/>", true),
        ("<retract xmlns='urn:xmpp:jingle-message:0' id='c'/>", false),
        ("<received xmlns='urn:xmpp:receipts' id='m'/>", false),
        ("<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>", false),
        ("<subject>feud</subject>", false),
    ] {
        assert_eq!(is_worth(&stanza(&format!("<message type='chat'>{inner}</message>"))), worth, "{inner}");
    }
}
