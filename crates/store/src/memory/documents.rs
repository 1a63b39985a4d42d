//! Documents in memory.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::Memory;
use crate::{
    Documents, Error, Result,
    documents::{BYTES_MAX, check_names},
};

#[async_trait]
impl Documents for Memory {
    async fn read(&self, account: &Jid, namespace: &str, key: &str) -> Result<Option<Bytes>> {
        check_names(namespace, key)?;
        Ok(Memory::read(self, account, |kept| kept.documents.get(&name(namespace, key)).cloned()))
    }

    async fn put(&self, account: &Jid, namespace: &str, key: &str, document: Bytes) -> Result<()> {
        check_names(namespace, key)?;
        Error::if_larger("a document in bytes", document.len(), BYTES_MAX)?;
        self.write(account, |kept| kept.documents.insert(name(namespace, key), document));
        Ok(())
    }

    async fn delete(&self, account: &Jid, namespace: &str, key: &str) -> Result<()> {
        check_names(namespace, key)?;
        self.write(account, |kept| kept.documents.remove(&name(namespace, key)));
        Ok(())
    }

    async fn list(&self, account: &Jid, namespace: &str) -> Result<Vec<String>> {
        check_names(namespace, "")?;
        Ok(Memory::read(self, account, |kept| {
            let found = kept.documents.range(name(namespace, "")..);
            found.take_while(|((held, _), _)| held == namespace).map(|((_, key), _)| key.clone()).collect()
        }))
    }

    async fn names(&self, account: &Jid) -> Result<Vec<(String, String)>> {
        Ok(Memory::read(self, account, |kept| kept.documents.keys().cloned().collect()))
    }
}

fn name(namespace: &str, key: &str) -> (String, String) {
    (namespace.to_owned(), key.to_owned())
}
