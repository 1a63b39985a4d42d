//! Attacks by what stanzas say, and by how many there are (attack cases 15, 35 to 38, 43 and 45).

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way, befriend};
use xmpp::ns;
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    case_15_addresses_that_look_alike_or_are_too_long,
    case_35_forged_carbons,
    case_36_forged_roster_pushes,
    case_37_forged_results_of_an_archive,
    case_38_forged_ids_of_an_archive,
    case_43_a_client_that_does_not_read,
    case_43_a_sender_that_does_not_stop,
    case_45_errors_and_answers_that_answer_themselves,
];

async fn case_15_addresses_that_look_alike_or_are_too_long(stage: Stage) {
    stage.has_account("juliet").await;
    let node = stage.cast.node("juliet");
    let wide: String = node
        .chars()
        .map(|letter| {
            char::from_u32(letter as u32 + 0xFEE0).filter(|_| letter.is_ascii_alphabetic()).unwrap_or(letter)
        })
        .collect();
    let mut mallory = stage.connects("mallory").await;
    mallory.opens().await;
    for look_alike in [node.to_uppercase(), wide, format!("{node}\u{ad}")] {
        mallory
            .sends(&format!("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{look_alike}</username><password>x</password></query></iq>"))
            .await;
        mallory.receives("<iq type='error' id='r'><error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    }
    for bad in ["a b", "a@b", "a/b", "a\"b", "a&amp;b", "a'b", "\u{2028}", "\u{200b}\u{ad}"] {
        let mut mallory = stage.connects("mallory").await;
        mallory.opens().await;
        mallory
            .sends(&format!("<iq type=\"set\" id=\"r\"><query xmlns=\"jabber:iq:register\"><username>{bad}</username><password>x</password></query></iq>"))
            .await;
        mallory.receives("<iq type='error' id='r'><error><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    }
    let (fits, long) = ("r".repeat(1_023), "r".repeat(1_024));
    let mut juliet = stage.logged_in("juliet", Way::Tcp, 0).await;
    juliet.sends(&format!("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{long}</resource></bind></iq>")).await;
    juliet.receives("<iq type='error' id='b'><error><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    juliet.binds(&fits).await;
    for to in [
        format!("{long}@localhost"),
        format!("localhost/{long}"),
        "a".repeat(1_024),
        format!("{long}@{long}/{long}"),
    ] {
        juliet.sends(&format!("<message to='{to}'><body>x</body></message>")).await;
        juliet.receives("<message type='error'><error type='modify'><jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>").await;
    }
}

async fn case_35_forged_carbons(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
    juliet.receives("<iq type='result' id='c'/>").await;
    for way in [Way::Tcp, Way::WebSocket] {
        let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
        for (direction, to) in
            [("sent", "{juliet/balcony}"), ("received", "{juliet}"), ("received", "{juliet/balcony}")]
        {
            mallory
                .sends(&format!(
                    "<message to='{to}' type='chat'><body>outside</body><{direction} xmlns='urn:xmpp:carbons:2'>\
                     <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='{{romeo}}' to='{{juliet/balcony}}' \
                     type='chat'><body>I hate you</body></message></forwarded></{direction}></message>"
                ))
                .await;
            let message =
                juliet.receives("<message from='{mallory/cellar}'><body>outside</body></message>").await;
            assert!(message.child(direction, "urn:xmpp:carbons:2").is_none(), "XEP-0280 §11: {message:?}");
        }
    }
    juliet.receives_nothing().await;
}

async fn case_36_forged_roster_pushes(stage: Stage) {
    let mut juliet = stage.online("juliet/balcony").await;
    juliet.sends("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    juliet.receives("<iq type='result' id='r'/>").await;
    for way in [Way::Tcp, Way::WebSocket] {
        let push = "<query xmlns='jabber:iq:roster'><item jid='{mallory}' subscription='both'/></query>";
        let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
        mallory.sends(&format!("<iq to='{{juliet/balcony}}' type='set' id='p'>{push}</iq>")).await;
        // RFC 6121 §2.1.6: a client ignores a push of anybody but its account, so it must see whose it is.
        juliet.receives("<iq from='{mallory/cellar}' type='set' id='p'/>").await;
        mallory.sends(&format!("<iq to='{{juliet}}' type='set' id='p'>{push}</iq>")).await;
        mallory.receives("<iq type='error' id='p' from='{juliet}'/>").await;
        for from in ["{juliet}", "{juliet/balcony}", "{domain}"] {
            let mut mallory = stage.bound_over("mallory/attic", way, 0).await;
            mallory
                .sends(&format!("<iq from='{from}' to='{{juliet/balcony}}' type='set' id='p'>{push}</iq>"))
                .await;
            mallory.is_refused_with("invalid-from").await;
        }
        mallory.closes().await;
    }
    juliet.receives_nothing().await;
}

async fn case_37_forged_results_of_an_archive(stage: Stage) {
    const QUERY: &str = "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2' queryid='q'/></iq>";
    let mut juliet = stage.online("juliet/balcony").await;
    for way in [Way::Tcp, Way::WebSocket] {
        let result = "<result xmlns='urn:xmpp:mam:2' queryid='q' id='0123456789abcdef'><forwarded xmlns='urn:xmpp:forward:0'>\
                      <message xmlns='jabber:client' from='{romeo/orchard}' to='{juliet}' type='chat'><body>I hate you</body>\
                      </message></forwarded></result>";
        let mut mallory = stage.bound_over("mallory/cellar", way, 0).await;
        mallory.sends(&format!("<message to='{{juliet}}'>{result}</message>")).await;
        mallory.sends(&format!("<message to='{{juliet/balcony}}'>{result}</message>")).await;
        mallory.settles().await;
        // Results are the account's: it must be seen that these are not (XEP-0313 §4.2).
        for heard in juliet.forgets().await {
            assert_eq!(heard.attribute("from"), Some(stage.cast.expand("{mallory/cellar}").as_str()));
        }
        juliet.sends(QUERY).await;
        let heard = juliet.receives_to("mam").await;
        let own = heard.iter().filter(|one| one.name() == "message");
        assert!(own.clone().all(|one| one.attribute("from") == Some(stage.cast.bare("juliet").as_str())));
        for result in own.filter_map(|one| one.child("result", ns::MAM)) {
            let message =
                result.child("forwarded", ns::FORWARD).and_then(|one| one.child("message", ns::CLIENT));
            let from = message.and_then(|message| message.attribute("from"));
            assert_eq!(from, Some(stage.cast.expand("{mallory/cellar}").as_str()), "it is kept as hers");
        }
        for from in ["{juliet}", "{domain}", "{romeo}"] {
            let mut mallory = stage.bound_over("mallory/attic", way, 0).await;
            mallory
                .sends(&format!("<message from='{from}' to='{{juliet/balcony}}'>{result}</message>"))
                .await;
            mallory.is_refused_with("invalid-from").await;
        }
    }
    juliet.receives_nothing().await;
}

async fn case_38_forged_ids_of_an_archive(stage: Stage) {
    let ids = |message: &Element| -> Vec<(String, String)> {
        let attribute = |id: &Element, name| id.attribute(name).unwrap_or_default().to_owned();
        let all = message.children().filter(|child| child.is("stanza-id", ns::SID));
        all.map(|id| (attribute(id, "by"), attribute(id, "id"))).collect()
    };
    let mut juliet = stage.online("juliet/balcony").await;
    let own = stage.cast.bare("juliet");
    for by in [own.clone(), own.to_uppercase(), "localhost".to_owned(), "LOCALHOST".to_owned()] {
        let forged = format!("<stanza-id xmlns='urn:xmpp:sid:0' id='0000000000000001' by='{by}'/>");
        let mut mallory = stage.online("mallory/cellar").await;
        mallory
            .sends(&format!(
                "<message to='{{juliet}}' type='chat'><body>hark</body>{forged}{forged}\
                 <stanza-id xmlns='urn:xmpp:sid:0' id='2' by='room@elsewhere.example'/></message>"
            ))
            .await;
        let live = ids(&juliet.receives("<message><body>hark</body></message>").await);
        let (elsewhere, ours): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(by, _)| by.starts_with("room"));
        assert_eq!(elsewhere.len(), 1, "what is another's to say stays");
        assert!(ours.len() == 1 && ours[0].0 == own && ours[0].1.len() == 16, "{ours:?}");
        assert_ne!(ours[0].1, "0000000000000001");
        // And it is the one that finds it.
        juliet.sends(&format!("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
                               <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='ids'><value>{}</value></field>\
                               </x></query></iq>", ours[0].1)).await;
        juliet
            .receives(&format!("<message><result xmlns='urn:xmpp:mam:2' id='{}'/></message>", ours[0].1))
            .await;
        juliet.receives("<iq type='result' id='mam'/>").await;
    }
}

async fn case_43_a_client_that_does_not_read(stage: Stage) {
    const GROWTH_BYTES_MAX: u64 = 60 * 1024 * 1024;
    let stage = stage.alone(&[("limits.out_queue_bytes", "200000")]).await;
    let role = if stage.is_split() { Role::Edge(0) } else { Role::Whole };
    let mut juliet = stage.online("juliet/balcony").await;
    let mut nurse = stage.online("nurse/kitchen").await;
    let deaf = stage.online("mallory/cellar").await;
    let before = stage.server().memory_bytes(role);
    let body = "x".repeat(20_000);
    for _ in 0..1_000 {
        juliet
            .sends(&format!("<message to='{{mallory/cellar}}' type='headline'><body>{body}</body></message>"))
            .await;
    }
    juliet.settles().await;
    nurse.receives_nothing().await;
    let after = stage.server().memory_bytes(role);
    assert!(after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
    // Its connection is gone, and its name is free.
    juliet.sends("<iq to='{mallory/cellar}' type='get' id='q'><x xmlns='urn:x'/></iq>").await;
    juliet.receives("<iq type='error' id='q' from='{mallory/cellar}'/>").await;
    drop(deaf);
}

async fn case_43_a_sender_that_does_not_stop(stage: Stage) {
    const GROWTH_BYTES_MAX: u64 = 80 * 1024 * 1024;
    let stage = stage.alone(&[]).await;
    let role = stage.owner();
    stage.has_account("romeo").await;
    let mut nurse = stage.online("nurse/kitchen").await;
    let mut mallory = stage.online("mallory/cellar").await;
    let before = stage.server().memory_bytes(role);
    for n in 0..20_000 {
        mallory.sends(&format!("<iq to='{{nobody/{n}}}' type='get' id='{n}'><x xmlns='urn:x'/></iq>")).await;
        if n % 1_000 == 0 {
            mallory.sends("<message to='{romeo}' type='chat'><body>to be kept</body></message>").await;
            nurse.receives_nothing().await;
        }
    }
    nurse.receives_nothing().await;
    let after = stage.server().memory_bytes(role);
    assert!(after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
}

async fn case_45_errors_and_answers_that_answer_themselves(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for to in [
        "{romeo/gone}",
        "{romeo}",
        "{nobody}",
        "{nobody/gone}",
        "{domain}",
        "{domain}/gone",
        "{juliet}",
        "a@elsewhere.example",
    ] {
        for (kind, ty) in [("message", "error"), ("presence", "error"), ("iq", "error"), ("iq", "result")] {
            let inside = if ty == "error" { error } else { "" };
            juliet.sends(&format!("<{kind} to='{to}' type='{ty}' id='e'>{inside}</{kind}>")).await;
        }
    }
    juliet.settles().await;
    // What was for a session of Romeo's may have reached the one there is; nothing of it has come back.
    juliet.receives_nothing().await;
    let came = romeo.forgets().await;
    assert!(came.len() <= 2, "{came:?}");
}
