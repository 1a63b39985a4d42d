//! How streams end.

use super::*;

fn header(to: &str, rest: &str) -> String {
    format!("<stream:stream {to} {rest} xmlns:stream='http://etherx.jabber.org/streams'>")
}

#[test]
fn headers_that_are_wrong_are_answered_by_a_header_and_an_error() {
    let to = "to='capulet.example'";
    let client = "version='1.0' xmlns='jabber:client'";
    for (said, condition) in [
        (header("", client), Condition::ImproperAddressing),
        (header("to='romeo@montague.example'", client), Condition::ImproperAddressing),
        (header("to='capulet.example/x'", client), Condition::ImproperAddressing),
        (header("to='@'", client), Condition::ImproperAddressing),
        (header(to, "xmlns='jabber:client'"), Condition::UnsupportedVersion),
        (header(to, "version='0.9' xmlns='jabber:client'"), Condition::UnsupportedVersion),
        (header(to, "version='x' xmlns='jabber:client'"), Condition::UnsupportedVersion),
        (header(to, "version='1.0' xmlns='jabber:other'"), Condition::InvalidNamespace),
        (header(to, "version='1.0'"), Condition::InvalidNamespace),
        ("<stream:stream xmlns:stream='urn:x' version='1.0'>".into(), Condition::InvalidNamespace),
        (
            "<s:stream xmlns:s='http://etherx.jabber.org/streams' version='1.0'>".into(),
            Condition::BadNamespacePrefix,
        ),
        ("<!DOCTYPE x []>".into(), Condition::RestrictedXml),
        ("<?xml version='1.0' encoding='latin1'?>".into(), Condition::UnsupportedEncoding),
        ("GET / HTTP/1.1\r\n".into(), Condition::BadFormat),
    ] {
        let mut play = Play::tcp();
        play.client(&said);
        let answer = String::from_utf8_lossy(&play.out.bytes).into_owned();
        assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{said}: {answer}");
        play.failed(condition);
    }
}

#[test]
fn a_host_that_is_not_served_is_unknown() {
    let mut play = Play::tcp();
    play.client(HEADER);
    assert!(matches!(play.event(), Some(Event::Opened { .. })));
    play.act(|machine, out| machine.fail(&Condition::HostUnknown.into(), out));
    let said = play.said();
    assert!(said.starts_with("<?xml") && said.contains("<host-unknown "), "{said}");
}

#[test]
fn every_condition_can_be_said() {
    for &condition in Condition::ALL {
        assert_eq!(Condition::from_name(condition.name()), Some(condition));
        let mut play = Play::tls().bound();
        play.act(|machine, out| machine.fail(&StreamError::with_text(condition, "a < b"), out));
        assert_eq!(
            play.said(),
            format!(
                "<stream:error><{} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>a &lt; b</text>\
                 </stream:error></stream:stream>",
                condition.name()
            )
        );
    }
    assert_eq!(Condition::ALL.len(), 25);
}

#[test]
fn the_domain_is_fixed_by_the_first_header() {
    let mut play = Play::tls().opened();
    play.client("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>");
    play.event();
    play.act(|machine, out| machine.authorise(jid("juliet@capulet.example"), b"", Then::Restart, out));
    play.said();
    play.client(&header("to='montague.example'", "version='1.0' xmlns='jabber:client'"));
    play.failed(Condition::ImproperAddressing);
}

#[test]
fn stanzas_before_login_and_before_a_resource_end_the_stream() {
    let mut play = Play::tls().opened();
    play.client("<message to='romeo@montague.example'/>");
    play.failed(Condition::NotAuthorized);
    let mut play = Play::tls().authorised();
    play.client("<presence/>");
    play.failed(Condition::NotAuthorized);
}

#[test]
fn elements_that_nobody_knows_end_the_stream() {
    for mut play in [Play::tls().opened(), Play::tls().authorised(), Play::tls().bound()] {
        play.client("<x xmlns='urn:unknown'/>");
        play.failed(Condition::UnsupportedStanzaType);
    }
}

#[test]
fn nobody_speaks_for_another() {
    for from in ["romeo@montague.example", "juliet@capulet.example/chamber", "capulet.example", "@"] {
        let mut play = Play::tls().bound();
        play.client(&format!("<message from='{from}'/>"));
        play.failed(Condition::InvalidFrom);
    }
    for from in ["juliet@capulet.example", "juliet@capulet.example/balcony"] {
        let mut play = Play::tls().bound();
        play.client(&format!("<message from='{from}'/>"));
        assert!(matches!(play.event(), Some(Event::Stanza(_))));
    }
}

#[test]
fn what_comes_before_login_is_bounded_in_bytes_and_elements() {
    let mut play = Play::tls().opened();
    for _ in 0..3 {
        play.client(&format!(
            "<iq type='get' id='1'><query xmlns='jabber:iq:register'>{}</query></iq>",
            "x".repeat(5000)
        ));
        assert!(matches!(play.event(), Some(Event::Register(_))));
        play.act(|machine, out| machine.registered(out, |_| ()));
    }
    play.client(&"<iq type='get' id='1'><query xmlns='jabber:iq:register'>".replace('1', &"x".repeat(4000)));
    play.failed(Condition::PolicyViolation);

    let mut play = Play::tls().opened();
    let iq =
        format!("<iq type='get' id='1'><query xmlns='jabber:iq:register'>{}</query></iq>", "<x/>".repeat(40));
    play.client(&iq);
    assert!(matches!(play.event(), Some(Event::Register(_))));
    play.act(|machine, out| machine.registered(out, |_| ()));
    assert!(!play.machine.is_over());
    play.client(&iq);
    play.failed(Condition::PolicyViolation);
}

#[test]
fn a_stanza_beyond_the_hosts_limit_ends_the_stream() {
    let mut play = Play::tls().bound();
    play.client(&format!("<message><body>{}</body></message>", "x".repeat(19_000)));
    assert!(matches!(play.event(), Some(Event::Stanza(_))));
    play.client(&format!("<message><body>{}", "x".repeat(20_000)));
    play.failed(Condition::PolicyViolation);
}

#[test]
fn a_login_takes_no_longer_than_it_may() {
    let mut play = Play::tls().opened();
    assert_eq!(play.machine.deadline(), Some(play.now + Duration::from_mins(1)));
    assert!(play.after(Duration::from_secs(59)).is_none());
    play.client(" ");
    assert!(matches!(play.after(Duration::from_secs(1)), Some(Event::Over(Ending::Failed(_)))));
    assert!(play.said().contains("<connection-timeout "));
}

#[test]
fn a_quiet_client_gets_whitespace() {
    let mut play = Play::tls().bound();
    assert!(play.after(Duration::from_secs(839)).is_none());
    assert_eq!(play.said(), "");
    assert!(play.after(Duration::from_secs(1)).is_none());
    assert_eq!(play.said(), " ");
    assert_eq!(play.machine.deadline(), Some(play.now + Duration::from_mins(14)));
}

#[test]
fn streams_are_closed_in_turn() {
    let mut play = Play::tls().bound();
    play.client("</stream:stream>");
    assert!(matches!(play.event(), Some(Event::Over(Ending::Closed))));
    assert_eq!(play.said(), "</stream:stream>");
    assert_eq!(play.machine.deadline(), None);
}
