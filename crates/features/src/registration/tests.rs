//! Plays: an account is made in band, changes its password, and is removed (XEP-0077).

use store::Subscription;

use super::*;
use crate::testing::{NOW_MS, Stage, payload, stanza, wait};

fn iq(ty: &str, inner: &str) -> String {
    format!("<iq id='1' type='{ty}'><query xmlns='jabber:iq:register'>{inner}</query></iq>")
}

fn login(username: &str, password: &str) -> String {
    iq("set", &format!("<username>{username}</username><password>{password}</password>"))
}

fn before(stage: &Stage, xml: &str) -> Stanza {
    wait(before_login(&stage.ports, &stage.host, NOW_MS, &stanza(xml)))
}

fn refusal(stage: &Stage, xml: &str) -> Option<Condition> {
    StanzaError::of(&before(stage, xml)).map(|error| error.condition)
}

fn knows(stage: &Stage, password: &str) -> bool {
    let record = wait(stage.ports.store.accounts.load(&stage.account.jid)).unwrap().unwrap();
    let keys = credentials::decode(&record.keys).unwrap();
    keys.sha256.matches(xmpp::sasl::Hash::Sha256, password)
}

#[test]
fn juliet_makes_an_account() {
    let stage = Stage::new();
    let asked = payload(&before(&stage, &iq("get", "")));
    assert!(asked.contains("<username/><password/><x xmlns='jabber:x:data' type='form'>"), "{asked}");
    let made = before(&stage, &login("Juliet", "R0m30"));
    assert_eq!((made.ty, payload(&made).as_str()), (Type::Result, ""));
    assert!(knows(&stage, "R0m30"));
    let record = wait(stage.ports.store.accounts.load(&stage.account.jid)).unwrap().unwrap();
    assert_eq!((record.created_ms, record.disabled), (NOW_MS, false));
}

#[test]
fn a_form_does_as_well() {
    let stage = Stage::new();
    let form = "<x xmlns='jabber:x:data' type='submit'>\
        <field var='FORM_TYPE'><value>jabber:iq:register</value></field>\
        <field var='username'><value>juliet</value></field><field var='password'><value>R0m30</value></field></x>";
    assert_eq!(before(&stage, &iq("set", form)).ty, Type::Result);
    assert!(knows(&stage, "R0m30"));
}

#[test]
fn what_cannot_be_is_refused_and_no_password_comes_back() {
    let mut stage = Stage::new();
    before(&stage, &login("juliet", "R0m30"));
    for (xml, condition) in [
        (login("juliet", "other"), Condition::Conflict),
        (login("", "secret"), Condition::NotAcceptable),
        (login("a@b", "secret"), Condition::NotAcceptable),
        (login("nurse", ""), Condition::NotAcceptable),
        (iq("set", "<username>nurse</username>"), Condition::NotAcceptable),
        ("<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>".into(), Condition::ServiceUnavailable),
    ] {
        assert_eq!(refusal(&stage, &xml), Some(condition), "{xml}");
        assert!(!payload(&before(&stage, &xml)).contains("secret"));
    }
    stage.host.registration = false;
    assert_eq!(refusal(&stage, &iq("get", "")), Some(Condition::NotAllowed));
}

#[test]
fn logged_in_she_is_told_that_she_is_registered() {
    let mut stage = Stage::new();
    let chamber = Some(stage.bind("chamber"));
    let room = stage.room(Registration::build);
    assert_eq!(
        stage.ask(&*room, At::Host, chamber, &iq("get", "")),
        "<query xmlns='jabber:iq:register'><registered/><username>juliet</username><password/></query>"
    );
    assert_eq!(stage.ask(&*room, At::Account, None, &iq("get", "")), "go");
}

#[test]
fn she_changes_her_password_and_nobody_else_s() {
    let mut stage = Stage::new();
    before(&stage, &login("juliet", "R0m30"));
    let chamber = Some(stage.bind("chamber"));
    let room = stage.room(Registration::build);
    assert_eq!(stage.ask(&*room, At::Host, chamber, &login("juliet", "")), "error bad-request");
    assert_eq!(stage.ask(&*room, At::Host, chamber, &login("nurse", "x")), "error not-allowed");
    let mut set = stanza(&login("nurse", "secret"));
    stage.meet(&*room, At::Host, chamber, &mut set);
    assert_eq!(payload(&set), "", "nothing is left to be echoed");
    assert_eq!(stage.ask(&*room, At::Host, chamber, &login("juliet", "Tyb4lt")), "");
    assert!(knows(&stage, "Tyb4lt") && !knows(&stage, "R0m30"));
}

#[test]
fn she_goes_and_says_farewell() {
    let mut stage = Stage::new();
    before(&stage, &login("juliet", "R0m30"));
    stage.befriend("romeo@montague.example", Subscription::Both);
    stage.befriend("nurse@capulet.example", Subscription::From);
    let chamber = stage.bind("chamber");
    let room = stage.room(Registration::build);
    let more = iq("set", "<remove/><username>juliet</username>");
    assert_eq!(stage.ask(&*room, At::Account, Some(chamber), &more), "error bad-request");
    let next = stage.meet(&*room, At::Account, Some(chamber), &mut stanza(&iq("set", "<remove/>")));
    assert!(matches!(next, Next::Done));
    assert_eq!(wait(stage.ports.store.accounts.load(&stage.account.jid)).unwrap(), None);
    let ended = stage.directory.ended.lock().unwrap().clone();
    assert_eq!(ended, [(stage.account.jid.clone(), "not-authorized", true)]);
    let said: Vec<_> = stage.take().into_iter().map(|(to, stanza)| (to, stanza.ty)).collect();
    let said: Vec<_> = said.iter().map(|(to, ty)| (to.as_str(), *ty)).collect();
    assert_eq!(
        said,
        [
            ("chamber", Type::Result),
            ("nurse@capulet.example", Type::Unsubscribed),
            ("romeo@montague.example", Type::Unsubscribe),
            ("romeo@montague.example", Type::Unsubscribed),
        ]
    );
}

#[test]
fn a_guest_of_one_session_gets_no_password() {
    let mut stage = Stage::new();
    wait(stage.ports.store.accounts.create(&stage.account.jid, store::Account::default())).unwrap();
    let chamber = Some(stage.bind("chamber"));
    let room = stage.room(Registration::build);
    assert_eq!(stage.ask(&*room, At::Host, chamber, &login("juliet", "R0m30")), "error not-allowed");
}
