//! Epochs, decided by compare-and-set.

use async_trait::async_trait;

use super::{Scylla, TRIES_MAX, contended, cql::Statement};
use crate::{Epochs, Result, epochs::check};

const CURRENT: Statement = Statement::serial("SELECT epoch FROM epochs WHERE member = ?");
const FIRST: Statement = Statement::decide("INSERT INTO epochs (member, epoch) VALUES (?, 1) IF NOT EXISTS");
const NEXT: Statement = Statement::decide("UPDATE epochs SET epoch = ? WHERE member = ? IF epoch = ?");

#[async_trait]
impl Epochs for Scylla {
    async fn current(&self, member: &str) -> Result<u64> {
        let found: Option<(i64,)> = self.cql.row(&CURRENT, (member,)).await?;
        Ok(found.map_or(0, |(epoch,)| epoch.cast_unsigned()))
    }

    async fn raise(&self, member: &str) -> Result<u64> {
        check(member)?;
        let _held = self.locks.hold(member.as_bytes()).await;
        for _ in 0..TRIES_MAX {
            let epoch = self.current(member).await?.cast_signed();
            let raised = match epoch {
                0 => self.cql.decide(&FIRST, (member,)).await?,
                epoch => self.cql.decide(&NEXT, (epoch + 1, member, epoch)).await?,
            };
            if raised {
                return Ok((epoch + 1).cast_unsigned());
            }
        }
        Err(contended())
    }
}
