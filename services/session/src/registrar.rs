//! Telling the registry which sessions there are, without waiting for it.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Weak;
use std::time::Duration;

use features::account::Origin;
use futures_util::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use store::Registered;
use tokio::time::sleep;

use crate::owner::Owner;
use crate::resident::Resident;
use crate::shard::Cx;

/// Between writes: what happens meanwhile is written at once.
const TURN: Duration = Duration::from_millis(100);

/// Changes that wait; beyond, the registry is not told.
const CHANGES_MAX: usize = 262_144;

/// What the registry has not been told.
#[derive(Default)]
pub(crate) struct Registrar(Mutex<BTreeMap<(u16, Origin), Option<Registered>>>);

impl Registrar {
    fn change(&self, slot: u16, stream: Origin, session: Option<Registered>) {
        let mut changes = self.0.lock();
        if changes.len() < CHANGES_MAX {
            changes.insert((slot, stream), session);
        }
    }
}

impl Resident {
    /// A session has come, has moved to another edge, or can be resumed from now on.
    pub(crate) fn register(&self, cx: &Cx<'_>, id: Origin) {
        if !cx.owner.config.shared {
            return;
        }
        let (Some(session), Some(stream)) = (self.account.session(id), self.stream(id)) else { return };
        let session = Registered {
            origin: id,
            jid: session.jid.clone(),
            edge: stream.link.as_ref().map(|link| link.member().to_owned()).unwrap_or_default(),
            resumable_ms: if stream.resume { u64::from(stream.max_s) * 1_000 } else { 0 },
        };
        cx.owner.registrar.change(self.slot, id, Some(session));
    }

    /// A session is over.
    pub(crate) fn unregister(&self, cx: &Cx<'_>, id: Origin) {
        if cx.owner.config.shared {
            cx.owner.registrar.change(self.slot, id, None);
        }
    }
}

/// Writes what has changed, for as long as there is an owner.
pub(crate) async fn write(owner: Weak<Owner>) {
    loop {
        sleep(TURN).await;
        let Some(owner) = owner.upgrade() else { return };
        let changes = take(&mut *owner.registrar.0.lock());
        if changes.is_empty() || !owner.lease.holds() {
            continue;
        }
        if let Err(error) = tell(&owner, changes).await {
            crate::metrics::UNREGISTERED.inc();
            tracing::debug!(%error, "the registry was not told of sessions");
        }
    }
}

async fn tell(owner: &Owner, changes: BTreeMap<(u16, Origin), Option<Registered>>) -> store::Result<()> {
    let mut by_slot: BTreeMap<u16, (Vec<Registered>, Vec<Origin>)> = BTreeMap::new();
    for ((slot, stream), session) in changes {
        let (there, gone) = by_slot.entry(slot).or_default();
        match session {
            Some(session) => there.push(session),
            None => gone.push(stream),
        }
    }
    let write = |(slot, (there, gone)): (u16, (Vec<Registered>, Vec<Origin>))| async move {
        if !there.is_empty() {
            owner.store.registry.put(slot, &there).await?;
        }
        if !gone.is_empty() {
            owner.store.registry.remove(slot, &gone).await?;
        }
        store::Result::Ok(())
    };
    futures_util::stream::iter(by_slot.into_iter().map(write)).buffer_unordered(32).try_collect().await
}
