//! Plays: logins that succeed, fail, are given up or are too many.

use std::time::Duration;

use features::host::Host;
use futures_util::StreamExt;
use node::{Batches, Outbox, carry};
use store::Account;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::sasl::{Binding, BindingKind, Client, Hash, Login, Mechanism};
use xmpp::stanza::{Condition, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use super::*;
use crate::config::Config;
use crate::keys;

const DOMAIN: &str = "capulet.example";
const PASSWORD: &str = "R0m30 & me";
const ADDRESS: &str = "192.0.2.1:40000";

/// An owner, and an edge with a client that logs in.
struct Stage {
    owner: Arc<Owner>,
    logins: Arc<Logins>,
    link: Link,
    frames: Batches<wire::OwnerFrame, Vec<wire::OwnerFrame>>,
    exchange: u64,
}

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    In(String),
    Out(&'static str, bool),
}

const NOT_AUTHORIZED: End = End::Out("not-authorized", false);

impl Stage {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Juliet has an account, Tybalt's is disabled.
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config { password_rounds: 4, ..Config::default() };
        change(&mut config);
        let host = Host {
            domain: jid(DOMAIN),
            admins: Vec::new(),
            contacts: Vec::new(),
            registration: true,
            anonymous: true,
            archive: true,
            archive_days: 0,
            archive_page_max: 100,
            stanza_bytes_max: 262_144,
            started_ms: 0,
        };
        let store = store::memory::open();
        for (name, disabled) in [("juliet", false), ("tybalt", true)] {
            let keys = keys::encode(&keys::from_password(PASSWORD, 4).unwrap());
            let record = Account { keys, disabled, ..Account::default() };
            store.accounts.create(&jid(&format!("{name}@{DOMAIN}")), record).await.unwrap();
        }
        let owner = Owner::start(config, store, vec![host], node::peers::fixed(Vec::new())).await.unwrap();
        let (outbox, frames) = Outbox::new(|frames| frames);
        let link = Link::new("edge".into(), outbox);
        Self { owner, logins: Arc::default(), link, frames, exchange: 0 }
    }

    fn say(&self, step: FromEdge) {
        self.logins.login(&self.owner, &self.link, wire::Login { exchange: self.exchange, step: Some(step) });
    }

    async fn hear(&mut self) -> Frame {
        let heard = tokio::time::timeout(Duration::from_secs(20), self.frames.next()).await;
        let mut frames = heard.expect("an answer").unwrap();
        assert_eq!(frames.len(), 1, "{frames:?}");
        frames.remove(0).kind.unwrap()
    }

    async fn hear_step(&mut self) -> ToEdge {
        let Frame::Login(reply) = self.hear().await else { panic!("no answer to a login") };
        assert_eq!(reply.exchange, self.exchange);
        reply.step.unwrap()
    }

    async fn hear_end(&mut self) -> End {
        let step = self.hear_step().await;
        end(&step).unwrap_or_else(|| panic!("{step:?}"))
    }

    /// Sends the start of a login and, if the mechanism has one, its first message.
    fn open(&mut self, mechanism: Mechanism, initial: Option<Vec<u8>>) {
        self.exchange += 1;
        self.say(FromEdge::Start(wire::LoginStart {
            domain: DOMAIN.into(),
            mechanism: mechanism.name().into(),
            has_initial: initial.is_some(),
            initial: initial.unwrap_or_default().into(),
            offered: Mechanism::ALL.map(|mechanism| mechanism.name().to_owned()).into(),
            bindings: vec![wire::Binding {
                r#type: "tls-exporter".into(),
                data: b"channel".as_slice().into(),
            }],
            tls: true,
            address: ADDRESS.into(),
            plain_allowed: true,
        }));
    }

    /// A whole login, the first message with the start or when it is asked for.
    async fn log_in(&mut self, mechanism: Mechanism, name: &str, password: &str, initial: bool) -> End {
        let mut client = client(mechanism, name, password);
        let first = initial.then(|| client.first());
        self.open(mechanism, first);
        loop {
            match self.hear_step().await {
                ToEdge::Challenge(challenge) => {
                    let response = client.respond(&challenge).unwrap();
                    self.say(FromEdge::Response(response.into()));
                }
                step => {
                    if let ToEdge::Success(success) = &step {
                        client.finish(&success.data).unwrap();
                    }
                    return end(&step).unwrap();
                }
            }
        }
    }

    async fn register(&mut self, name: &str) -> Result<(), Condition> {
        self.exchange += 1;
        let query = Element::new(ns::REGISTER, "query")
            .with_child(Element::new(ns::REGISTER, "username").with_text(name))
            .with_child(Element::new(ns::REGISTER, "password").with_text(PASSWORD));
        let stanza = carry::pack(&Stanza::iq(Type::Set).with_id("r1").with_child(&query));
        let (domain, address) = (DOMAIN.into(), ADDRESS.into());
        let frame = wire::Register { exchange: self.exchange, domain, address, tls: true, stanza };
        self.logins.register(&self.owner, &self.link, frame);
        let Frame::Register(reply) = self.hear().await else { panic!("no answer to a registration") };
        let answer = carry::unpack(&reply.stanza).unwrap();
        assert_eq!(answer.id.as_deref(), Some("r1"));
        assert!(
            !String::from_utf8_lossy(answer.payload.bytes()).contains("R0m30"),
            "a password is not sent back"
        );
        StanzaError::of(&answer).map_or(Ok(()), |error| Err(error.condition))
    }

    fn under_way(&self) -> usize {
        self.logins.exchanges.lock().len()
    }
}

