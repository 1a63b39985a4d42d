//! The first and the last message of an archive (XEP-0313 §5).

use store::{Archive, Row};
use xmpp::jid::Jid;
use xmpp::stanza::StanzaError;
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use super::page;
use super::query::Query;
use crate::stanza_ids;

/// `<metadata/>`: empty where the archive is.
///
/// # Errors
/// The store fails.
pub(super) async fn read(archive: &dyn Archive, account: &Jid, oldest: u64) -> Result<Element, StanzaError> {
    let mut ends = Vec::new();
    for (name, backwards) in [("start", false), ("end", true)] {
        let query = Query {
            above: oldest.saturating_sub(1),
            below: u64::MAX,
            oldest,
            backwards,
            max: 1,
            ..Query::default()
        };
        let page = page::read(archive, account, &query).await?;
        ends.extend(page.rows.first().map(|row| end(name, row)));
    }
    Ok(Element::new(ns::MAM, "metadata").with_children(ends))
}

fn end(name: &str, row: &Row) -> Element {
    Element::new(ns::MAM, name)
        .attr("id", stanza_ids::text(row.id))
        .attr("timestamp", datetime::write(row.stamp_ms))
}
