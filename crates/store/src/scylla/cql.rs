//! Statements, and what becomes of them.
//!
//! A statement is prepared when it is first used, and goes to a node that holds what it is about. Reads may be repeated,
//! and are asked of a second node when the first one is late. Writes are repeated only after an answer that says they
//! were not performed; whoever asked for one repeats it after [`Error::Unknown`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;
use scylla::{
    client::{execution_profile::ExecutionProfileHandle, session::Session},
    deserialize::{DeserializationError, row::DeserializeRow},
    errors::{DbError, ExecutionError, RequestAttemptError},
    frame::types::{Consistency, SerialConsistency},
    response::{PagingState, query_result::QueryResult},
    serialize::row::SerializeRow,
    statement::{
        batch::{Batch, BatchType},
        prepared::PreparedStatement,
    },
    value::{CqlValue, Row},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Error, Result};

/// What a statement does, which says how it may be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sees what was acknowledged before.
    Read,
    /// Sees what was decided before, and has what is being decided finished first.
    Serial,
    /// Writes.
    Write,
    /// Writes if a condition holds.
    Decide,
}

/// A statement with its text.
pub(super) struct Statement {
    kind: Kind,
    text: &'static str,
}

impl Statement {
    pub(super) const fn read(text: &'static str) -> Self {
        Self { kind: Kind::Read, text }
    }

    pub(super) const fn serial(text: &'static str) -> Self {
        Self { kind: Kind::Serial, text }
    }

    pub(super) const fn write(text: &'static str) -> Self {
        Self { kind: Kind::Write, text }
    }

    pub(super) const fn decide(text: &'static str) -> Self {
        Self { kind: Kind::Decide, text }
    }
}

/// What a row may be read into.
pub(super) trait Read: for<'a> DeserializeRow<'a, 'a> {}
impl<T: for<'a> DeserializeRow<'a, 'a>> Read for T {}

/// A connection to the cluster with everything prepared on it.
pub(super) struct Cql {
    pub(super) session: Session,
    /// How reads are sent: to a second node when the first is late.
    pub(super) reads: ExecutionProfileHandle,
    pub(super) serial: SerialConsistency,
    pub(super) timeout: Duration,
    pub(super) under_way: Semaphore,
    pub(super) prepared: RwLock<HashMap<&'static str, Arc<PreparedStatement>>>,
}

impl Cql {
    /// Every row that a statement finds; to be used where they are few.
    pub(super) async fn rows<R: Read>(
        &self,
        statement: &Statement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>> {
        let result = self.execute(statement, values).await?;
        let rows = result.into_rows_result().map_err(unreadable)?;
        let rows = rows.rows::<R>().map_err(unreadable)?;
        rows.collect::<std::result::Result<_, DeserializationError>>().map_err(unreadable)
    }

    /// The only row, or the first one.
    pub(super) async fn row<R: Read>(
        &self,
        statement: &Statement,
        values: impl SerializeRow,
    ) -> Result<Option<R>> {
        let result = self.execute(statement, values).await?;
        let rows = result.into_rows_result().map_err(unreadable)?;
        rows.maybe_first_row::<R>().map_err(unreadable)
    }

    /// Some rows of a table, at most `page_rows`, and where to read on; begin with the default.
    pub(super) async fn page<R: Read>(
        &self,
        statement: &Statement,
        page_rows: i32,
        state: PagingState,
    ) -> Result<(Vec<R>, Option<PagingState>)> {
        let mut prepared = PreparedStatement::clone(&*self.prepare(statement).await?);
        prepared.set_page_size(page_rows);
        let _permit = self.permit().await?;
        let page = self.session.execute_single_page(&prepared, (), state).await;
        let (result, next) = page.map_err(|error| failed(Kind::Read, &error))?;
        let rows = result.into_rows_result().map_err(unreadable)?;
        let rows = rows.rows::<R>().map_err(unreadable)?;
        let rows = rows.collect::<std::result::Result<_, DeserializationError>>().map_err(unreadable)?;
        Ok((rows, next.into_paging_control_flow().continue_value()))
    }

    pub(super) async fn write(&self, statement: &Statement, values: impl SerializeRow) -> Result<()> {
        self.execute(statement, values).await.map(drop)
    }

    /// Writes rows of one partition, all or none.
    pub(super) async fn write_all(
        &self,
        statement: &Statement,
        values: Vec<impl SerializeRow>,
    ) -> Result<()> {
        if let [one] = &values[..] {
            return self.write(statement, one).await;
        }
        let prepared = self.prepare(statement).await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        for _ in &values {
            batch.append_statement(PreparedStatement::clone(&prepared));
        }
        self.batch(&batch, values).await.map(drop)
    }

    /// Writes if the condition holds, and says whether it did.
    pub(super) async fn decide(&self, statement: &Statement, values: impl SerializeRow) -> Result<bool> {
        decided(self.execute(statement, values).await?)
    }

    /// Writes all of these, which are about one partition, if all their conditions hold, and says whether they did.
    pub(super) async fn decide_all(&self, writes: Vec<(&Statement, Vec<Value>)>) -> Result<bool> {
        let mut batch = Batch::new(BatchType::Unlogged);
        let mut values = Vec::with_capacity(writes.len());
        for (statement, of) in writes {
            batch.append_statement(PreparedStatement::clone(&*self.prepare(statement).await?));
            values.push(of);
        }
        batch.set_serial_consistency(Some(self.serial));
        decided(self.batch(&batch, values).await?)
    }

    async fn execute(&self, statement: &Statement, values: impl SerializeRow) -> Result<QueryResult> {
        let prepared = self.prepare(statement).await?;
        let _permit = self.permit().await?;
        let result = self.session.execute_unpaged(&prepared, values).await;
        result.map_err(|error| failed(statement.kind, &error))
    }

    async fn batch(&self, batch: &Batch, values: Vec<impl SerializeRow>) -> Result<QueryResult> {
        let _permit = self.permit().await?;
        self.session.batch(batch, values).await.map_err(|error| failed(Kind::Write, &error))
    }

    /// The right to send a request; refused when those under way leave no room for it in time.
    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(permit) = self.under_way.try_acquire() {
            return Ok(permit);
        }
        let full = || Error::Refused("too many requests are under way".into());
        let permit = tokio::time::timeout(self.timeout, self.under_way.acquire()).await;
        permit.map_err(|_| full())?.map_err(|_| full())
    }

