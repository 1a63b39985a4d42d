//! Attacks on the reader: what a client that means harm may send instead of XML (attack cases 1 to 8, 13 and 14).

use throng_tests::client::{Client, TlsVersion};
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way};
use tokio_tungstenite::tungstenite::Message;

pub(crate) const PLAYS: &[Play] = plays![
    case_01_entities_comments_and_instructions_before_login,
    case_02_the_same_through_a_websocket,
    case_03_many_small_things_before_login,
    case_04_connections_that_come_to_nothing_leave_nothing,
    case_05_nobody_stays_without_a_login,
    case_06_what_never_ends,
    case_07_depth,
    case_08_a_large_element_in_segments_of_one_byte,
    case_13_what_parsers_disagree_about,
    case_14_namespaces_that_are_turned_around,
];

const BOTH: [Way; 2] = [Way::Tcp, Way::WebSocket];
const BOMB: &str = "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";

async fn is_refused(stage: &Stage, way: Way, bytes: &[u8], condition: &str) {
    let mut mallory = stage.connects_over("mallory", way, 0).await;
    mallory.opens().await;
    mallory.sends_bytes(bytes).await;
    mallory.is_refused_with(condition).await;
}

async fn logged_in_and_refused(stage: &Stage, way: Way, bytes: &[u8], condition: &str) {
    let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
    mallory.sends_bytes(bytes).await;
    mallory.is_refused_with(condition).await;
}

async fn case_01_entities_comments_and_instructions_before_login(stage: Stage) {
    for before_header in [BOMB, "<!-- -->", "<?xml-stylesheet href='a'?>"] {
        let mut mallory = stage.connects("mallory").await;
        mallory.sends_bytes(before_header.as_bytes()).await;
        mallory.is_refused_with("restricted-xml").await;
    }
    everything_restricted(&stage, Way::Tcp).await;
}

async fn case_02_the_same_through_a_websocket(stage: Stage) {
    for first in [BOMB, "<!-- -->"] {
        let mut mallory = stage.connects_over("mallory", Way::WebSocket, 0).await;
        mallory.sends_bytes(first.as_bytes()).await;
        mallory.is_refused_with("restricted-xml").await;
    }
    everything_restricted(&stage, Way::WebSocket).await;
}

async fn everything_restricted(stage: &Stage, way: Way) {
    for xml in [
        BOMB,
        "<!-- -->",
        "<?php evil() ?>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>&a;</auth>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'><!-- --></auth>",
    ] {
        is_refused(stage, way, xml.as_bytes(), "restricted-xml").await;
    }
}

async fn case_03_many_small_things_before_login(stage: Stage) {
    let auth = |inside: &str| {
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{inside}</auth>")
    };
    let attributes = (0..100).fold(String::new(), |all, n| all + &format!(" a{n}=''"));
    let namespaces = (0..100).fold(String::new(), |all, n| all + &format!(" xmlns:a{n}='b'"));
    for way in BOTH {
        is_refused(&stage, way, auth(&"<a/>".repeat(100)).as_bytes(), "policy-violation").await;
        is_refused(&stage, way, auth(&format!("<a{attributes}/>")).as_bytes(), "policy-violation").await;
        is_refused(&stage, way, auth(&format!("<a{namespaces}/>")).as_bytes(), "policy-violation").await;
        is_refused(&stage, way, auth(&"x".repeat(20_000)).as_bytes(), "policy-violation").await;
    }
    // One by one it is no more than at once.
    let mut mallory = stage.connects("mallory").await;
    mallory.opens().await;
    for _ in 0..100 {
        mallory.sends_bytes(b"<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>").await;
    }
    mallory
        .receives_at_last(
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        )
        .await;
}

