//! What an account's clients see of its archive (XEP-0313, XEP-0059).

use std::time::Duration;

use throng_tests::client::Client;
use throng_tests::pattern;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::Stage;
use xmpp::ns;
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    both_sides_find_what_was_said,
    ids_are_those_of_the_messages,
    pages_go_on_from_either_end,
    a_query_sees_what_was_sent_before_it,
    who_has_read_the_newest_page_gets_no_backlog,
    what_came_after_that_page_is_delivered,
    results_go_to_who_asked_and_nobody_else,
    nobody_reads_the_archive_of_another,
    the_account_says_what_its_archive_can,
    what_was_said_outlives_the_server,
    what_a_user_does_not_want_archived_is_only_delivered,
    what_was_taken_back_is_a_tombstone_on_both_sides,
    a_page_has_no_more_than_the_server_gives,
];

/// An answer takes so long at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for a page: the results as they came, and `<fin/>`.
async fn page(client: &mut Client, inner: &str) -> (Vec<Element>, Element) {
    client
        .sends(&format!(
            "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2' queryid='q'>{inner}</query></iq>"
        ))
        .await;
    let mut results = Vec::new();
    loop {
        let heard = client.hears_within(PATIENCE).await.ok().flatten();
        let heard = heard.unwrap_or_else(|| panic!("{}: no answer of the archive", client.name));
        let Some(result) = heard.child("result", ns::MAM) else {
            assert_eq!(heard.attribute("id"), Some("mam"), "{heard:?}");
            let fin = heard.child("fin", ns::MAM).unwrap_or_else(|| panic!("no fin: {heard:?}"));
            return (results, fin.clone());
        };
        assert_eq!(result.attribute("queryid"), Some("q"));
        results.push(result.clone());
    }
}

fn bodies(results: &[Element]) -> Vec<String> {
    let message = |result: &Element| {
        let message = result.child("forwarded", ns::FORWARD)?.child("message", ns::CLIENT)?.clone();
        Some(message.child("body", ns::CLIENT).map(Element::text).unwrap_or_default())
    };
    results.iter().filter_map(message).collect()
}

fn end(fin: &Element, name: &str) -> String {
    fin.child("set", ns::RSM).and_then(|set| set.child(name, ns::RSM)).map(Element::text).unwrap_or_default()
}

fn set(inner: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>")
}

fn form(var: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='{var}'><value>{value}</value></field></x>"
    )
}

async fn says(client: &mut Client, to: &str, bodies: std::ops::Range<usize>) {
    for n in bodies {
        client
            .sends(&format!("<message to='{{{to}}}' type='chat' id='{n}'><body>{n}</body></message>"))
            .await;
    }
    client.settles().await;
}

async fn both_sides_find_what_was_said(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..2).await;
    romeo.forgets().await;
    romeo.sends("<message to='{juliet/balcony}' type='chat'><body>2</body></message>").await;
    juliet.receives_at_last("<message><body>2</body></message>").await;
    for client in [&mut romeo, &mut juliet] {
        let (results, fin) = page(client, "").await;
        assert_eq!(bodies(&results), ["0", "1", "2"]);
        assert_eq!(fin.attribute("complete"), Some("true"));
    }
    let (results, _) = page(&mut juliet, &form("with", "{nobody}")).await;
    assert!(results.is_empty());
    let (results, _) = page(&mut juliet, &form("with", "{romeo}")).await;
    assert_eq!(results.len(), 3);
}

async fn ids_are_those_of_the_messages(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    stage.has_account("nurse").await;
    juliet.sends("<message to='{romeo}' type='chat'><body>hark</body></message>").await;
    let live = romeo
        .receives(
            "<message><body>hark</body><stanza-id xmlns='urn:xmpp:sid:0' by='{romeo}' id='*'/></message>",
        )
        .await;
    let id =
        live.child("stanza-id", ns::SID).and_then(|id| id.attribute("id")).unwrap_or_default().to_owned();
    let (results, fin) = page(&mut romeo, &form("ids", &id)).await;
    assert_eq!(bodies(&results), ["hark"]);
    assert_eq!(results[0].attribute("id"), Some(id.as_str()));
    assert_eq!(end(&fin, "first"), id);
    // Of a message that has waited as well.
    juliet.sends("<message to='{nurse}' type='chat'><body>peace</body></message>").await;
    juliet.settles().await;
    let mut nurse = stage.bound("nurse/hall").await;
    nurse.sends("<presence/>").await;
    let late =
        nurse.receives_at_last("<message><body>peace</body><delay xmlns='urn:xmpp:delay'/></message>").await;
    let late = late.child("stanza-id", ns::SID).and_then(|id| id.attribute("id")).map(str::to_owned);
    let (results, _) = page(&mut nurse, "").await;
    assert_eq!(results[0].attribute("id").map(str::to_owned), late);
}

