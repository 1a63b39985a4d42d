//! Plays: who sees whom come and go (RFC 6121 §4).

use store::Subscription;

use super::play::Play;
use crate::account::DIRECTED_MAX;
use crate::testing::jid;

fn household() -> Play {
    let mut play = Play::new();
    play.contact("nurse@capulet.example", Subscription::From);
    play.contact("paris@verona.example", Subscription::None);
    play.contact("romeo@montague.example", Subscription::Both);
    play.contact("tybalt@capulet.example", Subscription::To);
    play
}

const LEAVES: &str = "<presence from='juliet@capulet.example/balcony' type='unavailable'/>";

#[test]
fn initial_presence() {
    let mut play = household();
    play.enter("chamber");
    play.bind("crypt");
    play.bind("balcony");
    let here = "<presence from='juliet@capulet.example/balcony'><show>chat</show></presence>";
    assert_eq!(
        play.says("balcony", "<presence><show>chat</show></presence>"),
        [
            format!("nurse@capulet.example romeo@montague.example <- {here}"),
            format!("chamber <- {here}"),
            format!("balcony <- {here}"),
            "balcony <- <presence from='juliet@capulet.example/chamber'/>".to_owned(),
            "romeo@montague.example tybalt@capulet.example <- \
             <presence from='juliet@capulet.example/balcony' type='probe'/>"
                .to_owned(),
        ]
    );
}

#[test]
fn subsequent_presence_probes_nobody() {
    let mut play = household();
    play.enter("balcony");
    play.enter("chamber");
    let away = "<presence from='juliet@capulet.example/balcony'><show>away</show></presence>";
    assert_eq!(
        play.says("balcony", "<presence><show>away</show></presence>"),
        [
            format!("nurse@capulet.example romeo@montague.example <- {away}"),
            format!("balcony <- {away}"),
            format!("chamber <- {away}"),
        ]
    );
}

#[test]
fn unavailable_presence() {
    let mut play = household();
    play.enter("balcony");
    play.enter("chamber");
    assert_eq!(
        play.says("balcony", "<presence type='unavailable'/>"),
        [
            format!("chamber <- {LEAVES}"),
            format!("nurse@capulet.example romeo@montague.example <- {LEAVES}"),
            format!("balcony <- {LEAVES}"),
        ]
    );
    assert_eq!(play.says("balcony", "<presence type='unavailable'/>"), [format!("balcony <- {LEAVES}")]);
    assert!(play.ends("balcony").is_empty(), "it had left before");
}

#[test]
fn a_session_that_ends_without_a_word_is_seen_to_leave() {
    let mut play = household();
    play.enter("chamber");
    play.enter("balcony");
    play.says("balcony", "<presence to='ball@rooms.capulet.example/masked'/>");
    assert_eq!(
        play.ends("balcony"),
        [
            format!("chamber <- {LEAVES}"),
            format!(
                "ball@rooms.capulet.example/masked nurse@capulet.example romeo@montague.example <- {LEAVES}"
            ),
        ]
    );
}

#[test]
fn blocked_contacts_see_and_hear_nothing() {
    let mut play = household();
    play.bind("balcony");
    play.stage.account.blocked.push(jid("romeo@montague.example"));
    let lines = [play.says("balcony", "<presence/>"), play.says("balcony", "<presence type='unavailable'/>")];
    assert!(!lines.concat().iter().any(|line| line.contains("romeo")), "{lines:?}");
}

#[test]
fn priorities() {
    let mut play = Play::new();
    let stream = play.bind("balcony");
    for (text, priority) in [("-128", -128), ("127", 127), (" 5 ", 5), ("+1", 1)] {
        play.says("balcony", &format!("<presence><priority>{text}</priority></presence>"));
        assert_eq!(play.stage.account.session(stream).unwrap().priority, priority);
    }
    for text in ["128", "-129", "high", "", "1.5"] {
        let lines = play.says("balcony", &format!("<presence><priority>{text}</priority></presence>"));
        assert_eq!(lines, ["refused: bad-request"], "{text}");
    }
    play.says("balcony", "<presence/>");
    assert_eq!(play.stage.account.session(stream).unwrap().priority, 0);
}

#[test]
fn subscriptions_need_an_addressee() {
    let mut play = household();
    play.bind("balcony");
    for ty in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        assert_eq!(play.says("balcony", &format!("<presence type='{ty}'/>")), ["refused: bad-request"]);
    }
    assert!(play.says("balcony", "<presence type='probe'/>").is_empty());
}

#[test]
fn directed_presence_is_followed_by_unavailable() {
    let mut play = household();
    play.bind("balcony");
    let to = |to: &str| format!("<presence to='{to}'/>");
    for target in ["paris@verona.example", "ball@rooms.capulet.example/masked", "romeo@montague.example"] {
        let lines = play.says("balcony", &to(target));
        assert!(lines[0].starts_with(&format!("routed <presence to='{target}'")), "{lines:?}");
    }
    play.says("balcony", "<presence to='paris@verona.example' type='unavailable'/>");
    assert_eq!(
        play.ends("balcony"),
        [format!("ball@rooms.capulet.example/masked romeo@montague.example <- {LEAVES}")],
        "nobody else: it was never available"
    );
}

