//! Logins (RFC 6120 §6): every mechanism, every condition of §6.5 that a client can cause.

use throng_tests::client::{Client, TlsVersion};
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way};
use xmpp::sasl::{BindingKind, Hash, Login, Mechanism};

pub(crate) const PLAYS: &[Play] = plays![
    every_mechanism_over_every_transport,
    logins_bound_to_tls_1_3,
    logins_bound_to_tls_1_2_where_configured,
    tls_1_2_offers_no_binding_by_default,
    who_claims_that_no_binding_was_offered_is_refused,
    the_wrong_channel_is_refused,
    a_wrong_password_and_a_missing_account_look_the_same,
    a_client_may_give_up,
    mechanisms_that_are_unknown_or_not_offered,
    what_is_not_base64,
    what_breaks_the_grammar,
    nobody_acts_as_another,
    passwords_need_tls_but_on_loopback,
    a_store_that_is_gone_is_a_temporary_failure,
    a_second_try_succeeds,
    after_five_tries_the_stream_ends,
    a_stream_is_logged_in_once,
    anonymous_where_configured,
];

const PLUS: [Mechanism; 3] = [
    Mechanism::Scram { hash: Hash::Sha1, plus: true },
    Mechanism::Scram { hash: Hash::Sha256, plus: true },
    Mechanism::Scram { hash: Hash::Sha512, plus: true },
];
const PLAIN: [Mechanism; 4] = [
    Mechanism::Plain,
    Mechanism::Scram { hash: Hash::Sha1, plus: false },
    Mechanism::Scram { hash: Hash::Sha256, plus: false },
    Mechanism::Scram { hash: Hash::Sha512, plus: false },
];
const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };

async fn opened(stage: &Stage, name: &str, way: Way) -> Client {
    stage.has_account(name).await;
    let mut client = stage.connects_over(name, way, 0).await;
    client.opens().await;
    client
}

async fn fails_with(client: &mut Client, condition: &str) {
    client
        .receives(&format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>"))
        .await;
}

async fn every_mechanism_over_every_transport(stage: Stage) {
    for way in [Way::Tcp, Way::StartTls(TlsVersion::V12), Way::Tls(TlsVersion::V13), Way::WebSocket] {
        for mechanism in PLAIN {
            let mut juliet = opened(&stage, "juliet", way).await;
            juliet.logs_in("juliet", mechanism).await;
            juliet.binds("balcony").await;
            juliet.closes().await;
        }
    }
}

async fn logins_bound_to_tls_1_3(stage: Stage) {
    for mechanism in PLUS {
        for kind in BindingKind::ALL {
            let mut juliet = opened(&stage, "juliet", Way::StartTls(TlsVersion::V13)).await;
            let outcome = juliet.authenticates("juliet", "juliet", mechanism, Some(kind)).await;
            assert_eq!(outcome.name(), "success", "{mechanism} with {kind:?}");
        }
    }
}

async fn logins_bound_to_tls_1_2_where_configured(stage: Stage) {
    let stage = stage.alone(&[("edge.channel_binding_on_tls12", "true")]).await;
    for mechanism in PLUS {
        let mut juliet = opened(&stage, "juliet", Way::Tls(TlsVersion::V12)).await;
        let outcome =
            juliet.authenticates("juliet", "juliet", mechanism, Some(BindingKind::TlsServerEndPoint)).await;
        assert_eq!(outcome.name(), "success", "{mechanism}");
    }
    // RFC 9266 §3: the exporter of TLS 1.2 is worth something only with an extension that may be missing.
    let mut juliet = opened(&stage, "juliet", Way::Tls(TlsVersion::V12)).await;
    let outcome = juliet.authenticates("juliet", "juliet", PLUS[1], Some(BindingKind::TlsExporter)).await;
    assert_eq!(outcome.name(), "failure");
}

async fn tls_1_2_offers_no_binding_by_default(stage: Stage) {
    let mut somebody = stage.connects_over("somebody", Way::Tls(TlsVersion::V12), 0).await;
    let features = somebody.opens().await;
    assert!(!throng_tests::pattern::all_text(&features).contains("PLUS"));
    assert!(features.child("sasl-channel-binding", "urn:xmpp:sasl-cb:0").is_none());
    let mut somebody = stage.connects_over("somebody", Way::Tls(TlsVersion::V13), 0).await;
    somebody.sends_header("{domain}").await;
    somebody.receives_header().await;
    somebody
        .receives(
            "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
             <channel-binding type='tls-server-end-point'/></sasl-channel-binding></stream:features>",
        )
        .await;
}

async fn who_claims_that_no_binding_was_offered_is_refused(stage: Stage) {
    // RFC 5802 §6: `y` says that the server has no -PLUS, so somebody has taken it out of the offer.
    let mut juliet = opened(&stage, "juliet", Way::Tls(TlsVersion::V13)).await;
    let outcome = juliet.authenticates("juliet", "juliet", SCRAM, Some(BindingKind::TlsExporter)).await;
    assert!(outcome.child("not-authorized", "urn:ietf:params:xml:ns:xmpp-sasl").is_some(), "{outcome:?}");
}

async fn the_wrong_channel_is_refused(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tls(TlsVersion::V13)).await;
    let mut binding = juliet.binding(BindingKind::TlsExporter);
    binding.bytes[0] ^= 1;
    let login = login(&stage, "juliet", "juliet", Some(binding));
    let outcome = juliet.exchanges(PLUS[1], login).await;
    assert!(outcome.child("not-authorized", "urn:ietf:params:xml:ns:xmpp-sasl").is_some(), "{outcome:?}");
}

