//! Attacks on the way in: TLS, logins, domains (attack cases 11, 12, 16, 18, 19, 21, 23, 24 and 27).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use throng_tests::client::{Client, TlsVersion};
use throng_tests::pattern::all_text;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way};
use xmpp::sasl::{Hash, Login, Mechanism};
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    case_11_plain_text_sent_ahead_of_tls,
    case_12_another_domain_after_the_login,
    case_16_handshakes_and_key_updates_without_end,
    case_18_an_identity_that_is_not_ones_own,
    case_19_mechanisms_that_were_not_offered,
    case_21_a_proof_is_refused_alike_wherever_it_is_wrong,
    case_23_accounts_that_are_not_there_look_like_those_that_are,
    case_24_guessing_ends_for_the_address_on_all_streams,
    case_24_guesses_at_all_edges_and_owners_are_counted_together,
    case_27_a_resource_that_is_taken_again_and_again,
];

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };

/// Many attempts on one stream.
const PATIENT: &[(&str, &str)] = &[
    ("session.login_failures_max", "1000"),
    ("limits.login_tries", "100"),
    ("limits.login_elements", "10000"),
    ("limits.login_bytes", "1000000"),
];

async fn case_11_plain_text_sent_ahead_of_tls(stage: Stage) {
    for ahead in [
        "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>a</username><password>b</password></query></iq>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
        "x",
    ] {
        let mut mallory = stage.connects("mallory").await;
        mallory.opens().await;
        mallory
            .sends_bytes(format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{ahead}").as_bytes())
            .await;
        mallory.is_refused_with("policy-violation").await;
    }
}

async fn case_12_another_domain_after_the_login(stage: Stage) {
    stage.has_account("mallory").await;
    for way in [Way::Tcp, Way::WebSocket, Way::Tls(TlsVersion::V13)] {
        let mut mallory = stage.connects_over("mallory", way, 0).await;
        mallory.opens().await;
        let outcome = mallory.authenticates("mallory", "mallory", Mechanism::Plain, None).await;
        assert_eq!(outcome.name(), "success");
        mallory.sends_header("{other-domain}").await;
        mallory.is_refused_with("improper-addressing").await;
    }
    let mut mallory = stage.connects("mallory").await;
    mallory.opens_to("{other-domain}").await;
    mallory.starts_tls(TlsVersion::V13).await;
    mallory.sends_header("{domain}").await;
    mallory.is_refused_with("improper-addressing").await;
    // An account is one of its domain only.
    let mut mallory = stage.connects("mallory").await;
    mallory.opens_to("{other-domain}").await;
    let outcome = mallory.authenticates("mallory", "mallory", SCRAM, None).await;
    assert!(outcome.child("not-authorized", SASL).is_some(), "{outcome:?}");
}

async fn case_16_handshakes_and_key_updates_without_end(stage: Stage) {
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tls(TlsVersion::V13), 0).await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut half = stage.connects_without_tls("mallory").await;
        // A record that promises more than will ever come (RFC 8446 §5.1).
        half.sends_bytes(b"\x16\x03\x01\x02\x00\x01").await;
        crowd.push(half);
    }
    juliet.receives_nothing().await;
    let mut mallory = stage.bound_over("mallory/cellar", Way::Tls(TlsVersion::V13), 0).await;
    mallory.updates_keys(2_000).await;
    juliet.receives_nothing().await;
    let mut romeo = stage.bound_over("romeo/orchard", Way::Tls(TlsVersion::V12), 0).await;
    romeo.receives_nothing().await;
}

