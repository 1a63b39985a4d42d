//! Messages between local accounts: who gets them (RFC 6121 §5, §8.5; docs/rules.md).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way};

pub(crate) const PLAYS: &[Play] = plays![
    a_message_and_its_answer,
    over_tls_and_websocket,
    payloads_arrive_as_they_were,
    chat_to_the_bare_jid_reaches_every_session_of_non_negative_priority,
    headline_to_the_bare_jid_reaches_every_session_of_non_negative_priority,
    groupchat_to_a_bare_jid_is_refused_and_an_error_dropped,
    a_session_named_in_full_gets_everything,
    a_vanished_session_is_no_reason_to_lose_a_message,
    headline_error_and_groupchat_to_a_vanished_session,
    without_to_it_is_for_the_own_account,
    a_message_to_oneself_arrives_once,
    nobody_home_of_negative_priority_gets_messages,
    an_error_never_answers_an_error,
    order_is_kept,
    messages_have_the_stanza_id_of_the_account,
    chat_states_to_nobody_are_dropped,
];

async fn a_message_and_its_answer(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat' id='1'><body>Wherefore art thou?</body></message>").await;
    romeo
        .receives("<message from='{juliet/balcony}' to='{romeo}' type='chat' id='1'><body>Wherefore art thou?</body></message>")
        .await;
    romeo
        .sends("<message to='{juliet/balcony}' type='chat'><body>Neither, fair saint</body></message>")
        .await;
    juliet
        .receives("<message from='{romeo/orchard}' to='{juliet/balcony}'><body>Neither, fair saint</body></message>")
        .await;
}

async fn over_tls_and_websocket(stage: Stage) {
    use throng_tests::client::TlsVersion;
    let mut romeo = stage.bound_over("romeo/orchard", Way::Tls(TlsVersion::V13), 0).await;
    let mut juliet = stage.bound_over("juliet/balcony", Way::WebSocket, 0).await;
    romeo.is_available().await;
    juliet.is_available().await;
    juliet.sends("<message to='{romeo}' type='chat'><body>by web</body></message>").await;
    romeo.receives("<message from='{juliet/balcony}'><body>by web</body></message>").await;
    romeo.sends("<message to='{juliet}' type='chat'><body>by tls</body></message>").await;
    juliet.receives("<message from='{romeo/orchard}'><body>by tls</body></message>").await;
}

async fn payloads_arrive_as_they_were(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    let payload = "<subject xml:lang='fr'>&lt;é&gt; &amp; ☃</subject><body>one</body><body xml:lang='it'>uno</body>\
                   <thread parent='a'>b</thread><x xmlns='urn:x' a='&quot;&apos;'><y xmlns='urn:y' b='1'/>text<z/></x>";
    juliet
        .sends(&format!("<message to='{{romeo}}' type='chat' xml:lang='en' id='ü'>{payload}</message>"))
        .await;
    romeo
        .receives(&format!("<message from='{{juliet/balcony}}' xml:lang='en' id='ü'>{payload}</message>"))
        .await;
}

async fn chat_to_the_bare_jid_reaches_every_session_of_non_negative_priority(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut street = stage.bound("romeo/street").await;
    let mut cell = stage.bound("romeo/cell").await;
    let mut away = stage.bound("romeo/away").await;
    romeo.sends("<presence><priority>5</priority></presence>").await;
    street.sends("<presence/>").await;
    cell.sends("<presence><priority>-1</priority></presence>").await;
    for client in [&mut romeo, &mut street, &mut cell, &mut away] {
        client.settles().await;
    }
    for client in [&mut romeo, &mut street, &mut cell, &mut away] {
        client.forgets().await;
    }
    let mut juliet = stage.online("juliet/balcony").await;
    for ty in ["chat", "normal"] {
        juliet.sends(&format!("<message to='{{romeo}}' type='{ty}'><body>all of you</body></message>")).await;
        juliet.settles().await;
        romeo.receives("<message from='{juliet/balcony}'><body>all of you</body></message>").await;
        street.receives("<message from='{juliet/balcony}'><body>all of you</body></message>").await;
        cell.receives_nothing().await;
        away.receives_nothing().await;
    }
}

async fn headline_to_the_bare_jid_reaches_every_session_of_non_negative_priority(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut street = stage.online("romeo/street").await;
    romeo.forgets().await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='headline'><body>news</body></message>").await;
    romeo.receives("<message type='headline'><body>news</body></message>").await;
    street.receives("<message type='headline'><body>news</body></message>").await;
}

async fn groupchat_to_a_bare_jid_is_refused_and_an_error_dropped(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='groupchat' id='g'><body>all</body></message>").await;
    juliet
        .receives(
            "<message from='{romeo}' type='error' id='g'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
        )
        .await;
    juliet.sends("<message to='{romeo}' type='error'><body>oh</body></message>").await;
    juliet.receives_nothing().await;
    romeo.receives_nothing().await;
}

