//! Stanzas through their lives: in, changed, answered, out.

use bytes::BytesMut;

use super::*;
use crate::{
    ns,
    xml::{Incoming, Limits, Reader},
};

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// What a client's stream makes of this.
fn entered(text: &str) -> Stanza {
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(format!("{HEADER}{text}").as_str());
    assert!(matches!(reader.read(&mut input), Ok(Some(Incoming::Header(_)))));
    match reader.read(&mut input) {
        Ok(Some(Incoming::Stanza(stanza))) => stanza,
        other => panic!("{text}: {other:?}"),
    }
}

fn written(stanza: &Stanza) -> String {
    String::from_utf8(stanza.to_bytes(ContentNs::Inherited)).unwrap()
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

#[test]
fn a_message_becomes_fields_and_an_index() {
    let stanza = entered(
        "<message to='juliet@example.com/balcony' type='chat' id='a&lt;1' xml:lang='en' x='&#x1F980;'>\
         <body>O Romeo</body> <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    );
    assert_eq!((stanza.kind, stanza.ty), (Kind::Message, Type::Chat));
    assert_eq!(stanza.to, Some(jid("juliet@example.com/balcony")));
    assert_eq!((stanza.id.as_deref(), stanza.lang.as_deref()), (Some("a<1"), Some("en")));
    assert_eq!(stanza.attributes, [("x".into(), "\u{1F980}".into())]);
    assert!(stanza.payload.has(ns::CLIENT, "body") && stanza.payload.has(ns::CHAT_STATES, "active"));
    let body = stanza.payload.find(ns::CLIENT, "body").unwrap();
    assert_eq!(stanza.payload.raw(body), b"<body>O Romeo</body>");
    assert_eq!(stanza.payload.element(body).unwrap().text(), "O Romeo");
    assert_eq!(stanza.fault(), None);
}

#[test]
fn what_leaves_enters_again_as_it_was() {
    for text in [
        "<presence/>",
        "<presence to='a@b' type='subscribe'/>",
        "<message to='a@b'><body>x</body></message>",
        "<iq to='a@b/c' type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='d@e'/></query></iq>",
    ] {
        let stanza = entered(text);
        assert_eq!(written(&stanza), text);
        assert_eq!(entered(&written(&stanza)), stanza);
    }
}

#[test]
fn each_way_out_has_its_namespace() {
    let stanza =
        entered("<message xmlns='jabber:client' type='chat'><body xmlns='jabber:client'>x</body></message>");
    let out = |content| String::from_utf8(stanza.to_bytes(content)).unwrap();
    assert_eq!(out(ContentNs::Inherited), "<message type='chat'><body>x</body></message>");
    assert_eq!(out(ContentNs::Server), "<message xmlns='jabber:server' type='chat'><body>x</body></message>");
    assert!(stanza.to_element().unwrap().child("body", ns::CLIENT).is_some());
}

#[test]
fn prefixes_from_outside_are_declared_where_they_are_used() {
    let stanza = entered(
        "<message xmlns:p='urn:p' xmlns:q='urn:q&amp;'><a/><b><p:c q:k='1'/><p:d/></b><stream:x/><c xmlns='u'/></message>",
    );
    let text = "<a/><b xmlns:p='urn:p' xmlns:q='urn:q&amp;'><p:c q:k='1'/><p:d/></b>\
                <stream:x xmlns:stream='http://etherx.jabber.org/streams'/><c xmlns='u'/>";
    assert_eq!(stanza.payload.bytes(), text);
    for (child, name) in stanza.payload.children().iter().zip(["a", "b", "x", "c"]) {
        assert_eq!(stanza.payload.element(child).unwrap().name(), name);
    }
}

#[test]
fn a_foreign_default_namespace_moves_into_the_children() {
    let stanza = entered(
        "<c:message xmlns:c='jabber:client' xmlns='u'><a/><c:body>x</c:body><b xmlns='jabber:client'/></c:message>",
    );
    assert!(
        stanza.payload.has("u", "a")
            && stanza.payload.has(ns::CLIENT, "body")
            && stanza.payload.has(ns::CLIENT, "b")
    );
    for child in stanza.payload.children() {
        let element = stanza.payload.element(child).unwrap();
        assert!(child.is(element.ns(), element.name()), "{element:?}");
    }
}

#[test]
fn children_are_removed_and_added() {
    let mut stanza = entered("<message><a/><body>1</body> <delay xmlns='urn:xmpp:delay'/><b/></message>");
    stanza.payload.retain(|child, raw| !(child.is(ns::DELAY, "delay") || raw == b"<a/>"));
    assert_eq!(stanza.payload.bytes(), "<body>1</body> <b/>");
    stanza.payload.push(&Element::new(ns::SID, "stanza-id").attr("id", "7"));
    let id = stanza.payload.find(ns::SID, "stanza-id").unwrap();
    assert_eq!(stanza.payload.raw(id), b"<stanza-id xmlns='urn:xmpp:sid:0' id='7'/>");
    let again = Payload::from_parts(stanza.payload.bytes().clone(), stanza.payload.children().to_vec());
    assert_eq!(again, stanza.payload);
}

#[test]
fn ranges_from_the_wire_cannot_point_outside() {
    let child = |start, end| Child { ns: "u".into(), name: "a".into(), start, end };
    let payload =
        Payload::from_parts("<a/><b/>".into(), vec![child(0, 4), child(2, 6), child(6, 5), child(4, 9)]);
    assert_eq!(payload.children(), [child(0, 4)]);
    assert_eq!(payload.raw(&child(4, 900)), b"");
}

#[test]
fn malformed_fields_are_the_owners_to_refuse() {
    for (text, fault) in [
        ("<message to='@b'/>", Some(Condition::JidMalformed)),
        ("<iq type='get' from='a@' id='1'/>", Some(Condition::JidMalformed)),
        ("<iq type='ask' id='1'/>", Some(Condition::BadRequest)),
        ("<iq id='1'/>", Some(Condition::BadRequest)),
        ("<iq type='get'><a xmlns='b'/></iq>", Some(Condition::BadRequest)),
        ("<iq type='get' id='1'/>", Some(Condition::BadRequest)),
        ("<iq type='set' id='1'><a xmlns='b'/><c xmlns='b'/></iq>", Some(Condition::BadRequest)),
        ("<iq type='set' id='1'><a xmlns='b'/></iq>", None),
        ("<iq type='result' id='1'/>", None),
        ("<presence type='away'/>", Some(Condition::BadRequest)),
        ("<message type='secret'/>", None),
    ] {
        let stanza = entered(text);
        assert_eq!(stanza.fault(), fault, "{text}");
        assert_eq!(fault.and_then(|fault| stanza.error(fault)).is_some(), fault.is_some(), "{text}");
    }
    assert_eq!(entered("<message type='secret'/>").ty, Type::Normal);
}

#[test]
fn an_error_goes_back_with_what_was_sent() {
    let stanza = entered("<iq type='get' id='7' to='a@b' from='c@d/e'><ping xmlns='urn:xmpp:ping'/></iq>");
    let error = stanza.error(StanzaError::from(Condition::ServiceUnavailable).with_text("no")).unwrap();
    assert_eq!(
        written(&error),
        "<iq to='c@d/e' from='a@b' type='error' id='7'><ping xmlns='urn:xmpp:ping'/><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error></iq>"
    );
    assert_eq!(StanzaError::of(&error).unwrap().condition, Condition::ServiceUnavailable);
    assert_eq!(error.error(Condition::BadRequest), None);
    assert_eq!(stanza.reply().error(Condition::BadRequest), None);
}

#[test]
fn a_long_payload_does_not_come_back() {
    let stanza = entered(&format!("<message><body>{}</body></message>", "x".repeat(9000)));
    let error = stanza.error(Condition::NotAcceptable).unwrap();
    assert_eq!(error.payload.children().len(), 1);
}

#[test]
fn numbers_on_the_wire_do_not_move() {
    for number in 0..15 {
        assert_eq!(Type::from_number(number).unwrap() as u8, number);
    }
    assert_eq!((Type::Groupchat as u8, Type::Error as u8, Type::from_number(15)), (2, 14, None));
    assert_eq!((Kind::from_number(2), Kind::from_number(3)), (Some(Kind::Iq), None));
    assert_eq!(Flags::from_bits(0xFFFF).bits(), 14);
}
