//! Hibernated in memory.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Hibernated, Result, Session};

#[async_trait]
impl Hibernated for Memory {
    async fn put(&self, session: Session) -> Result<()> {
        session.check()?;
        self.state.lock().hibernated.insert(session.origin, session);
        Ok(())
    }

    async fn take(&self, origin: [u8; 16]) -> Result<Option<Session>> {
        Ok(self.state.lock().hibernated.remove(&origin))
    }

    async fn list(&self, account: &Jid) -> Result<Vec<Session>> {
        let state = self.state.lock();
        let of_account = |session: &&Session| session.account.bare_str() == account.bare_str();
        Ok(state.hibernated.values().filter(of_account).cloned().collect())
    }

    async fn purge(&self, before_ms: u64) -> Result<usize> {
        let mut state = self.state.lock();
        let held = state.hibernated.len();
        state.hibernated.retain(|_, session| session.deadline_ms >= before_ms);
        Ok(held - state.hibernated.len())
    }
}