async fn case_04_connections_that_come_to_nothing_leave_nothing(stage: Stage) {
    const LEFT_BYTES_MAX: u64 = 6 * 1024 * 1024;
    let stage = stage.alone(&[]).await;
    let role = if stage.is_split() { Role::Edge(0) } else { Role::Whole };
    let crowd = async |count: usize| {
        for _ in 0..count {
            let mut clients = Vec::new();
            for _ in 0..20 {
                let mut client = stage.connects("mallory").await;
                client.sends_header("{domain}").await;
                client
                    .sends_bytes(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>")
                    .await;
                clients.push(client);
            }
        }
    };
    crowd(10).await;
    let before = stage.server().memory_bytes(role);
    crowd(100).await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.receives_nothing().await;
    let after = stage.server().memory_bytes(role);
    assert!(after < before + LEFT_BYTES_MAX, "{before} bytes before, {after} after 2,000 connections");
}

async fn case_05_nobody_stays_without_a_login(stage: Stage) {
    let stage = stage.alone(&[("limits.login_s", "2"), ("limits.handshake_s", "1")]).await;
    // Byte by byte of a header.
    let mut slow = stage.connects("slow").await;
    let header = "<stream:stream xmlns='jabber:client'".bytes().cycle();
    let dripping = async {
        for byte in header.take(200) {
            slow.sends_bytes(&[byte]).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        slow.is_dropped().await;
    };
    // Nothing where a handshake belongs.
    let mut silent = stage.connects_without_tls("silent").await;
    // Pings on a WebSocket, and spaces.
    let mut pinging = stage.connects_over("pinging", Way::WebSocket, 0).await;
    let pings = async {
        for _ in 0..40 {
            pinging.sends_message(Message::Ping("are you there".into())).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        pinging.is_dropped().await;
    };
    let mut spaces = stage.connects_over("spaces", Way::Tls(TlsVersion::V13), 0).await;
    spaces.opens().await;
    let blanks = async {
        for _ in 0..40 {
            spaces.sends_bytes(b" ").await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        spaces.is_dropped().await;
    };
    tokio::join!(dripping, silent.is_dropped(), pings, blanks);
}

async fn case_06_what_never_ends(stage: Stage) {
    let text = [b"<message><body>".to_vec(), vec![b'x'; 300_000]].concat();
    let spaces = [b"<message".to_vec(), vec![b' '; 300_000]].concat();
    let value = [b"<message id='".to_vec(), vec![b' '; 300_000]].concat();
    let name = [b"<".to_vec(), vec![b'm'; 300_000]].concat();
    for bytes in [text, spaces, value, name] {
        logged_in_and_refused(&stage, Way::Tcp, &bytes, "policy-violation").await;
        is_refused(&stage, Way::Tcp, &bytes[..20_000], "policy-violation").await;
    }
    let whole = format!("<message xmlns='jabber:client'><body>{}</body></message>", "x".repeat(300_000));
    logged_in_and_refused(&stage, Way::Tcp, whole.as_bytes(), "policy-violation").await;
    logged_in_and_refused(&stage, Way::WebSocket, whole.as_bytes(), "policy-violation").await;
}

async fn case_07_depth(stage: Stage) {
    for way in BOTH {
        let deep = format!("<message xmlns='jabber:client'>{}", "<a>".repeat(50_000));
        logged_in_and_refused(&stage, way, deep.as_bytes(), "policy-violation").await;
        let closed =
            format!("<message xmlns='jabber:client'>{}{}</message>", "<a>".repeat(100), "</a>".repeat(100));
        logged_in_and_refused(&stage, way, closed.as_bytes(), "policy-violation").await;
        is_refused(&stage, way, "<a xmlns='b'>".repeat(500).as_bytes(), "policy-violation").await;
    }
    let mut juliet = stage.online("juliet/balcony").await;
    let allowed = format!(
        "<message to='{{juliet}}' type='chat'>{}{}</message>",
        "<a xmlns='b'>".repeat(60),
        "</a>".repeat(60)
    );
    juliet.sends(&allowed).await;
    juliet.receives("<message type='chat'><a xmlns='b'/></message>").await;
}

async fn case_08_a_large_element_in_segments_of_one_byte(stage: Stage) {
    const BYTES: usize = 60_000;
    const TICKS_MAX: u64 = 1_500;
    let stage = stage.alone(&[]).await;
    let role = if stage.is_split() { Role::Edge(0) } else { Role::Whole };
    let mut juliet = stage.online("juliet/balcony").await;
    let before = stage.server().cpu_ticks(role);
    let stanza = format!(
        "<message type='chat' id='{}'><body>{}</body></message>",
        "i".repeat(BYTES),
        "b".repeat(BYTES)
    );
    juliet.sends_in_pieces(stanza.as_bytes(), 1).await;
    juliet.receives("<message type='chat' id='*'><body>*</body></message>").await;
    let ticks = stage.server().cpu_ticks(role) - before;
    // Looked at once a byte this is a second or two; looked at from the start each time it is many minutes.
    assert!(ticks < TICKS_MAX, "{ticks} ticks for {} bytes", 2 * BYTES);
}

async fn case_13_what_parsers_disagree_about(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let to = stage.cast.expand("to='{romeo}'");
    let body = |inside: &[u8]| {
        [format!("<message {to} type='chat'><body>").as_bytes(), inside, b"</body></message>"].concat()
    };
    let tag = |inside: &str| format!("<message {to} type='chat'>{inside}</message>").into_bytes();
    for bytes in [
        body(b"\xC0\xBC"),
        body(b"\xE0\x80\xBC"),
        body(b"\xED\xA0\x80"),
        body(b"\xF4\x90\x80\x80"),
        body(b"\xF8\x88\x80\x80\x80"),
        body(b"\xFF"),
        body(b"\xC3"),
        body(b"\x00"),
        body(b"\x0B"),
        body(b"\xEF\xBF\xBE"),
        body(b"&#0;"),
        body(b"&#x1F;"),
        body(b"&#xD800;"),
        body(b"&#xFFFE;"),
        body(b"&#x110000;"),
        body(b"]]>"),
        tag("<a:b:c/>"),
        tag("<:a/>"),
        tag("<a:/>"),
        tag("<a\u{d7}b/>"),
        tag("<a b='<'/>"),
        tag("<a b=c/>"),
        tag("<a b/>"),
        tag("<a b='1'c='2'/>"),
        tag("</a>"),
        tag("<a></b>"),
        tag("< a/>"),
        tag("<a / >"),
    ] {
        for way in BOTH {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if way == Way::WebSocket && std::str::from_utf8(&bytes).is_err() {
                // A text message that is no UTF-8 ends the connection below XMPP (RFC 6455 §8.1); a client cannot say it.
                continue;
            }
            let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
            let bytes = if way == Way::WebSocket {
                text.replace("<message", "<message xmlns='jabber:client'").into_bytes()
            } else {
                bytes.clone()
            };
            mallory.sends_bytes(&bytes).await;
            mallory.is_refused_with("not-well-formed").await;
        }
    }
    romeo.receives_nothing().await;
}

async fn case_14_namespaces_that_are_turned_around(stage: Stage) {
    for (xml, condition) in [
        ("<message xmlns='jabber:client' xmlns:xml='urn:x'/>", "not-well-formed"),
        (
            "<message xmlns='jabber:client' xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "not-well-formed",
        ),
        ("<message xmlns='jabber:client' xmlns:xmlns='urn:x'/>", "not-well-formed"),
        ("<message xmlns='jabber:client' xmlns:p=''/>", "not-well-formed"),
        ("<message xmlns='jabber:client' xmlns='jabber:client'/>", "not-well-formed"),
        ("<message xmlns='jabber:client'><p:a/></message>", "not-well-formed"),
        (
            "<message xmlns='jabber:client' xmlns:p='u' xmlns:q='u'><a p:b='1' q:b='2'/></message>",
            "not-well-formed",
        ),
        ("<p:message xmlns:p='http://etherx.jabber.org/streams'/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
        ("<message xmlns=''/>", "invalid-namespace"),
    ] {
        for way in BOTH {
            // In a stream the default namespace is `jabber:client`, and undeclaring it is one thing among others.
            let condition = if way == Way::Tcp && condition == "invalid-namespace" {
                "unsupported-stanza-type"
            } else {
                condition
            };
            logged_in_and_refused(&stage, way, xml.as_bytes(), condition).await;
        }
    }
    utf_16_is_refused(&mut stage.connects("mallory").await).await;
    let mut mallory = stage.bound_over("mallory/cellar", Way::WebSocket, 0).await;
    mallory.sends_bytes(b"<presence/>").await;
    mallory.is_refused_with("invalid-namespace").await;
}

async fn utf_16_is_refused(mallory: &mut Client) {
    let header = "<?xml version='1.0' encoding='UTF-16'?><stream:stream>";
    let bytes: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    mallory.sends_bytes(&bytes).await;
    mallory.is_refused_with("unsupported-encoding").await;
}
