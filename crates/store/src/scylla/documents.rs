//! Documents: one partition an account.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{Scylla, cql::Statement};
use crate::{
    Documents, Error, Result,
    documents::{BYTES_MAX, check_names},
};

const READ: Statement =
    Statement::read("SELECT document FROM documents WHERE account = ? AND namespace = ? AND name = ?");
const PUT: Statement = Statement::write(
    "INSERT INTO documents (account, namespace, name, document) VALUES (?, ?, ?, ?) USING TIMESTAMP ?",
);
const DELETE: Statement = Statement::write(
    "DELETE FROM documents USING TIMESTAMP ? WHERE account = ? AND namespace = ? AND name = ?",
);
const LIST: Statement = Statement::read("SELECT name FROM documents WHERE account = ? AND namespace = ?");
const NAMES: Statement = Statement::read("SELECT namespace, name FROM documents WHERE account = ?");

#[async_trait]
impl Documents for Scylla {
    async fn read(&self, account: &Jid, namespace: &str, key: &str) -> Result<Option<Bytes>> {
        let found: Option<(Option<Bytes>,)> =
            self.cql.row(&READ, (account.bare_str(), namespace, key)).await?;
        Ok(found.map(|(document,)| document.unwrap_or_default()))
    }

    async fn put(&self, account: &Jid, namespace: &str, key: &str, document: Bytes) -> Result<()> {
        check_names(namespace, key)?;
        Error::if_larger("a document in bytes", document.len(), BYTES_MAX)?;
        let account = account.bare_str();
        let stamp = self.stamp(account).await?;
        self.cql.write(&PUT, (account, namespace, key, document, stamp)).await
    }

    async fn delete(&self, account: &Jid, namespace: &str, key: &str) -> Result<()> {
        let account = account.bare_str();
        let stamp = self.stamp(account).await?;
        self.cql.write(&DELETE, (stamp, account, namespace, key)).await
    }

    async fn list(&self, account: &Jid, namespace: &str) -> Result<Vec<String>> {
        let names: Vec<(String,)> = self.cql.rows(&LIST, (account.bare_str(), namespace)).await?;
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    async fn names(&self, account: &Jid) -> Result<Vec<(String, String)>> {
        self.cql.rows(&NAMES, (account.bare_str(),)).await
    }
}