async fn a_session_named_in_full_gets_everything(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for ty in ["chat", "normal", "headline", "groupchat", "error"] {
        juliet
            .sends(&format!("<message to='{{romeo/orchard}}' type='{ty}'><body>{ty}</body></message>"))
            .await;
        romeo.receives(&format!("<message from='{{juliet/balcony}}'><body>{ty}</body></message>")).await;
    }
}

async fn a_vanished_session_is_no_reason_to_lose_a_message(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for ty in ["chat", "normal"] {
        juliet
            .sends(&format!("<message to='{{romeo/street}}' type='{ty}'><body>where?</body></message>"))
            .await;
        romeo
            .receives("<message to='{romeo/street}' from='{juliet/balcony}'><body>where?</body></message>")
            .await;
    }
}

async fn headline_error_and_groupchat_to_a_vanished_session(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for ty in ["headline", "error"] {
        juliet
            .sends(&format!("<message to='{{romeo/street}}' type='{ty}'><body>where?</body></message>"))
            .await;
    }
    juliet.receives_nothing().await;
    juliet.sends("<message to='{romeo/street}' type='groupchat' id='g'><body>where?</body></message>").await;
    juliet
        .receives("<message type='error' id='g' from='{romeo/street}'><error type='cancel'/></message>")
        .await;
    romeo.receives_nothing().await;
}

async fn without_to_it_is_for_the_own_account(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut street = stage.online("romeo/street").await;
    romeo.forgets().await;
    romeo.sends("<message type='chat'><body>note</body></message>").await;
    romeo.receives("<message from='{romeo/orchard}'><body>note</body></message>").await;
    street.receives("<message from='{romeo/orchard}'><body>note</body></message>").await;
}

async fn a_message_to_oneself_arrives_once(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    for to in ["{romeo}", "{romeo/orchard}"] {
        romeo.sends(&format!("<message to='{to}' type='chat'><body>note</body></message>")).await;
        romeo.receives("<message from='{romeo/orchard}'><body>note</body></message>").await;
        romeo.receives_nothing().await;
    }
}

async fn nobody_home_of_negative_priority_gets_messages(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence><priority>-1</priority></presence>").await;
    romeo.forgets().await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat'><body>later</body></message>").await;
    juliet.receives_nothing().await;
    romeo.receives_nothing().await;
    romeo.sends("<presence/>").await;
    romeo
        .receives_at_last(
            "<message from='{juliet/balcony}'><body>later</body><delay xmlns='urn:xmpp:delay'/></message>",
        )
        .await;
}

async fn an_error_never_answers_an_error(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for to in ["{nobody}", "{nobody/nowhere}", "nobody@nowhere.example", "{domain}"] {
        juliet.sends(&format!("<message to='{to}' type='error'><body>oh</body></message>")).await;
        juliet.sends(&format!("<iq to='{to}' type='error' id='1'/>")).await;
        juliet.sends(&format!("<iq to='{to}' type='result' id='2'/>")).await;
        juliet.sends(&format!("<presence to='{to}' type='error'/>")).await;
    }
    juliet.receives_nothing().await;
}

async fn order_is_kept(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for n in 0..100 {
        juliet
            .sends(&format!("<message to='{{romeo}}' type='chat' id='m{n}'><body>{n}</body></message>"))
            .await;
        juliet.sends(&format!("<presence to='{{romeo/orchard}}'><status>{n}</status></presence>")).await;
        juliet
            .sends(&format!("<iq to='{{romeo/orchard}}' type='get' id='i{n}'><x xmlns='urn:x'/></iq>"))
            .await;
    }
    for n in 0..100 {
        romeo.receives(&format!("<message id='m{n}'/>")).await;
        romeo.receives(&format!("<presence><status>{n}</status></presence>")).await;
        romeo.receives(&format!("<iq id='i{n}'/>")).await;
    }
}

async fn messages_have_the_stanza_id_of_the_account(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet
        .sends(
            "<message to='{romeo}' type='chat'><body>one</body><origin-id xmlns='urn:xmpp:sid:0' id='mine'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='{romeo}'/></message>",
        )
        .await;
    let message = romeo
        .receives(
            "<message><body>one</body><origin-id xmlns='urn:xmpp:sid:0' id='mine'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='*' by='{romeo}'/></message>",
        )
        .await;
    let ids = message.children().filter(|child| child.name() == "stanza-id").count();
    assert_eq!(ids, 1, "the forged one is gone (XEP-0359 §7)");
}

async fn chat_states_to_nobody_are_dropped(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<message to='{romeo}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>").await;
    juliet.receives_nothing().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    romeo.receives("<presence from='{romeo/orchard}'/>").await;
    romeo.receives_nothing().await;
}
