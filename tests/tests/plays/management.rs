//! Stream management (XEP-0198): acknowledgements, and streams that go on elsewhere.

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    both_sides_count,
    only_what_comes_after_enable_counts,
    a_stream_is_resumed_where_it_broke,
    over_websocket_too,
    a_stream_is_resumed_at_another_edge,
    what_was_not_acknowledged_comes_again_and_nothing_else,
    what_is_sent_again_is_not_done_again,
    messages_wait_for_who_will_resume,
    a_second_resumption_takes_the_first_ones_place,
    an_unknown_stream_is_not_found_and_bind_is_still_possible,
    nobody_resumes_anothers_stream,
    a_stream_that_was_closed_is_over,
    friends_do_not_notice_a_resumption,
    time_runs_out,
    requests_that_come_too_early_or_twice,
    a_count_beyond_2_to_the_32_is_refused,
    a_stream_survives_its_owner,
    a_stream_survives_its_edge,
];

async fn both_sides_count(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    for n in 0..5 {
        juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{n}</body></message>")).await;
    }
    juliet.is_acknowledged().await;
    for n in 0..5 {
        romeo.receives(&format!("<message><body>{n}</body></message>")).await;
    }
    romeo.is_acknowledged().await;
}

async fn only_what_comes_after_enable_counts(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.sends("<presence/>").await;
    juliet.receives("<presence/>").await;
    juliet.sends("<message to='{juliet}' type='chat'><body>note</body></message>").await;
    juliet.receives("<message/>").await;
    juliet.enables_management().await;
    juliet.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
    juliet.receives("<a xmlns='urn:xmpp:sm:3' h='0'/>").await;
    juliet.sends("<message to='{juliet}' type='chat'><body>note</body></message>").await;
    juliet.receives("<message/>").await;
    juliet.is_acknowledged().await;
    assert_eq!(juliet.heard(), 1);
}

async fn a_stream_is_resumed_where_it_broke(stage: Stage) {
    resumes(&stage, Way::Tcp, 0).await;
}

async fn over_websocket_too(stage: Stage) {
    resumes(&stage, Way::WebSocket, 0).await;
}

async fn a_stream_is_resumed_at_another_edge(stage: Stage) {
    if !stage.is_split() {
        return stage.skips("there is one edge");
    }
    resumes(&stage, Way::Tcp, 1).await;
    resumes(&stage, Way::WebSocket, 1).await;
}

/// Romeo breaks off and comes back at an edge; nothing is lost, doubled or reordered.
async fn resumes(stage: &Stage, way: Way, edge: usize) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound_over("romeo/orchard", way, 0).await;
    romeo.enables_management().await;
    romeo.is_available().await;
    juliet.sends("<message to='{romeo/orchard}' type='chat'><body>before</body></message>").await;
    romeo.receives("<message><body>before</body></message>").await;
    let saved = romeo.vanishes_for_a_while();
    for n in 0..5 {
        juliet
            .sends(&format!("<message to='{{romeo/orchard}}' type='chat'><body>{n}</body></message>"))
            .await;
    }
    juliet.receives_nothing().await;
    let mut romeo = stage.logged_in("romeo", way, edge).await;
    romeo.resumes(saved).await;
    for n in 0..5 {
        romeo.receives(&format!("<message from='{{juliet/balcony}}'><body>{n}</body></message>")).await;
    }
    romeo.receives_nothing().await;
    romeo.sends("<message to='{juliet}' type='chat'><body>back</body></message>").await;
    juliet.receives("<message from='{romeo/orchard}'><body>back</body></message>").await;
    romeo.is_acknowledged().await;
    romeo.closes().await;
}

async fn what_was_not_acknowledged_comes_again_and_nothing_else(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    romeo.acknowledges_nothing();
    for n in 0..3 {
        juliet
            .sends(&format!("<message to='{{romeo/orchard}}' type='chat'><body>{n}</body></message>"))
            .await;
        romeo.receives(&format!("<message><body>{n}</body></message>")).await;
    }
    let mut saved = romeo.vanishes_for_a_while();
    // As if the last two had been lost on their way.
    saved.heard -= 2;
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    romeo.receives("<message><body>1</body></message>").await;
    romeo.receives("<message><body>2</body></message>").await;
    romeo.receives_nothing().await;
}

