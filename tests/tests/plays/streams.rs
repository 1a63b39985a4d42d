//! Streams: how they begin and end, and every error of RFC 6120 §4.9.3 that a client can cause.

use throng_tests::client::{Client, TlsVersion};
use throng_tests::pattern::{all_text, told};
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way};
use xmpp::sasl::Mechanism;

pub(crate) const PLAYS: &[Play] = plays![
    a_header_is_answered_with_a_header_and_features,
    features_after_a_login,
    tls_is_offered_and_works_in_both_versions,
    direct_tls_works_in_both_versions,
    tls_can_be_required,
    a_second_starttls_ends_the_stream,
    both_sides_close,
    what_cannot_be_a_header,
    what_cannot_be_read,
    what_may_not_stand_in_a_stream,
    nothing_is_done_before_the_login,
    nothing_but_bind_is_done_before_bind,
    nobody_speaks_for_another,
    who_acknowledges_too_much_is_told_so,
    a_login_has_its_time,
    who_is_not_heard_any_more_is_gone,
    a_server_that_ends_says_so,
    ids_of_streams_differ,
];

const STREAM: &str = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'";

async fn a_header_is_answered_with_a_header_and_features(stage: Stage) {
    let mut somebody = stage.connects("somebody").await;
    somebody.sends_header("{domain}").await;
    let header = somebody.receives_header().await;
    assert_eq!(header.attribute("from"), Some("localhost"), "RFC 6120 §4.7.1");
    assert_eq!(header.attribute("version"), Some("1.0"), "RFC 6120 §4.7.5");
    assert!(header.attribute("id").is_some_and(|id| !id.is_empty()), "RFC 6120 §4.7.3");
    let features = somebody
        .receives(
            "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
             <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-512</mechanism>\
             <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms>\
             <register xmlns='http://jabber.org/features/iq-register'/></stream:features>",
        )
        .await;
    let names: Vec<&str> = features.children().map(xmpp::xml::Element::name).collect();
    assert_eq!(names, ["starttls", "mechanisms", "register"], "XEP-0170");
    assert!(!all_text(&features).contains("PLUS"), "there is nothing to bind to");
}

async fn features_after_a_login(stage: Stage) {
    stage.has_account("juliet").await;
    let mut juliet = stage.connects("juliet").await;
    juliet.opens().await;
    let features = juliet.logs_in("juliet", Mechanism::Plain).await;
    for (name, ns) in [
        ("bind", "urn:ietf:params:xml:ns:xmpp-bind"),
        ("session", "urn:ietf:params:xml:ns:xmpp-session"),
        ("sm", "urn:xmpp:sm:3"),
        ("csi", "urn:xmpp:csi:0"),
        ("ver", "urn:xmpp:features:rosterver"),
        ("sub", "urn:xmpp:features:pre-approval"),
        ("limits", "urn:xmpp:stream-limits:0"),
        ("c", "http://jabber.org/protocol/caps"),
    ] {
        assert!(features.child(name, ns).is_some(), "{name} is missing in {}", told(&features));
    }
    assert!(features.child("mechanisms", "urn:ietf:params:xml:ns:xmpp-sasl").is_none());
}

async fn tls_is_offered_and_works_in_both_versions(stage: Stage) {
    stage.has_account("juliet").await;
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let mut juliet = stage.connects_over("juliet", Way::StartTls(version), 0).await;
        let features = juliet.opens().await;
        assert!(features.child("starttls", "urn:ietf:params:xml:ns:xmpp-tls").is_none(), "it is done");
        juliet.logs_in("juliet", Mechanism::Plain).await;
        juliet.binds("balcony").await;
        juliet.closes().await;
    }
}

async fn direct_tls_works_in_both_versions(stage: Stage) {
    for version in [TlsVersion::V12, TlsVersion::V13] {
        let mut juliet = stage.bound_over("juliet/balcony", Way::Tls(version), 0).await;
        juliet.receives_nothing().await;
    }
}

