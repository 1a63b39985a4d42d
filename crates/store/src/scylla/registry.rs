//! The registry: one partition a slot. A cluster keeps it in Redis; this one is for those that have none.

use async_trait::async_trait;

use super::{Scylla, cql::Statement, hibernated::origin, jid};
use crate::{Registered, Registry, Result};

const PUT: Statement =
    Statement::write("INSERT INTO registry (slot, origin, jid, edge, resumable_ms) VALUES (?, ?, ?, ?, ?)");
const REMOVE: Statement = Statement::write("DELETE FROM registry WHERE slot = ? AND origin = ?");
const OF_SLOT: Statement =
    Statement::read("SELECT origin, jid, edge, resumable_ms FROM registry WHERE slot = ?");

#[async_trait]
impl Registry for Scylla {
    async fn put(&self, slot: u16, sessions: &[Registered]) -> Result<()> {
        if sessions.is_empty() {
            return Ok(());
        }
        let values = sessions.iter().map(|session| {
            let resumable_ms = session.resumable_ms.cast_signed();
            (i32::from(slot), &session.origin[..], session.jid.as_str(), &session.edge[..], resumable_ms)
        });
        self.cql.write_all(&PUT, values.collect()).await
    }

    async fn remove(&self, slot: u16, origins: &[[u8; 16]]) -> Result<()> {
        if origins.is_empty() {
            return Ok(());
        }
        let values = origins.iter().map(|origin| (i32::from(slot), &origin[..])).collect();
        self.cql.write_all(&REMOVE, values).await
    }

    async fn of_slot(&self, slot: u16) -> Result<Vec<Registered>> {
        let found: Vec<(Vec<u8>, String, String, i64)> = self.cql.rows(&OF_SLOT, (i32::from(slot),)).await?;
        let registered = found.into_iter().map(|(name, full, edge, resumable_ms)| {
            let (origin, resumable_ms) = (origin(&name)?, resumable_ms.cast_unsigned());
            Ok(Registered { origin, jid: jid(&full)?, edge, resumable_ms })
        });
        registered.collect()
    }
}
