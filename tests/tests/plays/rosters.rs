//! Rosters and subscriptions (RFC 6121 §2, §3).

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    a_roster_is_read_changed_and_pushed,
    only_sessions_that_asked_for_the_roster_are_told,
    an_item_is_removed,
    only_name_and_groups_are_the_clients,
    roster_sets_that_are_refused,
    versions,
    juliet_asks_and_romeo_grants,
    romeo_refuses,
    a_request_waits_until_it_is_answered,
    juliet_looks_away,
    romeo_shuts_juliet_out,
    romeo_approves_ahead,
    who_is_removed_neither_sees_nor_is_seen,
    nobody_grants_what_was_not_asked,
    a_request_to_nobody,
    rosters_survive_a_restart,
];

const ROSTER: &str = "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>";

/// Asks for the roster, and so for pushes.
async fn reads_roster(client: &mut Client) -> xmpp::xml::Element {
    client.sends(ROSTER).await;
    client.receives("<iq type='result' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await
}

async fn interested(stage: &Stage, who: &str) -> Client {
    let mut client = stage.online(who).await;
    reads_roster(&mut client).await;
    client
}

fn push(item: &str) -> String {
    format!("<iq type='set' id='*'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
}

async fn is_pushed(client: &mut Client, item: &str) {
    client.receives(&push(item)).await;
}

async fn a_roster_is_read_changed_and_pushed(stage: Stage) {
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet
        .sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}' name='Romeo'><group>Friends</group></item></query></iq>")
        .await;
    juliet
        .receives_all(&[
            &push("<item jid='{romeo}' name='Romeo' subscription='none'><group>Friends</group></item>"),
            "<iq type='result' id='s'/>",
        ])
        .await;
    let roster = reads_roster(&mut juliet).await;
    let items: Vec<_> = roster.children().flat_map(xmpp::xml::Element::children).collect();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].attribute("name"), Some("Romeo"));
}

async fn only_sessions_that_asked_for_the_roster_are_told(stage: Stage) {
    let mut balcony = interested(&stage, "juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    balcony.forgets().await;
    garden
        .sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}'/></query></iq>")
        .await;
    garden.receives("<iq type='result' id='s'/>").await;
    is_pushed(&mut balcony, "<item jid='{romeo}'/>").await;
}

async fn an_item_is_removed(stage: Stage) {
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet
        .sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}'/></query></iq>")
        .await;
    juliet.forgets().await;
    juliet
        .sends("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='remove'/></query></iq>")
        .await;
    juliet
        .receives_all(&[&push("<item jid='{romeo}' subscription='remove'/>"), "<iq type='result' id='r'/>"])
        .await;
    let roster = reads_roster(&mut juliet).await;
    assert_eq!(roster.children().flat_map(xmpp::xml::Element::children).count(), 0);
}

async fn only_name_and_groups_are_the_clients(stage: Stage) {
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet
        .sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}' subscription='both' ask='subscribe' approved='true'/></query></iq>")
        .await;
    juliet
        .receives_all(&[
            &push("<item jid='{romeo}' subscription='none' ask='-' approved='-'/>"),
            "<iq type='result' id='s'/>",
        ])
        .await;
}

