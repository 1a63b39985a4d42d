//! The secret from which answers for unknown accounts are made (RFC 5802 §5.1): kept in the store, so that they are the
//! same after a restart, and nobody can tell an account that is not there by a salt that changes.

use bytes::Bytes;
use store::{Error, Result, Store};
use xmpp::jid::Jid;

use crate::owner::random;

const NAMESPACE: &str = "throng:login";
const KEY: &str = "secret";

/// The secret, made the first time. It is a document of `service`, an address without an account: a domain. Without one
/// nobody can log in, and any secret will do.
pub(crate) async fn load(store: &Store, service: Option<&Jid>) -> Result<[u8; 32]> {
    let Some(service) = service else { return Ok(random()) };
    if let Some(secret) = read(store, service).await? {
        return Ok(secret);
    }
    let secret = random();
    store.documents.put(service, NAMESPACE, KEY, Bytes::copy_from_slice(&secret)).await?;
    // Another process may have begun at the same moment: what is stored last counts for both.
    Ok(read(store, service).await?.unwrap_or(secret))
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
    async fn a_damaged_secret_is_not_replaced_silently() {
        let (here, service) = (store::memory::open(), "capulet.example".parse::<Jid>().unwrap());
        here.documents.put(&service, NAMESPACE, KEY, Bytes::from_static(b"short")).await.unwrap();
        assert!(matches!(load(&here, Some(&service)).await, Err(Error::Corrupt(_))));
    }
}
