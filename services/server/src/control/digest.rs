//! What an export amounts to: how many records of each noun there are, and a hash of them that no order changes. So it
//! can be told whether two stores hold the same.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use xmpp::jid::Jid;

use super::record::Record;

/// The records of an export, by noun.
#[derive(Default)]
pub(crate) struct Digest {
    nouns: BTreeMap<&'static str, Sum>,
    accounts: HashSet<Jid>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hash: u64,
}

impl Digest {
    /// Adds a line of an export.
    pub(crate) fn add(&mut self, line: &str) -> anyhow::Result<()> {
        self.add_of(line, |_| true)
    }

    /// Adds a line of another export, if it is about an account that is in this one.
    pub(crate) fn add_common(&mut self, line: &str, other: &Digest) -> anyhow::Result<()> {
        self.add_of(line, |account| other.accounts.contains(account))
    }

    fn add_of(&mut self, line: &str, wanted: impl Fn(&Jid) -> bool) -> anyhow::Result<()> {
        let record: Record = serde_json::from_str(line).context("a line is no record")?;
        let Some(account) = record.account().filter(|account| wanted(account)) else { return Ok(()) };
        if !self.accounts.contains(account) {
            self.accounts.insert(account.clone());
        }
        // As this version writes it, whichever has written it.
        let hash = Sha256::digest(serde_json::to_vec(&record)?);
        let hash = hash.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte));
        let sum = self.nouns.entry(record.noun()).or_default();
        sum.count += 1;
        sum.hash = sum.hash.wrapping_add(hash);
        Ok(())
    }

    /// A line for each noun.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<12} {:>12}  {}\n", "noun", "count", "hash");
        for (noun, sum) in &self.nouns {
            let _ = writeln!(table, "{noun:<12} {:>12}  {:016x}", sum.count, sum.hash);
        }
        table
    }

    /// A line for each noun of two, and whether all are the same.
    pub(crate) fn compare(&self, other: &Digest) -> (String, bool) {
        let nouns: std::collections::BTreeSet<_> = self.nouns.keys().chain(other.nouns.keys()).collect();
        let mut same = true;
        let mut table =
            format!("{:<12} {:>12}  {:<16}  {:>12}  {:<16}\n", "noun", "from", "hash", "to", "hash");
        for noun in nouns {
            let of = |digest: &Digest| digest.nouns.get(noun).copied().unwrap_or_default();
            let (from, to) = (of(self), of(other));
            same &= from == to;
            let told = if from == to { "same" } else { "DIFFERENT" };
            let _ = writeln!(
                table,
                "{noun:<12} {:>12}  {:016x}  {:>12}  {:016x}  {told}",
                from.count, from.hash, to.count, to.hash
            );
        }
        (table, same)
    }
}
