//! §3, §4, §7: an owner dies, the edges have what its clients had, and the next one goes on with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use store::{Cursor, Cursors, Error};
use xmpp::jid::Jid;

use crate::testing::{Edge, Stage, chat};

#[tokio::test]
async fn a_link_that_breaks_loses_and_doubles_nothing() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    far.breaks();
    romeo.says(&chat("juliet", "1"));
    juliet.says(&chat("romeo", "2"));
    romeo.finished(2).await;
    far.connects(house.wire()).await;

    juliet.hears("1").await;
    romeo.hears("2").await;
    juliet.finished(2).await;
    assert_eq!((romeo.rest().await.len(), juliet.rest().await.len()), (0, 0));
}

#[tokio::test]
async fn what_is_held_is_finished_when_the_edge_says_again_that_it_has_it() {
    let stage = Stage::new().await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);

    far.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>news</body></message>");
    juliet.hears("news").await;
    far.breaks();
    far.connects(house.wire()).await;

    romeo.finished(2).await;
    assert_eq!(juliet.rest().await, [""; 0], "it has it");
}

#[tokio::test]
async fn the_next_owner_goes_on_where_the_last_one_died() {
    let stage = Stage::with(|config| config.edges = 2).await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    romeo.says(&chat("juliet", "1"));
    juliet.hears("1").await;
    romeo.finished(2).await;

    house.dies();
    edge.breaks();
    far.breaks();
    romeo.says(&chat("juliet", "2"));
    juliet.says(&chat("romeo", "3"));
    stage.reopen(&mut house).await;
    far.connects(house.wire()).await;
    edge.connects(house.wire()).await;

    romeo.hears("3").await;
    assert_eq!(juliet.rest().await, ["message chat romeo: 2"]);
    romeo.finished(3).await;
    juliet.finished(2).await;
    assert_eq!(stage.archive("juliet").await.len(), 3);
    assert_eq!(stage.archive("romeo").await.len(), 3);
}

#[tokio::test]
async fn an_acknowledgement_that_was_lost_delivers_nothing_twice() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    romeo.says(&chat("juliet", "1"));
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>2</body></message>");
    romeo.says(&chat("juliet", "3"));
    juliet.hears("3").await;
    romeo.finished(4).await;

    // The edge never heard of it.
    house.dies();
    edge.breaks();
    romeo.with(|desk| desk.h = 1);
    romeo.owes(&[
        &chat("juliet", "1"),
        "<message to='juliet@verona.example/home' type='headline'><body>2</body></message>",
        &chat("juliet", "3"),
    ]);
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    romeo.says(&chat("juliet", "4"));

    romeo.finished(5).await;
    juliet.hears("4").await;
    assert_eq!(stage.archive("juliet").await.len(), 3, "1, 3 and 4");
    assert_eq!(stage.archive("romeo").await.len(), 3);
    assert_eq!(juliet.desk().mailbox.len(), 5);
}

#[tokio::test]
async fn what_the_last_owner_stored_out_of_turn_does_not_hide_what_came_before() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);

    // Stored before the owner died; the headline before it was not given to anybody.
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>1</body></message>");
    juliet.hears("1").await;
    romeo.says(&chat("juliet", "2"));
    juliet.hears("2").await;
    romeo.finished(3).await;
    house.dies();
    edge.breaks();
    juliet.with(|desk| {
        desk.mailbox.retain(|mail| mail.out_n < 2);
        (desk.out_n, desk.position) = (1, 1);
    });
    romeo.with(|desk| desk.h = 1);
    romeo.owes(&[
        "<message to='juliet@verona.example/home' type='headline'><body>1</body></message>",
        &chat("juliet", "2"),
    ]);
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    let mut heard = juliet.hears_all("message", 2).await;
    heard.sort();
    assert_eq!(heard, ["1", "2"]);
    romeo.finished(3).await;
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn what_was_finished_above_h_is_not_handled_again() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet, paris) =
        (edge.enters("romeo").await, far.enters("juliet").await, edge.enters("paris").await);
    far.keeps_quiet(true);
    romeo.says("<message to='juliet@verona.example/home' type='headline'><body>1</body></message>");
    romeo.says("<message to='paris@verona.example/home' type='headline'><body>2</body></message>");
    juliet.hears("1").await;
    paris.hears("2").await;
    romeo.until("2 to be finished", |desk| (desk.above.len() == 1).then_some(())).await;

    house.dies();
    edge.breaks();
    far.breaks();
    far.keeps_quiet(false);
    stage.reopen(&mut house).await;
    far.connects(house.wire()).await;
    edge.connects(house.wire()).await;
    romeo.says("<message to='paris@verona.example/home' type='headline'><body>3</body></message>");

    romeo.finished(4).await;
    assert_eq!(paris.rest().await, ["message headline romeo: 3"]);
    assert_eq!(juliet.rest().await, [""; 0], "it is in its mailbox");
}

#[tokio::test]
async fn while_sessions_are_gathered_nobody_is_told_of_absence() {
    let stage = Stage::with(|config| config.edges = 2).await;
    stage.befriend("romeo", "juliet").await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    romeo.hears("presence available juliet").await;
    house.dies();
    edge.breaks();
    far.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    romeo.says("<iq to='juliet@verona.example/home' type='get' id='1'><q xmlns='urn:example:q'/></iq>");
    romeo.says("<message to='juliet@verona.example/home' type='groupchat'><body>2</body></message>");
    romeo.says(&chat("juliet", "3"));
    romeo.says("<presence to='juliet@verona.example/home' type='probe'/>");
    assert_eq!(romeo.rest().await, [""; 0]);
    far.connects(house.wire()).await;

    juliet.hears("iq get romeo: 1").await;
    juliet.hears("message groupchat romeo: 2").await;
    juliet.hears("message chat romeo: 3").await;
    romeo.finished(5).await;
    assert!(romeo.rest().await.iter().all(|line| line == "presence available juliet: "));
}

