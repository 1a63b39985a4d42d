//! Documents on disk: one entry each.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
};
use crate::{
    Documents, Error, Result,
    documents::{BYTES_MAX, check_names},
};

#[async_trait]
impl Documents for Disk {
    async fn read(&self, account: &Jid, namespace: &str, key: &str) -> Result<Option<Bytes>> {
        let value = self.value(Noun::Documents, &full_key(account, namespace, key)?)?;
        Ok(value.map(|document| Bytes::copy_from_slice(&document)))
    }

    async fn put(&self, account: &Jid, namespace: &str, key: &str, document: Bytes) -> Result<()> {
        let key = full_key(account, namespace, key)?;
        Error::if_larger("a document in bytes", document.len(), BYTES_MAX)?;
        self.write(vec![Op::put(Noun::Documents, key, &document[..])], Vec::new()).await
    }

    async fn delete(&self, account: &Jid, namespace: &str, key: &str) -> Result<()> {
        let key = full_key(account, namespace, key)?;
        self.write(vec![Op::delete(Noun::Documents, key)], Vec::new()).await
    }

    async fn list(&self, account: &Jid, namespace: &str) -> Result<Vec<String>> {
        let prefix = full_key(account, namespace, "")?;
        self.scan(move |keyspaces| {
            let found = keyspaces.prefix(Noun::Documents, &prefix);
            found.map(|entry| Ok(keys::text(keys::after(&entry?.0, prefix.len())?)?.to_owned())).collect()
        })
        .await
    }

    async fn names(&self, account: &Jid) -> Result<Vec<(String, String)>> {
        let prefix = keys::of(account);
        self.scan(move |keyspaces| {
            let found = keyspaces.prefix(Noun::Documents, &prefix);
            found.map(|entry| name(keys::after(&entry?.0, prefix.len())?)).collect()
        })
        .await
    }
}

/// Reads a namespace and a key as [`full_key`] joined them.
fn name(joined: &[u8]) -> Result<(String, String)> {
    let (namespace, key) = keys::text(joined)?
        .split_once('\0')
        .ok_or_else(|| Error::Corrupt("the name of a document has no key".into()))?;
    Ok((namespace.to_owned(), key.to_owned()))
}

fn full_key(account: &Jid, namespace: &str, key: &str) -> Result<Vec<u8>> {
    check_names(namespace, key)?;
    Ok(keys::joined(account, &[namespace.as_bytes(), b"\0", key.as_bytes()]))
}
