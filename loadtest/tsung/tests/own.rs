//! Files that have everything: what becomes of each element, and which lines are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use scenario::{Arrive, Mechanism, Partner, Scenario, Span, Step, Transport, Value};
use tsung::{Converted, Severity, convert};

const EVERYTHING: &str = include_str!("files/everything.xml");
const REFUSED: &str = include_str!("files/refused.xml");

/// All types of requests that Tsung 1.8 has for XMPP, but those of the login.
const TYPES: [&str; 27] = [
    "presence",
    "presence:initial",
    "presence:final",
    "presence:broadcast",
    "presence:directed",
    "presence:roster",
    "presence:subscribe",
    "chat",
    "iq:roster:add",
    "iq:roster:get",
    "iq:roster:rename",
    "iq:roster:remove",
    "raw",
    "pubsub:create",
    "pubsub:delete",
    "pubsub:subscribe",
    "pubsub:unsubscribe",
    "pubsub:publish",
    "muc:join",
    "muc:chat",
    "muc:nick",
    "muc:exit",
    "privacy:get_names",
    "privacy:set_active",
    "ping",
    "wait",
    "close",
];
const LOGINS: [&str; 9] = [
    "auth_get",
    "auth_set_plain",
    "auth_set_digest",
    "auth_set_sip",
    "auth_sasl",
    "auth_sasl_anonymous",
    "auth_sasl_bind",
    "auth_sasl_session",
    "register",
];

fn read(converted: &Converted) -> Scenario {
    Scenario::parse(&converted.toml, "converted", &BTreeMap::new()).expect("what is converted is a scenario")
}

