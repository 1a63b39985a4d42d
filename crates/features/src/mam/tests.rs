//! Juliet reads her archive.

use std::ops::RangeInclusive;

use bytes::Bytes;
use store::{Direction, Row, Uid};
use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use super::*;
use crate::account::Origin;
use crate::data_form::Form;
use crate::testing::{NOW_MS, Stage, jid, payload, stanza, wait};
use crate::{stanza_ids, stored};

/// Where the plays' archives begin: row 1 came a second later.
const BEGIN: u64 = (NOW_MS - 86_400_000) * 1_000;

/// The row `n`, which came `n` seconds after the archive's beginning.
pub(crate) fn row(stage: &Stage, n: u64, from: &str, direction: Direction) -> Row {
    let account = stage.account.jid.clone();
    let (from, to) = match direction {
        Direction::Received => (jid(from), account.clone()),
        Direction::Sent => (account.with_resource("balcony").unwrap(), jid(from)),
    };
    let letter =
        stanza(&format!("<message from='{from}' to='{to}' id='m{n}' type='chat'><body>{n}</body></message>"));
    Row {
        archive: account,
        id: BEGIN + n * 1_000_000,
        uid: Uid { n, ..Uid::default() },
        epoch: 1,
        direction,
        with: if direction == Direction::Received { from } else { to.clone() },
        address: Some(to),
        deliver: direction == Direction::Received,
        spool: false,
        stamp_ms: BEGIN / 1_000 + n * 1_000,
        stanza: stored::encode(&letter),
    }
}

/// Rows received of `from`; in tests of retention their ids are 1, 2, 3…
pub(crate) fn fill(stage: &Stage, rows: RangeInclusive<u64>, from: &str) {
    let rows: Vec<Row> = rows.map(|n| Row { id: n, ..row(stage, n, from, Direction::Received) }).collect();
    put(stage, &rows);
}

