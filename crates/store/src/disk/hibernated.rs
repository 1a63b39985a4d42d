//! Hibernated sessions on disk: the session lies with its account, so that it goes with it, and an entry by origin says
//! whose it is and until when.

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Slice;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
    record::{self, Writer},
};
use crate::{Error, Hibernated, Result, Session};

/// The sessions that one step of a purge deletes.
const STEP_SESSIONS: usize = 1000;

#[async_trait]
impl Hibernated for Disk {
    async fn put(&self, session: Session) -> Result<()> {
        session.check()?;
        let held = self.locks.hold(&session.origin).await;
        let mut ops = Vec::new();
        if let Some(before) = self.place(&session.origin)? {
            ops.push(Op::delete(Noun::Hibernated, before.key(&session.origin)));
        }
        let place = Place { deadline_ms: session.deadline_ms, account: session.account.bare() };
        ops.push(Op::put(Noun::Deadlines, session.origin, place.encode()));
        ops.push(Op::put(Noun::Hibernated, place.key(&session.origin), encode(&session)));
        self.write(ops, held).await
    }

    async fn take(&self, origin: [u8; 16]) -> Result<Option<Session>> {
        let held = self.locks.hold(&origin).await;
        let Some(place) = self.place(&origin)? else { return Ok(None) };
        let session = self.value(Noun::Hibernated, &place.key(&origin))?;
        self.write(place.removal(&origin).into(), held).await?;
        session.map(|bytes| decode(origin, place.account, &bytes)).transpose()
    }

    async fn list(&self, account: &Jid) -> Result<Vec<Session>> {
        let account = account.bare();
        let prefix = keys::of(&account);
        self.scan(move |keyspaces| {
            let found = keyspaces.prefix(Noun::Hibernated, &prefix);
            found
                .map(|entry| {
                    let (key, value) = entry?;
                    decode(origin(keys::after(&key, prefix.len())?)?, account.clone(), &value)
                })
                .collect()
        })
        .await
    }

    async fn purge(&self, before_ms: u64) -> Result<usize> {
        let mut purged = 0;
        loop {
            let overdue = self.overdue(before_ms).await?;
            if overdue.is_empty() {
                return Ok(purged);
            }
            let held = self.locks.hold_all(overdue.iter().map(|origin| &origin[..])).await;
            let mut ops = Vec::new();
            for origin in &overdue {
                // Meanwhile it may have been taken, or put again with a later deadline.
                if let Some(place) = self.place(origin)?.filter(|place| place.deadline_ms < before_ms) {
                    purged += usize::from(self.value(Noun::Hibernated, &place.key(origin))?.is_some());
                    ops.extend(place.removal(origin));
                }
            }
            self.write(ops, held).await?;
        }
    }
}

impl Disk {
    fn place(&self, origin: &[u8; 16]) -> Result<Option<Place>> {
        self.value(Noun::Deadlines, origin)?.map(|value| Place::decode(&value)).transpose()
    }

    async fn overdue(&self, before_ms: u64) -> Result<Vec<[u8; 16]>> {
        self.scan(move |keyspaces| {
            let mut overdue = Vec::new();
            for entry in keyspaces.prefix(Noun::Deadlines, b"") {
                let (key, value) = entry?;
                if Place::decode(&value)?.deadline_ms < before_ms {
                    overdue.push(origin(&key)?);
                }
                if overdue.len() == STEP_SESSIONS {
                    break;
                }
            }
            Ok(overdue)
        })
        .await
    }
}

/// Where a session lies, and until when it may be resumed. It may be gone with its account.
struct Place {
    deadline_ms: u64,
    account: Jid,
}

impl Place {
    fn key(&self, origin: &[u8; 16]) -> Vec<u8> {
        keys::joined(&self.account, &[origin])
    }

    fn removal(&self, origin: &[u8; 16]) -> [Op; 2] {
        [Op::delete(Noun::Hibernated, self.key(origin)), Op::delete(Noun::Deadlines, *origin)]
    }

    fn encode(&self) -> Vec<u8> {
        let account = self.account.as_str().as_bytes();
        Writer::with_capacity(16 + account.len()).number(1, self.deadline_ms).bytes(2, account).finish()
    }

    fn decode(value: &Slice) -> Result<Self> {
        let (mut deadline_ms, mut account) = (0, None);
        for field in record::fields(value) {
            match field? {
                (1, deadline) => deadline_ms = deadline.number()?,
                (2, jid) => account = Some(keys::jid(jid.bytes()?)?),
                _ => {}
            }
        }
        let account = account.ok_or_else(|| Error::Corrupt("a hibernated session has no account".into()))?;
        Ok(Self { deadline_ms, account })
    }
}

fn origin(bytes: &[u8]) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| Error::Corrupt("an origin is not of sixteen bytes".into()))
}

fn encode(session: &Session) -> Vec<u8> {
    let record = Writer::with_capacity(32 + session.state.len());
    record.number(1, session.deadline_ms).bytes(2, &session.state).finish()
}

fn decode(origin: [u8; 16], account: Jid, bytes: &[u8]) -> Result<Session> {
    let mut session = Session { origin, account, deadline_ms: 0, state: Bytes::new() };
    for field in record::fields(bytes) {
        match field? {
            (1, deadline) => session.deadline_ms = deadline.number()?,
            (2, state) => session.state = Bytes::copy_from_slice(state.bytes()?),
            _ => {}
        }
    }
    Ok(session)
}
