//! The sessions of this process, for administration.

use std::sync::Weak;

use async_trait::async_trait;
use features::ports::Directory;
use xmpp::jid::Jid;

use crate::owner::Owner;

/// What administration may see and do.
pub(crate) struct Sessions {
    owner: Weak<Owner>,
}

impl Sessions {
    pub(crate) fn new(owner: Weak<Owner>) -> Self {
        Self { owner }
    }
}

#[async_trait]
impl Directory for Sessions {
    async fn online(&self, domain: &Jid, limit: usize) -> Vec<Jid> {
        let mut all = self.owner.upgrade().map(|owner| owner.online()).unwrap_or_default();
        all.retain(|jid| jid.domain() == domain.domain());
        all.sort();
        all.truncate(limit);
        all
    }

    async fn end(&self, account: &Jid, condition: &'static str, removed: bool) {
        if let Some(owner) = self.owner.upgrade() {
            owner.end(account, condition, removed);
        }
    }
}
