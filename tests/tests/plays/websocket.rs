//! XMPP over WebSocket (RFC 7395), and the way to it (XEP-0156).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use xmpp::sasl::Mechanism;

pub(crate) const PLAYS: &[Play] = plays![
    open_features_restart_and_close,
    one_stanza_a_message,
    errors_end_the_stream,
    the_other_subprotocol_is_refused,
    pings_are_answered_and_do_not_count,
    a_flood_of_pings_ends_it,
    binary_messages_are_no_xmpp,
    host_meta_names_it,
];

async fn open_features_restart_and_close(stage: Stage) {
    stage.has_account("juliet").await;
    let mut juliet = stage.connects_over("juliet", Way::WebSocket, 0).await;
    juliet.sends_header("{domain}").await;
    let open = juliet.receives_header().await;
    assert!(open.is("open", "urn:ietf:params:xml:ns:xmpp-framing"));
    assert_eq!((open.attribute("from"), open.attribute("version")), (Some("localhost"), Some("1.0")));
    let features = juliet
        .receives("<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:features>")
        .await;
    assert!(features.child("starttls", "urn:ietf:params:xml:ns:xmpp-tls").is_none(), "RFC 7395 §3.9");
    let features = juliet.logs_in("juliet", Mechanism::Plain).await;
    assert!(features.child("bind", "urn:ietf:params:xml:ns:xmpp-bind").is_some());
    juliet.binds("browser").await;
    juliet.is_available().await;
    juliet.closes().await;
}

async fn one_stanza_a_message(stage: Stage) {
    for (message, condition) in [
        ("<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", "bad-format"),
        ("<message xmlns='jabber:client'>", "not-well-formed"),
        ("text", "bad-format"),
        ("<presence/>", "invalid-namespace"),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>", "invalid-xml"),
    ] {
        let mut juliet = stage.bound_over("juliet/browser", Way::WebSocket, 0).await;
        juliet.sends_bytes(message.as_bytes()).await;
        juliet.is_refused_with(condition).await;
    }
}

async fn errors_end_the_stream(stage: Stage) {
    for (first, condition) in [
        (
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='nowhere.example' version='1.0'/>",
            "host-unknown",
        ),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' version='1.0'/>", "improper-addressing"),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost'/>", "unsupported-version"),
        ("<presence xmlns='jabber:client'/>", "not-authorized"),
    ] {
        let mut somebody = stage.connects_over("somebody", Way::WebSocket, 0).await;
        somebody.sends_bytes(first.as_bytes()).await;
        somebody.is_refused_with(condition).await;
    }
}

async fn the_other_subprotocol_is_refused(stage: Stage) {
    let head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for protocol in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let answer = http(&stage, "/xmpp-websocket", &format!("{head}{protocol}")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "RFC 7395 §3.1: {answer}");
    }
}

async fn pings_are_answered_and_do_not_count(stage: Stage) {
    let mut juliet = stage.bound_over("juliet/browser", Way::WebSocket, 0).await;
    juliet.enables_management().await;
    for _ in 0..10 {
        juliet.sends_message(Message::Ping("here".into())).await;
        juliet.sends("<message type='chat'><body>note</body></message>").await;
        juliet.is_acknowledged().await;
    }
}

async fn a_flood_of_pings_ends_it(stage: Stage) {
    let mut mallory = stage.bound_over("mallory/browser", Way::WebSocket, 0).await;
    for _ in 0..100 {
        mallory.sends_message(Message::Ping("flood".into())).await;
    }
    mallory.is_dropped().await;
}

async fn binary_messages_are_no_xmpp(stage: Stage) {
    let mut mallory = stage.bound_over("mallory/browser", Way::WebSocket, 0).await;
    mallory.sends_message(Message::binary(b"<presence xmlns='jabber:client'/>".as_slice())).await;
    mallory.is_dropped().await;
}

async fn host_meta_names_it(stage: Stage) {
    let xml = http(&stage, "/.well-known/host-meta", "").await;
    let lower = xml.to_ascii_lowercase();
    assert!(lower.contains("access-control-allow-origin: *"), "XEP-0156 §3: {xml}");
    assert!(
        xml.contains("rel='urn:xmpp:alt-connections:websocket'") && xml.contains("/xmpp-websocket"),
        "{xml}"
    );
    let json = http(&stage, "/.well-known/host-meta.json", "").await;
    let body = json.split("\r\n\r\n").nth(1).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(body.trim()).expect("JSON");
    assert_eq!(value["links"][0]["rel"], "urn:xmpp:alt-connections:websocket");
    assert!(json.to_ascii_lowercase().contains("access-control-allow-origin: *"));
}

/// The answer to a request for a path, whole.
async fn http(stage: &Stage, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(stage.server().edges[0].http).await.expect("the edge listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{}\r\n",
        if headers.is_empty() { "Connection: close\r\n" } else { "" }
    );
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = vec![0; 8_192];
    let mut length = 0;
    while let Ok(count) = stream.read(&mut answer[length..]).await {
        length += count;
        if count == 0 || !headers.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
