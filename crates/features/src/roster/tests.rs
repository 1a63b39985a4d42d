//! Plays: contacts are added, changed and removed (RFC 6121 §2).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use store::{Change, Error, Item, Result, Roster as Stored, Rosters, Subscription};
use xmpp::jid::Jid;

use super::{Contact, Roster};
use crate::presence::play::Play;
use crate::testing::{Stage, jid, wait};

const GET: &str = "<iq id='g' type='get'><query xmlns='jabber:iq:roster'/></iq>";

fn set(item: &str) -> String {
    format!("<iq id='s' type='set'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
}

fn done(resource: &str) -> String {
    format!("{resource} <- <iq to='juliet@capulet.example/{resource}' type='result' id='s'/>")
}

#[test]
fn a_contact_without_name_or_group_takes_little_memory() {
    assert_eq!(size_of::<Contact>(), 40);
    let items = (0..100).map(|n| Item::new(jid(&format!("{n:03}@x")))).collect();
    let roster = Roster::from(Stored { items, ..Stored::default() });
    assert_eq!((roster.contacts.len(), roster.contacts.capacity()), (100, 100));
}

#[test]
fn juliet_reads_her_roster_and_hears_of_changes_from_then_on() {
    let mut play = Play::new();
    play.contact("romeo@montague.example", Subscription::Both);
    play.contact("nurse@capulet.example", Subscription::None);
    let stream = play.bind("balcony");
    assert_eq!(
        play.says("balcony", GET),
        ["balcony <- <iq to='juliet@capulet.example/balcony' type='result' id='g'>\
          <query xmlns='jabber:iq:roster'><item jid='nurse@capulet.example' subscription='none'/>\
          <item jid='romeo@montague.example' subscription='both'/></query></iq>"]
    );
    assert!(play.stage.account.session(stream).unwrap().interested);
}

#[test]
fn a_client_that_has_the_current_version_is_told_no_more() {
    let mut play = Play::new();
    play.contact("romeo@montague.example", Subscription::Both);
    play.bind("balcony");
    let get = |ver| GET.replace("'/>", &format!("' ver='{ver}'/>"));
    assert_eq!(
        play.says("balcony", &get("1")),
        ["balcony <- <iq to='juliet@capulet.example/balcony' type='result' id='g'/>"]
    );
    for ver in ["", "0", "2", "x"] {
        let lines = play.says("balcony", &get(ver));
        assert!(lines[0].contains("<query xmlns='jabber:iq:roster' ver='1'><item"), "{lines:?}");
    }
}

#[test]
fn a_change_is_pushed_to_those_who_asked_for_the_roster_and_then_confirmed() {
    let mut play = Play::new();
    play.contact("romeo@montague.example", Subscription::To);
    play.enter_interested("balcony");
    play.enter_interested("chamber");
    play.enter("crypt");
    let push = "<iq type='set' id='push-2'><query xmlns='jabber:iq:roster' ver='2'>\
                <item jid='romeo@montague.example' name='Romeo' subscription='to'>\
                <group>Friends</group><group>Feud</group></item></query></iq>";
    let wish = "<item jid='Romeo@Montague.example' name='Romeo' subscription='both' ask='subscribe'>\
                <group>Friends</group><group>Feud</group></item>";
    assert_eq!(
        play.says("balcony", &set(wish)),
        [format!("balcony <- {push}"), format!("chamber <- {push}"), done("balcony")],
        "her subscription is not hers to set"
    );
    let stored = wait(play.stage.ports.store.rosters.load(&play.stage.account.jid)).unwrap();
    assert_eq!(stored.items, [play.stage.account.roster.contacts()[0].item()]);
    assert_eq!(stored.items[0].groups, ["Friends", "Feud"]);
}

#[test]
fn what_a_roster_set_is_refused_for() {
    let long = "x".repeat(1_024);
    let cases = [
        ("", "bad-request"),
        ("<item jid='a@x'/><item jid='b@x'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@x'/>", "bad-request"),
        ("<item jid='a@x'><group>A</group><group>A</group></item>", "bad-request"),
        ("<item jid='a@x'><group/></item>", "not-acceptable"),
        (&format!("<item jid='a@x'><group>{long}</group></item>"), "not-acceptable"),
        (&format!("<item jid='a@x' name='{long}'/>"), "not-acceptable"),
        ("<item jid='juliet@capulet.example'/>", "not-allowed"),
        ("<item jid='a@x' subscription='remove'/>", "item-not-found"),
    ];
    let mut play = Play::new();
    play.enter_interested("balcony");
    for (item, condition) in cases {
        assert_eq!(play.says("balcony", &set(item)), [format!("refused: {condition}")], "{item}");
    }
    assert!(play.stage.account.roster.contacts().is_empty());
}

#[test]
fn who_is_removed_neither_sees_nor_is_seen() {
    let mut play = Play::new();
    play.contact("romeo@montague.example", Subscription::Both);
    play.enter_interested("balcony");
    let say = |presence: &str| format!("world <- <presence to='romeo@montague.example' {presence}/>");
    assert_eq!(
        play.says("balcony", &set("<item jid='romeo@montague.example' subscription='remove'/>")),
        [
            "balcony <- <iq type='set' id='push-2'><query xmlns='jabber:iq:roster' ver='2'>\
             <item jid='romeo@montague.example' subscription='remove'/></query></iq>"
                .to_owned(),
            done("balcony"),
            say("from='juliet@capulet.example' type='unsubscribe'"),
            say("from='juliet@capulet.example/balcony' type='unavailable'"),
            say("from='juliet@capulet.example' type='unsubscribed'"),
        ]
    );
    let stored = wait(play.stage.ports.store.rosters.load(&play.stage.account.jid)).unwrap();
    assert_eq!((stored.version, stored.items.len()), (2, 0));
}

#[test]
fn a_contact_without_subscription_is_removed_without_a_word() {
    let mut play = Play::new();
    play.contact("paris@verona.example", Subscription::None);
    play.bind("balcony");
    let lines = play.says("balcony", &set("<item jid='paris@verona.example' subscription='remove'/>"));
    assert_eq!(lines, [done("balcony")]);
}

#[test]
fn nobody_else_reads_or_changes_it() {
    let mut play = Play::new();
    let from =
        |iq: &str| iq.replace("<iq", "<iq from='romeo@montague.example/garden' to='juliet@capulet.example'");
    assert_eq!(play.hears(&from(GET)), ["refused: service-unavailable"]);
    assert_eq!(play.hears(&from(&set("<item jid='romeo@montague.example'/>"))), ["refused: forbidden"]);
}

#[test]
fn a_store_that_refuses_changes_nothing() {
    let mut play = over(Failing { error: Error::Refused("full".into()), fails: usize::MAX });
    play.enter_interested("balcony");
    assert_eq!(play.says("balcony", &set("<item jid='a@x'/>")), ["refused: internal-server-error"]);
    assert!(play.stage.account.roster.contacts().is_empty());
}

#[test]
fn a_write_of_unknown_outcome_is_repeated() {
    let mut play = over(Failing { error: Error::Unknown("timeout".into()), fails: 2 });
    play.bind("balcony");
    assert_eq!(play.says("balcony", &set("<item jid='a@x'/>")), [done("balcony")]);
    let mut play = over(Failing { error: Error::Unknown("timeout".into()), fails: 3 });
    play.bind("balcony");
    assert_eq!(play.says("balcony", &set("<item jid='a@x'/>")), ["refused: internal-server-error"]);
}

struct Failing {
    error: Error,
    /// How many writes fail.
    fails: usize,
}

fn over(failing: Failing) -> Play {
    let mut stage = Stage::new();
    stage.ports.store.rosters = Arc::new(Broken { failing, writes: AtomicUsize::new(0) });
    Play::on(stage)
}

/// A store whose first writes fail.
struct Broken {
    failing: Failing,
    writes: AtomicUsize,
}

#[async_trait]
impl Rosters for Broken {
    async fn load(&self, _: &Jid) -> Result<Stored> {
        Ok(Stored::default())
    }

    async fn item(&self, _: &Jid, _: &Jid) -> Result<Option<Item>> {
        Ok(None)
    }

    async fn apply(&self, _: &Jid, _: Vec<Change>) -> Result<u64> {
        let nth = self.writes.fetch_add(1, Ordering::Relaxed);
        if nth < self.failing.fails { Err(self.failing.error.clone()) } else { Ok(nth as u64) }
    }
}
