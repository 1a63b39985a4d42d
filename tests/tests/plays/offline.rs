//! Messages for whoever is not there (RFC 6121 §8.5.2.2, XEP-0160, XEP-0203, XEP-0334).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::Stage;

pub(crate) const PLAYS: &[Play] = plays![
    messages_wait_in_order_and_are_stamped,
    they_are_delivered_once,
    one_session_gets_them,
    hints_are_heeded,
    headlines_do_not_wait,
    an_account_that_is_not_there_refuses,
    they_survive_the_servers_death,
    an_archive_that_is_off_keeps_them_only_until_then,
];

async fn messages_wait_in_order_and_are_stamped(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for n in 0..20 {
        juliet
            .sends(&format!("<message to='{{romeo}}' type='chat' id='{n}'><body>{n}</body></message>"))
            .await;
    }
    juliet.receives_nothing().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.receives_nothing().await;
    romeo.sends("<presence/>").await;
    for n in 0..20 {
        romeo
            .receives_at_last(&format!(
                "<message from='{{juliet/balcony}}' to='{{romeo}}' id='{n}'><body>{n}</body>\
                 <delay xmlns='urn:xmpp:delay' from='{{domain}}' stamp='*'/>\
                 <stanza-id xmlns='urn:xmpp:sid:0' by='{{romeo}}' id='*'/></message>"
            ))
            .await;
    }
    romeo.receives_nothing().await;
}

async fn they_are_delivered_once(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat'><body>once</body></message>").await;
    juliet.settles().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives_at_last("<message><body>once</body></message>").await;
    romeo.settles().await;
    romeo.closes().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives("<presence from='{romeo/orchard}'/>").await;
    romeo.receives_nothing().await;
}

async fn one_session_gets_them(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat'><body>once</body></message>").await;
    juliet.settles().await;
    let mut cell = stage.bound("romeo/cell").await;
    cell.sends("<presence><priority>-1</priority></presence>").await;
    cell.receives("<presence/>").await;
    cell.receives_nothing().await;
    let mut orchard = stage.bound("romeo/orchard").await;
    orchard.sends("<presence/>").await;
    orchard.receives_at_last("<message><body>once</body></message>").await;
    let mut street = stage.bound("romeo/street").await;
    street.sends("<presence/>").await;
    let came = street.forgets().await;
    assert!(came.iter().all(|element| element.name() == "presence"), "{came:?}");
}

async fn hints_are_heeded(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet
        .sends("<message to='{romeo}' type='chat' id='n'><body>not kept</body><no-store xmlns='urn:xmpp:hints'/></message>")
        .await;
    juliet.receives("<message type='error' id='n' from='{romeo}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>").await;
    for hint in ["no-permanent-store", "store"] {
        juliet
            .sends(&format!("<message to='{{romeo}}' type='chat'><body>{hint}</body><{hint} xmlns='urn:xmpp:hints'/></message>"))
            .await;
    }
    juliet.settles().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives_at_last("<message><body>no-permanent-store</body></message>").await;
    romeo.receives("<message><body>store</body></message>").await;
    romeo.receives_nothing().await;
}

async fn headlines_do_not_wait(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='headline'><body>news</body></message>").await;
    juliet.receives_nothing().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives("<presence/>").await;
    romeo.receives_nothing().await;
}

async fn an_account_that_is_not_there_refuses(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for to in ["{nobody}", "{nobody/nowhere}"] {
        for ty in ["chat", "normal", "groupchat"] {
            juliet
                .sends(&format!("<message to='{to}' type='{ty}' id='m'><body>hello</body></message>"))
                .await;
            juliet
                .receives(&format!(
                    "<message from='{to}' type='error' id='m'><error type='cancel'>\
                     <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
                ))
                .await;
        }
        juliet.sends(&format!("<presence to='{to}'/>")).await;
        juliet.receives_nothing().await;
    }
}

async fn they_survive_the_servers_death(stage: Stage) {
    let stage = stage.alone(&[]).await;
    stage.has_account("romeo").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    for n in 0..10 {
        juliet
            .sends(&format!("<message to='{{romeo}}' type='chat' id='{n}'><body>{n}</body></message>"))
            .await;
    }
    juliet.is_acknowledged().await;
    let role = stage.owner();
    stage.kills(role).await;
    stage.begins(role).await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    for n in 0..10 {
        romeo.receives_at_last(&format!("<message id='{n}'><body>{n}</body></message>")).await;
    }
    romeo.receives_nothing().await;
}

async fn an_archive_that_is_off_keeps_them_only_until_then(stage: Stage) {
    let stage = stage.alone(&[("server.archive", "false")]).await;
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat'><body>once</body></message>").await;
    juliet.settles().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives_at_last("<message><body>once</body></message>").await;
    romeo.settles().await;
    romeo.closes().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives("<presence/>").await;
    romeo.receives_nothing().await;
}