fn everything() -> (Scenario, Vec<tsung::Note>) {
    let converted = convert(EVERYTHING, "everything").unwrap_or_else(|notes| panic!("{notes:?}"));
    (read(&converted), converted.notes)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn loads_become_phases() {
    let (scenario, _) = everything();
    let phases: Vec<_> = scenario.phases.iter().map(|phase| (phase.name.as_str(), phase.lasts)).collect();
    assert_eq!(
        phases[..4],
        [
            ("phase-1", seconds(60)),
            ("phase-2", seconds(10)),
            ("phase-1-2", seconds(60)),
            ("phase-2-2", seconds(10))
        ]
    );
    assert_eq!(phases[4].0, "finish");
    assert_eq!(
        (&scenario.phases[0].arrive, scenario.phases[0].sessions_max),
        (&Arrive::Rate(10.0), Some(50))
    );
    assert_eq!(scenario.phases[1].arrive, Arrive::Rate(2.0));
    assert_eq!(scenario.phases[1].weights, BTreeMap::from([("talker".to_owned(), 3.0)]));
    assert_eq!(scenario.populations[1].at, [seconds(30)]);
}

#[test]
fn options_become_accounts_and_a_target() {
    let (scenario, _) = everything();
    assert_eq!((scenario.accounts.count, scenario.accounts.first), (500, 1));
    assert_eq!((&*scenario.accounts.username, &*scenario.accounts.password), ("u{n}", "p{n}"));
    assert_eq!(scenario.target.domain.as_deref(), Some("example.org"));
    assert_eq!(scenario.target.addresses, ["192.0.2.1:5222", "[2001:db8::1]:5222"]);
    assert_eq!(scenario.about, "Everything at once");
}

#[test]
fn what_precedes_the_login_is_how_a_population_connects() {
    let (scenario, _) = everything();
    let [talker, maker] = &scenario.populations[..] else { panic!("two populations") };
    assert_eq!((talker.transport, talker.sasl), (Transport::Starttls, Mechanism::Plain));
    assert_eq!(talker.resource.as_deref(), Some("desk"));
    assert_eq!(talker.connect_after, Some(Span::About(seconds(1))), "the option says random");
    assert!(talker.presence && !maker.presence);
    assert_eq!((maker.transport, maker.sasl), (Transport::Tcp, Mechanism::ScramSha1));
}

#[test]
fn what_follows_it_is_the_script() {
    let (scenario, _) = everything();
    let script = &scenario.populations[0].script;
    assert_eq!(script[0], Step::Think(Span::About(seconds(3))));
    assert_eq!(script[1], Step::Think(Span::Between(seconds(2), seconds(4))));
    assert_eq!(script[2], Step::NextRow("things".to_owned()));
    assert!(scenario.data["things"].shuffled && scenario.data["things"].columns == ["colour"]);
    // `n` is what every session has, so that Tsung's gets another name; and `{n}` is no gap in Tsung.
    let number = Value::Number { from: 1, to: 9 };
    assert_eq!(script[3], Step::Set { name: "own-n".to_owned(), to: number });
    let text = Some("{things.colour} {brace}n} {own-n}".to_owned());
    assert_eq!(script[4], Step::Chat { to: Some(Partner::Previous), body: 0, text, receipt: false });
    assert_eq!(scenario.populations[0].values["brace"], "{");
    assert_eq!(script[5], Step::Barrier { name: "global".to_owned(), sessions: 25 });
    assert_eq!(script.last(), Some(&Step::Ping { to: None }));
    assert!(script.contains(&Step::Relogin {}));
}

#[test]
fn loops_and_conditions() {
    let (scenario, _) = everything();
    let repeats: Vec<_> = scenario.populations[0]
        .steps()
        .filter_map(|step| if let Step::Repeat(repeat) = step { Some(repeat) } else { None })
        .collect();
    let [count, each, until] = repeats[..] else { panic!("three loops") };
    assert_eq!(until.counter, None, "nothing asks for the round");
    let counter = count.counter.as_ref().expect("the room's name has the number in it");
    assert_eq!((count.times, counter.from, counter.by), (Some(3), 2, 4));
    assert_eq!(each.each.as_ref().map(|it| (&*it.name, &*it.of)), Some(("own-jid", "jids")));
    let condition = until.while_holds.as_ref().expect("the contrary of its <until>");
    assert_eq!((until.times, condition.below.as_deref()), (Some(8), Some("5")));
}

#[test]
fn answers_are_looked_at() {
    let (scenario, notes) = everything();
    let steps: Vec<_> = scenario.populations[0].steps().collect();
    let kept = steps.iter().any(|step| matches!(step, Step::Raw { keep, .. } if keep.contains_key("jids")));
    assert!(kept);
    let aborts = |step: &Step| matches!(step, Step::When { test, steps, .. } if test.matches_not.is_some() && steps[..] == [Step::Abort {}]);
    assert!(steps.iter().any(|step| aborts(step)));
    let expects = |step: &Step| matches!(step, Step::Raw { expect: Some(text), .. } if text == "state=");
    assert!(steps.iter().any(|step| expects(step)));

    let warnings: Vec<_> = notes.iter().filter(|note| note.severity == Severity::Warning).collect();
    assert!(
        warnings.iter().any(|note| note.line == 50 && note.text.contains("//iq/query//item/@jid")),
        "{notes:?}"
    );
    assert!(warnings.iter().any(|note| note.line == 58 && note.text.contains("\"state=\"")), "{notes:?}");
}

#[test]
fn nodes_stand_where_tsung_has_them() {
    let (scenario, _) = everything();
    let service = || "nodes.example.net".to_owned();
    let home = |below: &str| format!("/home/{{domain}}/{{username}}{below}");
    let script = &scenario.populations[1].script;
    assert_eq!(script[0], Step::CreateNode { service: service(), node: home("/news") });
    assert_eq!(script[1], Step::Publish { service: service(), node: home(""), payload: 64 });
    assert!(
        matches!(&script[2], Step::Raw { xml, .. } if xml.contains("node='/all'") && xml.contains("subid='7'"))
    );
}

#[test]
fn what_cannot_be_converted_is_named_by_its_line() {
    let notes = convert(REFUSED, "refused").expect_err("it has errors");
    let errors = notes.iter().filter(|note| note.severity == Severity::Error);
    let lines: Vec<_> = errors.map(|note| note.line).collect();
    assert_eq!(lines, [3, 5, 8, 10, 14, 16, 18, 19, 20, 21, 22, 23], "{notes:?}");
}

#[test]
fn every_type_of_request_is_known() {
    for kind in TYPES.iter().chain(&LOGINS) {
        let before = match *kind {
            "iq:roster:rename" | "iq:roster:remove" | "presence:subscribe" => {
                "<request><jabber type='iq:roster:add' ack='local'/></request>"
            }
            _ => "",
        };
        let login = if LOGINS.contains(kind) {
            "<request><jabber type='connect' ack='local'/></request>"
        } else {
            "<request><jabber type='connect' ack='local'/></request>
             <request><jabber type='auth_set_plain' ack='local'/></request>"
        };
        let request = format!(
            "<request><jabber type='{kind}' ack='local' regexp='x' room='r' nick='n' node='/n' data='&lt;iq/&gt;'/></request>"
        );
        let session = format!(
            "<session name='s' probability='100' type='ts_jabber'>{login}{before}{request}</session>"
        );
        let xml = format!(
            "<tsung><servers><server host='h' port='1' type='tcp'/></servers>
             <load><arrivalphase phase='1' duration='1' unit='minute'><users interarrival='1' unit='second'/></arrivalphase></load>
             <sessions>{session}</sessions></tsung>"
        );
        let converted = convert(&xml, "one").unwrap_or_else(|notes| panic!("{kind}: {notes:?}"));
        let sends = !read(&converted).populations[0].script.is_empty();
        let by_itself = LOGINS.contains(kind) || matches!(*kind, "presence:initial" | "close");
        assert_eq!(sends, !by_itself, "{kind}\n{}", converted.toml);
    }
}

#[test]
fn what_is_no_xml_is_refused() {
    assert_eq!(convert("<tsung>\n<load></tsung>", "x").expect_err("it is not closed")[0].line, 2);
    assert!(convert("<scenario/>", "x").is_err());
}
