//! What the server tells and keeps: discovery, ping, version, time, vCards, private storage, administration.

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::{Stage, Way};
use xmpp::sasl::Mechanism;

pub(crate) const PLAYS: &[Play] = plays![
    what_the_domain_can_do,
    what_the_own_account_can_do,
    caps_in_the_features_are_those_of_the_domain,
    ping_version_time_and_uptime,
    a_vcard_is_ones_own_to_change_and_everybodys_to_read,
    private_storage_is_private,
    only_administrators_have_commands,
    an_administrator_adds_and_deletes_a_user,
    an_administrator_ends_a_session,
    an_administrator_tells_everybody,
];

const ADMIN: &str = "http://jabber.org/protocol/admin";

async fn what_the_domain_can_do(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet
        .sends(
            "<iq to='{domain}' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        )
        .await;
    let answer = juliet
        .receives(
            "<iq from='{domain}' type='result' id='i'><query xmlns='http://jabber.org/protocol/disco#info'>\
             <identity category='server' type='im'/>\
             <feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>\
             <feature var='urn:xmpp:ping'/><feature var='jabber:iq:version'/><feature var='urn:xmpp:time'/>\
             <feature var='vcard-temp'/><feature var='jabber:iq:private'/><feature var='urn:xmpp:blocking'/>\
             <feature var='urn:xmpp:carbons:2'/><feature var='http://jabber.org/protocol/commands'/>\
             <feature var='jabber:iq:register'/><feature var='jabber:iq:last'/>\
             <x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'><value>http://jabber.org/network/serverinfo</value></field>\
             <field var='abuse-addresses'><value>mailto:abuse@localhost</value></field></x></query></iq>",
        )
        .await;
    let text = throng_tests::pattern::told(&answer);
    for absent in ["urn:xmpp:mam:2", "http://jabber.org/protocol/pubsub", "pep"] {
        assert!(!text.contains(absent), "{absent} is announced before there is any");
    }
    juliet.sends("<iq to='{domain}' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>").await;
    juliet
        .receives("<iq type='result' id='i'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>")
        .await;
}

async fn what_the_own_account_can_do(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    for to in ["", " to='{juliet}'"] {
        juliet
            .sends(&format!(
                "<iq{to} type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
            ))
            .await;
        juliet
            .receives("<iq type='result' id='i'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/></query></iq>")
            .await;
    }
}

async fn caps_in_the_features_are_those_of_the_domain(stage: Stage) {
    stage.has_account("juliet").await;
    let mut juliet = stage.connects("juliet").await;
    juliet.opens().await;
    let features = juliet.logs_in("juliet", Mechanism::Plain).await;
    let caps = features.child("c", "http://jabber.org/protocol/caps").expect("XEP-0115 §6.3");
    let node = format!(
        "{}#{}",
        caps.attribute("node").unwrap_or_default(),
        caps.attribute("ver").unwrap_or_default()
    );
    juliet.binds("balcony").await;
    juliet.sends(&format!("<iq to='{{domain}}' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>")).await;
    juliet.receives(&format!("<iq type='result' id='i'><query xmlns='http://jabber.org/protocol/disco#info' node='{node}'><identity category='server'/></query></iq>")).await;
}

async fn ping_version_time_and_uptime(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    for (question, answer) in [
        ("<ping xmlns='urn:xmpp:ping'/>", ""),
        (
            "<query xmlns='jabber:iq:version'/>",
            "<query xmlns='jabber:iq:version'><name>Throng</name><version>*</version></query>",
        ),
        ("<time xmlns='urn:xmpp:time'/>", "<time xmlns='urn:xmpp:time'><tzo>*</tzo><utc>*</utc></time>"),
        ("<query xmlns='jabber:iq:last'/>", "<query xmlns='jabber:iq:last' seconds='*'/>"),
    ] {
        juliet.sends(&format!("<iq to='{{domain}}' type='get' id='q'>{question}</iq>")).await;
        juliet.receives(&format!("<iq from='{{domain}}' type='result' id='q'>{answer}</iq>")).await;
    }
}

async fn a_vcard_is_ones_own_to_change_and_everybodys_to_read(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    juliet.sends("<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>Juliet</FN><NICKNAME>J</NICKNAME></vCard></iq>").await;
    juliet.receives("<iq type='result' id='v'/>").await;
    juliet.sends("<iq type='get' id='v'><vCard xmlns='vcard-temp'/></iq>").await;
    juliet.receives("<iq type='result' id='v'><vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard></iq>").await;
    romeo.sends("<iq to='{juliet}' type='get' id='v'><vCard xmlns='vcard-temp'/></iq>").await;
    romeo.receives("<iq from='{juliet}' type='result' id='v'><vCard xmlns='vcard-temp'><NICKNAME>J</NICKNAME></vCard></iq>").await;
    romeo
        .sends("<iq to='{juliet}' type='set' id='v'><vCard xmlns='vcard-temp'><FN>Nurse</FN></vCard></iq>")
        .await;
    romeo.receives("<iq from='{juliet}' type='error' id='v'/>").await;
}

async fn private_storage_is_private(stage: Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    let mut juliet = stage.bound("juliet/balcony").await;
    let set = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><url name='a' url='b'/></storage></query>";
    let get = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
    juliet.sends(&format!("<iq type='set' id='p'>{set}</iq>")).await;
    juliet.receives("<iq type='result' id='p'/>").await;
    juliet.sends(&format!("<iq type='get' id='p'>{get}</iq>")).await;
    juliet.receives(&format!("<iq type='result' id='p'>{set}</iq>")).await;
    romeo.sends(&format!("<iq to='{{juliet}}' type='get' id='p'>{get}</iq>")).await;
    romeo.receives("<iq from='{juliet}' type='error' id='p'/>").await;
    romeo.sends(&format!("<iq type='get' id='p'>{get}</iq>")).await;
    romeo.receives(&format!("<iq type='result' id='p'>{get}</iq>")).await;
}

/// The administrator, on a stage of their own account names.
async fn administrator(stage: &Stage) -> Client {
    use xmpp::sasl::Login;
    let mut admin = stage.connects_over("admin", Way::Tcp, 0).await;
    admin.opens().await;
    let login =
        Login { username: "admin".into(), password: b"admin".to_vec().into(), authzid: None, binding: None };
    assert_eq!(admin.exchanges(Mechanism::Plain, login).await.name(), "success");
    admin.opens().await;
    admin.binds(&stage.cast.node("office")).await;
    admin
}

/// Runs a command of one form; returns the answer.
async fn commands(admin: &mut Client, node: &str, fields: &[(&str, &str)]) -> xmpp::xml::Element {
    let command = format!("xmlns='http://jabber.org/protocol/commands' node='{ADMIN}#{node}'");
    admin
        .sends(&format!("<iq to='{{domain}}' type='set' id='c'><command {command} action='execute'/></iq>"))
        .await;
    let form = admin
        .receives(&format!("<iq type='result' id='c'><command {command} status='executing' sessionid='*'><x xmlns='jabber:x:data' type='form'/></command></iq>"))
        .await;
    let session = form.children().find_map(|command| command.attribute("sessionid")).unwrap_or_default();
    let field = |(var, value): &(&str, &str)| format!("<field var='{var}'><value>{value}</value></field>");
    let fields = fields.iter().map(field).collect::<Vec<_>>().concat();
    admin
        .sends(&format!(
            "<iq to='{{domain}}' type='set' id='d'><command {command} sessionid='{session}'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>{ADMIN}</value></field>{fields}</x></command></iq>"
        ))
        .await;
    admin
        .receives_at_last(&format!("<iq id='d' type='result'><command {command} status='completed'/></iq>"))
        .await
}

async fn only_administrators_have_commands(stage: Stage) {
    let mut juliet = stage.bound("juliet/balcony").await;
    for node in ["add-user", "delete-user", "end-user-session", "announce", "get-registered-users-num"] {
        juliet
            .sends(&format!("<iq to='{{domain}}' type='set' id='c'><command xmlns='http://jabber.org/protocol/commands' node='{ADMIN}#{node}'/></iq>"))
            .await;
        juliet.receives("<iq type='error' id='c'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>").await;
    }
    let mut admin = administrator(&stage).await;
    admin
        .sends("<iq to='{domain}' type='get' id='l'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>")
        .await;
    admin
        .receives(&format!(
            "<iq type='result' id='l'><query xmlns='http://jabber.org/protocol/disco#items'><item node='{ADMIN}#add-user'/>\
             <item node='{ADMIN}#delete-user'/><item node='{ADMIN}#end-user-session'/></query></iq>"
        ))
        .await;
}

async fn an_administrator_adds_and_deletes_a_user(stage: Stage) {
    let mut admin = administrator(&stage).await;
    let (node, jid) = (stage.cast.node("nurse"), stage.cast.bare("nurse"));
    commands(
        &mut admin,
        "add-user",
        &[("accountjid", &jid), ("password", "secret"), ("password-verify", "secret")],
    )
    .await;
    let mut nurse = stage.connects("nurse").await;
    nurse.opens().await;
    let outcome = nurse.authenticates("nurse", "secret", Mechanism::Plain, None).await;
    assert_eq!(outcome.name(), "success", "{node}");
    nurse.opens().await;
    nurse.binds("kitchen").await;
    commands(&mut admin, "delete-user", &[("accountjids", &jid)]).await;
    nurse.is_dropped().await;
    let mut nurse = stage.connects("nurse").await;
    nurse.opens().await;
    let outcome = nurse.authenticates("nurse", "secret", Mechanism::Plain, None).await;
    assert_eq!(outcome.name(), "failure");
}

async fn an_administrator_ends_a_session(stage: Stage) {
    let mut admin = administrator(&stage).await;
    let mut juliet = stage.bound("juliet/balcony").await;
    commands(&mut admin, "end-user-session", &[("accountjids", &stage.cast.bare("juliet"))]).await;
    juliet.is_dropped().await;
    stage.bound("juliet/balcony").await;
}

async fn an_administrator_tells_everybody(stage: Stage) {
    let stage = stage.alone(&[]).await;
    let mut juliet = stage.online("juliet/balcony").await;
    let mut admin = administrator(&stage).await;
    commands(&mut admin, "announce", &[("announcement", "a plague")]).await;
    juliet.receives("<message from='{domain}'><subject>*</subject><body>a plague</body></message>").await;
}
