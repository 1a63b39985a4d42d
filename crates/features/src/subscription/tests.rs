//! Plays: every state of a subscription, in both directions (RFC 6121 §3 and appendix A).

use store::Subscription;

use super::State;
use crate::presence::play::Play;
use crate::roster::REQUESTS_MAX;
use crate::testing::{jid, wait};

const ROMEO: &str = "romeo@montague.example";

fn push(version: u64, item: &str) -> String {
    format!(
        "balcony <- <iq type='set' id='push-{version}'><query xmlns='jabber:iq:roster' ver='{version}'>\
         <item jid='romeo@montague.example' {item}/></query></iq>"
    )
}

fn world(presence: &str) -> String {
    format!("world <- <presence to='romeo@montague.example' {presence}/>")
}

/// What the core routes when all else is sent.
fn routed(ty: &str) -> String {
    format!("routed <presence to='romeo@montague.example' from='juliet@capulet.example' type='{ty}'/>")
}

fn heard(ty: &str) -> String {
    format!("balcony <- <presence to='juliet@capulet.example' from='romeo@montague.example' type='{ty}'/>")
}

/// What Romeo's server sends, from and to full JIDs as some do.
fn romeo(ty: &str) -> String {
    format!(
        "<presence from='romeo@montague.example/garden' to='juliet@capulet.example/balcony' type='{ty}'/>"
    )
}

/// What Juliet's client sends, to a full JID as some do.
fn juliet(ty: &str) -> String {
    format!("<presence to='romeo@montague.example/garden' type='{ty}'/>")
}

fn state(play: &Play) -> State {
    super::Standing::of(&play.stage.account.roster, &jid(ROMEO)).state
}

/// Memory and store say the same.
fn is_stored(play: &Play) {
    let account = &play.stage.account;
    let stored = wait(play.stage.ports.store.rosters.load(&account.jid)).unwrap();
    let items: Vec<_> = account.roster.contacts().iter().map(crate::roster::Contact::item).collect();
    assert_eq!((account.roster.version, items.as_slice()), (stored.version, stored.items.as_slice()));
    assert_eq!(account.roster.requests(), stored.requests);
}

#[test]
fn juliet_asks_and_romeo_grants() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    assert_eq!(
        play.says("balcony", &juliet("subscribe")),
        [push(1, "subscription='none' ask='subscribe'"), routed("subscribe")]
    );
    assert_eq!(
        play.says("balcony", &juliet("subscribe")),
        [routed("subscribe")],
        "asked again: routed, nothing changed"
    );
    assert_eq!(play.hears(&romeo("subscribed")), [heard("subscribed"), push(2, "subscription='to'")]);
    assert!(play.hears(&romeo("subscribed")).is_empty(), "repeated: nothing");
    assert_eq!(state(&play), State::To);
    is_stored(&play);
}

#[test]
fn romeo_refuses() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    play.says("balcony", &juliet("subscribe"));
    assert_eq!(play.hears(&romeo("unsubscribed")), [heard("unsubscribed"), push(2, "subscription='none'")]);
    assert!(play.hears(&romeo("unsubscribed")).is_empty());
    is_stored(&play);
}

#[test]
fn romeo_asks_until_he_is_answered() {
    let mut play = Play::new();
    play.bind("chamber");
    let asks = "<presence from='romeo@montague.example/garden' to='juliet@capulet.example' type='subscribe' id='s1'>\
                <status>It is the east</status></presence>";
    assert!(play.hears(asks).is_empty(), "nobody is available");
    assert_eq!(state(&play), State::NonePendingIn);
    is_stored(&play);
    let asked = "<presence to='juliet@capulet.example' from='romeo@montague.example' type='subscribe' id='s1'>\
                 <status>It is the east</status></presence>";
    for _ in 0..2 {
        let shown = play.says("chamber", "<presence/>");
        assert_eq!(shown.last().unwrap(), &format!("chamber <- {asked}"), "whole, each time she comes");
        play.says("chamber", "<presence type='unavailable'/>");
    }
    play.enter_interested("balcony");
    assert!(play.hears(&romeo("subscribe")).is_empty(), "asked before (§3.1.3)");
    assert_eq!(
        play.says("balcony", &juliet("subscribed")),
        [
            push(1, "subscription='from'"),
            world("from='juliet@capulet.example' type='subscribed'"),
            world("from='juliet@capulet.example/balcony'"),
        ]
    );
    assert_eq!(
        play.says("chamber", "<presence/>").iter().filter(|line| line.contains("subscribe")).count(),
        0
    );
    is_stored(&play);
}

#[test]
fn a_request_reaches_available_sessions_only() {
    let mut play = Play::new();
    play.enter("balcony");
    play.bind("chamber");
    assert_eq!(play.hears(&romeo("subscribe")), [heard("subscribe")]);
}

#[test]
fn juliet_declines() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    play.hears(&romeo("subscribe"));
    assert_eq!(play.says("balcony", &juliet("unsubscribed")), [routed("unsubscribed")]);
    assert!(play.stage.account.roster.contacts().is_empty(), "he was no contact and is none");
    assert!(play.says("balcony", &juliet("unsubscribed")).is_empty(), "repeated: nothing");
    is_stored(&play);
}

