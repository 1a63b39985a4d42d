//! Two owners that are played by hand, and a client between them: its slot goes from one to the other, and it notices
//! nothing.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod hand;

use hand::{Client, Hand, Running, SLOT, STREAM};
use proto::{
    delivery::{Moved, Slots, Table},
    session::{
        Attach, Deliver, Handled, LoginReply, edge_frame::Kind as Out, login_reply::Step as Reply,
        owner_frame::Kind as In,
    },
};
use tokio::sync::watch;

const ALL: std::ops::RangeInclusive<u32> = 0..=4095;
const HERS: std::ops::RangeInclusive<u32> = SLOT..=SLOT;

/// Capulet owns everything, Montague nothing yet.
struct Verona {
    capulet: Hand,
    montague: Hand,
    owners: watch::Sender<Vec<node::Peer>>,
    edge: Running,
}

impl Verona {
    async fn new() -> Self {
        let (mut capulet, mut montague) = (Hand::new(), Hand::new());
        let (owners, listed) = watch::channel(vec![capulet.listed("capulet"), montague.listed("montague")]);
        let edge = hand::edge_of(listed, hand::config());
        capulet.greet().await;
        capulet.owns(ALL, 1);
        capulet.attached().await;
        montague.greet().await;
        montague.says(In::Table(Table::default()));
        montague.attached().await;
        Self { capulet, montague, owners, edge }
    }

    /// Juliet, with stream management.
    async fn juliet(&mut self) -> Client {
        let mut juliet = Client::connect(&self.edge).await;
        self.capulet.bind(&mut juliet).await;
        juliet.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        self.capulet.until(|kind| matches!(kind, Out::Enable(_))).await;
        hand::enabled(&self.capulet, 0);
        juliet.hears("max='60'/>").await;
        juliet
    }
}

/// The stream that is attached next.
async fn attach(hand: &mut Hand) -> Attach {
    let Out::Attach(attach) = hand.hears().await else { panic!() };
    assert!(!attach.last, "nothing is attached");
    *attach
}

/// What else is said until all is, and the epoch of that.
async fn rest(hand: &mut Hand) -> (Vec<u64>, u64) {
    let mut numbers = Vec::new();
    loop {
        match hand.hears().await {
            Out::Item(item) => numbers.push(item.uid.unwrap().n),
            Out::Attach(attach) if attach.last => return (numbers, attach.epoch),
            other => panic!("{other:?}"),
        }
    }
}

async fn item(hand: &mut Hand, n: u64) {
    hand.until(|kind| matches!(kind, Out::Item(item) if item.uid.as_ref().unwrap().n == n)).await;
}

fn deliver(out_n: u64, body: &str) -> In {
    In::Deliver(Deliver { archive_id: out_n, ..hand::deliver(out_n, &format!("<body>{body}</body>")) }.into())
}

fn handled(h: u64) -> In {
    In::Handled(Handled { stream: Some(STREAM), generation: 1, h, above: Vec::new() })
}

#[tokio::test]
async fn a_slot_moves_and_nothing_is_lost_or_doubled() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    verona.capulet.says(deliver(1, "first"));
    juliet.hears("first</body></message>").await;
    juliet.says("<a xmlns='urn:xmpp:sm:3' h='1'/><presence/><presence/><presence/>").await;
    item(&mut verona.capulet, 3).await;
    verona.capulet.says(handled(1));
    verona.capulet.says(deliver(2, "second"));
    juliet.hears("second</body></message>").await;

    verona.montague.owns(HERS, 2);
    let attach = attach(&mut verona.montague).await;
    assert_eq!((attach.stream, attach.h, attach.out_n, attach.acked), (Some(STREAM), 1, 2, 1));
    assert_eq!(attach.mailbox.iter().map(|deliver| deliver.out_n).collect::<Vec<_>>(), [2]);
    assert_eq!(rest(&mut verona.montague).await, (vec![2, 3], 2));

    verona.capulet.says(deliver(3, "of the old owner, too late"));
    verona.capulet.says(handled(3));
    // The edge has read that much when it answers this.
    verona.capulet.owns(ALL, 1);
    verona.capulet.attached().await;
    verona.montague.says(deliver(3, "third"));
    let heard = juliet.hears("third</body></message>").await;
    assert!(!heard.contains("too late"), "{heard}");
    juliet.says("<presence/><r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    item(&mut verona.montague, 4).await;
    verona.montague.says(handled(4));
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='4'/>").await;
    verona.capulet.is_left_alone().await;
}

