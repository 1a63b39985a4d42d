//! From the header to a bound resource.

use super::*;
use crate::{
    sasl::{Condition as Sasl, Mechanism},
    stanza::{Condition as Refusal, StanzaError},
};

const AUTH: &str = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='";

fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

#[test]
fn features_come_in_order() {
    let mut play = Play::tls();
    play.client(HEADER);
    let Some(Event::Opened { domain }) = play.event() else { panic!() };
    assert_eq!(domain.as_str(), "capulet.example");
    assert_eq!(play.said(), "", "nothing is said before the host is known");
    play.act(|machine, out| machine.accept(Arc::new(host()), out));
    let said = play.said();
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                  xmlns:stream='http://etherx.jabber.org/streams' from='capulet.example' id='";
    assert!(said.starts_with(header), "{said}");
    let features = &said[said.find("<stream:features>").unwrap()..];
    assert_eq!(
        features,
        "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>SCRAM-SHA-512-PLUS</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism>\
         <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>SCRAM-SHA-512</mechanism>\
         <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>\
         </mechanisms><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
         <channel-binding type='tls-server-end-point'/></sasl-channel-binding>\
         <register xmlns='http://jabber.org/features/iq-register'/></stream:features>"
    );
}

#[test]
fn after_the_login_other_features_come() {
    let mut play = Play::tls().opened();
    play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
    let Some(Event::Login { mechanism, initial: None }) = play.event() else { panic!() };
    assert_eq!(mechanism.name(), "SCRAM-SHA-1");
    play.act(|machine, out| machine.authorise(jid("juliet@capulet.example"), b"", Then::Restart, out));
    assert_eq!(play.said(), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></success>");
    play.client(HEADER);
    let said = play.said();
    assert_eq!(
        &said[said.find("<stream:features>").unwrap()..],
        "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
         <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session><sm xmlns='urn:xmpp:sm:3'/>\
         <ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>\
         <csi xmlns='urn:xmpp:csi:0'/><limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes>\
         <idle-seconds>840</idle-seconds></limits><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
         node='http://throng.example' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></stream:features>"
    );
}

#[test]
fn starttls_comes_first_and_alone_where_it_is_required() {
    let mut play = Play::with(Settings::default(), Framing::Document, None).opened();
    play.client(&format!("{AUTH}PLAIN'>AGEAYg==</auth>"));
    assert_eq!(play.said(), failure("encryption-required"));
    play.client("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/> \n");
    assert!(matches!(play.event(), Some(Event::StartTls)));
    assert_eq!(play.said(), "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    play.act(|machine, _| machine.secure(security()));
    play.client(HEADER);
    let said = play.said();
    assert!(said.contains("PLAIN") && !said.contains("starttls"), "{said}");
}

#[test]
fn what_is_sent_in_plain_text_behind_starttls_ends_the_stream() {
    let mut play = Play::tcp().opened();
    play.client("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><presence/>");
    play.failed(Condition::PolicyViolation);
}

#[test]
fn starttls_that_was_not_offered_ends_the_stream() {
    let mut play = Play::tls().opened();
    play.client("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(matches!(play.event(), Some(Event::Over(Ending::Failed(_)))));
    assert_eq!(play.said(), "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
}

#[test]
fn a_login_is_an_exchange_of_opaque_data() {
    let mut play = Play::tcp().opened();
    play.client(&format!("{AUTH}SCRAM-SHA-256'>=</auth>"));
    assert!(matches!(play.event(), Some(Event::Login { initial: Some(data), .. }) if data.is_empty()));
    assert!(play.machine.is_paused());
    play.client("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>aGk=</response>");
    assert!(play.event().is_none(), "what is sent ahead waits");
    play.act(|machine, out| machine.challenge(b"more", out));
    assert_eq!(play.said(), "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>bW9yZQ==</challenge>");
    assert!(matches!(play.event(), Some(Event::Response(data)) if data == b"hi"));
    play.act(|machine, out| machine.refuse_login(Sasl::NotAuthorized, "no <such> thing", false, out));
    assert_eq!(
        play.said(),
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
         <text xml:lang='en'>no &lt;such&gt; thing</text></failure>"
    );
}

#[test]
fn every_condition_of_sasl_can_be_said() {
    for condition in Sasl::ALL {
        let mut play = Play::tcp().opened();
        play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
        play.act(|machine, out| machine.refuse_login(condition, "", false, out));
        assert_eq!(play.said(), failure(condition.name()));
    }
}

#[test]
fn malformed_logins_are_refused_here() {
    let sasl = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for (said, condition) in [
        (format!("{AUTH}SCRAM-SHA-1'>!!</auth>"), "incorrect-encoding"),
        (format!("{AUTH}SCRAM-SHA-1'>YQ</auth>"), "incorrect-encoding"),
        (format!("{AUTH}SCRAM-SHA-1'><x/></auth>"), "malformed-request"),
        (format!("<auth {sasl}/>"), "malformed-request"),
        (format!("<response {sasl}>YQ==</response>"), "malformed-request"),
        (format!("<abort {sasl}/>"), "aborted"),
        (format!("{AUTH}SCRAM-SHA-1-PLUS'/>"), "invalid-mechanism"),
        (format!("{AUTH}ANONYMOUS'/>"), "invalid-mechanism"),
        (format!("{AUTH}X-NONE'/>"), "invalid-mechanism"),
        (format!("{AUTH}PLAIN'>AGEAYg==</auth>"), "encryption-required"),
    ] {
        let mut play = Play::tcp().opened();
        play.client(&said);
        assert_eq!(play.said(), failure(condition), "{said}");
        assert!(play.event().is_none());
    }
}

#[test]
fn a_client_may_give_up_and_begin_again() {
    let mut play = Play::tcp().opened();
    play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
    play.event();
    play.act(|machine, out| machine.challenge(b"", out));
    play.client("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(matches!(play.event(), Some(Event::LoginAborted)));
    play.client(&format!("{AUTH}SCRAM-SHA-256'/>"));
    assert!(matches!(play.event(), Some(Event::Login { mechanism: Mechanism::Scram { .. }, .. })));
}

#[test]
fn too_many_failed_logins_end_the_stream() {
    let mut play = Play::tcp().opened();
    for _ in 1..Settings::default().login_tries_max {
        play.client(&format!("{AUTH}X-NONE'/>"));
        assert!(play.event().is_none());
    }
    play.client(&format!("{AUTH}X-NONE'/>"));
    play.failed(Condition::PolicyViolation);
}

#[test]
fn a_second_login_ends_the_stream() {
    let mut play = Play::tls().authorised();
    play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
    play.failed(Condition::PolicyViolation);
}

#[test]
fn an_account_is_registered_before_the_login() {
    let mut play = Play::tls().opened();
    play.client("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>");
    let Some(Event::Register(stanza)) = play.event() else { panic!() };
    assert_eq!(stanza.id.as_deref(), Some("r"));
    play.act(|machine, out| {
        machine.registered(out, |bytes| bytes.extend_from_slice(b"<iq type='result' id='r'/>"));
    });
    assert_eq!(play.said(), "<iq type='result' id='r'/>");
}

#[test]
fn a_resource_is_bound() {
    let mut play = Play::tls().authorised();
    play.client(
        "<iq type='set' id='&apos;1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>",
    );
    assert!(matches!(play.event(), Some(Event::Bind { resource: Some(x) }) if x == "x"));
    play.act(|machine, out| machine.refuse_bind(&StanzaError::from(Refusal::ResourceConstraint), out));
    let said = play.said();
    assert!(said.starts_with("<iq type='error' id='&apos;1'><error type='wait'>"), "{said}");

    play.client("<iq type='set' id='2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    assert!(matches!(play.event(), Some(Event::Bind { resource: None })));
    let now = play.now;
    play.act(|machine, out| machine.bind(jid("juliet@capulet.example/a&b"), now, out));
    assert_eq!(
        play.said(),
        "<iq type='result' id='2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>juliet@capulet.example/a&amp;b</jid></bind></iq>"
    );
    play.client("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
    assert_eq!(play.said(), "<iq type='result' id='s'/>");
    play.client("<presence/>");
    let Some(Event::Stanza(stanza)) = play.event() else { panic!() };
    assert_eq!(stanza.from.unwrap().as_str(), "juliet@capulet.example/a&b");
    assert_eq!(play.machine.counts().arrived, 1);
}

#[test]
fn a_login_may_bring_its_resource() {
    let mut play = Play::tls().opened();
    play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
    let now = play.now;
    play.act(|machine, out| {
        machine.authorise(jid("juliet@capulet.example"), b"", Then::Nothing, out);
        machine.bind(jid("juliet@capulet.example/x"), now, out);
    });
    play.event();
    assert_eq!(play.said(), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></success>");
    play.client("<presence/>");
    assert!(matches!(play.event(), Some(Event::Stanza(_))));
}

#[test]
fn ids_of_streams_differ() {
    let id = |said: String| said.split("id='").nth(1).unwrap()[..32].to_owned();
    let mut play = Play::tls();
    play.client(HEADER);
    play.act(|machine, out| machine.accept(Arc::new(host()), out));
    let first = id(play.said());
    play.client(&format!("{AUTH}SCRAM-SHA-1'/>"));
    play.act(|machine, out| machine.authorise(jid("juliet@capulet.example"), b"", Then::Restart, out));
    play.said();
    play.client(HEADER);
    assert_ne!(id(play.said()), first);
}

#[test]
fn tls_from_the_first_byte_needs_no_starttls() {
    let mut play = Play::with(Settings::default(), Framing::Document, None);
    play.act(|machine, _| machine.secure(security()));
    play = play.opened();
    assert_eq!(play.machine.mechanisms().len(), 7);
}
