//! The secret from which answers for unknown accounts are made (RFC 5802 §5.1): kept in the store, so that they are the
//! same after a restart, and nobody can tell an account that is not there by a salt that changes.

use std::time::Duration;

use bytes::Bytes;
use store::{Error, Result, Store};
use xmpp::jid::Jid;

use crate::owner::random;

const NAMESPACE: &str = "throng:login";
const KEY: &str = "secret";

/// Who makes it: the process that is the first to raise this epoch.
const MAKER: &str = "throng:login-secret";
/// Looks for what another process makes, and between them. If it has died meanwhile, this one makes it.
const LOOKS: u32 = 40;
const LOOK: Duration = Duration::from_millis(50);

/// The secret, made the first time. It is a document of `service`, an address without an account: a domain. Without one
/// nobody can log in, and any secret will do.
pub(crate) async fn load(store: &Store, service: Option<&Jid>) -> Result<[u8; 32]> {
    let Some(service) = service else { return Ok(random()) };
    if let Some(secret) = read(store, service).await? {
        return Ok(secret);
    }
    // Others may begin at the same moment, and what they answered must be the same: one of them makes it.
    if store.epochs.raise(MAKER).await? > 1 {
        for _ in 0..LOOKS {
            if let Some(secret) = read(store, service).await? {
                return Ok(secret);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    let secret = random();
    store.documents.put(service, NAMESPACE, KEY, Bytes::copy_from_slice(&secret)).await?;
    Ok(secret)
}

async fn read(store: &Store, service: &Jid) -> Result<Option<[u8; 32]>> {
    let document = store.documents.read(service, NAMESPACE, KEY).await?;
    let secret = |document: Bytes| {
        document.as_ref().try_into().map_err(|_| Error::Corrupt("the secret of logins".into()))
    };
    document.map(secret).transpose()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use futures_util::future::join_all;
    use store::Documents;

    use super::*;

    #[tokio::test]
    async fn a_secret_is_the_same_after_a_restart_and_another_in_another_store() {
        let (here, there) = (store::memory::open(), store::memory::open());
        let service: Jid = "capulet.example".parse().unwrap();
        let secret = load(&here, Some(&service)).await.unwrap();
        assert_eq!(load(&here, Some(&service)).await.unwrap(), secret);
        assert_ne!(load(&there, Some(&service)).await.unwrap(), secret);
    }

    #[tokio::test]
    async fn processes_that_begin_at_once_have_the_same() {
        let (here, service) = (store::memory::open(), "capulet.example".parse::<Jid>().unwrap());
        // Between looking for it and making it everybody has time to look, too.
        let slow = Store { documents: Arc::new(Slow(here.documents.clone(), AtomicU32::new(0))), ..here };
        let all = join_all((0..4).map(|_| load(&slow, Some(&service)))).await;
        assert!(all.windows(2).all(|two| two[0].as_ref().unwrap() == two[1].as_ref().unwrap()), "{all:?}");
    }

    #[tokio::test]
    async fn who_was_to_make_it_may_have_died() {
        let (here, service) = (store::memory::open(), "capulet.example".parse::<Jid>().unwrap());
        here.epochs.raise(MAKER).await.unwrap();
        let secret = load(&here, Some(&service)).await.unwrap();
        assert_eq!(load(&here, Some(&service)).await.unwrap(), secret);
    }

    /// Documents that take their time.
    struct Slow(Arc<dyn Documents>, AtomicU32);

    #[async_trait]
    impl Documents for Slow {
        async fn read(&self, account: &Jid, namespace: &str, key: &str) -> Result<Option<Bytes>> {
            let found = self.0.read(account, namespace, key).await;
            tokio::time::sleep(LOOK).await;
            found
        }
        async fn put(&self, account: &Jid, namespace: &str, key: &str, document: Bytes) -> Result<()> {
            // One after the other, so that each would read what it has put itself.
            let turn = self.1.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(4 * turn * LOOK).await;
            self.0.put(account, namespace, key, document).await
        }
        async fn delete(&self, account: &Jid, namespace: &str, key: &str) -> Result<()> {
            self.0.delete(account, namespace, key).await
        }
        async fn list(&self, account: &Jid, namespace: &str) -> Result<Vec<String>> {
            self.0.list(account, namespace).await
        }
        async fn names(&self, account: &Jid) -> Result<Vec<(String, String)>> {
            self.0.names(account).await
        }
    }

    #[tokio::test]
    async fn a_damaged_secret_is_not_replaced_silently() {
        let (here, service) = (store::memory::open(), "capulet.example".parse::<Jid>().unwrap());
        here.documents.put(&service, NAMESPACE, KEY, Bytes::from_static(b"short")).await.unwrap();
        assert!(matches!(load(&here, Some(&service)).await, Err(Error::Corrupt(_))));
    }
}