#[test]
fn who_may_see_already_is_told_so_again() {
    let mut play = Play::new();
    play.contact(ROMEO, Subscription::From);
    play.enter_interested("balcony");
    assert_eq!(
        play.hears(&romeo("subscribe")),
        [
            world("from='juliet@capulet.example' type='subscribed'"),
            world("from='juliet@capulet.example/balcony'"),
        ]
    );
    assert!(play.stage.account.roster.requests().is_empty());
}

#[test]
fn juliet_approves_before_romeo_asks() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    assert_eq!(
        play.says("balcony", &juliet("subscribed")),
        [push(1, "subscription='none' approved='true'")],
        "he learns nothing (§3.4.2)"
    );
    assert!(play.says("balcony", &juliet("subscribed")).is_empty());
    assert_eq!(
        play.hears(&romeo("subscribe")),
        [
            world("from='juliet@capulet.example' type='subscribed'"),
            push(2, "subscription='from' approved='true'"),
            world("from='juliet@capulet.example/balcony'"),
        ],
        "she is not asked"
    );
    is_stored(&play);
}

#[test]
fn juliet_takes_her_approval_back() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    play.says("balcony", &juliet("subscribed"));
    assert_eq!(play.says("balcony", &juliet("unsubscribed")), [push(2, "subscription='none'")]);
    assert_eq!(play.hears(&romeo("subscribe")), [heard("subscribe")]);
    is_stored(&play);
}

#[test]
fn juliet_shuts_romeo_out() {
    let mut play = Play::new();
    play.contact(ROMEO, Subscription::Both);
    play.enter_interested("balcony");
    play.bind("chamber");
    assert_eq!(
        play.says("balcony", &juliet("unsubscribed")),
        [
            world("from='juliet@capulet.example/balcony' type='unavailable'"),
            push(2, "subscription='to'"),
            routed("unsubscribed"),
        ],
        "he sees her leave while he is still subscribed (§3.2.2)"
    );
    is_stored(&play);
}

#[test]
fn juliet_looks_away() {
    let mut play = Play::new();
    play.contact(ROMEO, Subscription::Both);
    play.enter_interested("balcony");
    let said = routed("unsubscribe");
    assert_eq!(play.says("balcony", &juliet("unsubscribe")), [push(2, "subscription='from'"), said.clone()]);
    assert_eq!(play.says("balcony", &juliet("unsubscribe")), [said]);
    is_stored(&play);
}

#[test]
fn romeo_looks_away() {
    let mut play = Play::new();
    play.contact(ROMEO, Subscription::Both);
    play.enter_interested("balcony");
    assert_eq!(
        play.hears(&romeo("unsubscribe")),
        [
            heard("unsubscribe"),
            push(2, "subscription='to'"),
            world("from='juliet@capulet.example/balcony' type='unavailable'"),
        ]
    );
    assert!(play.hears(&romeo("unsubscribe")).is_empty());
    is_stored(&play);
}

#[test]
fn romeo_withdraws_his_request() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    play.hears(&romeo("subscribe"));
    assert_eq!(play.hears(&romeo("unsubscribe")), [heard("unsubscribe")]);
    assert!(play.stage.account.roster.requests().is_empty());
    is_stored(&play);
}

#[test]
fn nobody_grants_what_was_not_asked() {
    let mut play = Play::new();
    play.enter_interested("balcony");
    for ty in ["subscribed", "unsubscribed", "unsubscribe"] {
        assert!(play.hears(&romeo(ty)).is_empty(), "{ty}");
    }
    assert!(play.stage.account.roster.contacts().is_empty());
}

#[test]
fn nobody_subscribes_to_oneself() {
    let mut play = Play::new();
    play.enter("balcony");
    let own = "<presence to='juliet@capulet.example' type='subscribe'/>";
    assert_eq!(play.says("balcony", own), ["refused: not-allowed"]);
    assert!(
        play.hears("<presence from='juliet@capulet.example' to='juliet@capulet.example' type='subscribe'/>")
            .is_empty()
    );
}

#[test]
fn a_flood_of_requests_is_dropped() {
    let mut play = Play::new();
    let asks = |n| {
        format!("<presence from='tybalt{n}@capulet.example' to='juliet@capulet.example' type='subscribe'/>")
    };
    for n in 0..REQUESTS_MAX + 3 {
        play.hears(&asks(n));
    }
    assert_eq!(play.stage.account.roster.requests().len(), REQUESTS_MAX);
    assert!(
        play.hears(
            "<presence from='tybalt0@capulet.example' to='juliet@capulet.example' type='unsubscribe'/>"
        )
        .is_empty()
    );
    assert_eq!(
        play.stage.account.roster.requests().len(),
        REQUESTS_MAX - 1,
        "and what waits can still be taken back"
    );
}

#[test]
fn a_request_too_large_to_keep_is_kept_without_its_words() {
    let mut play = Play::new();
    let words = "o".repeat(store::rosters::REQUEST_BYTES_MAX);
    play.hears(&romeo("subscribe").replace("/>", &format!("><status>{words}</status></presence>")));
    assert_eq!(state(&play), State::NonePendingIn);
    assert!(play.stage.account.roster.requests()[0].stanza.len() < 200);
    is_stored(&play);
}