async fn what_is_sent_again_is_not_done_again(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    for n in 0..3 {
        juliet
            .sends(&format!("<message to='{{romeo}}' type='chat' id='{n}'><body>{n}</body></message>"))
            .await;
    }
    // All three arrive; that they did is never heard.
    for n in 0..3 {
        romeo.receives(&format!("<message id='{n}'/>")).await;
    }
    let saved = juliet.vanishes_for_a_while();
    assert_eq!(saved.open.len(), 3);
    let (mut juliet, resumed) = stage.resumed("juliet/balcony", saved, 0).await;
    assert_eq!(resumed.attribute("h"), Some("3"), "XEP-0198 §5: all were handled");
    juliet.sends("<message to='{romeo}' type='chat' id='3'><body>3</body></message>").await;
    romeo.receives("<message id='3'/>").await;
}

async fn messages_wait_for_who_will_resume(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let saved = romeo.vanishes_for_a_while();
    juliet.sends("<message to='{romeo}' type='chat'><body>chat</body></message>").await;
    juliet.sends("<message to='{romeo}' type='headline'><body>headline</body></message>").await;
    juliet.sends("<iq to='{romeo/orchard}' type='get' id='q'><x xmlns='urn:x'/></iq>").await;
    juliet.receives_nothing().await;
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    romeo.receives("<message><body>chat</body></message>").await;
    romeo.receives("<message><body>headline</body></message>").await;
    romeo.receives("<iq type='get' id='q'/>").await;
    romeo.sends("<iq to='{juliet/balcony}' type='result' id='q'/>").await;
    juliet.receives("<iq from='{romeo/orchard}' type='result' id='q'/>").await;
}

async fn a_second_resumption_takes_the_first_ones_place(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let saved = romeo.vanishes_for_a_while();
    let (id, heard) = (saved.id.clone(), saved.heard);
    let (mut first, _) = stage.resumed("romeo/orchard", saved, 0).await;
    let mut second = stage.logged_in("romeo", Way::Tcp, 0).await;
    second.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{heard}'/>")).await;
    second.receives(&format!("<resumed xmlns='urn:xmpp:sm:3' previd='{id}' h='*'/>")).await;
    first.is_refused_with("conflict").await;
    second.receives_nothing().await;
}

