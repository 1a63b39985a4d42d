//! Liveness in Redis: a key a member, all on one node of a cluster, so that one command asks for many.

use async_trait::async_trait;

use super::{Redis, link::Does};
use crate::{Liveness, Result};

#[async_trait]
impl Liveness for Redis {
    async fn say(&self, member: &str, for_ms: u64) -> Result<()> {
        let mut cmd = ::redis::cmd("SET");
        cmd.arg(self.member_key(member)).arg("").arg("PX").arg(for_ms.max(1));
        self.link.ask(Does::Write, 0, &cmd).await
    }

    async fn gone(&self, member: &str) -> Result<()> {
        let mut cmd = ::redis::cmd("DEL");
        cmd.arg(self.member_key(member));
        self.link.ask(Does::Write, 0, &cmd).await
    }

    async fn are_there(&self, members: &[String]) -> Result<Vec<bool>> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut cmd = ::redis::cmd("MGET");
        for member in members {
            cmd.arg(self.member_key(member));
        }
        let values: Vec<Option<String>> = self.link.ask(Does::Read, 0, &cmd).await?;
        Ok(values.iter().map(Option::is_some).collect())
    }
}

impl Redis {
    fn member_key(&self, member: &str) -> String {
        self.key(format_args!("m"), member)
    }
}
