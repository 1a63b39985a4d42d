//! The accounts of a load: all with one password, and so with the keys of one of them.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};

/// The domain of all loads.
pub(crate) const DOMAIN: &str = "localhost";
/// Everybody's.
pub(crate) const PASSWORD: &str = "bench";

/// The node of a user's JID.
pub(crate) fn name(number: usize) -> String {
    format!("u{number}")
}

/// A user's bare JID.
pub(crate) fn jid(number: usize) -> String {
    format!("{}@{DOMAIN}", name(number))
}

/// The records that `throng import` takes for this many accounts, each with so many contacts, who are its neighbours in
/// a ring and subscribed both ways. `exported` is an export with one account whose password is everybody's.
pub(crate) fn records(exported: &str, count: usize, contacts: usize) -> anyhow::Result<String> {
    let lines = exported.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let begin = lines.first().context("an export has a beginning")?;
    let account = lines.iter().find_map(|line| line.get("account")).context("an export of an account")?;
    let mut records = vec![json!({ "begin": { "throng": begin["begin"]["throng"], "accounts": count } })];
    for number in 0..count {
        for contact in neighbours(number, count, contacts) {
            let (account, jid) = (jid(number), jid(contact));
            let name = name(contact);
            records.push(json!({
                "contact": { "account": account, "jid": jid, "name": name, "subscription": "both" }
            }));
        }
        let mut account = account.clone();
        account["account"] = jid(number).into();
        records.push(json!({ "account": account }));
    }
    records.push(json!({ "end": { "records": records.len() } }));
    let mut text = String::new();
    for record in &records {
        let _ = writeln!(text, "{record}");
    }
    Ok(text)
}

/// Half of them before, half after.
fn neighbours(number: usize, count: usize, contacts: usize) -> impl Iterator<Item = usize> {
    let half = contacts / 2;
    (1..=half).flat_map(move |distance| [(number + distance) % count, (number + count - distance) % count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_neighbours_of_each_other() {
        for number in 0..20 {
            let of: Vec<_> = neighbours(number, 20, 10).collect();
            assert_eq!(of.len(), 10);
            assert!(of.iter().all(|other| neighbours(*other, 20, 10).any(|back| back == number)));
        }
    }
}
