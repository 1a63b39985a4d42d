//! Hibernated sessions: a row by origin, decided by compare-and-set, and an index of each account's.
//!
//! The index may name sessions that are gone, never miss one that is there. Both are forgotten some time after the
//! deadline, should nobody purge them.

use async_trait::async_trait;
use bytes::Bytes;
use scylla::response::PagingState;
use xmpp::jid::Jid;

use super::{Scylla, TRIES_MAX, contended, cql::Statement, jid, now_ms};
use crate::{Error, Hibernated, Result, Session};

const ROW: Statement =
    Statement::serial("SELECT change, account, deadline_ms, state FROM hibernated WHERE origin = ?");
const FIRST: Statement = Statement::decide(
    "INSERT INTO hibernated (origin, change, account, deadline_ms, state) VALUES (?, 1, ?, ?, ?) \
     IF NOT EXISTS USING TTL ?",
);
const AGAIN: Statement = Statement::decide(
    "UPDATE hibernated USING TTL ? SET change = ?, account = ?, deadline_ms = ?, state = ? \
     WHERE origin = ? IF change = ?",
);
const TAKE: Statement = Statement::decide("DELETE FROM hibernated WHERE origin = ? IF change = ?");
const DEADLINES: Statement = Statement::read("SELECT origin, deadline_ms FROM hibernated");
const INDEX: Statement =
    Statement::write("INSERT INTO hibernated_of (account, origin) VALUES (?, ?) USING TTL ?");
const LIST: Statement = Statement::read("SELECT origin FROM hibernated_of WHERE account = ?");
const UNINDEX: Statement = Statement::write("DELETE FROM hibernated_of WHERE account = ? AND origin = ?");

/// For how long after its deadline a session is kept, and for how long altogether.
const KEPT_AFTER_S: u64 = 24 * 3600;
const KEPT_MAX_S: u64 = 365 * 24 * 3600;
const PAGE_ROWS: i32 = 500;

/// A session, and which of the ones put under its origin.
struct Found {
    change: i64,
    session: Session,
}

#[async_trait]
impl Hibernated for Scylla {
    async fn put(&self, session: Session) -> Result<()> {
        session.check()?;
        let origin = &session.origin[..];
        let _held = self.locks.hold(origin).await;
        let (account, deadline_ms) = (session.account.bare_str(), session.deadline_ms.cast_signed());
        let left_s = session.deadline_ms.saturating_sub(now_ms()) / 1000;
        let ttl = left_s.saturating_add(KEPT_AFTER_S).min(KEPT_MAX_S) as i32;
        for _ in 0..TRIES_MAX {
            let before = self.session(session.origin).await?;
            self.cql.write(&INDEX, (account, origin, ttl)).await?;
            let state = &session.state[..];
            let put = match &before {
                None => self.cql.decide(&FIRST, (origin, account, deadline_ms, state, ttl)).await?,
                Some(Found { change, .. }) => {
                    let values = (ttl, change + 1, account, deadline_ms, state, origin, change);
                    self.cql.decide(&AGAIN, values).await?
                }
            };
            if put {
                let moved = before.filter(|before| before.session.account.as_str() != account);
                return match moved {
                    Some(Found { session, .. }) => self.unindex(session.account.as_str(), origin).await,
                    None => Ok(()),
                };
            }
        }
        Err(contended())
    }

    async fn take(&self, origin: [u8; 16]) -> Result<Option<Session>> {
        let _held = self.locks.hold(&origin).await;
        for _ in 0..TRIES_MAX {
            let Some(Found { change, session }) = self.session(origin).await? else { return Ok(None) };
            if self.cql.decide(&TAKE, (&origin[..], change)).await? {
                // It is taken, whatever becomes of the index.
                if let Err(error) = self.unindex(session.account.as_str(), &origin).await {
                    tracing::debug!(%error, "a session that was taken stays in the index");
                }
                return Ok(Some(session));
            }
        }
        Err(contended())
    }

    async fn list(&self, account: &Jid) -> Result<Vec<Session>> {
        let account = account.bare_str();
        let mut sessions = Vec::new();
        for origin in self.origins_of(account).await? {
            let found = self.session(origin).await?.map(|found| found.session);
            sessions.extend(found.filter(|session| session.account.as_str() == account));
        }
        Ok(sessions)
    }

    async fn purge(&self, before_ms: u64) -> Result<usize> {
        let (mut purged, mut next) = (0, Some(PagingState::start()));
        while let Some(state) = next {
            let (page, after): (Vec<(Vec<u8>, Option<i64>)>, _) =
                self.cql.page(&DEADLINES, PAGE_ROWS, state).await?;
            for (name, deadline_ms) in page {
                if deadline_ms.unwrap_or_default().cast_unsigned() < before_ms {
                    purged += usize::from(self.purge_one(origin(&name)?, before_ms).await?);
                }
            }
            next = after;
        }
        Ok(purged)
    }
}

impl Scylla {
    async fn session(&self, origin: [u8; 16]) -> Result<Option<Found>> {
        type Row = (i64, String, i64, Option<Bytes>);
        let found: Option<Row> = self.cql.row(&ROW, (&origin[..],)).await?;
        let Some((change, account, deadline_ms, state)) = found else { return Ok(None) };
        let session = Session {
            origin,
            account: jid(&account)?,
            deadline_ms: deadline_ms.cast_unsigned(),
            state: state.unwrap_or_default(),
        };
        Ok(Some(Found { change, session }))
    }

    async fn purge_one(&self, origin: [u8; 16], before_ms: u64) -> Result<bool> {
        // Meanwhile it may have been taken, or put again with a later deadline.
        let found = self.session(origin).await?;
        let overdue = found.filter(|found| found.session.deadline_ms < before_ms);
        let Some(Found { change, session }) = overdue else { return Ok(false) };
        let purged = self.cql.decide(&TAKE, (&origin[..], change)).await?;
        if purged {
            self.unindex(session.account.as_str(), &origin).await?;
        }
        Ok(purged)
    }

    async fn origins_of(&self, account: &str) -> Result<Vec<[u8; 16]>> {
        let origins: Vec<(Vec<u8>,)> = self.cql.rows(&LIST, (account,)).await?;
        origins.iter().map(|(name,)| origin(name)).collect()
    }

    async fn unindex(&self, account: &str, origin: &[u8]) -> Result<()> {
        self.cql.write(&UNINDEX, (account, origin)).await
    }

    pub(super) async fn remove_hibernated(&self, account: &str) -> Result<()> {
        for origin in self.origins_of(account).await? {
            let found = self.session(origin).await?;
            if let Some(Found { change, .. }) =
                found.filter(|found| found.session.account.as_str() == account)
            {
                self.cql.decide(&TAKE, (&origin[..], change)).await?;
            }
            self.unindex(account, &origin).await?;
        }
        Ok(())
    }
}

pub(super) fn origin(name: &[u8]) -> Result<[u8; 16]> {
    name.try_into().map_err(|_| Error::Corrupt("an origin is not of sixteen bytes".into()))
}
