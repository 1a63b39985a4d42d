//! Members in memory.

use async_trait::async_trait;
use bytes::Bytes;

use super::Memory;
use crate::{
    Error, Member, Members, Result,
    members::{check_name, check_table},
};

#[async_trait]
impl Members for Memory {
    async fn join(&self, name: &str, incarnation: u64) -> Result<()> {
        check_name(name)?;
        let mut state = self.state.lock();
        if let Some(member) = state.members.get(name)
            && (member.incarnation > incarnation || member.incarnation == incarnation && member.fenced)
        {
            return Err(Error::Conflict);
        }
        let member = Member { name: name.to_owned(), incarnation, ..Member::default() };
        state.members.insert(name.to_owned(), member);
        Ok(())
    }

    async fn beat(&self, name: &str, incarnation: u64, beat: u64) -> Result<bool> {
        let mut state = self.state.lock();
        let Some(member) = state.members.get_mut(name).filter(|member| member.incarnation == incarnation)
        else {
            return Ok(false);
        };
        member.beat = beat;
        Ok(!member.fenced)
    }

    async fn fence(&self, name: &str, incarnation: u64) -> Result<()> {
        let mut state = self.state.lock();
        if let Some(member) = state.members.get_mut(name).filter(|member| member.incarnation == incarnation) {
            member.fenced = true;
        }
        Ok(())
    }

    async fn leave(&self, name: &str, incarnation: u64) -> Result<()> {
        let mut state = self.state.lock();
        if state.members.get(name).is_some_and(|member| member.incarnation == incarnation) {
            state.members.remove(name);
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Member>> {
        Ok(self.state.lock().members.values().cloned().collect())
    }

    async fn table(&self) -> Result<(u64, Bytes)> {
        Ok(self.state.lock().table.clone())
    }

    async fn replace_table(&self, version: u64, table: Bytes) -> Result<bool> {
        check_table(&table)?;
        let mut state = self.state.lock();
        let same = state.table.0 == version;
        if same {
            state.table = (version + 1, table);
        }
        Ok(same)
    }
}
