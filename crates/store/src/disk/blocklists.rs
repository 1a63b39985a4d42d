//! Block lists on disk: one entry a blocked JID.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::{
    Disk, Keyspaces,
    commit::Op,
    keys::{self, Noun},
};
use crate::{Blocklists, Result};

#[async_trait]
impl Blocklists for Disk {
    async fn load(&self, account: &Jid) -> Result<Vec<Jid>> {
        let prefix = keys::of(account);
        self.scan(move |keyspaces| blocked(keyspaces, &prefix)).await
    }

    async fn block(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        let held = self.locks.hold(account.bare_str().as_bytes()).await;
        let ops = jids.iter().map(|jid| Op::put(Noun::Blocklists, key(account, jid), b""));
        self.write(ops.collect(), held).await
    }

    async fn unblock(&self, account: &Jid, jids: &[Jid]) -> Result<()> {
        let ops = jids.iter().map(|jid| Op::delete(Noun::Blocklists, key(account, jid)));
        self.write(ops.collect(), Vec::new()).await
    }

    async fn clear(&self, account: &Jid) -> Result<Vec<Jid>> {
        let held = self.locks.hold(account.bare_str().as_bytes()).await;
        let jids = self.load(account).await?;
        let ops = jids.iter().map(|jid| Op::delete(Noun::Blocklists, key(account, jid)));
        self.write(ops.collect(), held).await?;
        Ok(jids)
    }
}

fn blocked(keyspaces: &Keyspaces, prefix: &[u8]) -> Result<Vec<Jid>> {
    keyspaces
        .prefix(Noun::Blocklists, prefix)
        .map(|entry| keys::jid(keys::after(&entry?.0, prefix.len())?))
        .collect()
}

fn key(account: &Jid, jid: &Jid) -> Vec<u8> {
    keys::joined(account, &[jid.as_str().as_bytes()])
}
