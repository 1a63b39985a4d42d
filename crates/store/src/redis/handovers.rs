//! Copies of accounts in Redis: a key each, for as long as they are of use.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{Redis, link::Does};
use crate::{Handovers, Result, handovers};

#[async_trait]
impl Handovers for Redis {
    async fn put(&self, account: &Jid, copy: Bytes, for_ms: u64) -> Result<()> {
        handovers::check(&copy)?;
        let mut cmd = ::redis::cmd("SET");
        cmd.arg(self.handover_key(account)).arg(&copy[..]).arg("PX").arg(for_ms.max(1));
        self.link.ask(Does::Write, copy.len(), &cmd).await
    }

    async fn take(&self, account: &Jid) -> Result<Option<Bytes>> {
        let mut cmd = ::redis::cmd("GETDEL");
        cmd.arg(self.handover_key(account));
        self.link.ask(Does::Write, 0, &cmd).await
    }
}

impl Redis {
    fn handover_key(&self, account: &Jid) -> String {
        self.key(format_args!("a:{}", account.bare_str()), "handover")
    }
}
