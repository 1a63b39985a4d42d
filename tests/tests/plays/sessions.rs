//! Several sessions of one account: resources, carbons (XEP-0280), client state (XEP-0352).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    the_server_chooses_a_resource_if_the_client_does_not,
    the_newer_session_of_a_resource_wins,
    resources_are_prepared,
    binding_twice_is_no_way_to_two_resources,
    carbons_of_what_is_sent_and_received,
    carbons_are_off_until_asked_for,
    what_carbons_leave_out,
    an_inactive_client_is_spared_what_can_wait,
    what_cannot_wait_goes_at_once_and_takes_the_rest_along,
];

const CARBONS: &str = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>";
const ACTIVE: &str = "<active xmlns='urn:xmpp:csi:0'/>";
const INACTIVE: &str = "<inactive xmlns='urn:xmpp:csi:0'/>";

async fn the_server_chooses_a_resource_if_the_client_does_not(stage: Stage) {
    for bind in [
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
        "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource/></bind>",
    ] {
        let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
        juliet.sends(&format!("<iq type='set' id='b'>{bind}</iq>")).await;
        let answer = juliet.receives("<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>*</jid></bind></iq>").await;
        let jid = throng_tests::pattern::all_text(&answer);
        let resource = jid.strip_prefix(&format!("{}/", stage.cast.bare("juliet"))).unwrap_or_default();
        assert!(resource.len() >= 8, "RFC 6120 §7.6: {jid}");
        juliet.receives_nothing().await;
    }
}

async fn the_newer_session_of_a_resource_wins(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut old = stage.online("juliet/balcony").await;
    let mut new = stage.bound("juliet/balcony").await;
    old.is_refused_with("conflict").await;
    romeo.sends("<message to='{juliet/balcony}' type='headline'><body>you</body></message>").await;
    new.receives("<message><body>you</body></message>").await;
}

async fn resources_are_prepared(stage: Stage) {
    let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
    let jid = juliet.binds("Ｂalcony ☃").await;
    assert_eq!(jid, format!("{}/Balcony ☃", stage.cast.bare("juliet")), "RFC 6122 §2.4");
    let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
    juliet
        .sends("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>\u{e000}</resource></bind></iq>")
        .await;
    juliet.receives("<iq type='error' id='b'><error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    juliet.binds("balcony").await;
}

async fn binding_twice_is_no_way_to_two_resources(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.sends("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>two</resource></bind></iq>").await;
    juliet.receives("<iq type='error' id='b'/>").await;
    juliet.sends("<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>").await;
    juliet.receives("<iq type='result' id='s'/>").await;
}

async fn carbons_of_what_is_sent_and_received(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut balcony = stage.online("juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    for client in [&mut balcony, &mut garden] {
        client.forgets().await;
        client.sends(CARBONS).await;
        client.receives("<iq type='result' id='carbons'/>").await;
    }
    balcony.sends("<message to='{romeo/orchard}' type='chat' id='1'><body>sweet</body></message>").await;
    romeo.receives("<message from='{juliet/balcony}'><body>sweet</body></message>").await;
    garden
        .receives(
            "<message from='{juliet}' to='{juliet/garden}' type='chat'><sent xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{juliet/balcony}' to='{romeo/orchard}' \
             type='chat' id='1'><body>sweet</body></message></forwarded></sent></message>",
        )
        .await;
    romeo.sends("<message to='{juliet/garden}' type='chat'><body>sorrow</body></message>").await;
    garden.receives("<message from='{romeo/orchard}'><body>sorrow</body></message>").await;
    balcony
        .receives(
            "<message from='{juliet}' to='{juliet/balcony}'><received xmlns='urn:xmpp:carbons:2'>\
             <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{romeo/orchard}' to='{juliet/garden}'>\
             <body>sorrow</body></message></forwarded></received></message>",
        )
        .await;
    romeo.sends("<message to='{juliet}' type='chat'><body>both</body></message>").await;
    balcony.receives("<message from='{romeo/orchard}'><body>both</body></message>").await;
    garden.receives("<message from='{romeo/orchard}'><body>both</body></message>").await;
    balcony.receives_nothing().await;
    garden.receives_nothing().await;
}

async fn carbons_are_off_until_asked_for(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut balcony = stage.online("juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    balcony.forgets().await;
    romeo.sends("<message to='{juliet/garden}' type='chat'><body>one</body></message>").await;
    garden.receives("<message><body>one</body></message>").await;
    balcony.receives_nothing().await;
    balcony.sends(CARBONS).await;
    balcony.receives("<iq type='result'/>").await;
    balcony.sends("<iq type='set' id='off'><disable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    balcony.receives("<iq type='result' id='off'/>").await;
    romeo.sends("<message to='{juliet/garden}' type='chat'><body>two</body></message>").await;
    garden.receives("<message><body>two</body></message>").await;
    balcony.receives_nothing().await;
}

async fn what_carbons_leave_out(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut balcony = stage.online("juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    balcony.forgets().await;
    balcony.sends(CARBONS).await;
    balcony.receives("<iq type='result'/>").await;
    for (ty, inside) in [
        ("chat", "<body>a</body><private xmlns='urn:xmpp:carbons:2'/>"),
        ("chat", "<body>b</body><no-copy xmlns='urn:xmpp:hints'/>"),
        ("groupchat", "<body>c</body>"),
        ("headline", "<body>d</body>"),
        ("error", "<body>e</body>"),
    ] {
        romeo.sends(&format!("<message to='{{juliet/garden}}' type='{ty}'>{inside}</message>")).await;
        garden.receives(&format!("<message from='{{romeo/orchard}}'>{inside}</message>")).await;
    }
    balcony.receives_nothing().await;
}

async fn an_inactive_client_is_spared_what_can_wait(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    juliet.sends(INACTIVE).await;
    juliet.settles().await;
    for n in 0..3 {
        romeo.sends(&format!("<presence><status>{n}</status></presence>")).await;
        romeo.sends("<message to='{juliet/balcony}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    }
    romeo.settles().await;
    juliet.sends(ACTIVE).await;
    juliet
        .receives_all(&[
            "<presence from='{romeo/orchard}'><status>2</status><delay xmlns='urn:xmpp:delay'/></presence>",
            "<message from='{romeo/orchard}'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        ])
        .await;
    juliet.receives_nothing().await;
}

async fn what_cannot_wait_goes_at_once_and_takes_the_rest_along(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    juliet.sends(INACTIVE).await;
    juliet.settles().await;
    romeo.sends("<presence><status>soon</status></presence>").await;
    romeo.sends("<message to='{juliet}' type='chat'><body>now</body></message>").await;
    juliet.receives("<presence from='{romeo/orchard}'><status>soon</status></presence>").await;
    juliet.receives("<message from='{romeo/orchard}'><body>now</body></message>").await;
}
