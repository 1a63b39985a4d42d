//! The same machine over WebSocket (RFC 7395): one element a message.

use super::*;

const STREAM: &str = "xmlns:stream='http://etherx.jabber.org/streams'";

#[test]
fn a_stream_is_opened_closed_and_opened_again_by_messages() {
    let mut play = Play::websocket();
    play.client(OPEN);
    play.event();
    play.act(|machine, out| machine.accept(Arc::new(host()), out));
    let messages = play.messages();
    assert_eq!(messages.len(), 2);
    assert!(
        messages[0]
            .starts_with("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='capulet.example' id='")
    );
    assert!(messages[1].starts_with(&format!("<stream:features {STREAM}><mechanisms")), "{}", messages[1]);

    let mut play = Play::websocket().bound();
    play.client("<presence xmlns='jabber:client'/>");
    assert!(matches!(play.event(), Some(Event::Stanza(_))));
    play.client("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    assert!(matches!(play.event(), Some(Event::Over(Ending::Closed))));
    assert_eq!(play.messages(), ["<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"]);
}

#[test]
fn answers_are_messages_with_their_namespace() {
    let mut play = Play::websocket().authorised();
    play.client(
        "<iq xmlns='jabber:client' type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    );
    let now = play.now;
    play.act(|machine, out| machine.bind(jid("juliet@capulet.example/x"), now, out));
    assert_eq!(
        play.messages(),
        ["<iq xmlns='jabber:client' type='result' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
          <jid>juliet@capulet.example/x</jid></bind></iq>"]
    );
    play.act(|machine, out| {
        machine.deliver(1, out, |bytes| bytes.extend_from_slice(b"<presence/>"));
        machine.deliver(2, out, |bytes| bytes.extend_from_slice(b"<message/>"));
    });
    assert_eq!(play.messages(), ["<presence/>", "<message/>"]);
}

#[test]
fn errors_come_behind_an_open_and_before_a_close() {
    for (said, condition) in [
        ("<stream:stream to='capulet.example' version='1.0'>", "not-well-formed"),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>", "improper-addressing"),
        ("<presence xmlns='jabber:client'/>", "not-authorized"),
        ("<presence xmlns='jabber:client'><x></presence>", "not-well-formed"),
        ("<!-- -->", "restricted-xml"),
    ] {
        let mut play = Play::websocket();
        play.client(said);
        assert!(matches!(play.event(), Some(Event::Over(Ending::Failed(_)))), "{said}");
        let messages = play.messages();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages[0].starts_with("<open "));
        assert!(
            messages[1].starts_with(&format!("<stream:error {STREAM}><{condition} ")),
            "{said}: {}",
            messages[1]
        );
        assert_eq!(messages[2], "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    }
}

#[test]
fn starttls_is_not_for_websocket() {
    let mut play =
        Play::with(Settings { tls_required: false, ..Settings::default() }, Framing::Messages, None);
    play.client(OPEN);
    play.event();
    play.act(|machine, out| machine.accept(Arc::new(host()), out));
    assert!(!play.said().contains("starttls"));
}
