//! Hibernated sessions in Redis: a key each. An account's are found by a set of origins that is written before them, so
//! it may name some that are gone, and never misses one.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use xmpp::jid::Jid;

use super::{Redis, hex, link::Does, origin};
use crate::{
    Error, Hibernated, Result, Session,
    record::{self, Writer},
};

/// For this long after its deadline a session may still be taken or purged; then it goes by itself.
const AFTER_DEADLINE_MS: u64 = 60 * 60 * 1000;

/// Redis knows no time in a far future.
const LEFT_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1000;

/// Sessions are spread over so many parts, each with its deadlines.
const PARTS: u8 = 64;

/// What one step of a purge deletes.
const STEP_SESSIONS: usize = 1000;

const NAME: &str = "redis.call('SADD', KEYS[1], ARGV[1]) \
                    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
/// Beside what it says it forgets deadlines of sessions that went by themselves, faster than sessions are put.
const PUT: &str = "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4]) \
                   for _, origin in ipairs(redis.call('ZRANGE', KEYS[2], 0, 1)) do \
                     if redis.call('EXISTS', ARGV[5] .. origin) == 0 then redis.call('ZREM', KEYS[2], origin) end \
                   end";
const TAKE: &str = "local session = redis.call('GET', KEYS[1]) redis.call('DEL', KEYS[1]) \
                    redis.call('ZREM', KEYS[2], ARGV[1]) return session";
/// Deletes what is overdue, and answers how many sessions and how many entries that were.
const PURGE: &str = "local overdue = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2]) \
                     local gone = 0 \
                     for _, origin in ipairs(overdue) do gone = gone + redis.call('DEL', ARGV[3] .. origin) end \
                     if #overdue > 0 then redis.call('ZREM', KEYS[1], unpack(overdue)) end \
                     return {gone, #overdue}";

#[async_trait]
impl Hibernated for Redis {
    async fn put(&self, session: Session) -> Result<()> {
        session.check()?;
        let keys = self.keys(&session.origin);
        let name = hex(&session.origin);
        let left_ms = session.deadline_ms.saturating_sub(now_ms()).min(LEFT_MS_MAX);
        let kept_ms = (left_ms + AFTER_DEADLINE_MS).to_string();
        let arguments = [name.as_bytes(), kept_ms.as_bytes()];
        let account = self.account_key(&session.account);
        self.link.run::<()>(Does::Write, NAME, &[&account], &arguments).await?;

        let (record, deadline_ms) = (encode(&session), session.deadline_ms.to_string());
        let arguments =
            [&record[..], kept_ms.as_bytes(), deadline_ms.as_bytes(), name.as_bytes(), keys.part.as_bytes()];
        self.link.run(Does::Write, PUT, &[&keys.session, &keys.deadlines], &arguments).await
    }

    async fn take(&self, origin: [u8; 16]) -> Result<Option<Session>> {
        let (keys, name) = (self.keys(&origin), hex(&origin));
        let both = [&keys.session[..], &keys.deadlines];
        let record: Option<Bytes> = self.link.run(Does::Write, TAKE, &both, &[name.as_bytes()]).await?;
        let Some(record) = record else { return Ok(None) };
        let session = decode(origin, &record)?;
        let mut forget = ::redis::cmd("SREM");
        forget.arg(self.account_key(&session.account)).arg(name);
        // Taken it is; a name too many in the set is nobody's loss.
        if let Err(error) = self.link.ask::<()>(Does::Write, 0, &forget).await {
            tracing::debug!(%error, "a hibernated session is still named by its account");
        }
        Ok(Some(session))
    }

    async fn list(&self, account: &Jid) -> Result<Vec<Session>> {
        let mut named = ::redis::cmd("SMEMBERS");
        named.arg(self.account_key(account));
        let names: Vec<String> = self.link.ask(Does::Read, 0, &named).await?;
        let sessions = try_join_all(names.iter().map(|name| self.read(name))).await?;
        let of_account = |session: &Session| session.account.bare_str() == account.bare_str();
        let mut sessions: Vec<_> = sessions.into_iter().flatten().filter(of_account).collect();
        sessions.sort_unstable_by_key(|session| session.origin);
        Ok(sessions)
    }

    async fn purge(&self, before_ms: u64) -> Result<usize> {
        let parts = try_join_all((0..PARTS).map(|part| self.purge_part(part, before_ms))).await?;
        Ok(parts.into_iter().sum())
    }
}

/// Where a session lies.
struct Keys {
    /// What the keys of the sessions of its part begin with.
    part: String,
    session: String,
    deadlines: String,
}

impl Redis {
    fn keys(&self, origin: &[u8; 16]) -> Keys {
        // Its first bytes are those of its slot, its last are random.
        let part = origin[15] % PARTS;
        let sessions = self.part_key(part);
        let session = format!("{sessions}{}", hex(origin));
        Keys { part: sessions, session, deadlines: self.deadlines_key(part) }
    }

    fn part_key(&self, part: u8) -> String {
        self.key(format_args!("h{part}"), "")
    }

    fn deadlines_key(&self, part: u8) -> String {
        self.key(format_args!("h{part}"), "deadlines")
    }

    fn account_key(&self, account: &Jid) -> String {
        self.key(format_args!("a:{}", account.bare_str()), "sessions")
    }

    async fn read(&self, name: &str) -> Result<Option<Session>> {
        let origin = origin(name)?;
        let mut cmd = ::redis::cmd("GET");
        cmd.arg(self.keys(&origin).session);
        let record: Option<Bytes> = self.link.ask(Does::Read, 0, &cmd).await?;
        record.map(|record| decode(origin, &record)).transpose()
    }

    async fn purge_part(&self, part: u8, before_ms: u64) -> Result<usize> {
        let (key, sessions) = (self.deadlines_key(part), self.part_key(part));
        let (before, step) = (format!("({before_ms}"), STEP_SESSIONS.to_string());
        let arguments = [before.as_bytes(), step.as_bytes(), sessions.as_bytes()];
        let mut purged = 0;
        loop {
            let (gone, seen): (usize, usize) = self.link.run(Does::Write, PURGE, &[&key], &arguments).await?;
            purged += gone;
            if seen < STEP_SESSIONS {
                return Ok(purged);
            }
        }
    }
}

fn encode(session: &Session) -> Vec<u8> {
    let account = session.account.bare_str().as_bytes();
    let record = Writer::with_capacity(32 + account.len() + session.state.len());
    record.bytes(1, account).number(2, session.deadline_ms).bytes(3, &session.state).finish()
}

fn decode(origin: [u8; 16], bytes: &Bytes) -> Result<Session> {
    let (mut account, mut deadline_ms, mut state) = (None, 0, Bytes::new());
    for field in record::fields(bytes) {
        match field? {
            (1, text) => account = Some(text.jid()?),
            (2, deadline) => deadline_ms = deadline.number()?,
            (3, value) => state = bytes.slice_ref(value.bytes()?),
            _ => {}
        }
    }
    let account = account.ok_or_else(|| Error::Corrupt("a hibernated session has no account".into()))?;
    Ok(Session { origin, account, deadline_ms, state })
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
