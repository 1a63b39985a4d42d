//! Stream management (XEP-0198) and client state (XEP-0352).

use super::*;

const SM: &str = "xmlns='urn:xmpp:sm:3'";

fn failed(condition: &str) -> String {
    format!("<failed {SM}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
}

#[test]
fn it_is_enabled_once_and_after_a_resource_is_bound() {
    let mut play = Play::tls().authorised();
    play.client(&format!("<enable {SM}/>"));
    assert_eq!(play.said(), failed("unexpected-request"));

    let mut play = Play::tls().bound();
    play.client(&format!("<presence/><enable {SM} resume='1' max='60'/><presence/><r {SM}/>"));
    play.event();
    assert!(matches!(play.event(), Some(Event::Enable { resume: true, max_s: Some(60) })));
    assert_eq!(play.machine.counts().in_base, 1);
    assert_eq!(play.said(), "", "the request waits for its turn");
    play.act(|machine, out| machine.enable(Some(("a'b", 60)), out));
    assert_eq!(play.said(), format!("<enabled {SM} id='a&apos;b' resume='true' max='60'/><a {SM} h='0'/>"));
    play.client(&format!("<enable {SM}/>"));
    assert_eq!(play.said(), failed("unexpected-request"));
}

#[test]
fn requests_are_answered_at_once_and_again_when_all_is_done() {
    let mut play = Play::tls().managed();
    play.client(&format!("<presence/><presence/><presence/><r {SM}/>"));
    assert_eq!(play.said(), format!("<a {SM} h='0'/>"));
    play.act(|machine, out| machine.handled(2, out));
    assert_eq!(play.said(), "");
    play.act(|machine, out| machine.handled(3, out));
    assert_eq!(play.said(), format!("<a {SM} h='3'/>"));
    play.act(|machine, out| machine.handled(99, out));
    play.client(&format!("<r {SM}/>"));
    assert_eq!(play.said(), format!("<a {SM} h='3'/>"), "never more than arrived");
}

#[test]
fn the_client_is_asked_once_for_what_it_has() {
    let mut play = Play::tls().managed();
    let now = play.now;
    for n in 1..=3 {
        play.act(|machine, out| {
            machine.deliver(n, out, |bytes| bytes.extend_from_slice(b"<presence/>"));
            machine.settle(now, out);
        });
    }
    assert_eq!(play.said(), format!("<presence/><r {SM}/><presence/><presence/>"));
    play.client(&format!("<a {SM} h='1'/>"));
    assert!(matches!(play.event(), Some(Event::Acked(1))));
    play.act(|machine, out| machine.settle(now, out));
    assert_eq!(play.said(), format!("<r {SM}/>"));
    play.client(&format!("<a {SM} h='3'/>"));
    assert!(matches!(play.event(), Some(Event::Acked(3))));
    play.act(|machine, out| machine.settle(now, out));
    assert_eq!(play.said(), "");
}

#[test]
fn who_acknowledges_too_much_is_sent_away() {
    let mut play = Play::tls().managed();
    play.act(|machine, out| machine.deliver(1, out, |_| ()));
    play.client(&format!("<a {SM} h='2'/>"));
    let said = String::from_utf8_lossy(&play.out.bytes).into_owned();
    assert!(said.contains(&format!("<handled-count-too-high {SM} h='2' send-count='1'/>")), "{said}");
    play.failed(Condition::UndefinedCondition);
}

#[test]
fn what_makes_no_sense_is_refused_or_ends_the_stream() {
    let mut play = Play::tls().bound();
    play.client(&format!("<r {SM}/>"));
    assert_eq!(play.said(), failed("unexpected-request"));
    play.client(&format!("<resume {SM} previd='x' h='0'/>"));
    assert_eq!(play.said(), failed("unexpected-request"));
    play.client(&format!("<enable {SM}/>"));
    play.act(|machine, out| machine.refuse_enable("internal-server-error", out));
    assert_eq!(play.said(), failed("internal-server-error"));
    let mut play = Play::tls().managed();
    play.client(&format!("<a {SM}/>"));
    play.failed(Condition::InvalidXml);
}

#[test]
fn a_stream_is_resumed_with_its_counts() {
    let mut play = Play::tls().opened();
    play.client(&format!("<resume {SM} previd='x' h='0'/>"));
    assert_eq!(play.said(), failed("unexpected-request"), "not before the login");

    let mut play = Play::tls().authorised();
    play.client(&format!("<resume {SM} previd='x'/>"));
    assert_eq!(play.said(), failed("bad-request"));
    play.client(&format!("<resume {SM} previd='x' h='7'/>"));
    assert!(matches!(play.event(), Some(Event::Resume { previd, h: 7 }) if previd == "x"));
    play.act(|machine, out| machine.refuse_resume("item-not-found", Some(4), out));
    assert_eq!(
        play.said(),
        format!("<failed {SM} h='4'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
    );
    play.client(&format!("<resume {SM} previd='y' h='7'/>"));
    play.event();
    let counts = Counts { arrived: 12, handled: 12, in_base: 2, given: 9, out_base: 2, acked: 9 };
    let now = play.now;
    play.act(|machine, out| machine.resume(jid("juliet@capulet.example/balcony"), "y", counts, now, out));
    assert_eq!(play.said(), format!("<resumed {SM} previd='y' h='10'/>"));
    play.act(|machine, out| machine.deliver(10, out, |bytes| bytes.extend_from_slice(b"<presence/>")));
    play.client(&format!("<presence/><a {SM} h='8'/><r {SM}/>"));
    assert!(matches!(play.event(), Some(Event::Stanza(_))));
    assert!(matches!(play.event(), Some(Event::Acked(10))));
    assert_eq!(play.said(), format!("<presence/><a {SM} h='10'/>"));
}

#[test]
fn a_quiet_client_is_asked_and_then_given_up_but_not_for_good() {
    let mut play = Play::tls().managed();
    assert!(play.after(Duration::from_mins(14)).is_none());
    assert_eq!(play.said(), format!("<r {SM}/>"));
    play.client(&format!("<a {SM} h='0'/>"));
    assert!(play.after(Duration::from_mins(14)).is_none());
    assert_eq!(play.said(), format!("<r {SM}/>"));
    assert!(matches!(play.after(Duration::from_mins(1)), Some(Event::Over(Ending::Lost))));
}

#[test]
fn client_state_is_an_event_and_does_not_count() {
    let mut play = Play::tls().managed();
    play.client("<inactive xmlns='urn:xmpp:csi:0'/><active xmlns='urn:xmpp:csi:0'/>");
    assert!(matches!(play.event(), Some(Event::Active(false))));
    assert!(matches!(play.event(), Some(Event::Active(true))));
    assert_eq!(play.machine.counts().arrived, 0);
}
