//! Members and the table of slots, decided by compare-and-set; each member is a partition, so nobody waits for another's
//! beat.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;

use super::{Scylla, TRIES_MAX, contended, cql::Statement};
use crate::{
    Error, Member, Members, Result,
    members::{check_name, check_table},
};

const ROW: Statement = Statement::serial("SELECT incarnation, fenced, beat FROM members WHERE name = ?");
const NAMES: Statement = Statement::read("SELECT name FROM members");
const FIRST: Statement = Statement::decide(
    "INSERT INTO members (name, incarnation, fenced, beat) VALUES (?, ?, false, 0) IF NOT EXISTS",
);
const AGAIN: Statement = Statement::decide(
    "UPDATE members SET incarnation = ?, fenced = false, beat = 0 WHERE name = ? \
     IF incarnation = ? AND fenced = ?",
);
const BEAT: Statement =
    Statement::decide("UPDATE members SET beat = ? WHERE name = ? IF incarnation = ? AND fenced = false");
const FENCE: Statement =
    Statement::decide("UPDATE members SET fenced = true WHERE name = ? IF incarnation = ?");
const LEAVE: Statement = Statement::decide("DELETE FROM members WHERE name = ? IF incarnation = ?");

const TABLE: Statement = Statement::serial("SELECT version, slots FROM slots WHERE id = 0");
const FIRST_TABLE: Statement =
    Statement::decide("INSERT INTO slots (id, version, slots) VALUES (0, 1, ?) IF NOT EXISTS");
const NEXT_TABLE: Statement =
    Statement::decide("UPDATE slots SET version = ?, slots = ? WHERE id = 0 IF version = ?");

#[async_trait]
impl Members for Scylla {
    async fn join(&self, name: &str, incarnation: u64) -> Result<()> {
        check_name(name)?;
        let incarnation = incarnation.cast_signed();
        for _ in 0..TRIES_MAX {
            let joined = match self.member(name).await? {
                None => self.cql.decide(&FIRST, (name, incarnation)).await?,
                Some(member) => {
                    let before = member.incarnation.cast_signed();
                    if before > incarnation || before == incarnation && member.fenced {
                        return Err(Error::Conflict);
                    }
                    self.cql.decide(&AGAIN, (incarnation, name, before, member.fenced)).await?
                }
            };
            if joined {
                return Ok(());
            }
        }
        Err(contended())
    }

    async fn beat(&self, name: &str, incarnation: u64, beat: u64) -> Result<bool> {
        self.cql.decide(&BEAT, (beat.cast_signed(), name, incarnation.cast_signed())).await
    }

    async fn fence(&self, name: &str, incarnation: u64) -> Result<()> {
        self.cql.decide(&FENCE, (name, incarnation.cast_signed())).await.map(drop)
    }

    async fn leave(&self, name: &str, incarnation: u64) -> Result<()> {
        self.cql.decide(&LEAVE, (name, incarnation.cast_signed())).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<Member>> {
        let names: Vec<(String,)> = self.cql.rows(&NAMES, ()).await?;
        let members = try_join_all(names.iter().map(|(name,)| self.member(name))).await?;
        let mut members: Vec<Member> = members.into_iter().flatten().collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(members)
    }

    async fn table(&self) -> Result<(u64, Bytes)> {
        let found: Option<(i64, Bytes)> = self.cql.row(&TABLE, ()).await?;
        Ok(found.map_or_else(Default::default, |(version, table)| (version.cast_unsigned(), table)))
    }

    async fn replace_table(&self, version: u64, table: Bytes) -> Result<bool> {
        check_table(&table)?;
        match version.cast_signed() {
            0 => self.cql.decide(&FIRST_TABLE, (table,)).await,
            version => self.cql.decide(&NEXT_TABLE, (version + 1, table, version)).await,
        }
    }
}

impl Scylla {
    async fn member(&self, name: &str) -> Result<Option<Member>> {
        let found: Option<(Option<i64>, Option<bool>, Option<i64>)> = self.cql.row(&ROW, (name,)).await?;
        Ok(found.map(|(incarnation, fenced, beat)| Member {
            name: name.to_owned(),
            incarnation: incarnation.unwrap_or_default().cast_unsigned(),
            fenced: fenced.unwrap_or_default(),
            beat: beat.unwrap_or_default().cast_unsigned(),
        }))
    }
}