async fn pages_go_on_from_either_end(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..7).await;
    let (mut forwards, mut after) = (Vec::new(), String::new());
    loop {
        let (results, fin) = page(&mut juliet, &set(&format!("<max>3</max>{after}"))).await;
        forwards.extend(bodies(&results));
        if fin.attribute("complete") == Some("true") {
            break;
        }
        after = format!("<after>{}</after>", end(&fin, "last"));
    }
    assert_eq!(forwards, ["0", "1", "2", "3", "4", "5", "6"]);
    let (results, fin) = page(&mut juliet, &set("<max>3</max><before/>")).await;
    assert_eq!(bodies(&results), ["4", "5", "6"]);
    let older = set(&format!("<max>3</max><before>{}</before>", end(&fin, "first")));
    let (results, _) = page(&mut juliet, &format!("{older}<flip-page/>")).await;
    assert_eq!(bodies(&results), ["3", "2", "1"]);
    juliet
        .sends(&format!(
            "<iq type='set' id='no'><query xmlns='urn:xmpp:mam:2'>{}</query></iq>",
            set("<after>0000000000000001</after>")
        ))
        .await;
    juliet
        .receives("<iq type='error' id='no'><error><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
        .await;
}

async fn a_query_sees_what_was_sent_before_it(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for n in 0..20 {
        juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{n}</body></message>")).await;
        let (results, _) = page(&mut juliet, &set("<max>1</max><before/>")).await;
        assert_eq!(bodies(&results), [n.to_string()]);
    }
}

async fn who_has_read_the_newest_page_gets_no_backlog(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..3).await;
    juliet
        .sends("<message to='{romeo}' type='chat'><body>burn this</body><no-permanent-store xmlns='urn:xmpp:hints'/></message>")
        .await;
    juliet.settles().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    let (results, _) = page(&mut romeo, &set("<before/>")).await;
    assert_eq!(bodies(&results), ["0", "1", "2"]);
    romeo.sends("<presence/>").await;
    // What no archive has is delivered all the same.
    romeo.receives_at_last("<message><body>burn this</body></message>").await;
    romeo.receives_nothing().await;
    romeo.closes().await;
    let mut romeo = stage.bound("romeo/cell").await;
    romeo.sends("<presence/>").await;
    romeo.receives("<presence/>").await;
    romeo.receives_nothing().await;
}

async fn what_came_after_that_page_is_delivered(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..2).await;
    let mut romeo = stage.bound("romeo/orchard").await;
    page(&mut romeo, &set("<before/>")).await;
    says(&mut juliet, "romeo", 2..4).await;
    romeo.sends("<presence/>").await;
    romeo.receives_at_last("<message><body>2</body></message>").await;
    romeo.receives("<message><body>3</body></message>").await;
    romeo.receives_nothing().await;
}

async fn results_go_to_who_asked_and_nobody_else(stage: Stage) {
    stage.has_account("romeo").await;
    let mut chamber = stage.online("juliet/chamber").await;
    let mut balcony = stage.online("juliet/balcony").await;
    for client in [&mut chamber, &mut balcony] {
        client.sends("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>").await;
        client.receives_at_last("<iq type='result' id='c'/>").await;
    }
    says(&mut balcony, "romeo", 0..2).await;
    chamber.forgets().await;
    let (results, _) = page(&mut balcony, "").await;
    assert_eq!(results.len(), 2);
    chamber.receives_nothing().await;
    let (results, _) = page(&mut balcony, "").await;
    assert_eq!(results.len(), 2, "results are not archived");
}

