//! Rosters: one partition each, changed by compare-and-set of the number of changes.

use async_trait::async_trait;
use bytes::Bytes;
use scylla::value::CqlValue;
use xmpp::jid::Jid;

use super::{
    Scylla, TRIES_MAX, contended,
    cql::{Statement, Value, number, text},
    jid,
};
use crate::{Change, Error, Item, Request, Result, Roster, Rosters, Subscription};

const ITEM: &str = "item";
const REQUEST: &str = "request";

const LOAD: Statement = Statement::read(
    "SELECT version, kind, contact, name, subscription, ask, approved, member_of, stanza \
     FROM rosters WHERE account = ?",
);
const LOAD_ITEM: Statement = Statement::read(
    "SELECT name, subscription, ask, approved, member_of \
     FROM rosters WHERE account = ? AND kind = 'item' AND contact = ?",
);
const STATE: Statement = Statement::serial("SELECT change, version FROM rosters WHERE account = ? LIMIT 1");
const NAMES: Statement = Statement::read("SELECT kind, contact FROM rosters WHERE account = ?");
const CHANGE: Statement =
    Statement::decide("UPDATE rosters SET change = ?, version = ? WHERE account = ? IF change = ?");
const PUT: Statement = Statement::write(
    "INSERT INTO rosters (account, kind, contact, name, subscription, ask, approved, member_of, stanza) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
);
const REMOVE: Statement =
    Statement::write("DELETE FROM rosters WHERE account = ? AND kind = ? AND contact = ?");

/// Rows that one step of the end of a roster deletes.
const STEP_ROWS: usize = 200;

type Details = (Option<String>, Option<String>, Option<bool>, Option<bool>, Option<Vec<String>>);

#[async_trait]
impl Rosters for Scylla {
    async fn load(&self, account: &Jid) -> Result<Roster> {
        type Found = (
            Option<i64>,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<String>,
            Option<bool>,
            Option<bool>,
            Option<Vec<String>>,
            Option<Bytes>,
        );
        let mut roster = Roster::default();
        let rows: Vec<Found> = self.cql.rows(&LOAD, (account.bare_str(),)).await?;
        for (version, kind, contact, name, subscription, ask, approved, groups, stanza) in rows {
            roster.version = version.unwrap_or_default().cast_unsigned();
            // A roster that has become empty is a row of nothing but its version.
            let (Some(kind), Some(contact)) = (kind, contact) else { continue };
            match &kind[..] {
                ITEM => {
                    let details = (name, subscription, ask, approved, groups);
                    roster.items.push(item(jid(&contact)?, details)?);
                }
                REQUEST => {
                    roster
                        .requests
                        .push(Request { from: jid(&contact)?, stanza: stanza.unwrap_or_default() });
                }
                _ => return Err(Error::Corrupt("an entry of a roster is of no known kind".into())),
            }
        }
        Ok(roster)
    }

    async fn item(&self, account: &Jid, contact: &Jid) -> Result<Option<Item>> {
        let values = (account.bare_str(), contact.as_str());
        let found: Option<Details> = self.cql.row(&LOAD_ITEM, values).await?;
        found.map(|details| item(contact.clone(), details)).transpose()
    }

    async fn apply(&self, account: &Jid, changes: Vec<Change>) -> Result<u64> {
        changes.iter().try_for_each(Change::check)?;
        let account = account.bare_str();
        let _held = self.locks.hold(account.as_bytes()).await;
        let grows = u64::from(changes.iter().any(Change::moves_version));
        for _ in 0..TRIES_MAX {
            let (change, version) = self.roster_state(account).await?;
            let next = version + grows;
            if changes.is_empty()
                || self.change_roster(account, change, next, rows(account, &changes)).await?
            {
                return Ok(next);
            }
        }
        Err(contended())
    }
}

impl Scylla {
    /// The number of changes, none before the first, and the version.
    async fn roster_state(&self, account: &str) -> Result<(Option<i64>, u64)> {
        let state: Option<(Option<i64>, Option<i64>)> = self.cql.row(&STATE, (account,)).await?;
        let (change, version) = state.unwrap_or_default();
        Ok((change, version.unwrap_or_default().cast_unsigned()))
    }

