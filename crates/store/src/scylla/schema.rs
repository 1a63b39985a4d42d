//! The tables: migrations with numbers, performed in their order by one process at a time.
//!
//! A migration may be cut off and begun again, so each of its statements does nothing the second time. What is taken
//! away goes in two releases: one that no longer uses it, and a later one whose migration drops it.

use std::time::Duration;

use scylla::{client::session::Session, statement::unprepared::Statement as Text, value::Row};

use super::{
    Options, connect,
    cql::{Cql, Statement},
    is_name, now_ms,
};
use crate::{Error, Result};

/// Every migration; the number of the last one is the version of the schema that this program needs.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_first.cql")];

const VERSION: Statement = Statement::serial("SELECT version FROM schema_version WHERE name = 'schema'");

/// For how long a migrator that says nothing is believed to be at work, and waited for.
const HELD_MS: u64 = 60_000;
const POLL: Duration = Duration::from_millis(250);
/// On how many nodes a keyspace is kept of which nothing else was said.
const REPLICAS_MAX: usize = 3;
/// How long one change of the schema may take.
const CHANGE_TIMEOUT: Duration = Duration::from_mins(1);

/// What [`migrate`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The keyspace is there, made if it was not.
    Keyspace(String),
    /// Another process migrates, and is waited for.
    Waiting,
    /// The version before.
    Found(u32),
    /// A migration is performed, of so many statements.
    Migrating(u32, usize),
    /// The version now.
    Done(u32),
}

/// Makes the keyspace, if there is none, and brings its tables to the version that this program needs. `say` is told of
/// each step. [`Error::Newer`] if they are of a newer version.
pub async fn migrate(options: &Options, mut say: impl FnMut(Step) + Send) -> Result<()> {
    if !is_name(&options.keyspace) {
        return Err(Error::Refused(format!("{:?} is no name of a keyspace", options.keyspace)));
    }
    let session = connect::connect(options, None).await?;
    let keyspace = &options.keyspace;
    let replication = options.replication.clone().unwrap_or_else(|| {
        let replicas = session.get_cluster_state().get_nodes_info().len().clamp(1, REPLICAS_MAX);
        format!("{{'class': 'NetworkTopologyStrategy', 'replication_factor': {replicas}}}")
    });
    let create = format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}");
    perform(&session, &create).await?;
    say(Step::Keyspace(keyspace.clone()));
    session.use_keyspace(keyspace, true).await.map_err(|error| Error::Refused(error.to_string()))?;
    perform(
        &session,
        "CREATE TABLE IF NOT EXISTS schema_version \
         (name text PRIMARY KEY, version int, holder bigint, until_ms bigint)",
    )
    .await?;
    decide(
        &session,
        "INSERT INTO schema_version (name, version, holder, until_ms) \
                      VALUES ('schema', 0, 0, 0) IF NOT EXISTS",
    )
    .await?;
    let holder = now_ms() << 10 | u64::from(std::process::id() & 1023);
    while !hold(&session, holder).await? {
        say(Step::Waiting);
        tokio::time::sleep(POLL).await;
    }
    let outcome = bring(&session, holder, &mut say).await;
    let free = format!(
        "UPDATE schema_version SET holder = 0, until_ms = 0 WHERE name = 'schema' IF holder = {holder}"
    );
    decide(&session, &free).await?;
    outcome
}

/// Refuses a schema of another version than this program's.
pub(super) async fn check(cql: &Cql) -> Result<()> {
    let found: Option<(i32,)> = match cql.row(&VERSION, ()).await {
        // The keyspace is there, and no table of ours.
        Err(Error::Refused(why)) if why.contains("schema_version") => None,
        found => found?,
    };
    let (found, known) = (found.map_or(0, |(version,)| version.cast_unsigned()), MIGRATIONS.len() as u32);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(Error::Older { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Error::Newer { found, known }),
    }
}

/// Takes the lock, if nobody holds it or its holder has not been heard of for long.
async fn hold(session: &Session, holder: u64) -> Result<bool> {
    let (now, until) = (now_ms(), now_ms() + HELD_MS);
    decide(session, &format!(
        "UPDATE schema_version SET holder = {holder}, until_ms = {until} WHERE name = 'schema' IF until_ms < {now}"
    )).await
}

async fn bring(session: &Session, holder: u64, say: &mut (impl FnMut(Step) + Send)) -> Result<()> {
    let found = query(session, "SELECT version FROM schema_version WHERE name = 'schema'").await?;
    let found = found.and_then(|row| row.columns.into_iter().next().flatten());
    let found = found.and_then(|version| version.as_int()).unwrap_or_default().cast_unsigned();
    let known = MIGRATIONS.len() as u32;
    say(Step::Found(found));
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let statements: Vec<String> = statements(migration).collect();
        say(Step::Migrating(version, statements.len()));
        for statement in &statements {
            perform(session, statement).await?;
        }
        let until = now_ms() + HELD_MS;
        let done = format!(
            "UPDATE schema_version SET version = {version}, until_ms = {until} WHERE name = 'schema' \
             IF holder = {holder}"
        );
        if !decide(session, &done).await? {
            return Err(Error::Refused("another process has begun to migrate: try again".into()));
        }
    }
    say(Step::Done(known));
    Ok(())
}

/// The statements of a migration, without its comments.
fn statements(migration: &str) -> impl Iterator<Item = String> {
    let lines = migration.lines().filter(|line| !line.trim_start().starts_with("--"));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    let statements: Vec<String> = text.split(';').map(|text| text.trim().to_owned()).collect();
    statements.into_iter().filter(|statement| !statement.is_empty())
}

async fn perform(session: &Session, text: &str) -> Result<()> {
    query(session, text).await.map(drop)
}

async fn decide(session: &Session, text: &str) -> Result<bool> {
    let row = query(session, text).await?;
    let applied = row.and_then(|row| row.columns.into_iter().next().flatten());
    Ok(applied.and_then(|applied| applied.as_boolean()).unwrap_or_default())
}

async fn query(session: &Session, text: &str) -> Result<Option<Row>> {
    let mut statement = Text::new(text);
    statement.set_request_timeout(Some(CHANGE_TIMEOUT));
    let refused = |error: &dyn std::fmt::Display| Error::Refused(format!("a migration failed: {error}"));
    let result = session.query_unpaged(statement, ()).await.map_err(|error| refused(&error))?;
    if !result.is_rows() {
        return Ok(None);
    }
    let rows = result.into_rows_result().map_err(|error| refused(&error))?;
    rows.maybe_first_row::<Row>().map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_of_a_migration_may_be_performed_again() {
        for migration in MIGRATIONS {
            assert!(statements(migration).count() > 0);
            for statement in statements(migration) {
                let again = ["CREATE TABLE IF NOT EXISTS ", "ALTER TABLE ", "DROP TABLE IF EXISTS "];
                assert!(again.iter().any(|start| statement.starts_with(start)), "{statement}");
            }
        }
    }
}
