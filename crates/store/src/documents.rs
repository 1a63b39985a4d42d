//! Small named documents of an account: private XML (XEP-0049), its vCard, and what else is a page of bytes.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use crate::{Error, Result};

/// The bytes of one document at most.
pub const BYTES_MAX: usize = 256 * 1024;

/// The bytes of a namespace or a key at most.
pub const NAME_BYTES_MAX: usize = 1024;

/// The documents of all accounts, each named by (account, namespace, key).
///
/// A namespace and a key have at most [`NAME_BYTES_MAX`] bytes and no NUL; the key may be empty.
#[async_trait]
pub trait Documents: Send + Sync {
    /// Reads a document. Never slow.
    async fn read(&self, account: &Jid, namespace: &str, key: &str) -> Result<Option<Bytes>>;

    /// Writes a document of at most [`BYTES_MAX`] in place of what was there.
    async fn put(&self, account: &Jid, namespace: &str, key: &str, document: Bytes) -> Result<()>;

    /// Deletes a document; it need not be there.
    async fn delete(&self, account: &Jid, namespace: &str, key: &str) -> Result<()>;

    /// The keys of the account's documents in a namespace, ordered by their bytes.
    async fn list(&self, account: &Jid, namespace: &str) -> Result<Vec<String>>;

    /// The namespace and key of every document of the account, ordered by their bytes.
    async fn names(&self, account: &Jid) -> Result<Vec<(String, String)>>;
}

/// Refuses names that no backend could keep apart.
pub(crate) fn check_names(namespace: &str, key: &str) -> Result<()> {
    Error::if_larger("the namespace of a document in bytes", namespace.len(), NAME_BYTES_MAX)?;
    Error::if_larger("the key of a document in bytes", key.len(), NAME_BYTES_MAX)?;
    if namespace.contains('\0') || key.contains('\0') {
        return Err(Error::Refused("the name of a document contains nul".into()));
    }
    Ok(())
}
