//! What a client gets: each message of a page in `<result/>`, then `<fin/>` (XEP-0313 §4.2, §4.3).

use store::Row;
use xmpp::jid::Jid;
use xmpp::stanza::{Child, ContentNs, Payload, Stanza, Type};
use xmpp::xml::{Element, write_attribute};
use xmpp::{datetime, ns};

use super::page::Page;
use super::query::Query;
use crate::{stanza_ids, stored};

/// The results in the order in which they are sent, and what ends them.
pub(super) fn of(account: &Jid, query: &Query, page: &Page) -> (Vec<Stanza>, Element) {
    let mut results: Vec<Stanza> =
        page.rows.iter().filter_map(|row| result(account, query.name.as_deref(), row)).collect();
    if query.flip {
        // §4.3.4: only the order of sending.
        results.reverse();
    }
    (results, fin(page, query.backwards))
}

/// A message as it is in the archive; none: it cannot be read, and the page goes on without it.
fn result(account: &Jid, name: Option<&str>, row: &Row) -> Option<Stanza> {
    let mut kept = stored::decode(&row.stanza)
        .inspect_err(
            |error| tracing::warn!(%error, %account, id = row.id, "an archived message cannot be read"),
        )
        .ok()?;
    stanza_ids::stamp(&mut kept, account, row.id);
    let mut result = Stanza::message(Type::Normal).with_from(account.clone());
    result.payload = forwarded(&kept, name, row);
    Some(result)
}

fn forwarded(kept: &Stanza, name: Option<&str>, row: &Row) -> Payload {
    let mut out = Vec::with_capacity(kept.payload.bytes().len() + 768);
    out.extend_from_slice(b"<result");
    write_attribute(&mut out, "xmlns", ns::MAM);
    if let Some(name) = name {
        write_attribute(&mut out, "queryid", name);
    }
    write_attribute(&mut out, "id", &stanza_ids::text(row.id));
    out.extend_from_slice(
        format!(
            "><forwarded xmlns='{}'><delay xmlns='{}' stamp='{}'/>",
            ns::FORWARD,
            ns::DELAY,
            datetime::write(row.stamp_ms)
        )
        .as_bytes(),
    );
    kept.write(&mut out, ContentNs::Client);
    out.extend_from_slice(b"</forwarded></result>");
    let child = Child { ns: ns::MAM.into(), name: "result".into(), start: 0, end: out.len() as u32 };
    Payload::from_parts(out.into(), vec![child])
}

fn fin(page: &Page, backwards: bool) -> Element {
    let first = page.rows.first().map(|row| row.id);
    let last = page.rows.last().map(|row| row.id);
    // Where looking ended is where to go on, also if nothing was found so far.
    let (first, last) = match page.reached {
        Some(reached) if backwards => (Some(reached), last.or(Some(reached))),
        Some(reached) => (first.or(Some(reached)), Some(reached)),
        None => (first, last),
    };
    let place =
        |name, id: Option<u64>| id.map(|id| Element::new(ns::RSM, name).with_text(stanza_ids::text(id)));
    let count = page.count.map(|count| Element::new(ns::RSM, "count").with_text(count.to_string()));
    let set = Element::new(ns::RSM, "set")
        .with_children(place("first", first))
        .with_children(place("last", last))
        .with_children(count);
    let fin = Element::new(ns::MAM, "fin");
    let fin = if page.complete { fin.attr("complete", "true") } else { fin };
    fin.with_child(set)
}
