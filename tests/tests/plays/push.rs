//! Messages that no client sees are told to push services (XEP-0357). Here the push service is a client as well.

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::stage::Stage;
use xmpp::ns;
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    who_is_not_there_is_told_of_each_message_once,
    who_looks_is_not_told,
    who_looks_elsewhere_is_told,
    who_has_lost_the_connection_is_told,
    what_was_lost_with_a_connection_is_told,
    a_call_is_told_and_a_receipt_is_not,
    a_service_that_refuses_is_not_told_any_more,
    what_is_not_archived_is_told_as_well,
    they_outlive_the_server,
];

const ENABLE: &str = "<iq type='set' id='e'><enable xmlns='urn:xmpp:push:0' jid='{service/push}' node='phone'>\
    <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
    <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
    <field var='secret'><value>eruio</value></field></x></enable></iq>";

/// Romeo's phone, which has named the push service and is available.
async fn phone(stage: &Stage) -> Client {
    let mut phone = stage.online("romeo/phone").await;
    phone.sends(ENABLE).await;
    phone.receives("<iq type='result' id='e'/>").await;
    phone
}

/// Juliet, and the push service.
async fn scene(stage: &Stage) -> (Client, Client) {
    let service = stage.bound("service/push").await;
    let juliet = stage.online("juliet/balcony").await;
    (juliet, service)
}

async fn says(juliet: &mut Client, text: &str) {
    juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{text}</body></message>")).await;
    juliet.settles().await;
}

/// The push service is told that so many messages wait, with its secret and without what they say.
async fn is_told(service: &mut Client, count: usize) -> Element {
    let told = service
        .receives(&format!(
            "<iq type='set' from='{{romeo}}' to='{{service/push}}' id='*'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <publish node='phone'><item><notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data'>\
             <field var='message-count'><value>{count}</value></field></x></notification></item></publish>\
             <publish-options><x xmlns='jabber:x:data'><field var='secret'><value>eruio</value></field></x>\
             </publish-options></pubsub></iq>"
        ))
        .await;
    assert!(!format!("{told:?}").contains("body"), "{told:?}");
    told
}

async fn who_is_not_there_is_told_of_each_message_once(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    phone(&stage).await.closes().await;
    for n in 1..=3 {
        says(&mut juliet, &n.to_string()).await;
        is_told(&mut service, n).await;
    }
    service.receives_nothing().await;
    let mut phone = stage.online("romeo/phone").await;
    phone.sends("<iq type='set' id='d'><disable xmlns='urn:xmpp:push:0' jid='{service/push}'/></iq>").await;
    phone.receives("<iq type='result' id='d'/>").await;
    phone.closes().await;
    says(&mut juliet, "4").await;
    service.receives_nothing().await;
}

async fn who_looks_is_not_told(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    let mut phone = phone(&stage).await;
    let mut desk = stage.online("romeo/desk").await;
    phone.sends("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    phone.settles().await;
    says(&mut juliet, "1").await;
    desk.receives_at_last("<message><body>1</body></message>").await;
    service.receives_nothing().await;
}

async fn who_looks_elsewhere_is_told(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    let mut phone = phone(&stage).await;
    let mut tablet = stage.online("romeo/tablet").await;
    for client in [&mut phone, &mut tablet] {
        client.sends("<inactive xmlns='urn:xmpp:csi:0'/>").await;
        client.settles().await;
    }
    says(&mut juliet, "1").await;
    is_told(&mut service, 1).await;
    service.receives_nothing().await;
    phone.sends("<active xmlns='urn:xmpp:csi:0'/>").await;
    phone.settles().await;
    says(&mut juliet, "2").await;
    service.receives_nothing().await;
}

async fn who_has_lost_the_connection_is_told(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    let mut phone = phone(&stage).await;
    phone.enables_management().await;
    phone.settles().await;
    phone.acknowledges().await;
    let saved = phone.vanishes_for_a_while();
    // It hibernates when its edge has noticed.
    let mut told = 0;
    while told == 0 {
        says(&mut juliet, "again").await;
        told = service.forgets().await.len();
    }
    says(&mut juliet, "last").await;
    assert_eq!(service.forgets().await.len(), 1);
    let (mut phone, _) = stage.resumed("romeo/phone", saved, 0).await;
    phone.receives_at_last("<message><body>last</body></message>").await;
    says(&mut juliet, "awake").await;
    service.receives_nothing().await;
}

async fn what_was_lost_with_a_connection_is_told(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    let mut phone = phone(&stage).await;
    phone.enables_management().await;
    phone.settles().await;
    phone.acknowledges().await;
    phone.acknowledges_nothing();
    says(&mut juliet, "1").await;
    says(&mut juliet, "2").await;
    phone.receives_at_last("<message><body>2</body></message>").await;
    service.receives_nothing().await;
    phone.vanishes();
    let mut told = Vec::new();
    while told.is_empty() {
        told = service.forgets().await;
    }
    assert_eq!(told.len(), 1, "once for both");
    service.receives_nothing().await;
}

async fn a_call_is_told_and_a_receipt_is_not(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    phone(&stage).await.closes().await;
    juliet
        .sends("<message to='{romeo}' type='chat'><received xmlns='urn:xmpp:receipts' id='x'/></message>")
        .await;
    juliet.settles().await;
    service.receives_nothing().await;
    juliet
        .sends("<message to='{romeo}' type='chat'><propose xmlns='urn:xmpp:jingle-message:0' id='call'/><store xmlns='urn:xmpp:hints'/></message>")
        .await;
    juliet.settles().await;
    is_told(&mut service, 2).await;
}

async fn a_service_that_refuses_is_not_told_any_more(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    phone(&stage).await.closes().await;
    says(&mut juliet, "1").await;
    let told = is_told(&mut service, 1).await;
    let id = told.attribute("id").unwrap_or_default();
    service
        .sends(&format!(
            "<iq type='error' to='{{romeo}}' id='{id}'><error type='cancel'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ))
        .await;
    service.settles().await;
    says(&mut juliet, "2").await;
    assert!(told.child("pubsub", ns::PUBSUB).is_some());
    service.receives_nothing().await;
}

async fn what_is_not_archived_is_told_as_well(stage: Stage) {
    let (mut juliet, mut service) = scene(&stage).await;
    let mut phone = phone(&stage).await;
    phone.sends("<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>").await;
    phone.receives("<iq type='result' id='p'/>").await;
    phone.sends("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    phone.settles().await;
    says(&mut juliet, "1").await;
    is_told(&mut service, 1).await;
    phone.receives_at_last("<message><body>1</body></message>").await;
}

async fn they_outlive_the_server(stage: Stage) {
    let stage = stage.alone(&[]).await;
    stage.has_account("service").await;
    stage.has_account("juliet").await;
    phone(&stage).await.closes().await;
    stage.begins_again().await;
    let (mut juliet, mut service) = scene(&stage).await;
    says(&mut juliet, "1").await;
    is_told(&mut service, 1).await;
}
