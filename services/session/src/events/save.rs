//! Remembering how far archives are published: a document of each account.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use store::{Result, Store};
use tokio_util::sync::CancellationToken;
use xmpp::jid::Jid;

use super::{Rows, Shared};

/// Between saves: so much may be published again after the death of an owner.
const TURN: Duration = Duration::from_secs(30);
/// Writes at a time.
const WRITES: usize = 16;
/// An archive of which nothing was heard for so many saves is forgotten.
const QUIET_MAX: u8 = 2;

/// The name of the document.
const NAMESPACE: &str = "urn:throng:events:messages";

/// How far an archive was published, if that is known.
pub(super) async fn load(store: &Store, archive: &Jid) -> Result<Option<u64>> {
    let document = store.documents.read(archive, NAMESPACE, "").await?;
    Ok(document.and_then(|bytes| Some(u64::from_be_bytes(bytes[..].try_into().ok()?))))
}

/// Saves positions now and then until it is over.
pub(super) async fn positions(shared: Arc<Shared>, over: CancellationToken) {
    let work = async {
        loop {
            tokio::time::sleep(TURN).await;
            save(&shared).await;
        }
    };
    over.run_until_cancelled(work).await;
}

/// Saves what has changed, and forgets archives that are quiet.
pub(super) async fn save(shared: &Shared) {
    let changed = shared.rows.lock().take_changed();
    let writes = changed.into_iter().map(|(archive, published)| async move {
        match write(&shared.store, &archive, published).await {
            Ok(()) => shared.rows.lock().saved(&archive, published),
            Err(error) => tracing::debug!(%error, %archive, "how far events came was not saved"),
        }
    });
    futures_util::stream::iter(writes).buffer_unordered(WRITES).collect::<()>().await;
}

/// An account that was removed leaves nothing behind.
pub(super) async fn write(store: &Store, archive: &Jid, published: u64) -> Result<()> {
    if store.accounts.load(archive).await?.is_none() {
        return Ok(());
    }
    store.documents.put(archive, NAMESPACE, "", published.to_be_bytes().to_vec().into()).await
}

impl Rows {
    fn take_changed(&mut self) -> Vec<(Jid, u64)> {
        self.archives.retain(|_, position| {
            position.quiet = position.quiet.saturating_add(1);
            let done = position.published == Some(position.stored) && position.saved == position.published;
            !done || position.behind || position.quiet <= QUIET_MAX
        });
        let changed = self.archives.iter().filter_map(|(archive, position)| {
            let published = position.published.filter(|published| Some(*published) != position.saved)?;
            Some((archive.clone(), published))
        });
        changed.collect()
    }

    pub(super) fn saved(&mut self, archive: &Jid, published: u64) {
        if let Some(position) = self.archives.get_mut(archive) {
            position.saved = Some(published);
        }
    }
}
