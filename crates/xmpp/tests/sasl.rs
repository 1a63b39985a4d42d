//! Logins as plays: a client and a server of ours, the RFCs' own exchanges, and clients that cheat.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use proptest::prelude::*;
use xmpp::jid::Jid;
use xmpp::sasl::{
    Binding, BindingKind, Client, Condition, Credentials, Decoy, Exchange, Hash, Identity, Keys, Login,
    MESSAGE_BYTES_MAX, Mechanism, SALT_BYTES, Secret, Step, Terms, nonce, offered,
};

const PASSWORD: &str = "pencil";

fn scram(hash: Hash, plus: bool) -> Mechanism {
    Mechanism::Scram { hash, plus }
}

fn exporter(bytes: &[u8]) -> Binding {
    Binding { kind: BindingKind::TlsExporter, bytes: bytes.to_vec() }
}

fn keys() -> Keys {
    let mut salts = 0;
    let salt = || {
        salts += 1;
        [salts; SALT_BYTES]
    };
    Keys::from_password(PASSWORD, salt, 3).unwrap()
}

fn decoy() -> Decoy {
    Decoy::new(b"secret of the cluster", 3)
}

fn account() -> Jid {
    "juliet@capulet.example".parse().unwrap()
}

/// A stream under TLS 1.3 that offers everything.
fn terms() -> Terms {
    Terms {
        domain: "capulet.example".to_owned(),
        offered: Mechanism::ALL.to_vec(),
        bindings: vec![exporter(b"channel")],
        nonce: nonce([7; 18]),
    }
}

fn without_plus() -> Terms {
    Terms { offered: offered(false, &[], true, true), bindings: vec![], ..terms() }
}

fn secret(text: &str) -> Secret {
    text.as_bytes().to_vec().into()
}

fn login() -> Login {
    Login { username: "juliet".into(), password: secret(PASSWORD), authzid: None, binding: None }
}

/// Feeds the server the keys it asks for, if the account is there.
fn feed(exchange: &mut Exchange, step: Step) -> Step {
    match step {
        Step::NeedCredentials { account: wanted, hash } => {
            let found = (wanted == account()).then(|| keys().of(hash).clone());
            exchange.credentials(found, &decoy())
        }
        step => step,
    }
}

/// Runs client against server to the server's last word.
fn run(mechanism: Mechanism, login: Login, terms: Terms) -> (Client, Step) {
    let mut exchange = Exchange::start(mechanism, terms).unwrap();
    let mut client = Client::start(mechanism, login, nonce([1; 18])).unwrap();
    let mut message = client.first();
    loop {
        let step = exchange.step(&message);
        match feed(&mut exchange, step) {
            Step::Challenge(challenge) => message = client.respond(&challenge).unwrap(),
            last => return (client, last),
        }
    }
}

/// One message to a fresh server.
fn say(mechanism: Mechanism, terms: Terms, message: &[u8]) -> Step {
    Exchange::start(mechanism, terms).unwrap().step(message)
}

fn failure(condition: Condition) -> Step {
    Step::Failure(condition)
}

/// Runs an exchange of an RFC, message by message, against both sides.
fn rfc_exchange(hash: Hash, salt: &[u8], nonces: [&str; 2], messages: [&str; 4]) {
    let [client_first, server_first, client_final, server_final] = messages;
    let terms = Terms { domain: "example".into(), nonce: nonces[1].into(), ..without_plus() };
    let login = Login { username: "user".into(), ..login() };

    let mut client = Client::start(scram(hash, false), login, nonces[0].into()).unwrap();
    let mut exchange = Exchange::start(scram(hash, false), terms).unwrap();
    assert_eq!(String::from_utf8(client.first()).unwrap(), client_first);
    let user: Jid = "user@example".parse().unwrap();
    assert_eq!(exchange.step(client_first.as_bytes()), Step::NeedCredentials { account: user.clone(), hash });
    let credentials = Credentials::derive(hash, PASSWORD, salt, 4096).unwrap();
    let challenge = exchange.credentials(Some(credentials), &decoy());
    assert_eq!(challenge, Step::Challenge(server_first.into()));
    assert_eq!(String::from_utf8(client.respond(server_first.as_bytes()).unwrap()).unwrap(), client_final);
    let success = Step::Success { identity: Identity::Account(user), data: Some(server_final.into()) };
    assert_eq!(exchange.step(client_final.as_bytes()), success);
    assert_eq!(client.finish(server_final.as_bytes()), Ok(()));
}

