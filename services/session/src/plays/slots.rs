//! §7, §11: owners agree over their store on who has which slot; they come, go, sleep and die.

use std::sync::Arc;
use std::time::Duration;

use store::Uid;

use crate::config::Config;
use crate::owner::Owner;
use crate::slots::Hold;
use crate::testing::{Client, Edge, House, PATIENCE, Role, Stage, account, chat, stanza};
use crate::work::{Finish, Inbound};

/// Owners that share their slots, and a router between them.
struct League {
    stage: Stage,
    _router: Role<router::Router>,
}

impl League {
    async fn new() -> Self {
        let mut stage = Stage::with(|config| (config.shared, config.edges) = (true, 0)).await;
        let router = Stage::router(0).await;
        stage.routers.push(router.wire());
        Self { stage, _router: router }
    }

    async fn opens(&self, member: &str) -> House {
        let config = Config { member: member.into(), ..self.stage.config.clone() };
        self.stage.open_at(0, &config).await
    }
}

impl House {
    /// Waits until it has this many slots.
    async fn has(&self, slots: std::ops::RangeInclusive<usize>) {
        let has = async {
            loop {
                let count = self.at(|owner| owner.slots.held(|hold| hold == Hold::Owned).len());
                if slots.contains(&count.await) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(2 * PATIENCE, has)
            .await
            .unwrap_or_else(|_| panic!("it never has {slots:?} slots"));
    }

    async fn owns(&self, name: &str) -> bool {
        let slot = node::slots::of(account(name).as_str(), "");
        self.at(move |owner| owner.slots.owns(slot)).await
    }
}

impl House {
    /// How many contacts it knows of an account that it has in memory.
    async fn contacts(&self, name: &str) -> Option<usize> {
        let jid = account(name);
        let count = move |owner: &Arc<Owner>| {
            let shards = owner.shards.iter().map(|shard| shard.state.lock());
            let all = shards.map(|state| {
                let mut there = state.residents.iter().map(|(_, resident)| &resident.account);
                there.find(|account| account.jid == jid).map(|account| account.roster.contacts().len())
            });
            all.flatten().next()
        };
        self.at(count).await
    }
}

/// Whoever of two has an account.
async fn owner_of<'a>(houses: [&'a House; 2], name: &str) -> &'a House {
    if houses[0].owns(name).await { houses[0] } else { houses[1] }
}

fn ends(owner: &Arc<Owner>) {
    let owner = Arc::clone(owner);
    tokio::spawn(async move { owner.stop().await });
}

async fn goes_to(edge: &Edge, house: &House) {
    edge.breaks();
    edge.connects(house.wire()).await;
}

async fn enters(edge: &Edge, name: &str) -> Client {
    edge.enters(name).await
}

#[tokio::test]
async fn one_that_joins_gets_half_of_the_slots_and_nothing_is_lost_on_the_way() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let (west, east) = (Edge::open("west", verona.wire()).await, Edge::open("east", verona.wire()).await);
    let (romeo, juliet) = (enters(&west, "romeo").await, enters(&east, "juliet").await);
    romeo.says(&chat("juliet", "1"));
    juliet.hears("1").await;

    let mantua = league.opens("mantua").await;
    romeo.says(&chat("juliet", "2"));
    mantua.has(2_048..=2_048).await;
    verona.has(2_048..=2_048).await;
    romeo.says(&chat("juliet", "3"));
    goes_to(&west, owner_of([&verona, &mantua], "romeo").await).await;
    goes_to(&east, owner_of([&verona, &mantua], "juliet").await).await;
    romeo.says(&chat("juliet", "4"));
    juliet.says(&chat("romeo", "5"));

    romeo.hears("5").await;
    assert_eq!(juliet.hears_all("message", 3).await, ["2", "3", "4"]);
    romeo.finished(5).await;
    assert_eq!((romeo.rest().await.len(), juliet.rest().await.len()), (0, 0));
    assert_eq!(league.stage.archive("juliet").await.len(), 5);
}

