//! Queries, and every stanza error of RFC 6120 §8.3.3 that a client can cause.

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    a_question_and_its_answer,
    unknown_questions_are_answered_with_service_unavailable,
    a_question_to_a_vanished_session,
    an_answer_to_nobody_is_dropped,
    a_question_outlives_no_session,
    answers_about_an_account_are_the_same_for_all_who_may_not_see_it,
    friends_are_answered,
    bad_requests,
    malformed_addresses,
    what_is_not_allowed,
    what_is_not_acceptable,
    what_is_not_found,
    conflicts,
    forbidden,
    other_servers_are_not_found,
    a_flood_is_told_to_wait,
];

/// The error, of this type and condition.
async fn is_refused(client: &mut Client, stanza: &str, ty: &str, condition: &str) {
    let kind = stanza[1..].split([' ', '>']).next().unwrap_or_default().to_owned();
    client.sends(stanza).await;
    client
        .receives(&format!(
            "<{kind} type='error'><error type='{ty}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></{kind}>"
        ))
        .await;
}

async fn a_question_and_its_answer(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.sends("<iq to='{romeo/orchard}' type='get' id='q'><x xmlns='urn:x'/></iq>").await;
    romeo
        .receives(
            "<iq from='{juliet/balcony}' to='{romeo/orchard}' type='get' id='q'><x xmlns='urn:x'/></iq>",
        )
        .await;
    romeo.sends("<iq to='{juliet/balcony}' type='result' id='q'><y xmlns='urn:x'/></iq>").await;
    juliet.receives("<iq from='{romeo/orchard}' type='result' id='q'><y xmlns='urn:x'/></iq>").await;
}

async fn unknown_questions_are_answered_with_service_unavailable(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    for (to, from) in
        [("{domain}", "{domain}"), ("{romeo}", "{romeo}"), ("{juliet}", "{juliet}"), ("{nobody}", "{nobody}")]
    {
        for ty in ["get", "set"] {
            juliet.sends(&format!("<iq to='{to}' type='{ty}' id='q'><x xmlns='urn:unknown'/></iq>")).await;
            juliet
                .receives(&format!(
                    "<iq from='{from}' type='error' id='q'><error type='cancel'>\
                     <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
                ))
                .await;
        }
    }
    is_refused(
        &mut juliet,
        "<iq type='get' id='q'><x xmlns='urn:unknown'/></iq>",
        "cancel",
        "service-unavailable",
    )
    .await;
    romeo.receives_nothing().await;
}

async fn a_question_to_a_vanished_session(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    for to in ["{romeo/gone}", "{nobody/gone}", "{domain}/gone"] {
        let question = format!("<iq to='{to}' type='get' id='q'><x xmlns='urn:x'/></iq>");
        is_refused(&mut juliet, &question, "cancel", "service-unavailable").await;
    }
}

async fn an_answer_to_nobody_is_dropped(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    for ty in ["result", "error"] {
        juliet.sends(&format!("<iq to='{{romeo/gone}}' type='{ty}' id='q'/>")).await;
        juliet.sends(&format!("<iq to='{{domain}}' type='{ty}' id='q'/>")).await;
        juliet.sends(&format!("<iq to='{{romeo}}' type='{ty}' id='q'/>")).await;
    }
    juliet.receives_nothing().await;
    romeo.receives_nothing().await;
}

async fn a_question_outlives_no_session(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.sends("<iq to='{romeo/orchard}' type='get' id='q'><x xmlns='urn:x'/></iq>").await;
    romeo.receives("<iq type='get' id='q'/>").await;
    romeo.closes().await;
    // Whoever was asked is gone: that is an answer, too, sooner or later; a new question is answered at once.
    is_refused(&mut juliet, "<iq to='{romeo/orchard}' type='get' id='r'/>", "modify", "bad-request").await;
    let question = "<iq to='{romeo/orchard}' type='get' id='r'><x xmlns='urn:x'/></iq>";
    is_refused(&mut juliet, question, "cancel", "service-unavailable").await;
}