/// Limits begin anew with each minute: not within this play.
async fn in_one_minute() {
    let now_ms = crate::owner::Clock::default().now_ms();
    let left_ms = 60_000 - now_ms % 60_000;
    if left_ms < 10_000 {
        tokio::time::sleep(Duration::from_millis(left_ms)).await;
    }
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn end(step: &ToEdge) -> Option<End> {
    match step {
        ToEdge::Challenge(_) => None,
        ToEdge::Success(success) => Some(End::In(success.jid.clone())),
        ToEdge::Failure(failure) => {
            let condition = xmpp::sasl::Condition::parse(&failure.condition).unwrap();
            Some(End::Out(condition.name(), failure.close))
        }
    }
}

fn juliet() -> End {
    End::In(format!("juliet@{DOMAIN}"))
}

fn client(mechanism: Mechanism, username: &str, password: &str) -> Client {
    let binding = Binding { kind: BindingKind::TlsExporter, bytes: b"channel".to_vec() };
    let login = Login {
        username: username.into(),
        password: password.as_bytes().to_vec().into(),
        authzid: None,
        binding: mechanism.is_plus().then_some(binding),
    };
    Client::start(mechanism, login, "fresh".into()).unwrap()
}

fn with_password() -> impl Iterator<Item = Mechanism> {
    Mechanism::ALL.into_iter().filter(|mechanism| *mechanism != Mechanism::Anonymous)
}

const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };

