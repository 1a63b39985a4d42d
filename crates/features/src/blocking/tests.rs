//! Plays: what a block list keeps out, and what it shows (XEP-0191).

use store::Subscription;

use super::*;
use crate::testing::{Stage, jid, payload, stanza, wait};

const BLOCK_ROMEO: &str = "<iq id='1' type='set'><block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.example'/></block></iq>";
const LIST: &str = "<iq id='2' type='get'><blocklist xmlns='urn:xmpp:blocking'/></iq>";

fn blocked(stage: &mut Stage, jids: &[&str]) {
    stage.account.blocked = jids.iter().map(|text| jid(text)).collect();
}

fn sends(stage: &mut Stage, room: &dyn Feature, at: At, xml: &str) -> String {
    let next = stage.meet(room, at, None, &mut stanza(xml));
    stage.verdict(next)
}

#[test]
fn juliet_blocks_romeo_and_her_sessions_that_asked_learn_of_it() {
    let mut stage = Stage::new();
    let (chamber, balcony) = (stage.enter("chamber"), stage.enter("balcony"));
    let room = stage.room(Blocking::build);
    let empty = "<blocklist xmlns='urn:xmpp:blocking'/>";
    assert_eq!(stage.ask(&*room, At::Account, Some(balcony), LIST), empty);
    let next = stage.meet(&*room, At::Account, Some(chamber), &mut stanza(BLOCK_ROMEO));
    assert!(matches!(next, Next::Done));
    let sent = stage.take();
    let told: Vec<_> = sent.iter().map(|(who, stanza)| (who.as_str(), stanza.ty, payload(stanza))).collect();
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.example'/></block>";
    assert_eq!(told, [("chamber", Type::Result, String::new()), ("balcony", Type::Set, block.into())]);
    let stored = wait(stage.ports.store.blocklists.load(&stage.account.jid)).unwrap();
    assert_eq!(stored, [jid("romeo@montague.example")]);
    assert_eq!(
        stage.ask(&*room, At::Account, Some(chamber), LIST),
        block.replace("block x", "blocklist x").replace("/block>", "/blocklist>")
    );
}

#[test]
fn nothing_passes_between_the_two() {
    let mut stage = Stage::new();
    let chamber = stage.enter("chamber");
    blocked(&mut stage, &["romeo@montague.example"]);
    let room = stage.room(Blocking::build);
    for (xml, verdict) in [
        ("<message from='romeo@montague.example/x'><body>hark</body></message>", "error service-unavailable"),
        ("<message from='romeo@montague.example/x' type='error'/>", "done"),
        ("<iq id='1' type='get' from='romeo@montague.example/x'/>", "error service-unavailable"),
        ("<iq id='1' type='result' from='romeo@montague.example/x'/>", "done"),
        ("<presence from='romeo@montague.example/x'/>", "done"),
        ("<presence from='romeo@montague.example' type='subscribe'/>", "done"),
        ("<presence from='romeo@montague.example' type='probe'/>", "done"),
        ("<message from='nurse@capulet.example/x'/>", "go"),
        ("<message from='juliet@capulet.example/x'/>", "go"),
    ] {
        assert_eq!(sends(&mut stage, &*room, At::Received, xml), verdict, "{xml}");
    }
    let mut letter = stanza("<message to='romeo@montague.example'><body>come</body></message>");
    let Next::Refuse(error) = stage.meet(&*room, At::Sent, Some(chamber), &mut letter) else { panic!() };
    assert_eq!((error.condition, error.kind), (Condition::NotAcceptable, ErrorKind::Cancel));
    assert!(error.application.unwrap().is("blocked", "urn:xmpp:blocking:errors"));
}

#[test]
fn nobody_blocks_their_own_sessions() {
    let mut stage = Stage::new();
    let chamber = stage.enter("chamber");
    blocked(&mut stage, &["capulet.example", "juliet@capulet.example"]);
    let room = stage.room(Blocking::build);
    let note = "<message from='juliet@capulet.example/chamber' to='juliet@capulet.example/balcony'/>";
    assert_eq!(sends(&mut stage, &*room, At::Received, note), "go");
    assert_eq!(stage.ask(&*room, At::Sent, Some(chamber), note), "go");
    assert_eq!(
        sends(&mut stage, &*room, At::Received, "<message from='nurse@capulet.example/x'/>"),
        "error service-unavailable"
    );
}

