//! Clients, an edge, and an owner that is played by hand: what the edge tells the owner, and what it remembers for the
//! next one.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod hand;

use std::time::Duration;

use hand::{Client, Hand, STREAM, deliver, edge, enabled};
use node::carry;
use proto::session::{
    Above, Bound, Close, Deliver, Handled, Hibernated, LoginReply, LoginSuccess, Resumed, State,
    edge_frame::Kind as Out, ended::Why, login::Step, login_reply::Step as Reply, owner_frame::Kind as In,
};
use xmpp::stanza::Kind;

#[tokio::test]
async fn a_client_logs_in_and_its_stanzas_are_items() {
    let mut hand = Hand::new();
    let edge = edge(&hand);
    let mut juliet = Client::connect(&edge).await;
    hand.welcome().await;
    hand.attached().await;
    juliet.open().await;
    juliet.says("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>YQ==</auth>").await;
    let Out::Login(login) = hand.hears().await else { panic!() };
    let Some(Step::Start(start)) = login.step else { panic!() };
    assert_eq!(
        (&*start.domain, &*start.mechanism, &start.initial[..]),
        ("capulet.example", "SCRAM-SHA-1", &b"a"[..])
    );
    assert!(!start.tls && !start.plain_allowed && start.address == "127.0.0.1");
    hand.says(In::Login(LoginReply {
        exchange: login.exchange,
        step: Some(Reply::Challenge(b"c".to_vec().into())),
    }));
    juliet.hears("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>Yw==</challenge>").await;
    juliet.says("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cg==</response>").await;
    let Out::Login(login) = hand.hears().await else { panic!() };
    assert_eq!(login.step, Some(Step::Response(b"r".to_vec().into())));
    let success = LoginSuccess { data: b"v".to_vec().into(), jid: "juliet@capulet.example".into() };
    hand.says(In::Login(LoginReply { exchange: login.exchange, step: Some(Reply::Success(success)) }));
    juliet.hears("</success>").await;
    juliet.open().await;
    juliet.says("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b</resource></bind></iq>").await;
    let Out::Bind(bind) = hand.hears().await else { panic!() };
    assert_eq!((bind.exchange, &*bind.jid, &*bind.resource), (login.exchange, "juliet@capulet.example", "b"));
    hand.says(In::Bound(Bound {
        exchange: bind.exchange,
        stream: Some(STREAM),
        generation: 1,
        jid: "juliet@capulet.example/b".into(),
        ..Bound::default()
    }));
    juliet.hears("<jid>juliet@capulet.example/b</jid></bind></iq>").await;

    juliet.says("<message to='romeo@montague.example'><body>hi</body></message><presence/>").await;
    for (n, kind) in [(1, Kind::Message), (2, Kind::Presence)] {
        let Out::Item(item) = hand.hears().await else { panic!() };
        let uid = item.uid.unwrap();
        assert_eq!((uid.origin, uid.n, item.generation), (Some(STREAM), n, 1));
        let stanza = carry::View::of(&item.stanza).unwrap();
        assert_eq!((stanza.kind, stanza.from), (kind, "juliet@capulet.example/b"));
    }
    juliet.says("</stream:stream>").await;
    let Out::Ended(ended) = hand.hears().await else { panic!() };
    assert_eq!(ended.why(), Why::Closed);
    juliet.hears("</stream:stream>").await;
}