    async fn prepare(&self, statement: &Statement) -> Result<Arc<PreparedStatement>> {
        if let Some(prepared) = self.prepared.read().get(statement.text) {
            return Ok(prepared.clone());
        }
        let preparing = tokio::time::timeout(self.timeout, self.session.prepare(statement.text)).await;
        let refused = |why: String| Error::Refused(format!("a statement was not prepared: {why}"));
        let mut prepared = preparing
            .map_err(|_| refused("no answer in time".into()))?
            .map_err(|error| refused(error.to_string()))?;
        match statement.kind {
            Kind::Read => {
                prepared.set_is_idempotent(true);
                prepared.set_execution_profile_handle(Some(self.reads.clone()));
            }
            Kind::Serial => prepared.set_consistency(match self.serial {
                SerialConsistency::Serial => Consistency::Serial,
                SerialConsistency::LocalSerial => Consistency::LocalSerial,
            }),
            Kind::Write | Kind::Decide => prepared.set_is_idempotent(false),
        }
        let prepared = Arc::new(prepared);
        self.prepared.write().insert(statement.text, prepared.clone());
        Ok(prepared)
    }
}

/// A value of a batch of different statements.
pub(super) type Value = Option<CqlValue>;

/// A number of rows, as CQL has it.
pub(super) fn rows(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn text<'a>(value: impl Into<Option<&'a str>>) -> Value {
    value.into().map(|text| CqlValue::Text(text.to_owned()))
}

pub(super) fn number(value: impl Into<Option<i64>>) -> Value {
    value.into().map(CqlValue::BigInt)
}

fn decided(result: QueryResult) -> Result<bool> {
    let rows = result.into_rows_result().map_err(unreadable)?;
    let row = rows.maybe_first_row::<Row>().map_err(unreadable)?;
    let applied = row.and_then(|row| row.columns.into_iter().next().flatten());
    applied.and_then(|applied| applied.as_boolean()).ok_or_else(|| unreadable("a decision has no outcome"))
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Corrupt(error.to_string())
}

/// What is known after a failure: that nothing was written, or, of a write that may have reached a node, nothing.
fn failed(kind: Kind, error: &ExecutionError) -> Error {
    if matches!(kind, Kind::Read | Kind::Serial) || unsent(kind, error) {
        Error::Refused(error.to_string())
    } else {
        Error::Unknown(error.to_string())
    }
}

fn unsent(kind: Kind, error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_)
        | ExecutionError::EmptyPlan
        | ExecutionError::PrepareError(_)
        | ExecutionError::ConnectionPoolError(_) => true,
        ExecutionError::LastAttemptError(error) => match error {
            RequestAttemptError::SerializationError(_)
            | RequestAttemptError::CqlRequestSerialization(_)
            | RequestAttemptError::UnableToAllocStreamId => true,
            RequestAttemptError::DbError(error, _) => match error {
                DbError::SyntaxError
                | DbError::Invalid
                | DbError::AuthenticationError
                | DbError::Unauthorized
                | DbError::ConfigError
                | DbError::IsBootstrapping => true,
                // A decision may have been accepted before too few were left to tell of it.
                DbError::Unavailable { .. } => kind == Kind::Write,
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}