#[tokio::test]
async fn what_is_nobodys_waits_for_the_next_owner() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    verona.capulet.owns(0..=SLOT - 1, 1);
    verona.capulet.attached().await;
    juliet.says("<presence/>").await;
    verona.capulet.is_left_alone().await;
    verona.montague.owns(HERS, 2);
    attach(&mut verona.montague).await;
    assert_eq!(rest(&mut verona.montague).await, (vec![1], 2));
    juliet.says("<presence/>").await;
    item(&mut verona.montague, 2).await;
}

#[tokio::test]
async fn a_slot_that_is_about_to_move_takes_nothing_new() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    juliet.says("<presence/><r xmlns='urn:xmpp:sm:3'/>").await;
    item(&mut verona.capulet, 1).await;
    let hers = Slots { first: SLOT, last: SLOT, epoch: 1, ..Slots::default() };
    let all = Slots { first: 0, last: 4095, epoch: 1, ..Slots::default() };
    verona.capulet.says(In::Table(Table { owned: vec![all], closing: vec![hers] }));
    verona.capulet.attached().await;
    juliet.says("<presence/>").await;
    verona.capulet.is_left_alone().await;
    // What was begun is finished.
    verona.capulet.says(handled(1));
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    // It stays after all.
    verona.capulet.owns(ALL, 1);
    attach(&mut verona.capulet).await;
    assert_eq!(rest(&mut verona.capulet).await, (vec![2], 1));
}

#[tokio::test]
async fn an_owner_that_owns_anew_is_told_again() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    juliet.says("<presence/>").await;
    item(&mut verona.capulet, 1).await;
    verona.capulet.owns(ALL, 1);
    assert_eq!(rest(&mut verona.capulet).await, (vec![], 1), "nothing is new");
    verona.capulet.owns(ALL, 3);
    assert_eq!(attach(&mut verona.capulet).await.out_n, 0);
    assert_eq!(rest(&mut verona.capulet).await, (vec![1], 3));
    verona.capulet.says(deliver(1, "once"));
    verona.capulet.says(deliver(1, "twice"));
    verona.capulet.says(deliver(2, "next"));
    juliet.hears("once</body></message><message><body>next</body>").await;
}

#[tokio::test]
async fn an_owner_dies_and_another_claims() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    juliet.says("<presence/>").await;
    item(&mut verona.capulet, 1).await;
    verona.capulet.dies();
    juliet.says("<presence/>").await;
    let alone = vec![verona.montague.listed("montague")];
    verona.owners.send_replace(alone);
    verona.montague.is_left_alone().await;
    verona.montague.owns(ALL, 2);
    attach(&mut verona.montague).await;
    assert_eq!(rest(&mut verona.montague).await, (vec![1, 2], 2));

    // It comes back and believes that nothing has happened.
    let both = vec![verona.capulet.listed("capulet"), verona.montague.listed("montague")];
    verona.owners.send_replace(both);
    verona.capulet.greet().await;
    verona.capulet.owns(ALL, 1);
    assert_eq!(rest(&mut verona.capulet).await, (vec![], 1));
    juliet.says("<presence/>").await;
    item(&mut verona.montague, 3).await;
    verona.capulet.is_left_alone().await;
}

#[tokio::test]
async fn an_owner_that_is_not_listed_is_left_when_its_streams_have_moved() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    let alone = vec![verona.montague.listed("montague")];
    verona.owners.send_replace(alone);
    juliet.says("<presence/>").await;
    item(&mut verona.capulet, 1).await;
    verona.montague.owns(ALL, 2);
    verona.montague.attached().await;
    verona.capulet.is_left().await;
}

