//! §3: an edge that comes again is heard in order, whatever its accounts are at work on.

use std::sync::Arc;

use async_trait::async_trait;
use store::{Blocklists, Error};
use tokio::sync::Semaphore;
use xmpp::jid::Jid;

use crate::testing::{Client, Edge, House, Stage, chat};

/// Romeo, and juliet, whose account is at work until the gate is opened.
struct Play {
    house: House,
    far: Edge,
    romeo: Client,
    juliet: Client,
    gate: Arc<Gate>,
}

impl Play {
    async fn begins() -> Self {
        let mut stage = Stage::new().await;
        let (begun, open) = (Semaphore::new(0), Semaphore::new(0));
        let gate = Arc::new(Gate { blocklists: Arc::clone(&stage.store.blocklists), begun, open });
        stage.store.blocklists = Arc::clone(&gate) as _;
        let house = stage.open().await;
        let edge = Edge::open("edge", house.wire()).await;
        let far = Edge::open("far", house.wire()).await;
        let (romeo, juliet) = (edge.enters("romeo").await, far.enters("juliet").await);
        juliet.says("<iq id='b' type='set'><block xmlns='urn:xmpp:blocking'><item jid='paris@x.example'/></block></iq>");
        gate.begun.acquire().await.unwrap().forget();
        Self { house, far, romeo, juliet, gate }
    }

    async fn link_breaks(&self) {
        self.far.breaks();
        self.juliet.says(&chat("romeo", "while it was broken"));
        self.far.connects(self.house.wire()).await;
        self.juliet.rest().await;
    }
}

#[tokio::test]
async fn what_an_edge_says_stays_behind_its_attaching() {
    let play = Play::begins().await;
    play.link_breaks().await;
    play.juliet.says(&chat("romeo", "after it"));
    play.juliet.rest().await;
    play.gate.open.add_permits(1);

    assert_eq!(play.romeo.hears_all("message", 2).await, ["while it was broken", "after it"]);
    play.juliet.finished(4).await;
}

#[tokio::test]
async fn the_end_of_an_earlier_link_does_not_end_what_came_after_it() {
    let play = Play::begins().await;
    play.link_breaks().await;
    play.link_breaks().await;
    play.gate.open.add_permits(1);

    play.juliet.finished(4).await;
    play.juliet.says(&chat("romeo", "still there"));
    play.juliet.finished(5).await;
    assert!(!play.juliet.desk().hibernated);
}

/// Block lists that take nothing until the gate is open.
struct Gate {
    blocklists: Arc<dyn Blocklists>,
    begun: Semaphore,
    open: Semaphore,
}

#[async_trait]
impl Blocklists for Gate {
    async fn load(&self, account: &Jid) -> Result<Vec<Jid>, Error> {
        self.blocklists.load(account).await
    }

    async fn block(&self, account: &Jid, jids: &[Jid]) -> Result<(), Error> {
        self.begun.add_permits(1);
        self.open.acquire().await.expect("it is never closed").forget();
        self.blocklists.block(account, jids).await
    }

    async fn unblock(&self, account: &Jid, jids: &[Jid]) -> Result<(), Error> {
        self.blocklists.unblock(account, jids).await
    }

    async fn clear(&self, account: &Jid) -> Result<Vec<Jid>, Error> {
        self.blocklists.clear(account).await
    }
}
