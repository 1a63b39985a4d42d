//! What entered and is written enters again as the same, wherever it is written.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use xmpp::{
    ns,
    stanza::{Condition, ContentNs, Stanza},
    xml::{Element, Incoming, Limits, Reader},
};

fuzz_target!(|data: &[u8]| {
    let header = "<stream:stream xmlns='jabber:client' xmlns:p='urn:p' xmlns:stream='http://etherx.jabber.org/streams'>";
    let Some(stanza) = stream(header, data) else { return };
    check(&stanza);
    let plain = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    let out = stanza.to_bytes(ContentNs::Inherited);
    let mut again = stream(plain, &out).expect("what is written is a stanza");
    // A malformed address is not written; that it was malformed is said between roles by a flag.
    again.flags = stanza.flags;
    assert_eq!(again, stanza, "a client's stream");
    let servers = plain.replace("jabber:client", "jabber:server");
    let server = stream(&servers, &out).expect("what is written is a stanza");
    // A client may name the servers' namespace: on their streams that is the content's own, and loses its declaration.
    if memmem(&out, b"jabber:server").is_none() {
        assert_eq!(server.payload.bytes(), stanza.payload.bytes(), "a server's stream");
    }
    let framed = Reader::frames(Limits::default()).read(&mut BytesMut::from(&stanza.to_bytes(ContentNs::Client)[..]));
    let Ok(Some(Incoming::Stanza(mut framed))) = framed else { panic!("a message of its own: {framed:?}") };
    framed.flags = stanza.flags;
    assert_eq!(framed, stanza, "a message of its own");
    change(stanza);
});

fn stream(header: &str, bytes: &[u8]) -> Option<Stanza> {
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(header);
    input.extend_from_slice(bytes);
    let Ok(Some(Incoming::Header(_))) = reader.read(&mut input) else { panic!("no header") };
    match reader.read(&mut input) {
        Ok(Some(Incoming::Stanza(stanza))) => Some(stanza),
        _ => None,
    }
}

/// The index says what the bytes are.
fn check(stanza: &Stanza) {
    for child in stanza.payload.children() {
        let element = stanza.payload.element(child).expect("a child is one element");
        assert!(child.is(element.ns(), element.name()));
        let written = element.to_bytes(ns::CLIENT);
        assert_eq!(Element::parse(&written, ns::CLIENT).expect("what is written reads"), element);
    }
}

fn change(mut stanza: Stanza) {
    if let Some(error) = stanza.error(Condition::BadRequest) {
        check(&error);
    }
    stanza.payload.push(&Element::new(ns::DELAY, "delay"));
    let mut odd = false;
    stanza.payload.retain(|_, _| {
        odd = !odd;
        odd
    });
    check(&stanza);
    stanza.payload.retain(|_, _| false);
    assert!(stanza.payload.children().is_empty());
}

fn memmem(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
