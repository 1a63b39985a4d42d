//! Reading a page: rows in order from one end, until the page is full, the range is over, or enough was looked at.

use store::{Archive, Direction, Row};
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use super::query::Query;
use crate::iq;

/// Rows that one query looks at, at most. Beyond, the page is not full, and says where to go on.
pub(super) const LOOKED_AT_ROWS_MAX: usize = 2_000;

/// Bytes of messages on a page; the one that reaches it is the last.
pub(super) const PAGE_BYTES_MAX: usize = 512 * 1_024;

/// Rows read at a time, which bounds what a query holds in memory.
const CHUNK_ROWS: usize = 100;

/// What a query found.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Ascending.
    pub(super) rows: Vec<Row>,
    /// There is no more that matches in this direction.
    pub(super) complete: bool,
    /// All that match, if that is known.
    pub(super) count: Option<usize>,
    /// Where looking has come to, if that was what ended the page.
    pub(super) reached: Option<u64>,
    /// The newest row of the archive that the client has now seen, or knew already; 0: the page is of the past.
    pub(super) newest: u64,
}

/// Reads a page.
///
/// # Errors
/// A message that the query names is not there (§4.1.3, §4.3.2), or the store fails.
pub(super) async fn read(archive: &dyn Archive, account: &Jid, query: &Query) -> Result<Page, StanzaError> {
    for id in &query.named {
        there(archive, account, query, *id).await?;
    }
    if !query.ids.is_empty() {
        return picked(archive, account, query).await;
    }
    let mut page = Reading::of(query);
    while let Some((at, rows)) = page.wants() {
        let chunk = if query.backwards {
            archive.before(account, at, rows).await
        } else {
            archive.after(account, at, rows).await
        };
        page.takes(account, chunk.map_err(iq::stored)?, rows);
    }
    Ok(page.done())
}

/// The row of an id that is shown to clients, or was until it was delivered.
async fn there(archive: &dyn Archive, account: &Jid, query: &Query, id: u64) -> Result<Row, StanzaError> {
    let row = archive.row(account, id).await.map_err(iq::stored)?;
    row.filter(|row| row.id >= query.oldest && !row.spool).ok_or_else(|| Condition::ItemNotFound.into())
}

/// Messages by their ids.
async fn picked(archive: &dyn Archive, account: &Jid, query: &Query) -> Result<Page, StanzaError> {
    let mut reading = Reading::of(query);
    let mut rows = Vec::with_capacity(query.ids.len());
    for id in &query.ids {
        rows.push(there(archive, account, query, *id).await?);
    }
    let end = rows.len() + 1;
    rows.retain(|row| query.above < row.id && row.id < query.below);
    reading.takes(account, rows, end);
    let page = reading.done();
    Ok(Page { newest: 0, ..page })
}

/// A page while it is read.
struct Reading<'a> {
    query: &'a Query,
    page: Page,
    at: u64,
    looked_at: usize,
    matching: usize,
    bytes: usize,
    over: bool,
    /// The last row looked at that clients are shown.
    shown: Option<u64>,
}

impl<'a> Reading<'a> {
    fn of(query: &'a Query) -> Self {
        let at = if query.backwards { query.below } else { query.above };
        let newest = if query.named.contains(&at) { at } else { 0 };
        Self {
            query,
            page: Page { newest, ..Page::default() },
            at,
            looked_at: 0,
            matching: 0,
            bytes: 0,
            over: false,
            shown: None,
        }
    }

    /// Where to read, and how many rows; none: enough.
    fn wants(&self) -> Option<(u64, usize)> {
        if self.over {
            return None;
        }
        let rows = if self.query.with.is_some() || self.query.max == 0 {
            CHUNK_ROWS
        } else {
            // One more than the page takes tells whether there is more.
            (self.query.max + 1 - self.matching).min(CHUNK_ROWS)
        };
        Some((self.at, rows))
    }

    /// Takes what was read of `wanted` rows: fewer are the last.
    fn takes(&mut self, account: &Jid, rows: Vec<Row>, wanted: usize) {
        let last = rows.len() < wanted;
        if self.query.backwards {
            rows.into_iter().rev().for_each(|row| self.take(account, row));
        } else {
            for row in rows {
                self.take(account, row);
            }
        }
        if !self.over && last {
            self.ends();
        }
    }

    fn take(&mut self, account: &Jid, row: Row) {
        if self.over {
            return;
        }
        if row.id <= self.query.above || row.id >= self.query.below {
            return self.ends();
        }
        let matches = !row.spool && self.query.matches(account, &row);
        if matches && self.is_full() {
            self.over = true;
            return;
        }
        if self.looked_at == LOOKED_AT_ROWS_MAX {
            self.page.reached = self.shown;
            self.over = true;
            return;
        }
        self.looked_at += 1;
        self.at = row.id;
        self.page.newest = self.page.newest.max(row.id);
        if !row.spool {
            self.shown = Some(row.id);
        }
        if matches {
            self.matching += 1;
            if self.query.max > 0 {
                self.bytes += row.stanza.len();
                self.page.rows.push(row);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.query.max > 0 && (self.matching == self.query.max || self.bytes >= PAGE_BYTES_MAX)
    }

    fn ends(&mut self) {
        self.over = true;
        self.page.complete = true;
    }

    fn done(mut self) -> Page {
        let query = self.query;
        self.page.count = (self.page.complete && query.whole).then_some(self.matching);
        // Whoever asked only for the number has seen nothing.
        self.page.complete &= query.max > 0 || self.matching == 0;
        let to_the_end = query.below == u64::MAX && (query.backwards || self.page.complete);
        if query.with.is_some() || query.max == 0 || !to_the_end {
            self.page.newest = 0;
        }
        if query.backwards {
            self.page.rows.reverse();
        }
        self.page
    }
}

impl Query {
    /// Whether a message is to or from whom the query asks for (§4.1.1).
    fn matches(&self, account: &Jid, row: &Row) -> bool {
        let Some(with) = &self.with else { return true };
        let is = |jid: &Jid| if with.is_full() { jid == with } else { jid.same_bare(with) };
        if !with.same_bare(account) {
            return is(&row.with);
        }
        // Every message is the account's: meant are those that it sent to itself.
        let to = row.address.as_ref().unwrap_or(account);
        row.with.same_bare(account)
            && to.same_bare(account)
            && (is(&row.with) || (row.direction == Direction::Received && is(to)))
    }
}