#[test]
fn the_exchange_of_rfc_5802_is_ours() {
    let salt = [0x41, 0x25, 0xc2, 0x47, 0xe4, 0x3a, 0xb1, 0xe9, 0x3c, 0x6d, 0xff, 0x76];
    rfc_exchange(
        Hash::Sha1,
        &salt,
        ["fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j"],
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

#[test]
fn the_exchange_of_rfc_7677_is_ours() {
    let salt =
        [0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81];
    rfc_exchange(
        Hash::Sha256,
        &salt,
        ["rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"],
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

#[test]
fn every_mechanism_lets_the_right_client_in() {
    for mechanism in Mechanism::ALL {
        let terms = if mechanism.is_plus() { terms() } else { without_plus() };
        let binding = mechanism.is_plus().then(|| exporter(b"channel"));
        let (mut client, last) = run(mechanism, Login { binding, ..login() }, terms);
        let Step::Success { identity, data } = last else { panic!("{mechanism}: {last:?}") };
        let expected = if mechanism == Mechanism::Anonymous {
            Identity::Anonymous
        } else {
            Identity::Account(account())
        };
        assert_eq!(identity, expected);
        assert_eq!(client.finish(&data.unwrap_or_default()), Ok(()), "{mechanism}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_account_end_alike() {
    for mechanism in
        [scram(Hash::Sha1, false), scram(Hash::Sha256, false), scram(Hash::Sha512, false), Mechanism::Plain]
    {
        let guess = Login { password: secret("pen"), ..login() };
        let (_, wrong) = run(mechanism, guess, without_plus());
        let (_, unknown) = run(mechanism, Login { username: "romeo".into(), ..login() }, without_plus());
        assert_eq!((wrong, unknown), (failure(Condition::NotAuthorized), failure(Condition::NotAuthorized)));
    }
}

#[test]
fn an_unknown_account_has_a_salt_that_stays_its_own() {
    let challenge = |name: &str, hash: Hash, decoy: &Decoy| {
        let mut exchange = Exchange::start(scram(hash, false), without_plus()).unwrap();
        exchange.step(format!("n,,n={name},r=x").as_bytes());
        let Step::Challenge(challenge) = exchange.credentials(None, decoy) else { panic!() };
        String::from_utf8(challenge).unwrap()
    };
    let romeo = challenge("romeo", Hash::Sha256, &decoy());
    let known = run_to_challenge();
    assert_eq!(romeo.len(), known.len());
    assert!(romeo.ends_with(",i=3"));
    assert_eq!(romeo, challenge("Romeo", Hash::Sha256, &decoy()));
    assert_ne!(romeo, challenge("tybalt", Hash::Sha256, &decoy()));
    assert_ne!(romeo, challenge("romeo", Hash::Sha1, &decoy()));
    assert_ne!(romeo, challenge("romeo", Hash::Sha256, &Decoy::new(b"another cluster", 3)));
}

fn run_to_challenge() -> String {
    let mut exchange = Exchange::start(scram(Hash::Sha256, false), without_plus()).unwrap();
    let step = exchange.step(b"n,,n=juliet,r=x");
    let Step::Challenge(challenge) = feed(&mut exchange, step) else { panic!() };
    String::from_utf8(challenge).unwrap()
}

#[test]
fn one_acts_as_oneself_only() {
    for mechanism in [scram(Hash::Sha256, false), Mechanism::Plain] {
        let acting_as = |authzid: &str| {
            run(mechanism, Login { authzid: Some(authzid.into()), ..login() }, without_plus()).1
        };
        assert!(matches!(acting_as("Juliet@capulet.example"), Step::Success { .. }));
        for other in
            ["romeo@capulet.example", "juliet@montague.example", "juliet@capulet.example/r", "juliet", "@"]
        {
            assert_eq!(acting_as(other), failure(Condition::InvalidAuthzid), "{mechanism} {other}");
        }
    }
}

#[test]
fn what_was_not_offered_is_not_accepted() {
    for mechanism in Mechanism::ALL {
        let terms = Terms { offered: vec![], ..terms() };
        assert_eq!(Exchange::start(mechanism, terms).err(), Some(Condition::InvalidMechanism));
    }
}

#[test]
fn somebody_in_the_middle_is_noticed() {
    let plus = scram(Hash::Sha256, true);
    // Another connection than ours.
    let elsewhere = Login { binding: Some(exporter(b"another channel")), ..login() };
    assert_eq!(run(plus, elsewhere, terms()).1, failure(Condition::NotAuthorized));
    // A type the connection has no bytes for, and one that nobody has.
    for header in ["p=tls-server-end-point,,", "p=tls-unique,,"] {
        let message = format!("{header}n=juliet,r=x");
        assert_eq!(say(plus, terms(), message.as_bytes()), failure(Condition::NotAuthorized));
    }
    // The client could bind, but was told that we could not.
    let told_otherwise = Login { binding: Some(exporter(b"channel")), ..login() };
    let (_, last) = run(scram(Hash::Sha256, false), told_otherwise.clone(), terms());
    assert_eq!(last, failure(Condition::NotAuthorized));
    let (_, last) = run(scram(Hash::Sha256, false), told_otherwise, without_plus());
    assert!(matches!(last, Step::Success { .. }));
    // A client that cannot bind may still come in.
    assert!(matches!(run(scram(Hash::Sha256, false), login(), terms()).1, Step::Success { .. }));
    // The header must fit the mechanism.
    for (plus, header) in [(true, "n,,"), (true, "y,,"), (false, "p=tls-exporter,,")] {
        let message = format!("{header}n=juliet,r=x");
        let step = say(scram(Hash::Sha256, plus), terms(), message.as_bytes());
        assert_eq!(step, failure(Condition::MalformedRequest), "{plus} {header}");
    }
}

#[test]
fn a_final_message_must_continue_the_first() {
    let last_word = |change: fn(String) -> String| {
        let mut exchange = Exchange::start(scram(Hash::Sha256, false), without_plus()).unwrap();
        let mut client = Client::start(scram(Hash::Sha256, false), login(), nonce([1; 18])).unwrap();
        let step = exchange.step(&client.first());
        let Step::Challenge(challenge) = feed(&mut exchange, step) else { panic!() };
        let response = String::from_utf8(client.respond(&challenge).unwrap()).unwrap();
        exchange.step(change(response).as_bytes())
    };
    assert!(matches!(last_word(|response| response), Step::Success { .. }));
    assert_eq!(last_word(|response| response.replace("r=", "r=x")), failure(Condition::NotAuthorized));
    assert_eq!(last_word(|response| response.replace("biws", "eSws")), failure(Condition::NotAuthorized));
    assert_eq!(last_word(|response| response.replace(",p=", ",x=y,p=")), failure(Condition::NotAuthorized));
    assert_eq!(
        last_word(|response| response.replace(",p=", ",p=AAAA")),
        failure(Condition::MalformedRequest)
    );
    assert_eq!(last_word(|_| "c=biws,r=x".into()), failure(Condition::MalformedRequest));
    assert_eq!(last_word(|_| String::new()), failure(Condition::MalformedRequest));
}

#[test]
fn an_exchange_without_initial_response_starts_with_an_empty_challenge() {
    let mut exchange = Exchange::start(Mechanism::Plain, terms()).unwrap();
    assert_eq!(exchange.step(b""), Step::Challenge(vec![]));
    let step = exchange.step(b"\0juliet\0pencil");
    assert!(matches!(feed(&mut exchange, step), Step::Success { .. }));

    let mut mute = Exchange::start(scram(Hash::Sha1, false), terms()).unwrap();
    assert_eq!(mute.step(b""), Step::Challenge(vec![]));
    assert_eq!(mute.step(b""), failure(Condition::MalformedRequest));
}

#[test]
fn messages_out_of_order_end_the_attempt() {
    let mut exchange = Exchange::start(scram(Hash::Sha256, false), terms()).unwrap();
    assert!(matches!(exchange.step(b"n,,n=juliet,r=x"), Step::NeedCredentials { .. }));
    assert_eq!(exchange.step(b"n,,n=juliet,r=x"), failure(Condition::MalformedRequest));
    assert_eq!(exchange.credentials(None, &decoy()), failure(Condition::TemporaryAuthFailure));

    let mut over = Exchange::start(Mechanism::Anonymous, terms()).unwrap();
    assert!(matches!(over.step(b"trace"), Step::Success { .. }));
    assert_eq!(over.step(b"trace"), failure(Condition::MalformedRequest));
}

#[test]
fn plain_that_breaks_the_grammar_is_refused() {
    for message in ["juliet", "\0juliet", "\0\0pencil", "\0juliet\0", "\0juliet\0pencil\0", "a\0b\0c\0d"] {
        let step = say(Mechanism::Plain, terms(), message.as_bytes());
        assert_eq!(step, failure(Condition::MalformedRequest), "{message:?}");
    }
    assert_eq!(say(Mechanism::Plain, terms(), b"\0juli\xff\0pencil"), failure(Condition::MalformedRequest));
    // Fine by the grammar, but no name an account could have.
    assert_eq!(say(Mechanism::Plain, terms(), b"\0ju liet\0pencil"), failure(Condition::NotAuthorized));
}

#[test]
fn a_message_beyond_the_limit_is_not_read() {
    let mut message = b"n,,n=juliet,r=".to_vec();
    message.resize(MESSAGE_BYTES_MAX, b'x');
    let scram = scram(Hash::Sha256, false);
    assert!(matches!(say(scram, terms(), &message), Step::NeedCredentials { .. }));
    message.push(b'x');
    assert_eq!(say(scram, terms(), &message), failure(Condition::MalformedRequest));
}

#[test]
fn names_and_passwords_are_prepared_the_same_on_both_sides() {
    // RFC 4013 §3: the soft hyphen is nothing, a wide letter is the letter.
    let login = Login { username: "JU\u{ad}liet".into(), password: secret("p\u{ad}\u{ff45}ncil"), ..login() };
    let (_, last) = run(scram(Hash::Sha512, false), login, without_plus());
    assert!(matches!(last, Step::Success { identity: Identity::Account(who), .. } if who == account()));
    assert!(Keys::from_password("bell\u{7}", || [0; SALT_BYTES], 1).is_err());
    assert!(Keys::from_password("\u{ad}", || [0; SALT_BYTES], 1).is_err());
}

#[test]
fn no_secret_is_shown() {
    let mut exchange = Exchange::start(Mechanism::Plain, terms()).unwrap();
    exchange.step(b"\0juliet\0pencil");
    assert!(!format!("{exchange:?}").contains("pencil"));
    let shown = format!("{:?} {:?}", keys(), decoy());
    assert!(shown.contains("iterations") && !shown.contains("key") && !shown.contains("secret"));
}

/// Messages of which some are fine and most nearly are.
fn almost_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..48),
        "[nyp]=?[a-z-]{0,12},(a=[a-z@=2C]{0,4})?,(n=[a-z=23CD]{0,8})?,r=\\PC{0,8}(,[a-z]=?)?"
            .prop_map(String::into_bytes),
        "c=[a-zA-Z0-9=]{0,8},r=[x0-9A-Za-z]{0,30}(,p=[A-Za-z0-9+/]{0,28}=?)?".prop_map(String::into_bytes),
        "\\PC{0,4}\0\\PC{0,6}\0\\PC{0,6}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_in_by_saying_arbitrary_things(
        mechanism in proptest::sample::select(&Mechanism::ALL[..7]),
        messages in proptest::collection::vec(almost_message(), 1..4),
    ) {
        let mut exchange = Exchange::start(mechanism, terms()).unwrap();
        for message in messages {
            let step = exchange.step(&message);
            let step = feed(&mut exchange, step);
            prop_assert!(!matches!(step, Step::Success { .. }), "{step:?}");
        }
    }

    #[test]
    fn any_second_message_is_survived(message in almost_message(), plus in any::<bool>()) {
        let mut exchange = Exchange::start(scram(Hash::Sha1, plus), terms()).unwrap();
        let header = if plus { "p=tls-exporter" } else { "n" };
        let step = exchange.step(format!("{header},,n=juliet,r=x").as_bytes());
        prop_assert!(matches!(feed(&mut exchange, step), Step::Challenge(_)));
        prop_assert!(matches!(exchange.step(&message), Step::Failure(_)));
    }

    #[test]
    fn a_client_survives_any_server(challenge in proptest::collection::vec(any::<u8>(), 0..48), salt in "[ -~]{0,8}") {
        let start = || {
            let mut client = Client::start(scram(Hash::Sha1, false), login(), "n".into()).unwrap();
            client.first();
            client
        };
        prop_assert!(start().respond(&challenge).is_err());
        let _ = start().respond(format!("r=n{salt},s=AAAA,i=1").as_bytes());
        let mut client = start();
        client.respond(b"r=nn,s=AAAA,i=1").unwrap();
        prop_assert!(client.finish(&challenge).is_err());
    }
}
