//! Attacks on stream management (attack case 44): counts that lie, streams of others, nothing ever acknowledged.

use std::time::Duration;

use futures_util::future::join_all;
use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way};
use xmpp::ns;
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    case_44_more_acknowledged_than_was_sent,
    case_44_resuming_with_a_count_of_what_never_came,
    case_44_a_stream_is_taken_by_nobody_else,
    case_44_many_resume_one_stream_at_once,
    case_44_nothing_is_ever_acknowledged,
    case_44_too_many_stanzas_are_not_acknowledged,
    case_44_nothing_is_acknowledged_by_who_has_left,
    case_44_streams_are_left_behind,
];

const NOT_FOUND: &str =
    "<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
/// After this long nothing more comes.
const QUIET: Duration = Duration::from_secs(2);

fn resume(previd: &str, h: impl std::fmt::Display) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='{h}'/>")
}

fn message(to: &str, ty: &str, body: &str) -> String {
    format!("<message to='{{{to}}}' type='{ty}'><body>{body}</body></message>")
}

async fn case_44_more_acknowledged_than_was_sent(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for way in [Way::Tcp, Way::WebSocket] {
        // 2^31 and 2^32 - 1: numbers that would be below what was sent, were they signed or counted back.
        for h in [3_u32, 1 << 31, u32::MAX] {
            let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
            mallory.enables_management().await;
            juliet.sends(&message("mallory/cellar", "headline", "1")).await;
            juliet.sends(&message("mallory/cellar", "headline", "2")).await;
            mallory.receives("<message><body>1</body></message>").await;
            mallory.receives("<message><body>2</body></message>").await;
            mallory.sends(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")).await;
            // XEP-0198 §4.
            let error = mallory.is_refused_with("undefined-condition").await;
            let told = error.child("handled-count-too-high", ns::SM).unwrap_or_else(|| panic!("{error:?}"));
            assert_eq!(told.attribute("h"), Some(h.to_string().as_str()));
            assert_eq!(told.attribute("send-count"), Some("2"));
        }
    }
    juliet.receives_nothing().await;
}

async fn case_44_resuming_with_a_count_of_what_never_came(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    for n in 0..3 {
        juliet.sends(&message("romeo/orchard", "chat", &n.to_string())).await;
        romeo.receives(&format!("<message><body>{n}</body></message>")).await;
    }
    romeo.acknowledges().await;
    romeo.settles().await;
    let saved = romeo.vanishes_for_a_while();
    juliet.sends(&message("romeo/orchard", "chat", "3")).await;
    juliet.settles().await;

    let mut mallory = stage.logged_in("romeo", Way::Tcp, 0).await;
    let heard = saved.heard;
    // One that was never given, what is more than half a circle away, and what was acknowledged and is gone.
    for h in [heard + 9, heard.wrapping_add(1 << 31), u32::MAX, heard - 3] {
        mallory.sends(&resume(&saved.id, h)).await;
        mallory.receives(NOT_FOUND).await;
    }
    for h in ["4294967296", "-1", "", "0x1"] {
        mallory.sends(&resume(&saved.id, h)).await;
        mallory.receives("<failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>").await;
    }
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    romeo.receives("<message><body>3</body></message>").await;
    romeo.receives_nothing().await;
}

async fn case_44_a_stream_is_taken_by_nobody_else(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    let id = romeo.enables_management().await.attribute("id").unwrap_or_default().to_owned();
    romeo.is_available().await;
    for edge in 0..stage.server().edges.len() {
        for way in [Way::Tcp, Way::WebSocket] {
            // Not without a login, and not with another's, whether its client is there or not.
            let mut mallory = stage.connects_over("mallory", way, edge).await;
            mallory.opens().await;
            mallory.sends(&resume(&id, 0)).await;
            mallory.receives("<failed xmlns='urn:xmpp:sm:3' h='-'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>").await;
            let mut mallory = stage.logged_in("mallory", way, edge).await;
            for h in [0, 1, 1_000] {
                mallory.sends(&resume(&id, h)).await;
                let told = mallory.receives(NOT_FOUND).await;
                assert_eq!(told.attribute("h"), None, "that is nobody else's to know");
            }
        }
    }
    juliet.sends(&message("romeo/orchard", "chat", "still here?")).await;
    romeo.receives("<message><body>still here?</body></message>").await;
    romeo.receives_nothing().await;
}

async fn case_44_many_resume_one_stream_at_once(stage: Stage) {
    const SENT: usize = 5;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let saved = romeo.vanishes_for_a_while();
    for n in 0..SENT {
        juliet.sends(&message("romeo/orchard", "chat", &n.to_string())).await;
    }
    juliet.settles().await;

    let edges = stage.server().edges.len();
    let mut racers = Vec::new();
    for n in 0..8 {
        racers.push(stage.logged_in("romeo", Way::Tcp, n % edges).await);
    }
    join_all(racers.iter_mut().map(|racer| {
        let resume = resume(&saved.id, saved.heard);
        async move { racer.sends(&resume).await }
    }))
    .await;
    let ends = join_all(racers.iter_mut().map(outcome)).await;
    let mut there: Vec<_> = ends.into_iter().zip(&mut racers).filter(|(end, _)| end.lives).collect();
    assert_eq!(there.len(), 1, "one has the stream");
    let (end, winner) = &mut there[0];
    let all: Vec<String> = (0..SENT).map(|n| n.to_string()).collect();
    assert_eq!(end.bodies, all, "once, and in order");
    juliet.sends(&message("romeo/orchard", "chat", "after")).await;
    winner.receives_at_last("<message><body>after</body></message>").await;
}

/// What became of somebody who has asked for a stream.
#[derive(Default)]
struct Outcome {
    /// It has it, and was not displaced.
    lives: bool,
    bodies: Vec<String>,
}

async fn outcome(racer: &mut Client) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match racer.hears_within(QUIET).await {
            Ok(Some(element)) => match element.name() {
                "resumed" => outcome.lives = true,
                "message" => {
                    outcome.bodies.extend(element.child("body", ns::CLIENT).map(Element::text));
                }
                _ => {}
            },
            Ok(None) => return outcome,
            Err(()) => return Outcome::default(),
        }
    }
}

