//! In-band registration (XEP-0077): accounts are made, changed, and removed with all that is kept of them.

use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way, befriend};
use xmpp::sasl::{Hash, Mechanism};

pub(crate) const PLAYS: &[Play] = plays![
    what_is_asked_for,
    by_form,
    over_a_websocket,
    a_password_is_changed,
    nobody_changes_anothers_password,
    an_account_is_removed_with_everything,
    it_is_off_unless_configured,
    an_address_makes_no_more_than_so_many,
];

async fn what_is_asked_for(stage: Stage) {
    let mut newcomer = stage.connects("newcomer").await;
    newcomer.opens().await;
    newcomer.sends("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>").await;
    newcomer
        .receives(
            "<iq type='result' id='r' from='{domain}'><query xmlns='jabber:iq:register'><instructions>*</instructions>\
             <username/><password/><x xmlns='jabber:x:data' type='form'/></query></iq>",
        )
        .await;
}

async fn by_form(stage: Stage) {
    let mut newcomer = stage.connects("newcomer").await;
    newcomer.opens().await;
    newcomer
        .sends(&format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>jabber:iq:register</value></field><field var='username'><value>{}</value></field>\
             <field var='password'><value>newcomer</value></field></x></query></iq>",
            stage.cast.node("newcomer")
        ))
        .await;
    newcomer.receives("<iq type='result' id='r'/>").await;
    newcomer.logs_in("newcomer", Mechanism::Scram { hash: Hash::Sha512, plus: false }).await;
}

async fn over_a_websocket(stage: Stage) {
    let mut newcomer = stage.connects_over("newcomer", Way::WebSocket, 0).await;
    newcomer.opens().await;
    newcomer.registers("newcomer", "newcomer").await;
    newcomer.logs_in("newcomer", Mechanism::Plain).await;
    newcomer.binds("browser").await;
}

async fn a_password_is_changed(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet
        .sends(&format!(
            "<iq type='set' id='p' to='{{domain}}'><query xmlns='jabber:iq:register'><username>{}</username>\
             <password>another</password></query></iq>",
            stage.cast.node("juliet")
        ))
        .await;
    juliet.receives("<iq type='result' id='p'/>").await;
    for mechanism in [Mechanism::Plain, Mechanism::Scram { hash: Hash::Sha1, plus: false }] {
        let mut juliet = stage.connects("juliet").await;
        juliet.opens().await;
        assert_eq!(juliet.authenticates("juliet", "juliet", mechanism, None).await.name(), "failure");
        assert_eq!(juliet.authenticates("juliet", "another", mechanism, None).await.name(), "success");
    }
}

async fn nobody_changes_anothers_password(stage: Stage) {
    stage.has_account("romeo").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    for to in ["{domain}", "{romeo}"] {
        juliet
            .sends(&format!(
                "<iq type='set' id='p' to='{to}'><query xmlns='jabber:iq:register'><username>{}</username>\
                 <password>mine now</password></query></iq>",
                stage.cast.node("romeo")
            ))
            .await;
        juliet.receives("<iq type='error' id='p'/>").await;
    }
    juliet
        .sends("<iq type='set' id='p' to='{romeo}'><query xmlns='jabber:iq:register'><remove/></query></iq>")
        .await;
    juliet.receives("<iq type='error' id='p'/>").await;
    stage.bound("romeo/orchard").await;
}

async fn an_account_is_removed_with_everything(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut garden = stage.online("juliet/garden").await;
    // RFC 6121 §3.2.3: only who has asked for the roster is told of subscriptions.
    romeo.sends("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>").await;
    romeo.receives("<iq type='result' id='r'/>").await;
    befriend(&mut romeo, &mut juliet).await;
    juliet.sends("<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard></iq>").await;
    juliet.receives_at_last("<iq type='result' id='v'/>").await;
    juliet
        .sends("<iq type='set' id='x'><query xmlns='jabber:iq:private'><a xmlns='b'>c</a></query></iq>")
        .await;
    juliet.receives_at_last("<iq type='result' id='x'/>").await;
    juliet.sends("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>").await;
    juliet.receives_at_last("<iq type='result' id='r'/>").await;
    juliet.is_dropped().await;
    garden.is_dropped().await;
    romeo.receives_at_last("<presence from='{juliet}' type='unsubscribed'/>").await;
    let mut gone = stage.connects("juliet").await;
    gone.opens().await;
    assert_eq!(gone.authenticates("juliet", "juliet", Mechanism::Plain, None).await.name(), "failure");
    romeo.forgets().await;
    romeo.sends("<message to='{juliet}' type='chat' id='m'><body>still there?</body></message>").await;
    romeo.receives("<message type='error' id='m'/>").await;
    // Whoever has the name next has nothing of hers.
    gone.registers("juliet", "juliet").await;
    let mut next = stage.bound("juliet/balcony").await;
    for (question, kept) in [
        ("<query xmlns='jabber:iq:roster'/>", "romeo"),
        ("<vCard xmlns='vcard-temp'/>", "Juliet"),
        ("<query xmlns='jabber:iq:private'><a xmlns='b'/></query>", ">c<"),
    ] {
        next.sends(&format!("<iq type='get' id='q'>{question}</iq>")).await;
        let answer = next.receives("<iq id='q'/>").await;
        assert!(!throng_tests::pattern::told(&answer).contains(kept), "{kept} is left: {answer:?}");
    }
    next.sends("<presence/>").await;
    next.receives("<presence from='{juliet/balcony}'/>").await;
    next.receives_nothing().await;
}

async fn it_is_off_unless_configured(stage: Stage) {
    let stage = stage.alone(&[("server.registration", "false")]).await;
    let mut newcomer = stage.connects("newcomer").await;
    let features = newcomer.opens().await;
    assert!(features.child("register", "http://jabber.org/features/iq-register").is_none());
    newcomer.sends("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>").await;
    newcomer.is_refused_with("not-authorized").await;
}

async fn an_address_makes_no_more_than_so_many(stage: Stage) {
    let stage = stage.alone(&[("session.registrations_max", "3")]).await;
    for name in ["a", "b", "c"] {
        stage.has_account(name).await;
    }
    let mut newcomer = stage.connects("newcomer").await;
    newcomer.opens().await;
    newcomer
        .sends("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>d</username><password>d</password></query></iq>")
        .await;
    newcomer
        .receives("<iq type='error' id='r'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
        .await;
    stage.from_elsewhere().has_account("e").await;
}