async fn tls_can_be_required(stage: Stage) {
    let stage = stage.alone(&[("edge.tls_required", "true")]).await;
    let mut somebody = stage.connects("somebody").await;
    somebody.sends_header("{domain}").await;
    somebody.receives_header().await;
    let features = somebody
        .receives("<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>")
        .await;
    assert_eq!(features.children().count(), 1, "RFC 6120 §5.3.1: nothing else is offered");
    somebody.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>").await;
    somebody
        .receives("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/></failure>")
        .await;
    somebody
        .sends("<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>a</username><password>b</password></query></iq>")
        .await;
    somebody.is_refused_with("not-authorized").await;
}

async fn a_second_starttls_ends_the_stream(stage: Stage) {
    let mut somebody = stage.connects_over("somebody", Way::StartTls(TlsVersion::V13), 0).await;
    somebody.opens().await;
    somebody.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    somebody.receives("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    somebody.is_closed().await;
}

async fn both_sides_close(stage: Stage) {
    for way in [Way::Tcp, Way::Tls(TlsVersion::V13), Way::WebSocket] {
        let mut juliet = stage.bound_over("juliet/balcony", way, 0).await;
        juliet.closes().await;
    }
    let mut somebody = stage.connects("somebody").await;
    somebody.opens().await;
    somebody.closes().await;
}

async fn what_cannot_be_a_header(stage: Stage) {
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (header, condition) in [
        (format!("<stream:stream {STREAM} to='nowhere.example'>"), "host-unknown"),
        (format!("<stream:stream {STREAM}>"), "improper-addressing"),
        (format!("<stream:stream {STREAM} to='juliet@localhost'>"), "improper-addressing"),
        (format!("<stream:stream {STREAM} to='@'>"), "improper-addressing"),
        (format!("<stream:stream xmlns='jabber:client' {streams} to='localhost'>"), "unsupported-version"),
        (format!("<stream:stream xmlns='jabber:client' {streams} to='localhost' version='0.9'>"), "unsupported-version"),
        ("<stream:stream xmlns='jabber:client' xmlns:stream='nonsense' to='localhost' version='1.0'>".into(), "invalid-namespace"),
        (format!("<stream:stream xmlns='nonsense' {streams} to='localhost' version='1.0'>"), "invalid-namespace"),
        (format!("<stream:stream {streams} to='localhost' version='1.0'>"), "invalid-namespace"),
        ("<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams' to='localhost' version='1.0'>".into(), "bad-namespace-prefix"),
        (format!("<stream:river {STREAM} to='localhost'>"), "bad-format"),
        ("<stream:stream to='localhost' version='1.0'>".into(), "not-well-formed"),
        (format!("<?xml version='1.0' encoding='UTF-16'?><stream:stream {STREAM} to='localhost'>"), "unsupported-encoding"),
        (format!("<?xml version='1.1'?><stream:stream {STREAM} to='localhost'>"), "not-well-formed"),
        (format!("<stream:stream {STREAM} to='localhost' to='localhost'>"), "not-well-formed"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "bad-format"),
    ] {
        let mut somebody = stage.connects("somebody").await;
        somebody.sends_bytes(header.as_bytes()).await;
        somebody.is_refused_with(condition).await;
    }
}

async fn what_cannot_be_read(stage: Stage) {
    for (xml, condition) in [
        ("<message><body></message>", "not-well-formed"),
        ("<message><body>a & b</body></message>", "not-well-formed"),
        ("<message a='1' a='2'/>", "not-well-formed"),
        ("<message><p:x/></message>", "not-well-formed"),
        ("<message><body>&nbsp;</body></message>", "restricted-xml"),
        ("<!-- a comment -->", "restricted-xml"),
        ("<message><!-- a comment --></message>", "restricted-xml"),
        ("<message><?a processing instruction?></message>", "restricted-xml"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>", "restricted-xml"),
        ("some text", "bad-format"),
    ] {
        let mut juliet = stage.bound("juliet/balcony").await;
        juliet.sends_bytes(xml.as_bytes()).await;
        juliet.is_refused_with(condition).await;
    }
    for bytes in [&b"<message><body>\xC3\x28</body></message>"[..], b"<message><body>\x00</body></message>"] {
        let mut juliet = stage.bound("juliet/balcony").await;
        juliet.sends_bytes(bytes).await;
        juliet.is_refused_with("not-well-formed").await;
    }
}

async fn what_may_not_stand_in_a_stream(stage: Stage) {
    for (xml, condition) in [
        ("<scroll xmlns='urn:nonsense'/>", "unsupported-stanza-type"),
        ("<scroll/>", "unsupported-stanza-type"),
        ("<a xmlns='urn:xmpp:sm:3'/>", "invalid-xml"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", "unsupported-stanza-type"),
    ] {
        let mut juliet = stage.bound("juliet/balcony").await;
        juliet.sends(xml).await;
        juliet.is_refused_with(condition).await;
    }
}

async fn nothing_is_done_before_the_login(stage: Stage) {
    stage.has_account("juliet").await;
    for xml in [
        "<message to='{juliet}'><body>hello</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    ] {
        let mut somebody = stage.connects("somebody").await;
        somebody.opens().await;
        somebody.sends(xml).await;
        somebody.is_refused_with("not-authorized").await;
    }
}

async fn nothing_but_bind_is_done_before_bind(stage: Stage) {
    for xml in ["<message to='{juliet}'><body>hello</body></message>", "<presence/>"] {
        let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
        juliet.sends(xml).await;
        juliet.is_refused_with("not-authorized").await;
    }
}

async fn nobody_speaks_for_another(stage: Stage) {
    stage.has_account("romeo").await;
    for from in ["{romeo}", "{juliet/garden}", "{domain}", "not@@a@jid"] {
        let mut juliet = stage.bound("juliet/balcony").await;
        juliet.sends(&format!("<message from='{from}' to='{{romeo}}'><body>hello</body></message>")).await;
        juliet.is_refused_with("invalid-from").await;
    }
    let mut romeo = stage.online("romeo/orchard").await;
    for from in ["{juliet}", "{juliet/balcony}"] {
        let mut juliet = stage.bound("juliet/balcony").await;
        juliet
            .sends(&format!("<message from='{from}' to='{{romeo}}' type='chat'><body>hello</body></message>"))
            .await;
        romeo.receives("<message from='{juliet/balcony}'><body>hello</body></message>").await;
    }
}

async fn who_acknowledges_too_much_is_told_so(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    juliet.sends("<a xmlns='urn:xmpp:sm:3' h='7'/>").await;
    let error = juliet.is_refused_with("undefined-condition").await;
    let counts = error.child("handled-count-too-high", "urn:xmpp:sm:3").expect("XEP-0198 §4");
    assert_eq!((counts.attribute("h"), counts.attribute("send-count")), (Some("7"), Some("0")));
}

async fn a_login_has_its_time(stage: Stage) {
    let stage = stage.alone(&[("limits.login_s", "2")]).await;
    let mut silent = stage.connects("silent").await;
    silent.is_refused_with("connection-timeout").await;
    let mut slow = stage.connects("slow").await;
    slow.opens().await;
    // Spaces and failed logins keep nobody there.
    slow.sends_bytes(b"   ").await;
    slow.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>").await;
    slow.receives("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    slow.is_refused_with("connection-timeout").await;
}

async fn who_is_not_heard_any_more_is_gone(stage: Stage) {
    let stage = stage.alone(&[("limits.quiet_s", "1"), ("limits.answer_s", "1")]).await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    juliet.acknowledges_nothing();
    juliet.is_refused_with("connection-timeout").await;
}

async fn a_server_that_ends_says_so(stage: Stage) {
    let stage = stage.alone(&[]).await;
    let mut juliet = stage.bound("juliet/balcony").await;
    let role = if stage.is_split() { Role::Edge(0) } else { Role::Whole };
    tokio::join!(stage.stops(role), async {
        juliet.is_refused_with("system-shutdown").await;
    });
}

async fn ids_of_streams_differ(stage: Stage) {
    let mut ids = Vec::new();
    let mut take = async |client: &mut Client| {
        client.sends_header("{domain}").await;
        let header = client.receives_header().await;
        client.receives("<stream:features/>").await;
        ids.push(header.attribute("id").unwrap_or_default().to_owned());
    };
    stage.has_account("juliet").await;
    let mut juliet = stage.connects("juliet").await;
    take(&mut juliet).await;
    juliet.authenticates("juliet", "juliet", Mechanism::Plain, None).await;
    take(&mut juliet).await;
    let mut romeo = stage.connects("romeo").await;
    take(&mut romeo).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "RFC 6120 §4.7.3");
}
