//! The registry in Redis: a hash a slot.

use async_trait::async_trait;
use xmpp::jid::Jid;

use super::{Redis, hex, link::Does, origin};
use crate::{
    Error, Registered, Registry, Result,
    record::{self, Writer},
};

#[async_trait]
impl Registry for Redis {
    async fn put(&self, slot: u16, sessions: &[Registered]) -> Result<()> {
        if sessions.is_empty() {
            return Ok(());
        }
        let mut cmd = ::redis::cmd("HSET");
        cmd.arg(self.slot_key(slot));
        let mut bytes = 0;
        for session in sessions {
            let record = encode(session);
            bytes += record.len();
            cmd.arg(hex(&session.origin)).arg(record);
        }
        self.link.ask(Does::Write, bytes, &cmd).await
    }

    async fn remove(&self, slot: u16, origins: &[[u8; 16]]) -> Result<()> {
        if origins.is_empty() {
            return Ok(());
        }
        let mut cmd = ::redis::cmd("HDEL");
        cmd.arg(self.slot_key(slot));
        for origin in origins {
            cmd.arg(hex(origin));
        }
        self.link.ask(Does::Write, origins.len() * 32, &cmd).await
    }

    async fn of_slot(&self, slot: u16) -> Result<Vec<Registered>> {
        let mut cmd = ::redis::cmd("HGETALL");
        cmd.arg(self.slot_key(slot));
        let found: Vec<(String, Vec<u8>)> = self.link.ask(Does::Read, 0, &cmd).await?;
        let sessions = found.iter().map(|(hex, record)| decode(origin(hex)?, record));
        let mut sessions = sessions.collect::<Result<Vec<_>>>()?;
        sessions.sort_unstable_by_key(|session| session.origin);
        Ok(sessions)
    }
}

impl Redis {
    fn slot_key(&self, slot: u16) -> String {
        self.key(format_args!("s{slot}"), "sessions")
    }
}

fn encode(session: &Registered) -> Vec<u8> {
    let (jid, edge) = (session.jid.as_str().as_bytes(), session.edge.as_bytes());
    let record = Writer::with_capacity(16 + jid.len() + edge.len());
    record.bytes(1, jid).bytes(2, edge).number(3, session.resumable_ms).finish()
}

fn decode(origin: [u8; 16], record: &[u8]) -> Result<Registered> {
    let (mut jid, mut edge, mut resumable_ms) = (None, String::new(), 0);
    for field in record::fields(record) {
        match field? {
            (1, text) => jid = Some(text.jid()?),
            (2, name) => name.text()?.clone_into(&mut edge),
            (3, ms) => resumable_ms = ms.number()?,
            _ => {}
        }
    }
    let jid: Jid = jid.ok_or_else(|| Error::Corrupt("a registered session has no address".into()))?;
    Ok(Registered { origin, jid, edge, resumable_ms })
}