#[tokio::test]
async fn juliet_comes_in_by_every_mechanism() {
    let mut stage = Stage::new().await;
    for mechanism in with_password() {
        assert_eq!(stage.log_in(mechanism, "Juliet", PASSWORD, true).await, juliet(), "{mechanism}");
        assert_eq!(stage.log_in(mechanism, "juliet", PASSWORD, false).await, juliet(), "{mechanism}");
    }
    assert_eq!(stage.under_way(), 0);
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_name_are_told_alike() {
    let mut stage = Stage::new().await;
    for mechanism in with_password() {
        assert_eq!(stage.log_in(mechanism, "juliet", "rosaline", true).await, NOT_AUTHORIZED, "{mechanism}");
        assert_eq!(stage.log_in(mechanism, "rosaline", PASSWORD, true).await, NOT_AUTHORIZED, "{mechanism}");
    }
    assert_eq!(stage.under_way(), 0);
}

#[tokio::test]
async fn only_who_knows_the_password_learns_that_an_account_is_disabled() {
    let mut stage = Stage::new().await;
    for mechanism in with_password() {
        let end = stage.log_in(mechanism, "tybalt", PASSWORD, true).await;
        assert_eq!(end, End::Out("account-disabled", false), "{mechanism}");
    }
    assert_eq!(stage.log_in(SCRAM, "tybalt", "wrong", true).await, NOT_AUTHORIZED);
}

#[tokio::test]
async fn who_fails_too_often_waits_even_with_the_right_password() {
    let mut stage = Stage::with(|config| config.login_failures_max = 3).await;
    in_one_minute().await;
    for _ in 0..3 {
        assert_eq!(stage.log_in(Mechanism::Plain, "juliet", "wrong", true).await, NOT_AUTHORIZED);
    }
    let spent = || End::Out("temporary-auth-failure", true);
    for mechanism in [SCRAM, Mechanism::Plain, Mechanism::Anonymous] {
        assert_eq!(stage.log_in(mechanism, "juliet", PASSWORD, true).await, spent());
    }
}

#[tokio::test]
async fn anonymous_accounts_are_new_each_time_and_nobody_comes_back_to_them() {
    let mut stage = Stage::new().await;
    let End::In(one) = stage.log_in(Mechanism::Anonymous, "", "", true).await else { panic!("not in") };
    let End::In(other) = stage.log_in(Mechanism::Anonymous, "", "", true).await else { panic!("not in") };
    assert_ne!(one, other);
    let record = stage.owner.store.accounts.load(&jid(&one)).await.unwrap().unwrap();
    assert!(anonymous::is_anonymous(&record));
    let name = jid(&one).node().unwrap().to_owned();
    assert_eq!(stage.log_in(Mechanism::Plain, &name, "x", true).await, NOT_AUTHORIZED);
    assert!(anonymous::remove(&stage.owner.store, &jid(&one)).await.unwrap());
    assert_eq!(stage.owner.store.accounts.load(&jid(&one)).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_not_offered_is_refused() {
    let mut stage = Stage::new().await;
    let start = |mechanism: &str, domain: &str| {
        FromEdge::Start(wire::LoginStart {
            domain: domain.into(),
            mechanism: mechanism.into(),
            offered: vec!["SCRAM-SHA-256".into(), "PLAIN".into()],
            ..Default::default()
        })
    };
    let cases = [
        ("SCRAM-SHA-1", DOMAIN, "invalid-mechanism"),
        ("ANONYMOUS", DOMAIN, "invalid-mechanism"),
        ("GSSAPI", DOMAIN, "invalid-mechanism"),
        // The edge has said that no password may come in the clear.
        ("PLAIN", DOMAIN, "invalid-mechanism"),
        ("SCRAM-SHA-256", "montague.example", "not-authorized"),
    ];
    for (mechanism, domain, condition) in cases {
        stage.exchange += 1;
        stage.say(start(mechanism, domain));
        assert_eq!(stage.hear_end().await, End::Out(condition, false), "{mechanism} {domain}");
    }
    assert_eq!(stage.under_way(), 0);
}

#[tokio::test]
async fn an_abort_ends_the_exchange_and_what_follows_it_finds_none() {
    let mut stage = Stage::new().await;
    let mut client = client(SCRAM, "juliet", PASSWORD);
    stage.open(SCRAM, Some(client.first()));
    let ToEdge::Challenge(challenge) = stage.hear_step().await else { panic!("no challenge") };
    stage.say(FromEdge::Abort(true));
    stage.say(FromEdge::Response(client.respond(&challenge).unwrap().into()));
    assert_eq!(stage.hear_end().await, End::Out("malformed-request", false));
}

#[tokio::test]
async fn who_does_not_wait_its_turn_fails_once_and_is_not_let_in() {
    let mut stage = Stage::new().await;
    let mut client = client(SCRAM, "juliet", PASSWORD);
    stage.open(SCRAM, Some(client.first()));
    let ToEdge::Challenge(challenge) = stage.hear_step().await else { panic!("no challenge") };
    let proof = Bytes::from(client.respond(&challenge).unwrap());
    // The first is not yet begun when the second comes: tests have one thread.
    stage.say(FromEdge::Response(proof.clone()));
    stage.say(FromEdge::Response(proof));
    assert_eq!(stage.hear_end().await, End::Out("malformed-request", false));
    assert_eq!(stage.under_way(), 0);
    let more = tokio::time::timeout(Duration::from_millis(50), stage.frames.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn nobody_hears_of_a_login_whose_client_is_gone() {
    let mut stage = Stage::new().await;
    stage.open(Mechanism::Plain, Some(client(Mechanism::Plain, "juliet", PASSWORD).first()));
    assert!(stage.logins.gone(stage.exchange));
    assert!(!stage.logins.gone(stage.exchange));
    let more = tokio::time::timeout(Duration::from_millis(50), stage.frames.next()).await;
    assert!(more.is_err(), "{more:?}");
    assert_eq!(stage.log_in(Mechanism::Plain, "juliet", PASSWORD, true).await, juliet());
}

#[tokio::test]
async fn exchanges_are_bounded_and_forgotten_in_time() {
    let logins = Logins::default();
    for exchange in 0..EXCHANGES_MAX as u64 {
        assert!(logins.open(exchange, 1_000));
    }
    assert!(!logins.open(u64::MAX, 1_000 + LIFETIME_MS));
    assert!(logins.wants(0, 1_000 + LIFETIME_MS) && !logins.wants(0, 1_001 + LIFETIME_MS));
    assert!(logins.open(u64::MAX, 1_001 + LIFETIME_MS));
    assert!(!logins.open(u64::MAX, 1_001 + LIFETIME_MS), "it is there already");
    assert!(logins.exchanges.lock().len() == 1);
}

#[tokio::test]
async fn an_account_is_made_in_band_and_lets_its_owner_in() {
    let mut stage = Stage::new().await;
    assert_eq!(stage.register("nurse").await, Ok(()));
    assert_eq!(stage.log_in(SCRAM, "nurse", PASSWORD, true).await, End::In(format!("nurse@{DOMAIN}")));
    assert_eq!(stage.register("nurse").await, Err(Condition::Conflict));
    assert_eq!(stage.under_way(), 0);
}

#[tokio::test]
async fn an_address_makes_only_so_many_accounts() {
    let mut stage = Stage::with(|config| config.registrations_max = 2).await;
    in_one_minute().await;
    assert_eq!(stage.register("peter").await, Ok(()));
    assert_eq!(stage.register("samson").await, Ok(()));
    assert_eq!(stage.register("gregory").await, Err(Condition::ResourceConstraint));
}
