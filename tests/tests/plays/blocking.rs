//! Blocking (XEP-0191): neither side reaches the other, and nobody can tell it from absence.

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, befriend};

pub(crate) const PLAYS: &[Play] = plays![
    the_list_is_changed_and_pushed,
    who_is_blocked_does_not_get_through,
    who_blocks_does_not_write_to_the_blocked,
    presence_goes_on_block_and_comes_back_on_unblock,
    all_are_unblocked,
    a_domain_is_blocked,
];

async fn blocks(client: &mut Client, jid: &str) {
    client
        .sends(&format!(
            "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='{jid}'/></block></iq>"
        ))
        .await;
    client.receives_at_last("<iq type='result' id='block'/>").await;
}

async fn the_list_is_changed_and_pushed(stage: Stage) {
    const LIST: &str = "<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>";
    let mut balcony = stage.online("juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    balcony.forgets().await;
    balcony.sends(LIST).await;
    balcony.receives("<iq type='result' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>").await;
    garden.sends("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/><item jid='{paris/x}'/></block></iq>").await;
    let push = "<iq type='set' id='*'><block xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/><item jid='{paris/x}'/></block></iq>";
    balcony.receives(push).await;
    garden.receives_at_last("<iq type='result' id='b'/>").await;
    balcony
        .sends(
            "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/></unblock></iq>",
        )
        .await;
    balcony
        .receives_all(&[
            "<iq type='result' id='u'/>",
            "<iq type='set'><unblock xmlns='urn:xmpp:blocking'><item jid='{tybalt}'/></unblock></iq>",
        ])
        .await;
    balcony.sends(LIST).await;
    let list = balcony.receives("<iq type='result' id='l'><blocklist xmlns='urn:xmpp:blocking'><item jid='{paris/x}'/></blocklist></iq>").await;
    assert_eq!(list.children().flat_map(xmpp::xml::Element::children).count(), 1);
}

async fn who_is_blocked_does_not_get_through(stage: Stage) {
    let mut tybalt = stage.online("tybalt/street").await;
    let mut juliet = stage.online("juliet/balcony").await;
    blocks(&mut juliet, "{tybalt}").await;
    for to in ["{juliet}", "{juliet/balcony}"] {
        tybalt.sends(&format!("<message to='{to}' type='chat' id='m'><body>hello</body></message>")).await;
        tybalt
            .receives(&format!("<message type='error' id='m' from='{to}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"))
            .await;
        tybalt
            .sends(&format!("<iq to='{to}' type='get' id='q'><query xmlns='jabber:iq:version'/></iq>"))
            .await;
        tybalt
            .receives(&format!("<iq type='error' id='q' from='{to}'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"))
            .await;
        tybalt.sends(&format!("<presence to='{to}'/>")).await;
        tybalt.sends(&format!("<presence to='{to}' type='subscribe'/>")).await;
        tybalt.sends(&format!("<presence to='{to}' type='probe'/>")).await;
    }
    tybalt.settles().await;
    juliet.receives_nothing().await;
}

async fn who_blocks_does_not_write_to_the_blocked(stage: Stage) {
    let mut tybalt = stage.online("tybalt/street").await;
    let mut juliet = stage.online("juliet/balcony").await;
    blocks(&mut juliet, "{tybalt}").await;
    juliet.forgets().await;
    juliet.sends("<message to='{tybalt}' type='chat' id='m'><body>hello</body></message>").await;
    juliet
        .receives(
            "<message type='error' id='m'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <blocked xmlns='urn:xmpp:blocking:errors'/></error></message>",
        )
        .await;
    juliet.settles().await;
    tybalt.receives_nothing().await;
}

async fn presence_goes_on_block_and_comes_back_on_unblock(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    befriend(&mut romeo, &mut juliet).await;
    blocks(&mut juliet, "{romeo}").await;
    romeo.receives("<presence from='{juliet/balcony}' type='unavailable'/>").await;
    juliet.forgets().await;
    romeo.sends("<presence><status>unseen</status></presence>").await;
    romeo.settles().await;
    romeo.forgets().await;
    juliet.receives_nothing().await;
    juliet
        .sends(
            "<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'><item jid='{romeo}'/></unblock></iq>",
        )
        .await;
    romeo.receives("<presence from='{juliet/balcony}' type='-'/>").await;
    juliet.receives_at_last("<presence from='{romeo/orchard}'><status>unseen</status></presence>").await;
}

async fn all_are_unblocked(stage: Stage) {
    let mut tybalt = stage.online("tybalt/street").await;
    let mut juliet = stage.online("juliet/balcony").await;
    blocks(&mut juliet, "{tybalt}").await;
    juliet.sends("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>").await;
    juliet.receives_at_last("<iq type='result' id='u'/>").await;
    juliet.forgets().await;
    tybalt.sends("<message to='{juliet}' type='chat'><body>hello</body></message>").await;
    juliet.receives("<message><body>hello</body></message>").await;
}

async fn a_domain_is_blocked(stage: Stage) {
    let mut tybalt = stage.online("tybalt/street").await;
    let mut juliet = stage.online("juliet/balcony").await;
    blocks(&mut juliet, "{domain}").await;
    juliet.forgets().await;
    tybalt.sends("<message to='{juliet}' type='chat' id='m'><body>hello</body></message>").await;
    tybalt.receives("<message type='error' id='m'/>").await;
    // One's own server still answers.
    juliet.sends("<iq type='get' id='p' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>").await;
    juliet.receives("<iq id='p'/>").await;
}