#[test]
fn an_entry_stands_for_what_it_covers() {
    for (pattern, yes, no) in [
        ("a@x.example/r", "a@x.example/r", "a@x.example/s"),
        ("a@x.example", "a@x.example/r", "b@x.example"),
        ("x.example/r", "x.example/r", "a@x.example/r"),
        ("x.example", "a@x.example/r", "a@y.x.example"),
    ] {
        assert!(covers(&jid(pattern), &jid(yes)), "{pattern} {yes}");
        assert!(!covers(&jid(pattern), &jid(no)), "{pattern} {no}");
    }
}

#[test]
fn who_is_blocked_sees_juliet_leave_and_come_back() {
    let mut stage = Stage::new();
    let chamber = stage.enter("chamber");
    stage.bind("unseen");
    stage.befriend("romeo@montague.example", Subscription::Both);
    stage.befriend("nurse@montague.example", Subscription::To);
    stage.account.session_mut(chamber).unwrap().directed =
        vec![jid("room@muc.example"), jid("tybalt@montague.example/x")];
    let room = stage.room(Blocking::build);
    let all = BLOCK_ROMEO.replace("romeo@", "");
    stage.meet(&*room, At::Account, Some(chamber), &mut stanza(&all));
    let gone: Vec<_> =
        stage.take().into_iter().filter(|(_, stanza)| stanza.ty == Type::Unavailable).collect();
    let who: Vec<_> = gone.iter().map(|(who, _)| who.as_str()).collect();
    assert_eq!(who, ["romeo@montague.example", "tybalt@montague.example/x"]);
    assert_eq!(gone[0].1.from, Some(jid("juliet@capulet.example/chamber")));
    assert_eq!(stage.account.session(chamber).unwrap().directed, [jid("room@muc.example")]);

    let none = "<iq id='3' type='set'><unblock xmlns='urn:xmpp:blocking'/></iq>";
    stage.meet(&*room, At::Account, Some(chamber), &mut stanza(none));
    let sent = stage.take().into_iter().filter(|(_, stanza)| stanza.kind == Kind::Presence);
    let mut back: Vec<_> = sent.map(|(who, stanza)| (who, stanza.ty)).collect();
    back.sort_by_key(|(_, ty)| *ty as u8);
    let back: Vec<_> = back.iter().map(|(who, ty)| (who.as_str(), *ty)).collect();
    assert_eq!(
        back,
        [
            ("romeo@montague.example", Type::Available),
            ("nurse@montague.example", Type::Probe),
            ("romeo@montague.example", Type::Probe),
        ]
    );
    assert!(stage.account.blocked.is_empty());
}

#[test]
fn a_contact_still_blocked_by_another_entry_sees_nothing() {
    let mut stage = Stage::new();
    let chamber = stage.enter("chamber");
    stage.befriend("romeo@montague.example", Subscription::Both);
    blocked(&mut stage, &["montague.example", "romeo@montague.example"]);
    let room = stage.room(Blocking::build);
    let unblock = BLOCK_ROMEO.replace("block x", "unblock x").replace("/block>", "/unblock>");
    stage.meet(&*room, At::Account, Some(chamber), &mut stanza(&unblock));
    assert!(stage.take().iter().all(|(_, stanza)| stanza.kind != Kind::Presence));
    assert_eq!(stage.account.blocked, [jid("montague.example")]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut stage = Stage::new();
    let chamber = stage.enter("chamber");
    let room = stage.room(Blocking::build);
    for (xml, error) in [
        ("<iq id='1' type='set'><block xmlns='urn:xmpp:blocking'/></iq>", "error bad-request"),
        ("<iq id='1' type='set'><block xmlns='urn:xmpp:blocking'><item/></block></iq>", "error bad-request"),
        (
            "<iq id='1' type='set'><block xmlns='urn:xmpp:blocking'><item jid='@'/></block></iq>",
            "error jid-malformed",
        ),
    ] {
        assert_eq!(stage.ask(&*room, At::Account, Some(chamber), xml), error);
    }
    stage.account.blocked = (0..BLOCKED_MAX).map(|at| jid(&format!("{at}@x.example"))).collect();
    assert_eq!(stage.ask(&*room, At::Account, Some(chamber), BLOCK_ROMEO), "error resource-constraint");
}
