//! Liveness, by the clocks of those who say it. A cluster keeps it in Redis; this one is for those that have none.

use async_trait::async_trait;
use futures_util::future::try_join_all;

use super::{Scylla, cql::Statement, now_ms};
use crate::{Liveness, Result};

const SAY: Statement =
    Statement::write("INSERT INTO liveness (member, until_ms) VALUES (?, ?) USING TTL 86400");
const GONE: Statement = Statement::write("DELETE FROM liveness WHERE member = ?");
const UNTIL: Statement = Statement::read("SELECT until_ms FROM liveness WHERE member = ?");

#[async_trait]
impl Liveness for Scylla {
    async fn say(&self, member: &str, for_ms: u64) -> Result<()> {
        self.cql.write(&SAY, (member, now_ms().saturating_add(for_ms).cast_signed())).await
    }

    async fn gone(&self, member: &str) -> Result<()> {
        self.cql.write(&GONE, (member,)).await
    }

    async fn are_there(&self, members: &[String]) -> Result<Vec<bool>> {
        try_join_all(members.iter().map(async |member| {
            let until: Option<(i64,)> = self.cql.row(&UNTIL, (member,)).await?;
            Ok(until.is_some_and(|(until_ms,)| until_ms.cast_unsigned() > now_ms()))
        }))
        .await
    }
}