#[tokio::test]
async fn what_an_owner_knew_goes_with_its_slots_and_is_not_read_again() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let juliet = enters(&edge, "juliet").await;
    let mantua = league.opens("mantua").await;
    mantua.has(2_048..=2_048).await;
    // Behind the back of whoever has her: who reads her roster finds him.
    let unseen = vec![store::Change::Put(store::Item::new(account("romeo")))];
    league.stage.store.rosters.apply(&account("juliet"), unseen).await.unwrap();
    goes_to(&edge, owner_of([&verona, &mantua], "juliet").await).await;
    juliet.says(&chat("juliet", "1"));
    juliet.hears("1").await;

    let (leaves, stays) = if verona.owns("juliet").await { (&verona, &mantua) } else { (&mantua, &verona) };
    leaves.at(ends).await;
    stays.has(4_096..=4_096).await;
    goes_to(&edge, stays).await;
    juliet.says(&chat("juliet", "2"));
    juliet.hears("2").await;
    juliet.finished(3).await;
    assert_eq!(stays.contacts("juliet").await, Some(0));
    assert_eq!(league.stage.archive("juliet").await.len(), 2);
}

#[tokio::test]
async fn what_a_dead_owner_had_is_taken_over_by_the_other_one() {
    let league = League::new().await;
    let mut verona = league.opens("verona").await;
    let mantua = league.opens("mantua").await;
    verona.has(2_048..=2_048).await;
    mantua.has(2_048..=2_048).await;
    let name = if verona.owns("romeo").await { "romeo" } else { "juliet" };
    let edge = Edge::open("edge", verona.wire()).await;
    let client = if verona.owns(name).await { enters(&edge, name).await } else { return };
    client.says(&chat(name, "1"));
    client.hears("1").await;

    verona.dies();
    edge.breaks();
    client.says(&chat(name, "2"));
    mantua.has(4_096..=4_096).await;
    edge.connects(mantua.wire()).await;

    client.hears("2").await;
    client.finished(3).await;
    assert_eq!(client.rest().await.len(), 0);
}

#[tokio::test]
async fn one_that_ends_in_order_gives_its_slots_away_first() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    let mantua = league.opens("mantua").await;
    verona.has(2_048..=2_048).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let client = if verona.owns("romeo").await { Some(enters(&edge, "romeo").await) } else { None };
    verona.at(ends).await;
    mantua.has(4_096..=4_096).await;
    if let Some(client) = client {
        edge.breaks();
        client.says(&chat("romeo", "1"));
        edge.connects(mantua.wire()).await;
        client.hears("1").await;
    }
    let members = league.stage.store.members.list().await.unwrap();
    assert_eq!(members.iter().map(|member| &*member.name).collect::<Vec<_>>(), ["mantua"]);
}

#[tokio::test]
async fn a_session_that_hibernates_is_resumed_at_the_next_owner() {
    let league = League::new().await;
    let mut verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let (romeo, juliet) = (enters(&edge, "romeo").await, enters(&edge, "juliet").await);
    juliet.acks();
    let (previd, h) = (juliet.previd(), juliet.desk().acked - juliet.desk().out_base);
    juliet.vanishes();
    juliet.hibernates().await;
    romeo.says(&chat("juliet", "1"));
    romeo.finished(2).await;
    // Until the next tick it is only in the owner's memory that she has it in her mailbox; the archive has it, too.
    verona.dies();
    edge.breaks();

    let mantua = league.opens("mantua").await;
    mantua.has(4_096..=4_096).await;
    let far = Edge::open("far", mantua.wire()).await;
    let back = far.resumes("juliet@verona.example", &previd, u32::try_from(h).unwrap()).await.unwrap();
    assert_eq!(back.hears_all("message", 1).await, ["1"]);
    assert_eq!(back.rest().await.len(), 0);
}

#[tokio::test]
async fn an_edge_that_dies_while_slots_move_takes_no_session_along() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let juliet = enters(&edge, "juliet").await;
    let (previd, h) = (juliet.previd(), (juliet.desk().out_n - juliet.desk().out_base) as u32);
    juliet.acks();
    let mantua = league.opens("mantua").await;
    mantua.has(2_048..=2_048).await;
    verona.at(ends).await;
    mantua.has(4_096..=4_096).await;
    edge.dies();

    let far = Edge::open("far", mantua.wire()).await;
    let back = far.resumes("juliet@verona.example", &previd, h).await.unwrap();
    back.says(&chat("juliet", "1"));
    back.hears("1").await;
}