async fn roster_sets_that_are_refused(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    let long = "x".repeat(2_000);
    for (query, condition) in [
        ("<item jid='{romeo}'/><item jid='{nurse}'/>".to_owned(), "bad-request"),
        ("<item/>".to_owned(), "bad-request"),
        ("<item jid='@'/>".to_owned(), "bad-request"),
        ("<item jid='{romeo}'><group>a</group><group>a</group></item>".to_owned(), "bad-request"),
        ("<item jid='{romeo}'><group/></item>".to_owned(), "not-acceptable"),
        (format!("<item jid='{{romeo}}' name='{long}'/>"), "not-acceptable"),
        ("<item jid='{nurse}' subscription='remove'/>".to_owned(), "item-not-found"),
    ] {
        juliet
            .sends(&format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{query}</query></iq>"))
            .await;
        juliet
            .receives(&format!("<iq type='error' id='s'><error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"))
            .await;
    }
    for ty in ["get", "set"] {
        juliet.sends(&format!("<iq type='{ty}' to='{{romeo}}' id='o'><query xmlns='jabber:iq:roster'><item jid='{{nurse}}'/></query></iq>")).await;
        juliet.receives("<iq type='error' id='o' from='{romeo}'/>").await;
    }
    romeo.receives_nothing().await;
}

async fn versions(stage: Stage) {
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet.sends("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>").await;
    let answer =
        juliet.receives("<iq type='result' id='v'><query xmlns='jabber:iq:roster' ver='*'/></iq>").await;
    let first = version(&answer);
    juliet
        .sends(&format!("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='{first}'/></iq>"))
        .await;
    let answer = juliet.receives("<iq type='result' id='v'/>").await;
    assert_eq!(answer.children().count(), 0, "RFC 6121 §2.6.3: nothing has changed");
    juliet
        .sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}'/></query></iq>")
        .await;
    let told = juliet
        .receives_all(&[
            "<iq type='set'><query xmlns='jabber:iq:roster' ver='*'/></iq>",
            "<iq type='result' id='s'/>",
        ])
        .await;
    assert_ne!(version(&told[0]), first);
    juliet
        .sends(&format!("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver='{first}'/></iq>"))
        .await;
    let answer = juliet
        .receives("<iq type='result' id='v'><query xmlns='jabber:iq:roster' ver='*'><item jid='{romeo}'/></query></iq>")
        .await;
    assert_eq!(version(&answer), version(&told[0]));
}

fn version(iq: &xmpp::xml::Element) -> String {
    iq.child("query", "jabber:iq:roster")
        .and_then(|query| query.attribute("ver"))
        .unwrap_or_default()
        .to_owned()
}

async fn juliet_asks_and_romeo_grants(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet
        .sends("<presence to='{romeo/orchard}' type='subscribe' id='ask'><status>please</status></presence>")
        .await;
    is_pushed(&mut juliet, "<item jid='{romeo}' subscription='none' ask='subscribe'/>").await;
    romeo
        .receives(
            "<presence from='{juliet}' to='{romeo}' type='subscribe'><status>please</status></presence>",
        )
        .await;
    romeo.sends("<presence to='{juliet}' type='subscribed'/>").await;
    is_pushed(&mut romeo, "<item jid='{juliet}' subscription='from'/>").await;
    juliet
        .receives_all(&[
            "<presence from='{romeo}' to='{juliet}' type='subscribed'/>",
            &push("<item jid='{romeo}' subscription='to' ask='-'/>"),
            "<presence from='{romeo/orchard}' type='-'/>",
        ])
        .await;
    romeo.sends("<presence to='{juliet}' type='subscribe'/>").await;
    is_pushed(&mut romeo, "<item jid='{juliet}' subscription='from' ask='subscribe'/>").await;
    juliet.receives("<presence from='{romeo}' type='subscribe'/>").await;
    juliet.sends("<presence to='{romeo}' type='subscribed'/>").await;
    is_pushed(&mut juliet, "<item jid='{romeo}' subscription='both'/>").await;
    romeo
        .receives_all(&[
            "<presence from='{juliet}' type='subscribed'/>",
            &push("<item jid='{juliet}' subscription='both' ask='-'/>"),
            "<presence from='{juliet/balcony}' type='-'/>",
        ])
        .await;
}

async fn romeo_refuses(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet.sends("<presence to='{romeo}' type='subscribe'/>").await;
    romeo.receives("<presence type='subscribe'/>").await;
    is_pushed(&mut juliet, "<item jid='{romeo}' ask='subscribe'/>").await;
    romeo.sends("<presence to='{juliet}' type='unsubscribed'/>").await;
    juliet
        .receives_all(&[
            "<presence from='{romeo}' type='unsubscribed'/>",
            &push("<item jid='{romeo}' subscription='none' ask='-'/>"),
        ])
        .await;
    romeo.receives_nothing().await;
}

async fn a_request_waits_until_it_is_answered(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet.sends("<presence to='{romeo}' type='subscribe'><status>please</status></presence>").await;
    juliet.forgets().await;
    for _ in 0..2 {
        let mut romeo = stage.bound("romeo/orchard").await;
        romeo.sends("<presence/>").await;
        romeo
            .receives_at_last("<presence from='{juliet}' type='subscribe'><status>please</status></presence>")
            .await;
        romeo.closes().await;
    }
    let mut romeo = stage.online("romeo/orchard").await;
    romeo.sends("<presence to='{juliet}' type='subscribed'/>").await;
    romeo.settles().await;
    romeo.closes().await;
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.sends("<presence/>").await;
    let came = romeo.forgets().await;
    assert!(came.iter().all(|element| element.attribute("type") != Some("subscribe")), "{came:?}");
}