/// The ids in the archive, at most a thousand.
pub(crate) fn ids(stage: &Stage) -> Vec<u64> {
    let rows = wait(stage.ports.store.archive.after(&stage.account.jid, 0, 1_000)).unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

pub(crate) fn put(stage: &Stage, rows: &[Row]) {
    wait(stage.ports.store.archive.append(rows)).unwrap();
}

/// Juliet's archive: Romeo in odd rows from 1 to 9, the nurse in even ones.
fn scene() -> (Stage, Origin) {
    let mut stage = Stage::new();
    let rows: Vec<Row> = (1..=9)
        .map(|n| {
            let from = if n % 2 == 1 { "romeo@montague.example/orchard" } else { "nurse@capulet.example/x" };
            row(&stage, n, from, if n == 5 { Direction::Sent } else { Direction::Received })
        })
        .collect();
    put(&stage, &rows);
    let chamber = stage.bind("chamber");
    (stage, chamber)
}

fn id(n: u64) -> String {
    stanza_ids::text(BEGIN + n * 1_000_000)
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let form = fields.iter().fold(Form::telling(ns::MAM), |form, (var, value)| form.tell(var, [value]));
    String::from_utf8(form.into_element().to_bytes(ns::CLIENT)).unwrap()
}

pub(crate) fn set(inner: &str) -> String {
    format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>")
}

/// The bodies on a page in the order in which they came, and `<fin/>`; or the error.
fn page(stage: &mut Stage, session: Origin, inner: &str) -> Result<(String, Element), String> {
    let room = stage.room(Mam::build);
    let query =
        format!("<iq id='1' type='set'><query xmlns='urn:xmpp:mam:2' queryid='q'>{inner}</query></iq>");
    let next = stage.meet(&*room, At::Account, Some(session), &mut stanza(&query));
    if let Next::Refuse(error) = next {
        return Err(error.condition.name().to_owned());
    }
    let mut sent = stage.take();
    let fin = sent.pop().unwrap().1.payload.find_element(ns::MAM, "fin").unwrap();
    let bodies: Vec<String> = sent.iter().map(|(_, result)| body(result)).collect();
    Ok((bodies.join(" "), fin))
}

fn body(result: &Stanza) -> String {
    let result = result.payload.find_element(ns::MAM, "result").unwrap();
    assert_eq!(result.attribute("queryid"), Some("q"));
    let message = result.child("forwarded", ns::FORWARD).unwrap().child("message", ns::CLIENT).unwrap();
    message.child("body", ns::CLIENT).map(Element::text).unwrap_or_default()
}

/// The page, whether it is complete, and what its ends are: `1 2 3, more, 1 to 3`.
fn told(stage: &mut Stage, session: Origin, inner: &str) -> String {
    let (bodies, fin) = match page(stage, session, inner) {
        Ok(page) => page,
        Err(condition) => return condition,
    };
    let set = fin.child("set", ns::RSM).unwrap();
    let place =
        |name| set.child(name, ns::RSM).map(Element::text).map_or("-".to_owned(), |text| number(&text));
    let complete = if fin.attribute("complete") == Some("true") { "all" } else { "more" };
    let count = set.child("count", ns::RSM).map(|count| format!(" of {}", count.text())).unwrap_or_default();
    format!("{bodies}, {complete}, {} to {}{count}", place("first"), place("last"))
}

fn number(text: &str) -> String {
    ((stanza_ids::parse(text).unwrap() - BEGIN) / 1_000_000).to_string()
}

#[test]
fn a_result_has_the_message_its_time_and_its_id() {
    let (mut stage, chamber) = scene();
    let room = stage.room(Mam::build);
    let query = format!(
        "<iq id='1' type='set'><query xmlns='urn:xmpp:mam:2'>{}</query></iq>",
        form(&[("ids", &id(1))])
    );
    assert!(matches!(stage.meet(&*room, At::Account, Some(chamber), &mut stanza(&query)), Next::Done));
    let sent = stage.take();
    assert_eq!(sent.len(), 2);
    let result = &sent[0].1;
    assert_eq!(result.from.as_ref(), Some(&stage.account.jid));
    let id = id(1);
    assert_eq!(
        payload(result),
        format!(
            "<result xmlns='urn:xmpp:mam:2' id='{id}'><forwarded xmlns='urn:xmpp:forward:0'>\
             <delay xmlns='urn:xmpp:delay' stamp='2025-12-31T00:00:01Z'/>\
             <message xmlns='jabber:client' to='juliet@capulet.example' from='romeo@montague.example/orchard' \
             type='chat' id='m1'><body>1</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='juliet@capulet.example'/></message></forwarded></result>"
        )
    );
    assert_eq!(
        payload(&sent[1].1),
        format!(
            "<fin xmlns='urn:xmpp:mam:2' complete='true'><set xmlns='http://jabber.org/protocol/rsm'>\
             <first>{id}</first><last>{id}</last><count>1</count></set></fin>"
        )
    );
}

#[test]
fn pages_go_on_from_either_end() {
    let (mut stage, chamber) = scene();
    let mut told = |inner: &str| told(&mut stage, chamber, &set(inner));
    assert_eq!(told(""), "1 2 3 4 5 6 7 8 9, all, 1 to 9 of 9");
    assert_eq!(told("<max>4</max>"), "1 2 3 4, more, 1 to 4");
    assert_eq!(told(&format!("<max>4</max><after>{}</after>", id(4))), "5 6 7 8, more, 5 to 8");
    assert_eq!(told(&format!("<max>4</max><after>{}</after>", id(8))), "9, all, 9 to 9");
    assert_eq!(told(&format!("<after>{}</after>", id(9))), ", all, - to -");
    assert_eq!(told("<max>4</max><before/>"), "6 7 8 9, more, 6 to 9");
    assert_eq!(told(&format!("<max>4</max><before>{}</before>", id(6))), "2 3 4 5, more, 2 to 5");
    assert_eq!(told(&format!("<max>4</max><before>{}</before>", id(2))), "1, all, 1 to 1");
    assert_eq!(told("<max>0</max>"), ", more, - to - of 9");
    assert_eq!(told(&format!("<after>{}</after>", stanza_ids::text(7))), "item-not-found");
}

#[test]
fn filters_narrow_what_is_found() {
    let (mut stage, chamber) = scene();
    let mut told =
        |fields: &[(&str, &str)], rest: &str| told(&mut stage, chamber, &format!("{}{rest}", form(fields)));
    let (romeo, nurse) = ("romeo@montague.example", "nurse@capulet.example/x");
    assert_eq!(told(&[("with", romeo)], ""), "1 3 5 7 9, all, 1 to 9 of 5");
    assert_eq!(told(&[("with", nurse)], &set("<max>2</max><before/>")), "6 8, more, 6 to 8");
    assert_eq!(told(&[("with", "nurse@capulet.example/y")], ""), ", all, - to - of 0");
    assert_eq!(told(&[("with", "juliet@capulet.example")], ""), ", all, - to - of 0");
    let (start, end) = ("2025-12-31T00:00:03Z", "2025-12-31T00:00:05Z");
    assert_eq!(told(&[("start", start), ("end", end)], ""), "3 4 5, all, 3 to 5 of 3");
    assert_eq!(told(&[("start", start), ("with", romeo)], &set("<max>1</max>")), "3, more, 3 to 3");
    assert_eq!(told(&[("after-id", &id(2)), ("before-id", &id(5))], ""), "3 4, all, 3 to 4 of 2");
    assert_eq!(told(&[("before-id", &stanza_ids::text(7))], ""), "item-not-found");
    assert_eq!(told(&[("include-groupchat", "true"), ("start", end)], ""), "5 6 7 8 9, all, 5 to 9 of 5");
    assert_eq!(told(&[("ids", &stanza_ids::text(7))], ""), "item-not-found");
}

#[test]
fn a_page_may_be_flipped() {
    let (mut stage, chamber) = scene();
    let flipped = format!("<flip-page/>{}", set("<max>3</max><before/>"));
    assert_eq!(told(&mut stage, chamber, &flipped), "9 8 7, more, 7 to 9");
}

#[test]
fn what_juliet_wrote_to_herself_is_found_by_her_own_address() {
    let (mut stage, chamber) = scene();
    put(&stage, &[row(&stage, 10, "juliet@capulet.example/balcony", Direction::Received)]);
    let own = form(&[("with", "juliet@capulet.example")]);
    assert_eq!(told(&mut stage, chamber, &own), "10, all, 10 to 10 of 1");
}

#[test]
fn what_is_only_spooled_is_not_shown() {
    let (mut stage, chamber) = scene();
    let spooled = Row { spool: true, ..row(&stage, 10, "romeo@montague.example/x", Direction::Received) };
    put(&stage, &[spooled]);
    assert_eq!(told(&mut stage, chamber, &set("<max>2</max><before/>")), "8 9, more, 8 to 9");
    assert_eq!(told(&mut stage, chamber, &form(&[("ids", &id(10))])), "item-not-found");
    assert_eq!(
        stage.account.session(chamber).unwrap().fetched,
        BEGIN + 10_000_000,
        "it was looked at all the same"
    );
}

#[test]
fn what_is_too_old_is_not_shown() {
    let (mut stage, chamber) = scene();
    stage.host.archive_days = 1;
    stage.now_ms = NOW_MS + 3_000;
    assert_eq!(told(&mut stage, chamber, ""), "3 4 5 6 7 8 9, all, 3 to 9 of 7");
    assert_eq!(told(&mut stage, chamber, &set("<before/>")), "3 4 5 6 7 8 9, all, 3 to 9 of 7");
    assert_eq!(told(&mut stage, chamber, &form(&[("after-id", &id(2))])), "item-not-found");
}

#[test]
fn a_search_that_takes_long_says_where_to_go_on() {
    let mut stage = Stage::new();
    let chamber = stage.bind("chamber");
    let rows: Vec<Row> =
        (1..=2_500).map(|n| row(&stage, n, "nurse@capulet.example/x", Direction::Received)).collect();
    put(&stage, &rows);
    put(&stage, &[row(&stage, 2_501, "romeo@montague.example/x", Direction::Received)]);
    let romeo = form(&[("with", "romeo@montague.example")]);
    assert_eq!(told(&mut stage, chamber, &romeo), ", more, 2000 to 2000");
    let on = format!("{romeo}{}", set(&format!("<after>{}</after>", id(2_000))));
    assert_eq!(told(&mut stage, chamber, &on), "2501, all, 2501 to 2501");
    let newest = format!("{romeo}{}", set("<before/>"));
    assert_eq!(told(&mut stage, chamber, &newest), "2501, more, 502 to 2501");
    let older = format!("{romeo}{}", set(&format!("<before>{}</before>", id(502))));
    assert_eq!(told(&mut stage, chamber, &older), ", all, - to -");
}

#[test]
fn a_page_ends_when_it_is_heavy() {
    let mut stage = Stage::new();
    let chamber = stage.bind("chamber");
    let heavy = Bytes::from(vec![b'x'; page::PAGE_BYTES_MAX / 2]);
    let rows: Vec<Row> = (1..=9)
        .map(|n| {
            let mut row = row(&stage, n, "nurse@capulet.example/x", Direction::Received);
            let mut letter = stored::decode(&row.stanza).unwrap();
            letter
                .payload
                .push(&Element::new("urn:example", "x").with_text(String::from_utf8_lossy(&heavy).as_ref()));
            row.stanza = stored::encode(&letter);
            row
        })
        .collect();
    put(&stage, &rows);
    assert_eq!(told(&mut stage, chamber, ""), "1 2, more, 1 to 2");
}

#[test]
fn who_has_the_newest_page_is_not_given_it_again() {
    let (mut stage, chamber) = scene();
    for (inner, fetched) in [
        (set("<max>3</max>"), 0),
        (form(&[("with", "romeo@montague.example")]), 0),
        (format!("{}{}", form(&[("end", "2025-12-31T00:00:05Z")]), set("<before/>")), 0),
        (set("<max>0</max>"), 0),
        (set("<max>1</max><before/>"), 9),
        (set(&format!("<after>{}</after>", id(9))), 9),
        (String::new(), 9),
    ] {
        stage.account.session_mut(chamber).unwrap().fetched = 0;
        page(&mut stage, chamber, &inner).unwrap();
        let expected = if fetched == 0 { 0 } else { BEGIN + fetched * 1_000_000 };
        assert_eq!(stage.account.session(chamber).unwrap().fetched, expected, "{inner}");
    }
    let balcony = stage.enter("balcony");
    page(&mut stage, balcony, "").unwrap();
    assert_eq!(stage.account.session(balcony).unwrap().fetched, 0, "it takes messages already");
}

#[test]
fn the_archive_tells_where_it_begins_and_ends() {
    let (mut stage, chamber) = scene();
    let room = stage.room(Mam::build);
    let ask = "<iq id='1' type='get'><metadata xmlns='urn:xmpp:mam:2'/></iq>";
    assert_eq!(
        stage.ask(&*room, At::Account, Some(chamber), ask),
        format!(
            "<metadata xmlns='urn:xmpp:mam:2'><start id='{}' timestamp='2025-12-31T00:00:01Z'/>\
             <end id='{}' timestamp='2025-12-31T00:00:09Z'/></metadata>",
            id(1),
            id(9)
        )
    );
    let mut empty = Stage::of("nurse@capulet.example");
    let session = empty.bind("x");
    assert_eq!(
        empty.ask(&*empty.room(Mam::build), At::Account, Some(session), ask),
        "<metadata xmlns='urn:xmpp:mam:2'/>"
    );
}

#[test]
fn the_form_names_every_field() {
    let (mut stage, chamber) = scene();
    let room = stage.room(Mam::build);
    let told = stage.ask(
        &*room,
        At::Account,
        Some(chamber),
        "<iq id='1' type='get'><query xmlns='urn:xmpp:mam:2'/></iq>",
    );
    for field in ["with", "start", "end", "before-id", "after-id", "ids", "include-groupchat"] {
        assert!(told.contains(&format!("<field var='{field}' type=")), "{field}: {told}");
    }
    assert!(told.contains("<open/></validate>"), "{told}");
}

#[test]
fn nobody_else_reads_it() {
    let (mut stage, _) = scene();
    let room = stage.room(Mam::build);
    for inner in ["<query xmlns='urn:xmpp:mam:2'/>", "<metadata xmlns='urn:xmpp:mam:2'/>"] {
        for ty in ["get", "set"] {
            let iq = format!("<iq id='1' type='{ty}' from='romeo@montague.example/x'>{inner}</iq>");
            assert_eq!(stage.ask(&*room, At::Account, None, &iq), "go", "{iq}");
        }
    }
}