#[tokio::test]
async fn a_session_that_nobody_has_any_more_is_seen_to_leave() {
    let league = League::new().await;
    league.stage.befriend("romeo", "juliet").await;
    let mut verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let (west, east) = (Edge::open("west", verona.wire()).await, Edge::open("east", verona.wire()).await);
    let (romeo, _juliet) = (enters(&west, "romeo").await, enters(&east, "juliet").await);
    romeo.hears("presence available juliet").await;
    tokio::time::sleep(Duration::from_millis(300)).await; // the registry is told soon, not at once

    verona.dies();
    west.breaks();
    east.breaks();
    let mantua = league.opens("mantua").await;
    mantua.has(4_096..=4_096).await;
    west.connects(mantua.wire()).await;
    romeo.hears("presence unavailable juliet").await;
}

#[tokio::test]
async fn a_fenced_owner_does_nothing_any_more() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let romeo = enters(&edge, "romeo").await;
    let members = &league.stage.store.members;
    let life = members.list().await.unwrap().remove(0);
    members.fence(&life.name, life.incarnation).await.unwrap();
    let fenced = verona.at(|owner| owner.fenced.clone()).await;
    tokio::time::timeout(PATIENCE, fenced.cancelled()).await.unwrap();
    let before = league.stage.archive("romeo").await.len();
    romeo.says(&chat("romeo", "1"));
    assert_eq!(romeo.rest().await.len(), 0);
    assert_eq!(league.stage.archive("romeo").await.len(), before);
}

impl House {
    /// Holds romeo's slot like this.
    async fn holds(&self, hold: Hold) {
        let slot = node::slots::of(account("romeo").as_str(), "");
        self.at(move |owner| owner.slots.set(slot, owner.slots.epoch(slot), hold)).await;
    }
}

#[tokio::test]
async fn what_was_left_out_while_a_slot_was_closing_is_not_jumped_over_when_it_stays() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    verona.has(4_096..=4_096).await;
    let edge = Edge::open("edge", verona.wire()).await;
    let romeo = enters(&edge, "romeo").await;
    verona.holds(Hold::Closing).await;
    romeo.says(&chat("romeo", "1"));
    assert_eq!(romeo.rest().await.len(), 0);
    verona.holds(Hold::Owned).await;
    // On its way before its edge could hear that the slot was closing.
    romeo.says(&chat("romeo", "2"));
    assert_eq!(romeo.rest().await.len(), 0);
    goes_to(&edge, &verona).await;

    assert_eq!(romeo.hears_all("message", 2).await, ["1", "2"]);
    romeo.finished(3).await;
}

/// Something is sent to juliet's slot while it is another's, and comes back as it becomes this owner's; the run it was
/// sent under.
async fn goes_and_comes(house: &House) -> u64 {
    house
        .at(|owner| {
            let slot = node::slots::of(account("juliet").as_str(), "");
            let (uid, finish, stanza) = (Uid::default(), Finish::Nobody, stanza("<message/>"));
            let inbound = Inbound { uid, finish, must: true, marked: false, to: account("juliet"), stanza };
            owner.slots.set(slot, 1, Hold::Absent);
            owner.routes.send(slot, owner.clock.now_ms(), Box::new(inbound));
            let run = owner.routes.run(slot);
            owner.slots.set(slot, 2, Hold::Taking);
            assert_eq!(owner.routes.take_over(slot).len(), 1);
            run
        })
        .await
}

#[tokio::test]
async fn runs_are_counted_on_when_a_slot_goes_to_and_fro() {
    let league = League::new().await;
    let verona = league.opens("verona").await;
    let first = goes_and_comes(&verona).await;
    assert!(goes_and_comes(&verona).await > first, "whoever had it meanwhile has heard of the first");
}