fn login(stage: &Stage, name: &str, password: &str, binding: Option<xmpp::sasl::Binding>) -> Login {
    Login {
        username: stage.cast.node(name),
        password: password.as_bytes().to_vec().into(),
        authzid: None,
        binding,
    }
}

async fn a_wrong_password_and_a_missing_account_look_the_same(stage: Stage) {
    for mechanism in PLAIN {
        let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
        let wrong = juliet.authenticates("juliet", "not juliet", mechanism, None).await;
        let mut nobody = stage.connects("nobody").await;
        nobody.opens().await;
        let missing = nobody.authenticates("nobody", "nobody", mechanism, None).await;
        assert!(wrong.child("not-authorized", "urn:ietf:params:xml:ns:xmpp-sasl").is_some(), "{wrong:?}");
        assert_eq!(wrong, missing, "{mechanism}");
    }
}

async fn a_client_may_give_up(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    juliet
        .sends(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>biwsbj1hLHI9Yg==</auth>",
        )
        .await;
    juliet.receives("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>*</challenge>").await;
    juliet.sends("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    fails_with(&mut juliet, "aborted").await;
    juliet.logs_in("juliet", SCRAM).await;
}

async fn mechanisms_that_are_unknown_or_not_offered(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    for mechanism in ["CRAM-MD5", "plain", "SCRAM-SHA-256-PLUS", "ANONYMOUS"] {
        juliet
            .sends(&format!(
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>AGEAYg==</auth>"
            ))
            .await;
        fails_with(&mut juliet, "invalid-mechanism").await;
    }
}

async fn what_is_not_base64(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    for data in ["!!!!", "AGEAYg", "AGEA\u{e9}", "=AAA"] {
        juliet
            .sends(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{data}</auth>"))
            .await;
        fails_with(&mut juliet, "incorrect-encoding").await;
    }
}

async fn what_breaks_the_grammar(stage: Stage) {
    let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    for xml in [
        format!("{auth}>AGEAYg==</auth>"),
        format!("{auth} mechanism='PLAIN'>YWJj</auth>"),
        format!("{auth} mechanism='SCRAM-SHA-1'>YWJj</auth>"),
        format!("{auth} mechanism='PLAIN'><data/></auth>"),
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGEAYg==</response>".into(),
    ] {
        let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
        juliet.sends(&xml).await;
        fails_with(&mut juliet, "malformed-request").await;
    }
}

async fn nobody_acts_as_another(stage: Stage) {
    stage.has_account("romeo").await;
    for mechanism in [Mechanism::Plain, SCRAM] {
        let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
        let login =
            Login { authzid: Some(stage.cast.bare("romeo")), ..login(&stage, "juliet", "juliet", None) };
        let outcome = juliet.exchanges(mechanism, login).await;
        assert!(
            outcome.child("invalid-authzid", "urn:ietf:params:xml:ns:xmpp-sasl").is_some(),
            "{outcome:?}"
        );
    }
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    let login = Login { authzid: Some(stage.cast.bare("juliet")), ..login(&stage, "juliet", "juliet", None) };
    assert_eq!(juliet.exchanges(SCRAM, login).await.name(), "success", "oneself is oneself");
}

async fn passwords_need_tls_but_on_loopback(stage: Stage) {
    let stage = stage.alone(&[("edge.plain_on_loopback", "false")]).await;
    let mut somebody = stage.connects("somebody").await;
    let features = somebody.opens().await;
    assert!(!throng_tests::pattern::all_text(&features).contains("PLAIN"));
    assert!(features.child("register", "http://jabber.org/features/iq-register").is_none(), "XEP-0077 §8");
    somebody.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>").await;
    fails_with(&mut somebody, "encryption-required").await;
}

async fn a_store_that_is_gone_is_a_temporary_failure(stage: Stage) {
    if !stage.is_split() {
        return stage.skips("in one process no role is gone alone");
    }
    let stage = stage.alone(&[]).await;
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    stage.kills(Role::Session).await;
    juliet.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>").await;
    fails_with(&mut juliet, "temporary-auth-failure").await;
}

async fn a_second_try_succeeds(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    let outcome = juliet.authenticates("juliet", "wrong", SCRAM, None).await;
    assert_eq!(outcome.name(), "failure");
    juliet.logs_in("juliet", SCRAM).await;
}

async fn after_five_tries_the_stream_ends(stage: Stage) {
    let mut juliet = opened(&stage, "juliet", Way::Tcp).await;
    for _ in 0..5 {
        let outcome = juliet.authenticates("juliet", "wrong", Mechanism::Plain, None).await;
        assert!(outcome.child("not-authorized", "urn:ietf:params:xml:ns:xmpp-sasl").is_some(), "{outcome:?}");
    }
    juliet.is_refused_with("policy-violation").await;
}

async fn a_stream_is_logged_in_once(stage: Stage) {
    let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
    juliet.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>").await;
    juliet.is_refused_with("policy-violation").await;
}

async fn anonymous_where_configured(stage: Stage) {
    let stage = stage.alone(&[("server.anonymous", "true")]).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut nobody = stage.connects("nobody").await;
        nobody.opens().await;
        nobody.logs_in("nobody", Mechanism::Anonymous).await;
        let jid = nobody.binds("phone").await;
        let node = jid.split('@').next().unwrap_or_default().to_owned();
        assert!(jid.ends_with("@localhost/phone") && !node.is_empty(), "{jid}");
        nobody.closes().await;
        names.push(node);
    }
    assert_ne!(names[0], names[1], "RFC 4505 §2: nobody is told apart from anybody");
}