async fn an_unknown_stream_is_not_found_and_bind_is_still_possible(stage: Stage) {
    let mut romeo = stage.logged_in("romeo", Way::Tcp, 0).await;
    for previd in ["unknown", "AAAAAAAAAAAAAAAAAAAAAA", ""] {
        romeo.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='0'/>")).await;
        romeo
            .receives("<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
            .await;
    }
    romeo.binds("orchard").await;
    romeo.receives_nothing().await;
}

async fn nobody_resumes_anothers_stream(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let saved = romeo.vanishes_for_a_while();
    let mut tybalt = stage.logged_in("tybalt", Way::Tcp, 0).await;
    tybalt.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>", saved.id, saved.heard)).await;
    tybalt.receives("<failed xmlns='urn:xmpp:sm:3' h='-'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>").await;
    stage.resumed("romeo/orchard", saved, 0).await;
}

async fn a_stream_that_was_closed_is_over(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let enabled = romeo.enables_management().await;
    let id = enabled.attribute("id").unwrap_or_default().to_owned();
    romeo.sends("<message to='{romeo/orchard}' type='chat'><body>note</body></message>").await;
    romeo.receives("<message/>").await;
    romeo.closes().await;
    let mut romeo = stage.logged_in("romeo", Way::Tcp, 0).await;
    romeo.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    romeo
        .receives("<failed xmlns='urn:xmpp:sm:3' h='1'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
        .await;
}

async fn friends_do_not_notice_a_resumption(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    befriend(&mut romeo, &mut juliet).await;
    let saved = romeo.vanishes_for_a_while();
    juliet.sends("<presence><status>anybody?</status></presence>").await;
    juliet.receives("<presence from='{juliet/balcony}'/>").await;
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    romeo.receives("<presence from='{juliet/balcony}'><status>anybody?</status></presence>").await;
    romeo.sends("<presence><show>away</show></presence>").await;
    juliet.receives("<presence from='{romeo/orchard}'><show>away</show></presence>").await;
}

async fn time_runs_out(stage: Stage) {
    let stage = stage.alone(&[("session.resume_max_s", "1")]).await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    let enabled = romeo.enables_management().await;
    assert_eq!(enabled.attribute("max"), Some("1"));
    romeo.is_available().await;
    befriend(&mut romeo, &mut juliet).await;
    let saved = romeo.vanishes_for_a_while();
    juliet.sends("<message to='{romeo}' type='chat'><body>later</body></message>").await;
    juliet.receives("<presence from='{romeo/orchard}' type='unavailable'/>").await;
    let mut romeo = stage.logged_in("romeo", Way::Tcp, 0).await;
    romeo.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{}' h='{}'/>", saved.id, saved.heard)).await;
    romeo
        .receives("<failed xmlns='urn:xmpp:sm:3' h='*'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
        .await;
    romeo.binds("orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives_at_last("<message><body>later</body><delay xmlns='urn:xmpp:delay'/></message>").await;
}

async fn requests_that_come_too_early_or_twice(stage: Stage) {
    const UNEXPECTED: &str = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    let mut romeo = stage.logged_in("romeo", Way::Tcp, 0).await;
    romeo.sends("<enable xmlns='urn:xmpp:sm:3'/>").await;
    romeo.receives(UNEXPECTED).await;
    romeo.sends("<resume xmlns='urn:xmpp:sm:3'/>").await;
    romeo.receives("<failed xmlns='urn:xmpp:sm:3'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>").await;
    romeo.binds("orchard").await;
    romeo.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
    romeo.receives(UNEXPECTED).await;
    romeo.enables_management().await;
    romeo.sends("<enable xmlns='urn:xmpp:sm:3'/>").await;
    romeo.receives(UNEXPECTED).await;
    romeo.receives_nothing().await;
}

async fn a_count_beyond_2_to_the_32_is_refused(stage: Stage) {
    for h in ["4294967296", "-1", "one"] {
        let mut romeo = stage.bound("romeo/orchard").await;
        romeo.enables_management().await;
        romeo.sends(&format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")).await;
        romeo.is_refused_with("invalid-xml").await;
    }
}

async fn a_stream_survives_its_owner(stage: Stage) {
    if !stage.is_split() {
        return stage.skips("with its only process a stream is gone");
    }
    let stage = stage.alone(&[]).await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    juliet.is_available().await;
    let mut romeo = stage.bound_over("romeo/orchard", Way::Tcp, 1).await;
    romeo.enables_management().await;
    romeo.is_available().await;
    befriend(&mut romeo, &mut juliet).await;
    for kills in [true, false] {
        if kills {
            stage.kills(Role::Session).await;
        } else {
            stage.stops(Role::Session).await;
        }
        juliet.sends("<message to='{romeo}' type='chat'><body>meanwhile</body></message>").await;
        stage.begins(Role::Session).await;
        romeo.receives("<message from='{juliet/balcony}'><body>meanwhile</body></message>").await;
        juliet.is_acknowledged().await;
        romeo.sends("<presence><show>away</show></presence>").await;
        juliet.receives("<presence from='{romeo/orchard}'><show>away</show></presence>").await;
        romeo.forgets().await;
    }
}

async fn a_stream_survives_its_edge(stage: Stage) {
    if !stage.is_split() {
        return stage.skips("with its only process a stream is gone");
    }
    let stage = stage.alone(&[]).await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut at = 1;
    let mut romeo = stage.bound_over("romeo/orchard", Way::Tcp, at).await;
    romeo.enables_management().await;
    romeo.is_available().await;
    juliet.closes().await;
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tcp, 0).await;
    juliet.enables_management().await;
    stage.kills(Role::Edge(at)).await;
    let saved = romeo.vanishes_for_a_while();
    juliet.sends("<message to='{romeo}' type='chat'><body>killed</body></message>").await;
    juliet.is_acknowledged().await;
    at = 0;
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, at).await;
    romeo.receives("<message from='{juliet/balcony}'><body>killed</body></message>").await;
    romeo.receives_nothing().await;
}