#[tokio::test]
async fn what_is_written_is_kept_and_what_is_acknowledged_is_told() {
    let (mut hand, _edge, mut juliet) = hand::bound().await;
    hand.says(In::Deliver(deliver(1, "<body>a</body>").into()));
    hand.says(In::Deliver(deliver(2, "<body>b</body>").into()));
    juliet.hears("<message><body>b</body></message>").await;
    let Out::Kept(mut kept) = hand.hears().await else { panic!() };
    if kept.out_n == 1 {
        let Out::Kept(next) = hand.hears().await else { panic!() };
        kept = next;
    }
    assert_eq!(kept.out_n, 2);

    juliet.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let Out::Enable(enable) = hand.hears().await else { panic!() };
    assert!(enable.resume && enable.in_base == 0);
    enabled(&hand, 2);
    juliet.hears("<enabled xmlns='urn:xmpp:sm:3' id='sm' resume='true' max='60'/>").await;
    hand.says(In::Deliver(deliver(3, "<body>c</body>").into()));
    juliet.hears("<message><body>c</body></message><r xmlns='urn:xmpp:sm:3'/>").await;
    assert!(matches!(hand.hears().await, Out::Kept(kept) if kept.out_n == 3));
    juliet.says("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
    assert!(matches!(hand.hears().await, Out::Acked(acked) if acked.out_n == 3));

    juliet.says("<presence/><r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='0'/>").await;
    assert!(matches!(hand.hears().await, Out::Item(_)));
    hand.says(In::Handled(handled(1)));
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
}

#[tokio::test]
async fn a_new_owner_is_told_everything_and_the_client_notices_nothing() {
    let (mut hand, _edge, mut juliet) = hand::bound().await;
    juliet.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    hand.hears().await;
    enabled(&hand, 0);
    juliet.hears("max='60'/>").await;
    hand.says(In::State(State {
        stream: Some(STREAM),
        generation: 1,
        blob: b"state".to_vec().into(),
        position: 0,
        cursor: 5,
    }));
    hand.says(In::Deliver(
        Deliver { archive_id: 9, position: 9, settles: true, ..deliver(1, "<body>a</body>") }.into(),
    ));
    hand.says(In::Deliver(
        Deliver { archive_id: 10, position: 10, settles: true, ..deliver(2, "<body>b</body>") }.into(),
    ));
    juliet.hears("<body>b</body></message>").await;
    juliet.says("<a xmlns='urn:xmpp:sm:3' h='1'/><presence/><presence/><presence/>").await;
    hand.until(|kind| matches!(kind, Out::Item(item) if item.uid.as_ref().unwrap().n == 3)).await;
    hand.says(In::Handled(Handled { above: vec![Above { n: 3, hash: 7 }], ..handled(1) }));
    juliet.says("<r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.hears("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;

    hand.dies();
    juliet.says("<message id='late'/>").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    hand.welcome().await;
    let Out::Attach(attach) = hand.hears().await else { panic!() };
    assert_eq!(
        (&*attach.jid, &attach.state[..], attach.cursor),
        ("juliet@capulet.example/b", &b"state"[..], 5)
    );
    assert_eq!((attach.h, attach.above.len(), attach.position, attach.out_n, attach.acked), (1, 1, 10, 2, 1));
    assert_eq!(attach.settled, [9]);
    assert_eq!(attach.mailbox.iter().map(|deliver| deliver.out_n).collect::<Vec<_>>(), [2]);
    assert!(attach.managed && attach.resume && !attach.lost && attach.max_s == 60);
    let mut numbers = Vec::new();
    loop {
        match hand.hears().await {
            Out::Item(item) => numbers.push(item.uid.unwrap().n),
            Out::Attach(attach) if attach.last => break,
            other => panic!("{other:?}"),
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 4], "3 is finished above h");
    hand.says(In::Handled(handled(4)));
    juliet.says("<r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.hears("h='4'/>").await;
}

#[tokio::test]
async fn a_lost_client_is_remembered_until_it_hibernates_and_comes_back() {
    let (mut hand, edge, mut juliet) = hand::bound().await;
    juliet.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    hand.hears().await;
    enabled(&hand, 0);
    juliet.hears("max='60'/>").await;
    drop(juliet);
    let Out::Ended(ended) = hand.hears().await else { panic!() };
    assert_eq!(ended.why(), Why::Lost);
    hand.says(In::Deliver(deliver(1, "<body>a</body>").into()));
    assert!(matches!(hand.hears().await, Out::Kept(kept) if kept.out_n == 1));
    hand.dies();
    hand.welcome().await;
    let Out::Attach(attach) = hand.hears().await else { panic!() };
    assert!(attach.lost && attach.mailbox.len() == 1);
    hand.attached().await;
    hand.says(In::Hibernated(Hibernated { stream: Some(STREAM), generation: 1 }));

    let mut juliet = Client::connect(&edge).await;
    let exchange = hand.authorise(&mut juliet).await;
    juliet.says("<resume xmlns='urn:xmpp:sm:3' previd='sm' h='0'/>").await;
    let Out::Resume(resume) = hand.hears().await else { panic!() };
    assert_eq!((resume.exchange, &*resume.previd, resume.h), (exchange, "sm", 0));
    hand.says(In::Resumed(
        Resumed {
            exchange,
            stream: Some(STREAM),
            generation: 2,
            jid: "juliet@capulet.example/b".into(),
            previd: "sm".into(),
            in_n: 6,
            in_base: 2,
            h: 4,
            max_s: 60,
            ..Resumed::default()
        }
        .into(),
    ));
    hand.says(In::Deliver(Deliver { generation: 2, ..deliver(1, "<body>a</body>") }.into()));
    juliet.hears("<resumed xmlns='urn:xmpp:sm:3' previd='sm' h='4'/><message><body>a</body></message>").await;
    juliet.says("<presence/>").await;
    hand.until(
        |kind| matches!(kind, Out::Item(item) if item.uid.as_ref().unwrap().n == 7 && item.generation == 2),
    )
    .await;
}

#[tokio::test]
async fn the_owner_closes_a_stream() {
    let (hand, _edge, mut juliet) = hand::bound().await;
    hand.says(In::Close(Close {
        stream: Some(STREAM),
        generation: 1,
        condition: "conflict".into(),
        text: String::new(),
    }));
    juliet
        .hears("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
        .await;
    juliet.is_closed().await;
}

#[tokio::test]
async fn a_login_fails_for_now_while_no_owner_is_there() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    config.limits.owner_wait_ms = 0;
    let edge = hand::edge_with(&hand, config);
    hand.welcome().await;
    let mut juliet = Client::connect(&edge).await;
    juliet.open().await;
    hand.dies();
    tokio::time::sleep(Duration::from_millis(30)).await;
    juliet.says("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>").await;
    juliet.hears("<temporary-auth-failure/></failure>").await;
}

#[tokio::test]
async fn whoever_resumes_displaces_the_connection_before() {
    let (mut hand, edge, mut before) = hand::bound().await;
    before.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    hand.hears().await;
    enabled(&hand, 0);
    before.hears("max='60'/>").await;
    let mut after = Client::connect(&edge).await;
    let exchange = hand.authorise(&mut after).await;
    after.says("<resume xmlns='urn:xmpp:sm:3' previd='sm' h='0'/>").await;
    assert!(matches!(hand.hears().await, Out::Resume(_)));
    hand.says(In::Resumed(
        Resumed {
            exchange,
            stream: Some(STREAM),
            generation: 2,
            jid: "juliet@capulet.example/b".into(),
            previd: "sm".into(),
            ..Resumed::default()
        }
        .into(),
    ));
    before.hears("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>").await;
    before.is_closed().await;
    hand.says(In::Deliver(deliver(1, "<body>of the old attachment</body>").into()));
    hand.says(In::Deliver(Deliver { generation: 2, ..deliver(1, "<body>new</body>") }.into()));
    after
        .hears("<resumed xmlns='urn:xmpp:sm:3' previd='sm' h='0'/><message><body>new</body></message>")
        .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_its_mail_is_remembered() {
    let mut hand = Hand::new();
    let mut config = hand::config();
    config.limits.out_queue_bytes = 64 * 1024;
    let edge = hand::edge_with(&hand, config);
    hand.welcome().await;
    let mut juliet = Client::connect(&edge).await;
    hand.bind(&mut juliet).await;
    let body = format!("<body>{}</body>", "x".repeat(60_000));
    for n in 1..=400 {
        hand.says(In::Deliver(deliver(n, &body).into()));
    }
    loop {
        match hand.hears().await {
            Out::Ended(ended) => break assert_eq!(ended.why(), Why::Lost),
            Out::Kept(kept) => assert!(kept.out_n < 400, "what was not written is not kept"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_owner_without_room_holds_back_the_client() {
    let (mut hand, _edge, mut juliet) = hand::bound().await;
    hand.says(In::Credit(proto::delivery::Credit { items: 1, bytes: 1_000 }));
    hand.says(In::Deliver(deliver(1, "<body>credit is known</body>").into()));
    juliet.hears("known</body></message>").await;
    hand.until(|kind| matches!(kind, Out::Kept(_))).await;
    juliet.says("<presence/>").await;
    assert!(matches!(hand.hears().await, Out::Item(_)));
    juliet.says("<presence/>").await;
    assert!(tokio::time::timeout(Duration::from_millis(200), hand.hears()).await.is_err());
    hand.says(In::Credit(proto::delivery::Credit { items: 1, bytes: 1_000 }));
    assert!(matches!(hand.hears().await, Out::Item(item) if item.uid.as_ref().unwrap().n == 2));
}

fn handled(h: u64) -> Handled {
    Handled { stream: Some(STREAM), generation: 1, h, above: Vec::new() }
}