#[tokio::test]
async fn a_login_waits_for_an_owner_and_goes_where_it_is_sent() {
    let mut verona = Verona::new().await;
    verona.capulet.owns(0..=SLOT - 1, 1);
    verona.capulet.attached().await;
    let mut juliet = Client::connect(&verona.edge).await;
    juliet.open().await;
    juliet.begins().await;
    verona.capulet.is_left_alone().await;
    verona.capulet.owns(ALL, 2);
    let exchange = verona.capulet.login().await;
    verona.capulet.succeeds(exchange);
    juliet.hears("</success>").await;
    juliet.open().await;
    juliet.says("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
    verona.capulet.until(|kind| matches!(kind, Out::Bind(_))).await;
    verona.capulet.says(In::Moved(Moved { slot: SLOT, epoch: 3, exchange, ..Moved::default() }));
    verona.capulet.is_left_alone().await;
    verona.montague.owns(HERS, 3);
    verona.montague.attached().await;
    let Out::Bind(bind) = verona.montague.hears().await else { panic!() };
    assert_eq!(bind.jid, "juliet@capulet.example");
    verona.montague.binds(bind.exchange);
    juliet.hears("</bind></iq>").await;
    juliet.says("<presence/>").await;
    item(&mut verona.montague, 1).await;
}

#[tokio::test]
async fn what_an_owner_does_not_answer_the_next_one_is_asked() {
    let mut verona = Verona::new().await;
    let mut juliet = Client::connect(&verona.edge).await;
    let exchange = verona.capulet.authorise(&mut juliet).await;
    juliet.says("<resume xmlns='urn:xmpp:sm:3' previd='sm' h='0'/>").await;
    verona.capulet.until(|kind| matches!(kind, Out::Resume(_))).await;
    verona.montague.owns(HERS, 2);
    verona.montague.attached().await;
    let Out::Resume(resume) = verona.montague.hears().await else { panic!() };
    assert_eq!((resume.jid.as_str(), resume.previd.as_str()), ("juliet@capulet.example", "sm"));
    // It wakes up and answers all the same.
    verona.capulet.binds(exchange);
    verona.capulet.until(|kind| matches!(kind, Out::Gone(_))).await;
    verona.capulet.until(|kind| matches!(kind, Out::Ended(_))).await;
    verona.montague.binds(resume.exchange);
    verona.montague.is_left_alone().await;
}

#[tokio::test]
async fn a_login_that_its_owner_has_begun_ends_with_it() {
    let mut verona = Verona::new().await;
    let mut juliet = Client::connect(&verona.edge).await;
    juliet.open().await;
    juliet.begins().await;
    let exchange = verona.capulet.login().await;
    let challenge = Reply::Challenge(b"c".to_vec().into());
    verona.capulet.says(In::Login(LoginReply { exchange, step: Some(challenge) }));
    juliet.hears("</challenge>").await;
    verona.montague.owns(HERS, 2);
    verona.montague.attached().await;
    juliet.says("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cg==</response>").await;
    juliet.hears("<temporary-auth-failure/></failure>").await;
    juliet.begins().await;
    verona.montague.login().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_goes_to_and_fro_under_way() {
    let mut verona = Verona::new().await;
    let mut juliet = verona.juliet().await;
    let (mut sent, mut given) = (0, 0);
    for epoch in 2..=60 {
        let owner = if epoch % 2 == 0 { &mut verona.montague } else { &mut verona.capulet };
        juliet.says("<presence/><presence/><presence/>").await;
        sent += 3;
        owner.owns(HERS, epoch);
        let attach = loop {
            match owner.hears().await {
                Out::Attach(attach) if !attach.last => break attach,
                _ => {}
            }
        };
        let mut h = attach.h;
        loop {
            match owner.hears().await {
                Out::Item(item) => {
                    assert_eq!(item.uid.unwrap().n, h + 1, "in order, and none is left out");
                    h += 1;
                }
                Out::Attach(attach) if attach.last && attach.epoch == epoch => break,
                _ => {}
            }
        }
        assert!(attach.out_n >= given.max(1) - 1, "what the client was given stays given");
        given = attach.out_n + 1;
        owner.says(handled(h));
        owner.says(deliver(given, &given.to_string()));
    }
    let heard = juliet.hears(&format!("<body>{given}</body>")).await;
    let heard: Vec<u64> =
        heard.split("<body>").skip(1).map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect();
    assert_eq!(heard, (1..=given).collect::<Vec<_>>(), "each once");
    juliet.says("<presence/>").await;
    item(&mut verona.montague, sent + 1).await;
    verona.montague.says(handled(sent + 1));
    juliet.says("<r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.hears(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", sent + 1)).await;
}
