//! Epochs on disk: one entry a member.

use async_trait::async_trait;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
};
use crate::{Epochs, Result, epochs::check};

#[async_trait]
impl Epochs for Disk {
    async fn current(&self, member: &str) -> Result<u64> {
        check(member)?;
        self.value(Noun::Epochs, member.as_bytes())?.map_or(Ok(0), |value| keys::number(&value))
    }

    async fn raise(&self, member: &str) -> Result<u64> {
        let held = self.locks.hold(member.as_bytes()).await;
        let epoch = self.current(member).await? + 1;
        self.write(vec![Op::put(Noun::Epochs, member, epoch.to_be_bytes())], held).await?;
        Ok(epoch)
    }
}
