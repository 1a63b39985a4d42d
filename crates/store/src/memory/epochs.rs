//! Epochs in memory.

use async_trait::async_trait;

use super::Memory;
use crate::{Epochs, Result, epochs::check};

#[async_trait]
impl Epochs for Memory {
    async fn current(&self, member: &str) -> Result<u64> {
        check(member)?;
        Ok(self.state.lock().epochs.get(member).copied().unwrap_or_default())
    }

    async fn raise(&self, member: &str) -> Result<u64> {
        check(member)?;
        let mut state = self.state.lock();
        let epoch = state.epochs.entry(member.to_owned()).or_default();
        *epoch += 1;
        Ok(*epoch)
    }
}
