//! Presence (RFC 6121 §4): who sees whom, and when.

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    friends_see_each_other_come_change_and_go,
    sessions_of_an_account_see_each_other,
    strangers_see_nothing,
    a_connection_that_breaks_is_unavailable_too,
    directed_presence_is_followed_by_unavailable,
    probes_are_answered_for_those_who_may_see,
    probes_of_strangers_are_met_with_silence,
    what_is_shown_is_passed_on,
    presence_to_a_full_jid,
];

async fn friends_see_each_other_come_change_and_go(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    let mut street = stage.bound("romeo/street").await;
    street.sends("<presence><show>away</show></presence>").await;
    juliet.receives("<presence from='{romeo/street}' type='-'><show>away</show></presence>").await;
    street
        .receives_all(&[
            "<presence from='{romeo/street}'/>",
            "<presence from='{romeo/orchard}'/>",
            "<presence from='{juliet/balcony}'/>",
        ])
        .await;
    street.sends("<presence><show>dnd</show></presence>").await;
    juliet.receives("<presence from='{romeo/street}'><show>dnd</show></presence>").await;
    street.sends("<presence type='unavailable'><status>bye</status></presence>").await;
    juliet
        .receives("<presence from='{romeo/street}' type='unavailable'><status>bye</status></presence>")
        .await;
    // It is still bound, and unavailable as before: there is nothing to tell.
    street.closes().await;
    romeo.settles().await;
    juliet.receives_nothing().await;
}

async fn sessions_of_an_account_see_each_other(stage: Stage) {
    let mut orchard = stage.online("romeo/orchard").await;
    let mut street = stage.bound("romeo/street").await;
    street.sends("<presence/>").await;
    orchard.receives("<presence from='{romeo/street}'/>").await;
    street.receives_all(&["<presence from='{romeo/street}'/>", "<presence from='{romeo/orchard}'/>"]).await;
    orchard.closes().await;
    street.receives("<presence from='{romeo/orchard}' type='unavailable'/>").await;
}

async fn strangers_see_nothing(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    romeo.sends("<presence><show>away</show></presence>").await;
    romeo.settles().await;
    juliet.receives_nothing().await;
}

async fn a_connection_that_breaks_is_unavailable_too(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for way in [Way::Tcp, Way::WebSocket, Way::Tls(throng_tests::client::TlsVersion::V13)] {
        let mut romeo = stage.bound_over("romeo/orchard", way, 0).await;
        romeo.is_available().await;
        if way == Way::Tcp {
            befriend(&mut romeo, &mut juliet).await;
        } else {
            juliet.receives("<presence from='{romeo/orchard}' type='-'/>").await;
        }
        romeo.vanishes();
        juliet.receives("<presence from='{romeo/orchard}' type='unavailable'/>").await;
    }
}

async fn directed_presence_is_followed_by_unavailable(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    romeo.sends("<presence to='{juliet}'><status>only you</status></presence>").await;
    juliet
        .receives("<presence from='{romeo/orchard}' to='{juliet}'><status>only you</status></presence>")
        .await;
    romeo.sends("<presence><show>away</show></presence>").await;
    romeo.settles().await;
    juliet.receives_nothing().await;
    romeo.vanishes();
    juliet.receives("<presence from='{romeo/orchard}' type='unavailable'/>").await;
}

async fn probes_are_answered_for_those_who_may_see(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    romeo.sends("<presence><status>here</status></presence>").await;
    juliet.receives("<presence from='{romeo/orchard}'><status>here</status></presence>").await;
    for to in ["{romeo}", "{romeo/orchard}"] {
        juliet.sends(&format!("<presence to='{to}' type='probe'/>")).await;
        juliet
            .receives(
                "<presence from='{romeo/orchard}' to='{juliet/balcony}'><status>here</status></presence>",
            )
            .await;
    }
    romeo.closes().await;
    juliet.receives("<presence from='{romeo/orchard}' type='unavailable'/>").await;
    juliet.sends("<presence to='{romeo}' type='probe'/>").await;
    juliet.receives("<presence from='{romeo}' type='unavailable'/>").await;
}

async fn probes_of_strangers_are_met_with_silence(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for to in ["{romeo}", "{romeo/orchard}", "{nobody}"] {
        juliet.sends(&format!("<presence to='{to}' type='probe'/>")).await;
    }
    juliet.receives_nothing().await;
    romeo.receives_nothing().await;
}

async fn what_is_shown_is_passed_on(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    let shown = "<show>chat</show><status>a</status><status xml:lang='it'>b</status><priority>7</priority>\
                 <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/><x xmlns='urn:x'>y</x>";
    romeo.sends(&format!("<presence id='p'>{shown}</presence>")).await;
    juliet.receives(&format!("<presence from='{{romeo/orchard}}' id='p'>{shown}</presence>")).await;
}

async fn presence_to_a_full_jid(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<presence to='{romeo/orchard}'/>").await;
    juliet.sends("<presence to='{romeo/gone}'/>").await;
    juliet.settles().await;
    romeo.receives("<presence from='{juliet/balcony}' to='{romeo/orchard}'/>").await;
    romeo.receives_nothing().await;
    juliet.receives_nothing().await;
}
