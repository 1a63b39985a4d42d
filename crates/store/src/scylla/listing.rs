//! The accounts of a domain in order: its partitions are read side by side, each a page at a time, and merged.

use std::collections::VecDeque;

use futures_util::future::try_join_all;
use xmpp::jid::Jid;

use super::{
    Scylla,
    cql::{Statement, rows},
    jid,
};
use crate::Result;

/// The partitions of a domain.
const SHARDS: i32 = 16;
/// Accounts that one read finds.
const READ_ACCOUNTS_MAX: usize = 1000;

const PAGE: Statement = Statement::read(
    "SELECT node, removing FROM accounts WHERE domain = ? AND shard = ? AND node > ? LIMIT ?",
);
const FIRST_PAGE: Statement =
    Statement::read("SELECT node, removing FROM accounts WHERE domain = ? AND shard = ? LIMIT ?");

/// The partition of an account: FNV-1a of its node, because it must never change.
pub(super) fn shard(node: &str) -> i32 {
    let hash =
        node.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % SHARDS.cast_unsigned()).cast_signed()
}

/// A partition that is being read.
struct Reader {
    shard: i32,
    read: VecDeque<(String, bool)>,
    /// The last account read, or the one to begin after.
    after: Option<String>,
    whole: bool,
}

impl Scylla {
    pub(super) async fn list_accounts(
        &self,
        domain: &str,
        after: Option<&Jid>,
        limit: usize,
    ) -> Result<Vec<Jid>> {
        let start = after.map(|after| after.node().unwrap_or_default().to_owned());
        let reader = |shard| Reader { shard, read: VecDeque::new(), after: start.clone(), whole: false };
        let mut readers: Vec<Reader> = (0..SHARDS).map(reader).collect();
        let page = (limit / SHARDS as usize * 2 + 8).min(limit).min(READ_ACCOUNTS_MAX);
        let mut listed = Vec::new();
        while listed.len() < limit {
            try_join_all(readers.iter_mut().map(|reader| self.read_on(domain, reader, page))).await?;
            readers.retain(|reader| !reader.read.is_empty());
            let first = readers.iter_mut().min_by(|one, other| one.read.front().cmp(&other.read.front()));
            let Some((node, removing)) = first.and_then(|reader| reader.read.pop_front()) else { break };
            match (removing, &node[..]) {
                (true, _) => {}
                (false, "") => listed.push(jid(domain)?),
                (false, node) => listed.push(jid(&format!("{node}@{domain}"))?),
            }
        }
        Ok(listed)
    }

    /// Reads the next page of a partition once everything before it has been taken.
    async fn read_on(&self, domain: &str, reader: &mut Reader, page: usize) -> Result<()> {
        if reader.whole || !reader.read.is_empty() {
            return Ok(());
        }
        let limit = rows(page);
        let found: Vec<(String, Option<bool>)> = match &reader.after {
            Some(after) => self.cql.rows(&PAGE, (domain, reader.shard, after, limit)).await?,
            None => self.cql.rows(&FIRST_PAGE, (domain, reader.shard, limit)).await?,
        };
        reader.read = found.into_iter().map(|(node, removing)| (node, removing == Some(true))).collect();
        reader.whole = reader.read.len() < page;
        reader.after = reader.read.back().map(|(node, _)| node.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_always_found_in_the_same_partition() {
        assert_eq!(["", "juliet", "romeo", "nurse"].map(shard), [5, 14, 1, 10]);
    }
}