async fn answers_about_an_account_are_the_same_for_all_who_may_not_see_it(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut blocker = stage.online("tybalt/street").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    blocker
        .sends("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{juliet}'/></block></iq>")
        .await;
    blocker.receives_at_last("<iq type='result' id='b'/>").await;
    for payload in [
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<query xmlns='jabber:iq:roster'/>",
        "<x xmlns='urn:unknown'/>",
    ] {
        let mut answers = Vec::new();
        for name in ["romeo", "tybalt", "nobody"] {
            juliet.sends(&format!("<iq to='{{{name}}}' type='get' id='q'>{payload}</iq>")).await;
            let answer = juliet.receives(&format!("<iq from='{{{name}}}' type='error' id='q'/>")).await;
            let error = answer.child("error", "jabber:client").cloned();
            answers.push(error.expect("an error has one"));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{payload}: {answers:#?}");
    }
    romeo.receives_nothing().await;
}

async fn friends_are_answered(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    juliet
        .sends(
            "<iq to='{romeo}' type='get' id='q'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        )
        .await;
    juliet
        .receives(
            "<iq from='{romeo}' type='result' id='q'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='account' type='registered'/></query></iq>",
        )
        .await;
    juliet.sends("<iq to='{romeo}' type='get' id='q'><query xmlns='jabber:iq:last'/></iq>").await;
    juliet
        .receives("<iq from='{romeo}' type='result' id='q'><query xmlns='jabber:iq:last' seconds='0'/></iq>")
        .await;
}

async fn bad_requests(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for stanza in [
        "<iq type='get' to='{domain}' id='q'/>",
        "<iq type='get' id='q'><x xmlns='urn:x'/><y xmlns='urn:y'/></iq>",
        "<iq type='nonsense' id='q'><x xmlns='urn:x'/></iq>",
        "<iq id='q'><x xmlns='urn:x'/></iq>",
        "<iq type='get'><x xmlns='urn:x'/></iq>",
        "<iq type='set' id='q'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' id='q'><block xmlns='urn:xmpp:blocking'/></iq>",
        "<presence><priority>much</priority></presence>",
        "<presence><priority>128</priority></presence>",
        "<presence type='subscribe'/>",
    ] {
        is_refused(&mut juliet, stanza, "modify", "bad-request").await;
    }
}

async fn malformed_addresses(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for to in ["@", "a@", "@localhost", "a@@b", "localhost/", "a b@localhost", "\u{ad}@localhost"] {
        for stanza in [
            format!("<message to='{to}' type='chat'><body>hello</body></message>"),
            format!("<iq to='{to}' type='get' id='q'><x xmlns='urn:x'/></iq>"),
            format!("<presence to='{to}'/>"),
        ] {
            is_refused(&mut juliet, &stanza, "modify", "jid-malformed").await;
        }
    }
}

async fn what_is_not_allowed(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let other = "<iq type='set' id='q' to='{domain}'><query xmlns='jabber:iq:register'>\
                 <username>{nobody}</username><password>x</password></query></iq>";
    is_refused(&mut juliet, other, "cancel", "not-allowed").await;
}

async fn what_is_not_acceptable(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let empty_group = "<iq type='set' id='q'><query xmlns='jabber:iq:roster'><item jid='{romeo}'><group/></item></query></iq>";
    is_refused(&mut juliet, empty_group, "modify", "not-acceptable").await;
    let mut nobody = stage.connects("nobody").await;
    nobody.opens().await;
    let no_password =
        "<iq type='set' id='q'><query xmlns='jabber:iq:register'><username>x</username></query></iq>";
    is_refused(&mut nobody, no_password, "modify", "not-acceptable").await;
}

async fn what_is_not_found(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for stanza in [
        "<iq type='get' to='{domain}' id='q'><query xmlns='http://jabber.org/protocol/disco#info' node='none'/></iq>",
        "<iq type='set' id='q'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='remove'/></query></iq>",
        "<iq type='set' to='{domain}' id='q'><command xmlns='http://jabber.org/protocol/commands' node='none'/></iq>",
    ] {
        is_refused(&mut juliet, stanza, "cancel", "item-not-found").await;
    }
}

async fn conflicts(stage: Stage) {
    stage.has_account("juliet").await;
    let mut nobody = stage.connects("nobody").await;
    nobody.opens().await;
    let taken = format!(
        "<iq type='set' id='q'><query xmlns='jabber:iq:register'><username>{}</username><password>x</password></query></iq>",
        stage.cast.node("juliet")
    );
    is_refused(&mut nobody, &taken, "cancel", "conflict").await;
}

async fn forbidden(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    let command = "<iq type='set' to='{domain}' id='q'><command xmlns='http://jabber.org/protocol/commands' \
                   node='http://jabber.org/protocol/admin#add-user'/></iq>";
    is_refused(&mut juliet, command, "auth", "forbidden").await;
}

async fn other_servers_are_not_found(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    for stanza in [
        "<message to='romeo@elsewhere.example' type='chat'><body>hello</body></message>",
        "<iq to='elsewhere.example' type='get' id='q'><x xmlns='urn:x'/></iq>",
        "<presence to='romeo@elsewhere.example'/>",
    ] {
        is_refused(&mut juliet, stanza, "cancel", "remote-server-not-found").await;
    }
}

async fn a_flood_is_told_to_wait(stage: Stage) {
    let stage = stage.alone(&[("session.sessions_max", "2")]).await;
    let _one = stage.bound("juliet/balcony").await;
    let _two = stage.bound("juliet/garden").await;
    let mut three = stage.logged_in("juliet", throng_tests::stage::Way::Tcp, 0).await;
    let bind = "<iq type='set' id='q'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>chamber</resource></bind></iq>";
    is_refused(&mut three, bind, "wait", "resource-constraint").await;
}