#[test]
fn contacts_who_are_told_anyway_are_told_once() {
    let mut play = household();
    let stream = play.bind("balcony");
    play.says("balcony", "<presence to='nurse@capulet.example'/>");
    play.says("balcony", "<presence/>");
    play.says("balcony", "<presence to='romeo@montague.example/garden'/>");
    assert_eq!(play.stage.account.session(stream).unwrap().directed, [jid("nurse@capulet.example")]);
    assert_eq!(play.ends("balcony"), [format!("nurse@capulet.example romeo@montague.example <- {LEAVES}")]);
}

#[test]
fn who_has_left_is_not_told() {
    let mut play = household();
    play.enter("balcony");
    play.says("balcony", "<presence to='ball@rooms.capulet.example/masked'/>");
    play.says("balcony", "<presence to='feast@rooms.capulet.example/masked'/>");
    play.hears("<presence from='ball@rooms.capulet.example/masked' to='juliet@capulet.example/balcony' type='unavailable'/>");
    play.hears("<presence from='feast@rooms.capulet.example/masked' to='juliet@capulet.example/balcony' type='error'/>");
    assert!(!play.ends("balcony").concat().contains("masked"));
}

#[test]
fn directed_presence_has_a_bound() {
    let mut play = Play::new();
    play.enter("balcony");
    let to = |n| format!("<presence to='room{n}@rooms.capulet.example/juliet'/>");
    for n in 0..DIRECTED_MAX {
        play.says("balcony", &to(n));
    }
    assert_eq!(play.says("balcony", &to(DIRECTED_MAX)), ["refused: resource-constraint"]);
    assert!(play.says("balcony", &to(0))[0].starts_with("routed"), "who is known is told of changes");
}

#[test]
fn a_probe_of_a_contact_is_answered_for_each_session() {
    let mut play = household();
    play.enter("balcony");
    play.enter("chamber");
    play.bind("crypt");
    assert_eq!(
        play.hears(
            "<presence from='nurse@capulet.example/kitchen' to='juliet@capulet.example' type='probe'/>"
        ),
        [
            "world <- <presence to='nurse@capulet.example/kitchen' from='juliet@capulet.example/balcony'/>",
            "world <- <presence to='nurse@capulet.example/kitchen' from='juliet@capulet.example/chamber'/>",
        ]
    );
    assert_eq!(
        play.hears(
            "<presence from='nurse@capulet.example' to='juliet@capulet.example/chamber' type='probe'/>"
        ),
        ["world <- <presence to='nurse@capulet.example' from='juliet@capulet.example/chamber'/>"]
    );
}

#[test]
fn a_probe_of_a_contact_while_nobody_is_there() {
    let mut play = household();
    play.bind("crypt");
    assert_eq!(
        play.hears("<presence from='romeo@montague.example' to='juliet@capulet.example' type='probe'/>"),
        ["world <- <presence to='romeo@montague.example' from='juliet@capulet.example' type='unavailable'/>"]
    );
}

#[test]
fn a_probe_of_oneself_is_answered() {
    let mut play = Play::new();
    play.enter("balcony");
    assert_eq!(
        play.hears(
            "<presence from='juliet@capulet.example/crypt' to='juliet@capulet.example' type='probe'/>"
        ),
        ["world <- <presence to='juliet@capulet.example/crypt' from='juliet@capulet.example/balcony'/>"]
    );
}

#[test]
fn a_probe_of_a_stranger_is_met_with_silence() {
    let mut play = household();
    play.enter("balcony");
    for who in ["mercutio@verona.example", "tybalt@capulet.example", "paris@verona.example"] {
        let probe = format!("<presence from='{who}' to='juliet@capulet.example' type='probe'/>");
        assert!(play.hears(&probe).is_empty(), "{who}");
    }
}

#[test]
fn a_room_may_ask_whether_its_occupant_is_there() {
    let mut play = Play::new();
    play.enter("balcony");
    play.says("balcony", "<presence to='ball@rooms.capulet.example/masked'><show>away</show></presence>");
    let probe = "<presence from='ball@rooms.capulet.example/masked' to='juliet@capulet.example/balcony' type='probe'/>";
    assert_eq!(
        play.hears(probe),
        ["world <- <presence to='ball@rooms.capulet.example/masked' from='juliet@capulet.example/balcony'/>"]
    );
    assert!(play.hears(&probe.replace("/balcony", "")).is_empty(), "and nothing of other sessions");
}

#[test]
fn presence_for_the_bare_jid_reaches_available_sessions() {
    let mut play = Play::new();
    play.enter("balcony");
    play.enter("chamber");
    play.bind("crypt");
    for ty in ["", " type='unavailable'"] {
        let heard =
            format!("<presence to='juliet@capulet.example' from='romeo@montague.example/garden'{ty}/>");
        assert_eq!(
            play.hears(&heard),
            [format!("balcony <- {heard}"), format!("chamber <- {heard}")],
            "whatever its priority, `to` as it was"
        );
    }
}

#[test]
fn presence_for_a_full_jid_reaches_that_session() {
    let mut play = Play::new();
    play.enter("balcony");
    play.bind("crypt");
    let heard = "<presence to='juliet@capulet.example/crypt' from='ball@rooms.capulet.example/romeo'/>";
    assert_eq!(play.hears(heard), [format!("crypt <- {heard}")], "it joined without being available");
    assert!(play.hears(&heard.replace("crypt", "tomb")).is_empty(), "who is not there hears nothing");
}