async fn nobody_reads_the_archive_of_another(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for to in ["{romeo}", "{domain}"] {
        juliet.sends(&format!("<iq type='set' id='x' to='{to}'><query xmlns='urn:xmpp:mam:2'/></iq>")).await;
        juliet.receives("<iq type='error' id='x'/>").await;
    }
}

async fn the_account_says_what_its_archive_can(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet
        .sends(
            "<iq type='get' id='d' to='{juliet}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        )
        .await;
    juliet
        .receives(
            "<iq type='result' id='d'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <feature var='urn:xmpp:mam:2'/><feature var='urn:xmpp:mam:2#extended'/></query></iq>",
        )
        .await;
    juliet.sends("<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>").await;
    juliet
        .receives(
            "<iq type='result' id='f'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='form'>\
             <field var='with' type='jid-single'/><field var='ids' type='list-multi'/></x></query></iq>",
        )
        .await;
    juliet.sends("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    juliet.receives("<iq type='result' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    juliet.sends("<message to='{juliet}' type='chat'><body>note</body></message>").await;
    juliet.sends("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>").await;
    juliet
        .receives_at_last(
            "<iq type='result' id='m'><metadata xmlns='urn:xmpp:mam:2'><start id='*' timestamp='*'/>\
             <end id='*' timestamp='*'/></metadata></iq>",
        )
        .await;
}

async fn what_was_said_outlives_the_server(stage: Stage) {
    let stage = stage.alone(&[]).await;
    stage.has_account("romeo").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.enables_management().await;
    for n in 0..5 {
        juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{n}</body></message>")).await;
    }
    juliet.is_acknowledged().await;
    stage.begins_again().await;
    for who in ["juliet/chamber", "romeo/orchard"] {
        let mut client = stage.bound(who).await;
        let (results, _) = page(&mut client, "").await;
        assert_eq!(bodies(&results), ["0", "1", "2", "3", "4"], "{who}");
    }
}

async fn what_a_user_does_not_want_archived_is_only_delivered(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>").await;
    romeo
        .receives("<iq type='result' id='p'><prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs></iq>")
        .await;
    romeo
        .sends(
            "<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>{juliet}</jid></never>\
             </prefs></iq>",
        )
        .await;
    romeo
        .receives("<iq type='result' id='p'><prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>{juliet}</jid></never></prefs></iq>")
        .await;
    romeo.closes().await;
    says(&mut juliet, "romeo", 0..1).await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    let message = romeo.receives_at_last("<message><body>0</body></message>").await;
    assert!(message.child("stanza-id", ns::SID).is_none(), "it is in no archive");
    let (results, _) = page(&mut romeo, "").await;
    assert!(results.is_empty());
    let (results, _) = page(&mut juliet, "").await;
    assert_eq!(bodies(&results), ["0"], "Juliet archives what she likes");
}

async fn what_was_taken_back_is_a_tombstone_on_both_sides(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..2).await;
    romeo.sends("<message to='{juliet}' type='chat' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='0'/></message>").await;
    juliet.receives("<message id='r'><retract xmlns='urn:xmpp:message-retract:1' id='0'/></message>").await;
    juliet.sends("<message to='{romeo}' type='chat' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='1'/></message>").await;
    romeo
        .receives_at_last("<message id='r'><retract xmlns='urn:xmpp:message-retract:1' id='1'/></message>")
        .await;
    for client in [&mut juliet, &mut romeo] {
        let (results, _) = page(client, "").await;
        let messages: Vec<String> = results.iter().map(pattern::told).collect();
        assert_eq!(messages.len(), 4, "each retraction is archived as well");
        assert!(messages[0].contains("<body>0</body>"), "Romeo did not write it: {}", messages[0]);
        assert!(messages[1].contains("<retracted ") && !messages[1].contains("<body"), "{}", messages[1]);
    }
}

async fn a_page_has_no_more_than_the_server_gives(stage: Stage) {
    let stage = stage.alone(&[("server.archive_page_max", "2")]).await;
    stage.has_account("romeo").await;
    let mut juliet = stage.online("juliet/balcony").await;
    says(&mut juliet, "romeo", 0..3).await;
    let (results, fin) = page(&mut juliet, &set("<max>50</max>")).await;
    assert_eq!((bodies(&results), fin.attribute("complete")), (vec!["0".to_owned(), "1".to_owned()], None));
}