    async fn change_roster(
        &self,
        account: &str,
        change: Option<i64>,
        version: u64,
        rows: Vec<(&'static Statement, Vec<Value>)>,
    ) -> Result<bool> {
        let next = number(change.unwrap_or_default() + 1);
        let of = vec![next, number(version.cast_signed()), text(account), number(change)];
        let mut writes = vec![(&CHANGE, of)];
        writes.extend(rows);
        self.cql.decide_all(writes).await
    }

    /// Removes a roster, a step at a time; its version becomes that of an empty one.
    pub(super) async fn remove_roster(&self, account: &str) -> Result<()> {
        let names: Vec<(Option<String>, Option<String>)> = self.cql.rows(&NAMES, (account,)).await?;
        let remove = |(kind, contact): &(Option<String>, Option<String>)| {
            let (Some(kind), Some(contact)) = (kind, contact) else { return None };
            Some((&REMOVE, vec![text(account), text(&**kind), text(&**contact)]))
        };
        for step in names.chunks(STEP_ROWS) {
            for at in 0.. {
                let (change, _) = self.roster_state(account).await?;
                let removed = step.iter().filter_map(remove).collect();
                if self.change_roster(account, change, 0, removed).await? {
                    break;
                }
                if at == TRIES_MAX {
                    return Err(contended());
                }
            }
        }
        Ok(())
    }
}

/// What is written for the last step of each contact: within one write there is no order.
fn rows(account: &str, changes: &[Change]) -> Vec<(&'static Statement, Vec<Value>)> {
    let mut rows: Vec<((&str, &str), _)> = Vec::with_capacity(changes.len());
    for change in changes.iter().rev() {
        let (key, row) = match change {
            Change::Put(item) => ((ITEM, item.jid.as_str()), put(account, item)),
            Change::Remove(contact) => ((ITEM, contact.as_str()), remove(account, ITEM, contact)),
            Change::Ask(request) => ((REQUEST, request.from.as_str()), ask(account, request)),
            Change::Answer(from) => ((REQUEST, from.as_str()), remove(account, REQUEST, from)),
        };
        rows.push((key, row));
    }
    let mut seen = std::collections::HashSet::new();
    rows.retain(|(key, _)| seen.insert(*key));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn put(account: &str, item: &Item) -> (&'static Statement, Vec<Value>) {
    let subscription = match item.subscription {
        Subscription::None => "none",
        Subscription::To => "to",
        Subscription::From => "from",
        Subscription::Both => "both",
    };
    let groups = item.groups.iter().cloned().map(CqlValue::Text).collect();
    let values = vec![
        text(account),
        text(ITEM),
        text(item.jid.as_str()),
        text(item.name.as_deref()),
        text(subscription),
        Some(CqlValue::Boolean(item.ask)),
        Some(CqlValue::Boolean(item.approved)),
        Some(CqlValue::List(groups)),
        None,
    ];
    (&PUT, values)
}

fn ask(account: &str, request: &Request) -> (&'static Statement, Vec<Value>) {
    let stanza = Some(CqlValue::Blob(request.stanza.to_vec()));
    let from = text(request.from.as_str());
    (&PUT, vec![text(account), text(REQUEST), from, None, None, None, None, None, stanza])
}

fn remove(account: &str, kind: &str, contact: &Jid) -> (&'static Statement, Vec<Value>) {
    (&REMOVE, vec![text(account), text(kind), text(contact.as_str())])
}

fn item(contact: Jid, (name, subscription, ask, approved, groups): Details) -> Result<Item> {
    let subscription = match subscription.as_deref() {
        None | Some("none") => Subscription::None,
        Some("to") => Subscription::To,
        Some("from") => Subscription::From,
        Some("both") => Subscription::Both,
        Some(other) => return Err(Error::Corrupt(format!("a subscription is {other}"))),
    };
    Ok(Item {
        jid: contact,
        name,
        subscription,
        ask: ask.unwrap_or_default(),
        approved: approved.unwrap_or_default(),
        groups: groups.unwrap_or_default(),
    })
}
