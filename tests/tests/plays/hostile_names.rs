//! Attacks by what things are called (attack cases 41 and 53): names that are syntax somewhere below, and names that nobody
//! has ever used before.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Role;
use throng_tests::stage::{Stage, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use xmpp::ns;
use xmpp::xml::Element;

pub(crate) const PLAYS: &[Play] = plays![
    case_41_queries_of_archives_that_are_syntax,
    case_41_what_is_kept_under_names_that_are_syntax,
    case_41_accounts_and_resources_that_are_syntax,
    case_53_names_that_nobody_has_used_before,
];

/// What would mean something in CQL, in Redis, in a path or to a shell, were it ever part of a text that they read.
const SYNTAX: &[&str] = &[
    "' OR '1'='1",
    "\"; DROP TABLE archive; --",
    "') ALLOW FILTERING; --",
    "}{s7}:sessions",
    "*",
    "?[a-z]",
    "\r\nFLUSHALL\r\n",
    "../../etc/passwd",
    "%00",
    "$(reboot)",
    "ffffffffffffffff",
    "0000000000000000'",
    "18446744073709551616",
    "-1",
];

/// As it stands in XML. Braces would be somebody of the cast.
fn escaped(text: &str) -> String {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '\'' | '"' | '{' | '}' | '\r' | '\n');
    text.chars().fold(String::new(), |all, c| {
        if special(c) { all + &format!("&#{};", c as u32) } else { all + c.encode_utf8(&mut [0; 4]) }
    })
}

fn query(inner: &str) -> String {
    format!("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'>{inner}</query></iq>")
}

fn set(inner: &str) -> String {
    query(&format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"))
}

fn form(var: &str, value: &str) -> String {
    query(&format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='{var}'><value>{value}</value></field></x>"
    ))
}

/// What a page has of messages, until its `<fin/>` or an error.
async fn bodies(client: &mut Client, query: &str) -> Result<Vec<String>, Element> {
    client.sends(query).await;
    let heard = client.receives_to("mam").await;
    let end = heard.last().cloned().unwrap_or_else(|| panic!("{}: no answer", client.name));
    if end.attribute("type") == Some("error") {
        return Err(end);
    }
    let body = |message: &Element| {
        let forwarded = message.child("result", ns::MAM)?.child("forwarded", ns::FORWARD)?;
        Some(forwarded.child("message", ns::CLIENT)?.child("body", ns::CLIENT)?.text())
    };
    Ok(heard.iter().filter_map(body).collect())
}

async fn is_refused(client: &mut Client, query: &str, condition: &str) {
    let error = bodies(client, query).await.expect_err(query);
    let error = error.child("error", ns::CLIENT).unwrap_or_else(|| panic!("{error:?}"));
    assert!(error.child(condition, ns::STANZA_ERRORS).is_some(), "{query}: {error:?}");
}

async fn case_41_queries_of_archives_that_are_syntax(stage: Stage) {
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.online("juliet/balcony").await;
    for n in 0..3 {
        juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{n}</body></message>")).await;
        romeo.receives(&format!("<message><body>{n}</body></message>")).await;
    }
    let mut mallory = stage.online("mallory/cellar").await;
    for text in SYNTAX.iter().map(|text| escaped(text)) {
        for id in [
            set(&format!("<after>{text}</after>")),
            set(&format!("<before>{text}</before>")),
            form("after-id", &text),
            form("before-id", &text),
            form("ids", &text),
        ] {
            is_refused(&mut mallory, &id, "item-not-found").await;
        }
        is_refused(&mut mallory, &set(&format!("<max>{text}</max>")), "bad-request").await;
        is_refused(&mut mallory, &form("start", &text), "bad-request").await;
        is_refused(&mut mallory, &form(&text, "x"), "feature-not-implemented").await;
        // Some are addresses, of nobody that anything was said to.
        if let Ok(found) = bodies(&mut mallory, &form("with", &text)).await {
            assert_eq!(found, [""; 0], "{text}");
        }
    }
    assert_eq!(bodies(&mut mallory, &query("")).await.expect("a page"), [""; 0]);
    for client in [&mut romeo, &mut juliet] {
        assert_eq!(bodies(client, &query("")).await.expect("a page"), ["0", "1", "2"]);
    }
}