#[tokio::test]
async fn what_comes_as_gathering_ends_stays_behind_what_has_waited() {
    let stage = Stage::with(|config| config.edges = 2).await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, edge.enters("juliet").await);
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    romeo.says(&chat("juliet", "1"));
    assert_eq!(juliet.rest().await, [""; 0]);

    // Its accounts have not heard of it.
    romeo.says(&chat("juliet", "2"));

    assert_eq!(juliet.hears_all("message", 2).await, ["1", "2"]);
}

#[tokio::test]
async fn after_gathering_absence_is_absence() {
    let stage = Stage::with(|config| config.edges = 2).await;
    let house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.binds_managed("romeo@verona.example/home").await;
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='1'><q xmlns='urn:example:q'/></iq>");
    romeo.says("<message to='juliet@verona.example/home' type='groupchat'><body>2</body></message>");
    romeo.hears("iq error juliet: service-unavailable").await;
    romeo.hears("message error juliet: service-unavailable").await;
}

#[tokio::test]
async fn an_edge_that_never_comes_back_takes_its_sessions_position_along() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    for n in 1..=3 {
        romeo.says(&chat("juliet", &n.to_string()));
    }
    juliet.hears("3").await;
    romeo.finished(4).await;
    house.dies();
    edge.breaks();
    far.dies();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    let juliet = edge.enters("juliet").await;
    let heard = juliet.rest().await;
    assert_eq!(heard, ["message chat romeo: 1", "message chat romeo: 2", "message chat romeo: 3"]);
}

#[tokio::test]
async fn messages_stored_after_a_sessions_position_are_routed_by_the_next_owner() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    romeo.says(&chat("juliet", "1"));
    juliet.hears("1").await;
    juliet.acks();
    far.breaks();
    for n in 2..=4 {
        romeo.says(&chat("juliet", &n.to_string()));
    }
    romeo.finished(5).await;
    house.dies();
    edge.breaks();
    stage.reopen(&mut house).await;
    far.connects(house.wire()).await;
    edge.connects(house.wire()).await;
    romeo.says(&chat("juliet", "5"));

    assert_eq!(juliet.hears_all("message", 4).await, ["2", "3", "4", "5"]);
    assert_eq!(juliet.rest().await, [""; 0]);
}

#[tokio::test]
async fn a_store_that_is_down_when_the_next_owner_starts_costs_nobody_the_session() {
    let mut stage = Stage::new().await;
    let down = Arc::new(AtomicBool::new(false));
    stage.store.cursors =
        Arc::new(Fragile { cursors: Arc::clone(&stage.store.cursors), down: Arc::clone(&down) });
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let romeo = edge.enters("romeo").await;
    house.dies();
    edge.breaks();
    down.store(true, Ordering::Relaxed);
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    romeo.says("<iq id='still' type='get'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(edge.binds("romeo@verona.example/b").await.is_err(), "a new one comes again later");

    down.store(false, Ordering::Relaxed);
    romeo.hears(": still").await;
    assert_eq!(romeo.desk().closed, None);
}

/// Cursors that cannot be read for a while.
struct Fragile {
    cursors: Arc<dyn Cursors>,
    down: Arc<AtomicBool>,
}

#[async_trait]
impl Cursors for Fragile {
    async fn load(&self, account: &Jid) -> Result<Cursor, Error> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Error::Refused("a fault was asked for".into()));
        }
        self.cursors.load(account).await
    }

    async fn save(&self, cursors: &[(Jid, Cursor)]) -> Result<(), Error> {
        self.cursors.save(cursors).await
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_ends_that_session_and_no_other() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (juliet, other) = (edge.enters("juliet").await, edge.binds_managed("juliet@verona.example/b").await);
    house.dies();
    edge.breaks();
    juliet.with(|desk| desk.state = bytes::Bytes::from_static(b"\x09nonsense"));
    for n in 0..5 {
        juliet.says(&chat("romeo", &n.to_string()));
        other.says(&chat("romeo", &n.to_string()));
    }
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    assert_eq!(juliet.closed().await, "internal-server-error");
    other.finished(5).await;
}

#[tokio::test]
async fn a_stream_is_attached_to_its_own_account_only() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let (juliet, romeo) = (edge.enters("juliet").await, edge.enters("romeo").await);
    house.dies();
    edge.breaks();
    juliet.with(|desk| desk.jid = "romeo@verona.example/home".into());
    romeo.with(|desk| desk.jid = "romeo@nowhere.example/home".into());
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;

    juliet.closed().await;
    romeo.closed().await;
}

#[tokio::test]
async fn a_question_whose_way_was_lost_is_answered_in_the_end() {
    let stage = Stage::new().await;
    let mut house = stage.open().await;
    let edge = Edge::open("edge", house.wire()).await;
    let far = Edge::open("far", house.wire()).await;
    let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
    romeo.says("<iq to='juliet@verona.example/home' type='get' id='q'><q xmlns='urn:example:q'/></iq>");
    juliet.hears("iq get romeo: q").await;
    romeo.finished(2).await;
    house.dies();
    edge.breaks();
    far.dies();
    stage.reopen(&mut house).await;
    edge.connects(house.wire()).await;
    romeo.rest().await;
    house.skips(301_000).await;

    romeo.hears("iq error juliet: remote-server-timeout").await;
}