async fn case_18_an_identity_that_is_not_ones_own(stage: Stage) {
    stage.has_account("romeo").await;
    stage.has_account("mallory").await;
    for way in [Way::Tcp, Way::WebSocket] {
        for authzid in
            [stage.cast.bare("romeo"), stage.cast.node("romeo"), "localhost".into(), "admin@localhost".into()]
        {
            for mechanism in [Mechanism::Plain, SCRAM] {
                let mut mallory = stage.connects_over("mallory", way, 0).await;
                mallory.opens().await;
                let password = b"mallory".to_vec().into();
                let login = Login {
                    username: stage.cast.node("mallory"),
                    password,
                    authzid: Some(authzid.clone()),
                    binding: None,
                };
                let outcome = mallory.exchanges(mechanism, login).await;
                assert!(outcome.child("invalid-authzid", SASL).is_some(), "{authzid}: {outcome:?}");
                mallory
                    .sends("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
                    .await;
                mallory.is_refused_with("not-authorized").await;
            }
        }
    }
}

async fn case_19_mechanisms_that_were_not_offered(stage: Stage) {
    for way in [Way::Tcp, Way::WebSocket, Way::Tls(TlsVersion::V12)] {
        for mechanism in ["SCRAM-SHA-256-PLUS", "ANONYMOUS", "EXTERNAL", "X-OAUTH2", "DIGEST-MD5"] {
            let mut mallory = stage.connects_over("mallory", way, 0).await;
            mallory.opens().await;
            mallory.sends(&format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>=</auth>")).await;
            mallory.receives(&format!("<failure xmlns='{SASL}'><invalid-mechanism/></failure>")).await;
        }
    }
}

async fn case_21_a_proof_is_refused_alike_wherever_it_is_wrong(stage: Stage) {
    let stage = stage.alone(PATIENT).await;
    stage.has_account("juliet").await;
    let mut mallory = stage.connects("mallory").await;
    mallory.opens().await;
    // That it takes as long, too, is a matter of how proofs are compared (`sasl::scram`), not of a clock in a test.
    for at in [0, 31] {
        let first = format!("n,,n={},r=abcdefgh", stage.cast.node("juliet"));
        mallory
            .sends(&format!(
                "<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{}</auth>",
                STANDARD.encode(first)
            ))
            .await;
        let challenge = mallory.receives(&format!("<challenge xmlns='{SASL}'/>")).await;
        let nonce = decoded(&challenge).split(',').next().unwrap_or_default().to_owned();
        let mut proof = [0_u8; 32];
        proof[at] = 1;
        let last = format!("c=biws,{nonce},p={}", STANDARD.encode(proof));
        mallory.sends(&format!("<response xmlns='{SASL}'>{}</response>", STANDARD.encode(last))).await;
        mallory.receives(&format!("<failure xmlns='{SASL}'><not-authorized/></failure>")).await;
    }
}

fn decoded(challenge: &Element) -> String {
    let bytes = STANDARD.decode(all_text(challenge)).expect("base64");
    String::from_utf8(bytes).expect("text")
}

/// Salt and rounds that a name is told.
async fn challenged(mallory: &mut Client, node: &str) -> String {
    let first = format!("n,,n={node},r=abcdefgh");
    mallory
        .sends(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{}</auth>", STANDARD.encode(first)))
        .await;
    let challenge = mallory.receives(&format!("<challenge xmlns='{SASL}'/>")).await;
    mallory.sends(&format!("<abort xmlns='{SASL}'/>")).await;
    mallory.receives(&format!("<failure xmlns='{SASL}'><aborted/></failure>")).await;
    let text = decoded(&challenge);
    text.split_once(",s=").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
}

async fn case_23_accounts_that_are_not_there_look_like_those_that_are(stage: Stage) {
    let stage = stage.alone(PATIENT).await;
    stage.has_account("juliet").await;
    let mut mallory = stage.connects("mallory").await;
    mallory.opens().await;
    let (juliet, nobody, noone) =
        (stage.cast.node("juliet"), stage.cast.node("nobody"), stage.cast.node("noone"));
    let real = challenged(&mut mallory, &juliet).await;
    let missing = challenged(&mut mallory, &nobody).await;
    assert_eq!(real.len(), missing.len(), "{real} and {missing}");
    assert_eq!(real.split_once(",i=").map(|parts| parts.1), missing.split_once(",i=").map(|parts| parts.1));
    assert_eq!(missing, challenged(&mut mallory, &nobody).await, "the same each time");
    assert_ne!(missing, challenged(&mut mallory, &noone).await, "and another for each name");
    stage.begins_again().await;
    let mut mallory = stage.connects("mallory").await;
    mallory.opens().await;
    assert_eq!(missing, challenged(&mut mallory, &nobody).await, "and after a restart");

    // Both run to their end, and end alike.
    for name in ["juliet", "nobody"] {
        let outcome = mallory.authenticates(name, "wrong", Mechanism::Plain, None).await;
        assert!(outcome.child("not-authorized", SASL).is_some(), "{outcome:?}");
    }
}

async fn case_24_guessing_ends_for_the_address_on_all_streams(stage: Stage) {
    let stage = stage.alone(&[("session.login_failures_max", "6")]).await;
    stage.has_account("juliet").await;
    for attempt in 0..6 {
        let way = if attempt % 2 == 0 { Way::Tcp } else { Way::WebSocket };
        let mut mallory = stage.connects_over("mallory", way, 0).await;
        mallory.opens().await;
        let outcome = mallory.authenticates("juliet", "wrong", Mechanism::Plain, None).await;
        assert!(outcome.child("not-authorized", SASL).is_some(), "{outcome:?}");
    }
    // Not even with the right password, at any edge and by any transport.
    for edge in 0..stage.server().edges.len() {
        for way in [Way::Tcp, Way::WebSocket] {
            let mut mallory = stage.connects_over("mallory", way, edge).await;
            mallory.opens().await;
            let outcome = mallory.authenticates("juliet", "juliet", SCRAM, None).await;
            assert!(outcome.child("temporary-auth-failure", SASL).is_some(), "{outcome:?}");
            mallory.is_refused_with("policy-violation").await;
        }
    }
    // Juliet is somewhere else.
    stage.from_elsewhere().bound("juliet/balcony").await;
}

async fn case_24_guesses_at_all_edges_and_owners_are_counted_together(stage: Stage) {
    const FAILURES_MAX: usize = 6;
    // Each other owner may let one pass before it has heard, and one more while it is told.
    const LATE_MAX: usize = 2;
    let stage = stage.alone(&[("session.login_failures_max", "6")]).await;
    let edges = stage.server().edges.len();
    let known = ["juliet", "romeo", "nurse", "tybalt", "paris", "rosaline"];
    for name in known {
        stage.has_account(name).await;
    }
    // Names of all slots, and so of all owners, at one edge after another.
    let mut guesses = 0;
    for n in 0..40 {
        let mut mallory = stage.connects_over("mallory", Way::Tcp, n % edges).await;
        mallory.opens().await;
        let outcome = mallory.authenticates(&format!("guess-{n}"), "wrong", Mechanism::Plain, None).await;
        guesses += usize::from(outcome.child("not-authorized", SASL).is_some());
    }
    let fits = FAILURES_MAX..=FAILURES_MAX + LATE_MAX;
    assert!(fits.contains(&guesses), "{guesses} guesses were looked at, not {FAILURES_MAX}");
    for (n, name) in known.into_iter().enumerate() {
        let mut mallory = stage.connects_over("mallory", Way::Tcp, n % edges).await;
        mallory.opens().await;
        let outcome = mallory.authenticates(name, name, SCRAM, None).await;
        assert!(outcome.child("temporary-auth-failure", SASL).is_some(), "{outcome:?}");
    }
    stage.from_elsewhere().bound("juliet/balcony").await;
}

async fn case_27_a_resource_that_is_taken_again_and_again(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for n in 0..10 {
        let mut next = stage.online("juliet/balcony").await;
        juliet.is_refused_with("conflict").await;
        romeo
            .sends(&format!("<message to='{{juliet/balcony}}' type='chat'><body>{n}</body></message>"))
            .await;
        next.receives(&format!("<message><body>{n}</body></message>")).await;
        juliet = next;
    }
    // Nobody else can take it.
    let mut mallory = stage.bound("mallory/balcony").await;
    mallory.receives_nothing().await;
    juliet.receives_nothing().await;
}