async fn case_44_nothing_is_ever_acknowledged(stage: Stage) {
    const GROWTH_BYTES_MAX: u64 = 60 * 1024 * 1024;
    let stage = stage.alone(&[("session.mailbox_bytes_max", "200000")]).await;
    let roles = if stage.is_split() { vec![Role::Edge(0), Role::Session] } else { vec![Role::Whole] };
    let memory = || roles.iter().map(|role| stage.server().memory_bytes(*role)).sum::<u64>();
    let mut juliet = stage.online("juliet/balcony").await;
    let mut nurse = stage.online("nurse/kitchen").await;
    let mut mallory = stage.bound("mallory/cellar").await;
    mallory.enables_management().await;
    mallory.is_available().await;
    mallory.acknowledges_nothing();
    juliet.sends(&message("mallory", "chat", "kept")).await;
    mallory.receives_at_last("<message><body>kept</body></message>").await;
    let (before, filler) = (memory(), "x".repeat(20_000));
    for _ in 0..1_000 {
        juliet.sends(&message("mallory/cellar", "headline", &filler)).await;
    }
    juliet.settles().await;
    // It reads, and so nothing but its own silence holds it back.
    while mallory.hears_within(QUIET).await.is_ok_and(|heard| heard.is_some()) {}
    nurse.receives_nothing().await;
    let after = memory();
    assert!(after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
    juliet.sends("<iq to='{mallory/cellar}' type='get' id='q'><x xmlns='urn:x'/></iq>").await;
    juliet.receives_at_last("<iq type='error' id='q' from='{mallory/cellar}'/>").await;
    // What is stored was not acknowledged, so it comes again.
    let mut mallory = stage.bound("mallory/attic").await;
    mallory.sends("<presence/>").await;
    mallory.receives_at_last("<message><body>kept</body></message>").await;
}

async fn case_44_too_many_stanzas_are_not_acknowledged(stage: Stage) {
    const COUNT: usize = 60;
    let stage = stage.alone(&[("limits.mailbox_items", "50")]).await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    romeo.acknowledges_nothing();
    for n in 0..COUNT {
        juliet.sends(&message("romeo/orchard", "headline", &n.to_string())).await;
    }
    let mut came = Vec::new();
    let end = loop {
        match romeo.hears_within(QUIET).await {
            Ok(Some(heard)) => came.extend(heard.child("body", ns::CLIENT).map(Element::text)),
            end => break end,
        }
    };
    assert_eq!(end, Err(()), "the stream is over");
    // And it may say how much it has.
    let saved = romeo.vanishes_for_a_while();
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    let rest = romeo.forgets().await;
    came.extend(rest.iter().filter_map(|heard| heard.child("body", ns::CLIENT)).map(Element::text));
    assert_eq!(came, (0..COUNT).map(|n| n.to_string()).collect::<Vec<_>>());
    juliet.sends(&message("romeo/orchard", "chat", "after")).await;
    romeo.receives("<message><body>after</body></message>").await;
}

async fn case_44_nothing_is_acknowledged_by_who_has_left(stage: Stage) {
    const COUNT: usize = 300;
    let stage = stage.alone(&[("session.mailbox_bytes_max", "100000")]).await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let saved = romeo.vanishes_for_a_while();
    let filler = "x".repeat(2_000);
    for n in 0..COUNT {
        juliet.sends(&message("romeo", "chat", &format!("{n} {filler}"))).await;
    }
    juliet.settles().await;
    // More than is kept for a stream: it is over, and what was for it waits as for anybody who is not there.
    let mut romeo = stage.logged_in("romeo", Way::Tcp, 0).await;
    romeo.sends(&resume(&saved.id, saved.heard)).await;
    romeo.receives(NOT_FOUND).await;
    romeo.binds("orchard").await;
    romeo.sends("<presence/>").await;
    for n in 0..COUNT {
        romeo.receives_at_last(&format!("<message><body>{n} {filler}</body></message>")).await;
    }
    romeo.receives_nothing().await;
}

async fn case_44_streams_are_left_behind(stage: Stage) {
    let stage = stage.alone(&[("session.sessions_max", "5")]).await;
    let mut nurse = stage.online("nurse/kitchen").await;
    let mut left = Vec::new();
    for n in 0..5 {
        let mut mallory = stage.bound(&format!("mallory/{n}")).await;
        mallory.enables_management().await;
        left.push(mallory.vanishes_for_a_while());
    }
    nurse.receives_nothing().await;
    let mut mallory = stage.logged_in("mallory", Way::Tcp, 0).await;
    mallory.sends("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>6</resource></bind></iq>").await;
    mallory.receives("<iq type='error' id='b'><error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    // Whoever takes up one that was left behind needs no place, nor does who is done with it.
    let (mut mallory, _) = stage.resumed("mallory/0", left.remove(0), 0).await;
    mallory.closes().await;
    stage.bound("mallory/6").await.receives_nothing().await;
}
