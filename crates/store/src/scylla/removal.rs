//! The end of an account: it is written down, its name stays taken, every noun forgets it, and only then it is gone.
//!
//! What a process left when it died is finished by the next one that opens the store.

use scylla::response::PagingState;
use xmpp::jid::Jid;

use super::{Scylla, accounts::key, cql::Statement, jid, now_ms};
use crate::Result;

const BEGIN: Statement =
    Statement::decide("INSERT INTO removals (account, begun_ms) VALUES (?, ?) IF NOT EXISTS");
const CLAIM: Statement =
    Statement::decide("UPDATE removals SET begun_ms = ? WHERE account = ? IF begun_ms = ?");
const FINISH: Statement = Statement::decide("DELETE FROM removals WHERE account = ? IF EXISTS");
const BEGUN: Statement = Statement::read("SELECT account, begun_ms FROM removals");

const NAME: Statement = Statement::decide(
    "INSERT INTO accounts (domain, shard, node, removing) VALUES (?, ?, ?, true) IF NOT EXISTS",
);
const MARK: Statement = Statement::decide(
    "UPDATE accounts SET removing = true WHERE domain = ? AND shard = ? AND node = ? IF EXISTS",
);
const MARKED: Statement =
    Statement::serial("SELECT removing FROM accounts WHERE domain = ? AND shard = ? AND node = ?");
const FREE: Statement =
    Statement::decide("DELETE FROM accounts WHERE domain = ? AND shard = ? AND node = ? IF removing = true");

const OF_ACCOUNT: [Statement; 4] = [
    Statement::write("DELETE FROM activity USING TIMESTAMP ? WHERE account = ?"),
    Statement::write("DELETE FROM blocklists USING TIMESTAMP ? WHERE account = ?"),
    Statement::write("DELETE FROM documents USING TIMESTAMP ? WHERE account = ?"),
    Statement::write("DELETE FROM cursors USING TIMESTAMP ? WHERE account = ?"),
];

/// After how long a removal is believed to have been left unfinished.
const LEFT_MS: u64 = 10 * 60 * 1000;
const PAGE_ROWS: i32 = 100;

impl Scylla {
    pub(super) async fn remove_whole_account(&self, account: &Jid) -> Result<()> {
        let _held = self.locks.hold(account.as_str().as_bytes()).await;
        self.cql.decide(&BEGIN, (account.as_str(), now_ms().cast_signed())).await?;
        // An account without a row may have left something too, and its name must not be given away meanwhile.
        if !self.cql.decide(&NAME, key(account)).await? {
            self.cql.decide(&MARK, key(account)).await?;
        }
        self.remove_marked(account).await
    }

    /// Finishes removals that were begun some time ago, by processes that did not live to finish them.
    pub(super) async fn finish_removals(&self) -> Result<()> {
        let mut next = Some(PagingState::start());
        while let Some(state) = next {
            let (page, after): (Vec<(String, Option<i64>)>, _) =
                self.cql.page(&BEGUN, PAGE_ROWS, state).await?;
            for (account, begun_ms) in page {
                self.finish_removal(&jid(&account)?, begun_ms.unwrap_or_default()).await?;
            }
            next = after;
        }
        Ok(())
    }

    async fn finish_removal(&self, account: &Jid, begun_ms: i64) -> Result<()> {
        let (name, now) = (account.as_str(), now_ms());
        if now.saturating_sub(begun_ms.cast_unsigned()) < LEFT_MS
            || !self.cql.decide(&CLAIM, (now.cast_signed(), name, begun_ms)).await?
        {
            return Ok(());
        }
        tracing::info!("an account's removal is being finished");
        let marked: Option<(Option<bool>,)> = self.cql.row(&MARKED, key(account)).await?;
        match marked {
            Some((Some(true),)) => self.remove_marked(account).await,
            // It had not begun, or had come to its end.
            _ => self.cql.decide(&FINISH, (name,)).await.map(drop),
        }
    }

    async fn remove_marked(&self, account: &Jid) -> Result<()> {
        let name = account.as_str();
        // Whoever removes it need not be its owner, and may remember an earlier epoch.
        *self.places.of(name).taken.lock() = None;
        for forget in &OF_ACCOUNT {
            self.cql.write(forget, (self.stamp(name).await?, name)).await?;
        }
        self.remove_roster(name).await?;
        self.remove_hibernated(name).await?;
        self.remove_archive(name).await?;
        self.cql.decide(&FREE, key(account)).await?;
        self.cql.decide(&FINISH, (name,)).await.map(drop)
    }
}