async fn case_41_what_is_kept_under_names_that_are_syntax(stage: Stage) {
    let mut mallory = stage.online("mallory/cellar").await;
    for (n, text) in SYNTAX.iter().enumerate() {
        let (name, group) = (escaped(text), escaped(&format!("{text}{text}")));
        mallory
            .sends(&format!(
                "<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item jid='{n}@localhost' name='{name}'>\
                 <group>{group}</group></item></query></iq>"
            ))
            .await;
        mallory.receives_at_last("<iq type='result' id='set'/>").await;
        for (more, value) in [("", "one"), ("2", "two")] {
            let namespace = format!("{name}{more}");
            mallory
                .sends(&format!(
                    "<iq type='set' id='set'><query xmlns='jabber:iq:private'><x xmlns='{namespace}'>{value}</x></query></iq>"
                ))
                .await;
            mallory.receives_at_last("<iq type='result' id='set'/>").await;
        }
    }
    // Each is there, as it was, also for who reads it anew from the store.
    mallory.closes().await;
    for way in [Way::Tcp, Way::WebSocket] {
        let mut mallory = stage.bound_over("mallory/attic", way, 0).await;
        mallory.sends("<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>").await;
        let roster =
            mallory.receives("<iq type='result' id='get'><query xmlns='jabber:iq:roster'/></iq>").await;
        let roster = roster.child("query", ns::ROSTER).expect("the pattern has it");
        assert_eq!(roster.children().count(), SYNTAX.len());
        for (n, text) in SYNTAX.iter().enumerate() {
            let jid = format!("{n}@localhost");
            let item = roster.children().find(|item| item.attribute("jid") == Some(jid.as_str()));
            let item = item.unwrap_or_else(|| panic!("{text:?} is lost"));
            assert_eq!(item.attribute("name"), Some(*text));
            assert_eq!(item.child("group", ns::ROSTER).map(Element::text), Some(format!("{text}{text}")));
            for (more, value) in [("", "one"), ("2", "two")] {
                let namespace = format!("{}{more}", escaped(text));
                let query = format!("<query xmlns='jabber:iq:private'><x xmlns='{namespace}'/></query>");
                mallory.sends(&format!("<iq type='get' id='get'>{query}</iq>")).await;
                let kept = query.replace("'/></query>", &format!("'>{value}</x></query>"));
                mallory.receives(&format!("<iq type='result' id='get'>{kept}</iq>")).await;
            }
        }
        mallory.closes().await;
    }
}

async fn case_41_accounts_and_resources_that_are_syntax(stage: Stage) {
    // As far as a node may have it (RFC 7622 §3.3.1); braces are what Redis Cluster places keys by.
    const NODES: &[&str] =
        &["odd", "odd*", "odd}", "odd}}", "odd;--", "odd%00", "odd\\", "odd$(x)", "odd?[a-z]"];
    let mut juliet = stage.online("juliet/balcony").await;
    let mut all = Vec::new();
    for (n, node) in NODES.iter().enumerate() {
        let way = if n % 2 == 0 { Way::Tcp } else { Way::WebSocket };
        let mut client = stage.logged_in(node, way, 0).await;
        // What is no resource (RFC 7622 §3.4) has a control character.
        let resource = SYNTAX.iter().filter(|text| !text.contains('\r')).nth(n).expect("as many");
        let jid = client.binds(&escaped(resource)).await;
        assert_eq!(jid, format!("{}/{resource}", stage.cast.bare(node)));
        client.enables_management().await;
        client.is_available().await;
        all.push((jid, client));
    }
    let say = |jid: &str, text: &str| {
        let (jid, text) = (escaped(jid), escaped(text));
        format!("<message to='{jid}' type='chat'><body>{text}</body></message>")
    };
    for (jid, _) in &all {
        juliet.sends(&say(jid, jid)).await;
    }
    juliet.settles().await;
    for (at, (jid, mut client)) in all.into_iter().enumerate() {
        let message = client.receives("<message/>").await;
        assert_eq!(message.child("body", ns::CLIENT).map(Element::text).as_deref(), Some(jid.as_str()));
        client.receives_nothing().await;
        // Kept where the next owner and the next edge find it.
        let saved = client.vanishes_for_a_while();
        juliet.sends(&say(&jid, "meanwhile")).await;
        juliet.settles().await;
        let edge = at % stage.server().edges.len();
        let (mut client, _) = stage.resumed(NODES[at], saved, edge).await;
        client.receives("<message><body>meanwhile</body></message>").await;
        let kept = bodies(&mut client, &query("")).await.expect("a page");
        assert_eq!(kept, [jid.as_str(), "meanwhile"], "its own and nobody else's");
    }
}