async fn juliet_looks_away(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    juliet.sends("<presence to='{romeo}' type='unsubscribe'/>").await;
    juliet
        .receives_all(&[
            &push("<item jid='{romeo}' subscription='from'/>"),
            "<presence from='{romeo/orchard}' type='unavailable'/>",
        ])
        .await;
    romeo
        .receives_all(&[
            "<presence from='{juliet}' type='unsubscribe'/>",
            &push("<item jid='{juliet}' subscription='to'/>"),
        ])
        .await;
}

async fn romeo_shuts_juliet_out(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    romeo.sends("<presence to='{juliet}' type='unsubscribed'/>").await;
    is_pushed(&mut romeo, "<item jid='{juliet}' subscription='to'/>").await;
    juliet
        .receives_all(&[
            "<presence from='{romeo/orchard}' type='unavailable'/>",
            "<presence from='{romeo}' type='unsubscribed'/>",
            &push("<item jid='{romeo}' subscription='from'/>"),
        ])
        .await;
    romeo.sends("<presence><status>unseen</status></presence>").await;
    romeo.settles().await;
    juliet.receives_nothing().await;
}

async fn romeo_approves_ahead(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    romeo.sends("<presence to='{juliet}' type='subscribed'/>").await;
    is_pushed(&mut romeo, "<item jid='{juliet}' subscription='none' approved='true'/>").await;
    juliet.sends("<presence to='{romeo}' type='subscribe'/>").await;
    is_pushed(&mut juliet, "<item jid='{romeo}' ask='subscribe'/>").await;
    juliet
        .receives_all(&[
            "<presence from='{romeo}' type='subscribed'/>",
            &push("<item jid='{romeo}' subscription='to'/>"),
            "<presence from='{romeo/orchard}' type='-'/>",
        ])
        .await;
    is_pushed(&mut romeo, "<item jid='{juliet}' subscription='from'/>").await;
    romeo.receives_nothing().await;
}

async fn who_is_removed_neither_sees_nor_is_seen(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    romeo
        .sends("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{juliet}' subscription='remove'/></query></iq>")
        .await;
    romeo
        .receives_all(&[
            &push("<item jid='{juliet}' subscription='remove'/>"),
            "<iq type='result' id='r'/>",
            "<presence from='{juliet/balcony}' type='unavailable'/>",
        ])
        .await;
    juliet
        .receives_all(&[
            "<presence from='{romeo}' type='unsubscribe'/>",
            "<presence from='{romeo}' type='unsubscribed'/>",
            "<presence from='{romeo/orchard}' type='unavailable'/>",
            &push("<item jid='{romeo}'/>"),
            &push("<item jid='{romeo}' subscription='none'/>"),
        ])
        .await;
}

async fn nobody_grants_what_was_not_asked(stage: Stage) {
    let mut romeo = interested(&stage, "romeo/orchard").await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    for ty in ["subscribed", "unsubscribed", "unsubscribe"] {
        romeo.sends(&format!("<presence to='{{juliet}}' type='{ty}'/>")).await;
    }
    romeo.settles().await;
    juliet.receives_nothing().await;
    let roster = reads_roster(&mut juliet).await;
    assert_eq!(roster.children().flat_map(xmpp::xml::Element::children).count(), 0);
}

async fn a_request_to_nobody(stage: Stage) {
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet.sends("<presence to='{nobody}' type='subscribe'/>").await;
    is_pushed(&mut juliet, "<item jid='{nobody}' subscription='none' ask='subscribe'/>").await;
    // RFC 6121 §3.1.3: whether there is such an account is not told.
    juliet.receives_nothing().await;
}

async fn rosters_survive_a_restart(stage: Stage) {
    let stage = stage.alone(&[]).await;
    let mut juliet = interested(&stage, "juliet/balcony").await;
    juliet.sends("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='{romeo}' name='R'/></query></iq>").await;
    juliet.forgets().await;
    let role = stage.owner();
    stage.kills(role).await;
    stage.begins(role).await;
    let mut juliet = stage.bound("juliet/garden").await;
    juliet.sends(ROSTER).await;
    juliet.receives("<iq type='result' id='roster'><query xmlns='jabber:iq:roster'><item jid='{romeo}' name='R'/></query></iq>").await;
}