async fn case_53_names_that_nobody_has_used_before(stage: Stage) {
    // Had the names of a stanza been kept, these would be more than that, in each process.
    const GROWTH_BYTES_MAX: u64 = 30 * 1024 * 1024;
    const SERIES_MAX: usize = 40;
    const COUNT: usize = 2_500;
    let stage = stage.alone(&[("metrics.listen", "127.0.0.1:0")]).await;
    let roles =
        if stage.is_split() { vec![Role::Edge(0), Role::Session, Role::Router] } else { vec![Role::Whole] };
    let memory = || roles.iter().map(|role| stage.server().memory_bytes(*role)).sum::<u64>();
    let mut mallory = stage.online("mallory/cellar").await;
    // What any load costs is paid first.
    speaks_in_tongues(&mut mallory, 0..COUNT / 3).await;
    let (bytes, series) = (memory(), series(&stage, &roles).await);
    speaks_in_tongues(&mut mallory, COUNT..COUNT * 2).await;
    for n in 0..50 {
        let mut stranger = stage.connects(&format!("stranger-{n}")).await;
        stranger.sends(&format!("<odd-{n} xmlns='urn:mallory:{n}'/>")).await;
        stranger.is_dropped().await;
    }
    let (bytes_after, series_after) = (memory(), self::series(&stage, &roles).await);
    assert!(bytes_after < bytes + GROWTH_BYTES_MAX, "{bytes} bytes before, {bytes_after} after");
    let new: Vec<_> = series_after.difference(&series).collect();
    assert!(!series.is_empty() && new.len() < SERIES_MAX, "{new:?}");
    assert!(
        series_after.iter().all(|one| !one.contains("mallory") && !one.contains("odd")),
        "{series_after:?}"
    );
}

/// Each element, namespace, attribute, language, id and address is used for the first time.
async fn speaks_in_tongues(mallory: &mut Client, numbers: std::ops::Range<usize>) {
    let filler = "x".repeat(8_000);
    for n in numbers {
        let payload =
            format!("<odd-{n} xmlns='urn:mallory:{filler}:{n}' odd-{n}='{n}'><odd{filler}{n}/></odd-{n}>");
        let lang = format!("en-x{n}");
        // Few are for others, whom the store is asked about.
        mallory
            .sends(&match n % 20 {
                0 => format!(
                    "<message to='odd{n}@localhost/odd{n}' type='headline' id='{n}'>{payload}</message>"
                ),
                1 => format!("<presence to='odd{n}@localhost' type='probe' id='{n}'>{payload}</presence>"),
                _ => format!(
                    "<iq type='get' to='{{domain}}' id='odd{filler}{n}' xml:lang='{lang}'>{payload}</iq>"
                ),
            })
            .await;
        if n % 100 == 0 {
            mallory.forgets().await;
        }
    }
    mallory.forgets().await;
}

/// Names and labels of all that the processes of these roles count.
async fn series(stage: &Stage, roles: &[Role]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for role in roles {
        let log = stage.server().logged(*role);
        for line in log.lines().filter(|line| line.contains("metrics are served")) {
            let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
            let address: SocketAddr = address.and_then(|text| text.parse().ok()).expect("an address");
            let mut http = TcpStream::connect(address).await.expect("metrics are served");
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            http.write_all(request.as_bytes()).await.expect("a request");
            let mut answer = String::new();
            http.read_to_string(&mut answer).await.expect("metrics");
            let counted = answer.lines().filter(|line| line.starts_with("throng_"));
            all.extend(counted.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()));
        }
    }
    all
}
