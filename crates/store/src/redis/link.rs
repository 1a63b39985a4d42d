//! The link to Redis: one connection that everybody shares, made again by one task.
//!
//! While there is none requests are refused at once, so nobody waits in line for a server that is away; so are those
//! beyond what may be under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ::redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind, aio::ConnectionLike};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use super::connect::{Connection, Way};
use crate::{Error, Result};

/// What may be under way: a request is a part for each of its KiB, and [`REQUEST_PARTS`] more. So it is 4,096 requests
/// at most, and 64 MiB.
const PARTS_MAX: usize = 64 * 1024;
const REQUEST_PARTS: usize = 16;

/// Before another connection is tried, growing from one to the other.
const AGAIN_MIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it is still one.
const CHECK: Duration = Duration::from_secs(1);

/// Whether a request changes something, and so what is known when its answer is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Read,
    Write,
}

pub(super) struct Link {
    state: Arc<watch::Sender<State>>,
    parts: Semaphore,
    failures: AtomicU32,
    failures_max: u32,
    timeout: Duration,
}

#[derive(Clone)]
enum State {
    /// The first connection is on its way.
    Opening,
    /// Connected for the so-manieth time.
    Up(u64, Connection),
    /// Away, and why.
    Down(String),
}

impl Link {
    pub(super) fn open(way: Way, timeout: Duration) -> Self {
        let state = Arc::new(watch::Sender::new(State::Opening));
        let failures_max = way.failures_max();
        tokio::spawn(keep(way, Arc::downgrade(&state), timeout));
        Self { state, parts: Semaphore::new(PARTS_MAX), failures: AtomicU32::new(0), failures_max, timeout }
    }

    /// Sends a command of about `bytes` bytes.
    pub(super) async fn ask<T: FromRedisValue>(&self, does: Does, bytes: usize, cmd: &Cmd) -> Result<T> {
        let parts = (REQUEST_PARTS + bytes / 1024).min(PARTS_MAX);
        let Ok(_held) = self.parts.try_acquire_many(parts as u32) else {
            return Err(Error::Refused("too much is under way to redis".into()));
        };
        let (made, mut connection) = self.connection().await?;
        match timeout(self.timeout, cmd.query_async(&mut connection)).await {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(made, does, &error)),
            Err(_) => {
                self.count_failure(made, "redis did not answer in time");
                Err(unanswered(does, "redis did not answer in time".into()))
            }
        }
    }

    /// Runs a script by its name, and where it is not known by its text: a server that was emptied or took over has
    /// forgotten it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        does: Does,
        code: &str,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T> {
        let script = Script::new(code);
        let bytes = arguments.iter().map(|argument| argument.len()).sum();
        let command = |name: &str, script: &str| {
            let mut cmd = ::redis::cmd(name);
            cmd.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            cmd
        };
        match self.ask(does, bytes, &command("EVALSHA", script.get_hash())).await {
            Err(Error::Missing) => self.ask(does, bytes, &command("EVAL", code)).await,
            answered => answered,
        }
    }

    /// The connection there is, and the so-manieth it is.
    async fn connection(&self) -> Result<(u64, Connection)> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Opening));
        let known = timeout(self.timeout, known).await.ok().and_then(std::result::Result::ok);
        match known.as_deref() {
            Some(State::Up(made, connection)) => Ok((*made, connection.clone())),
            Some(State::Down(why)) => Err(Error::Refused(why.clone())),
            Some(State::Opening) | None => Err(Error::Refused("redis is not connected yet".into())),
        }
    }

    /// What an error says to who asked, and about the connection.
    fn failed(&self, made: u64, does: Does, error: &RedisError) -> Error {
        match error.kind() {
            // It was not performed: its text is asked for.
            ErrorKind::Server(ServerErrorKind::NoScript) => return Error::Missing,
            // A master no more, or not yet.
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading,
            ) => self.count_failure(made, &error.to_string()),
            ErrorKind::Server(_) | ErrorKind::Extension => {}
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => return Error::Corrupt(error.to_string()),
            ErrorKind::Io => {
                self.count_failure(made, &error.to_string());
                return unanswered(does, error.to_string());
            }
            _ => self.count_failure(made, &error.to_string()),
        }
        Error::Refused(error.to_string())
    }

    fn count_failure(&self, of: u64, why: &str) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= self.failures_max {
            lost(&self.state, of, why);
        }
    }
}

/// A write may have happened, a read has not.
fn unanswered(does: Does, why: String) -> Error {
    match does {
        Does::Read => Error::Refused(why),
        Does::Write => Error::Unknown(why),
    }
}

/// The so-manieth connection is of no use any more.
fn lost(state: &watch::Sender<State>, of: u64, why: &str) {
    let lost = state.send_if_modified(|state| {
        let same = matches!(state, State::Up(made, _) if *made == of);
        if same {
            *state = State::Down(why.to_owned());
        }
        same
    });
    if lost {
        tracing::warn!(why, "redis is lost, looking for it");
    }
}

/// Sees to it that there is a connection, for as long as somebody wants one.
async fn keep(mut way: Way, state: std::sync::Weak<watch::Sender<State>>, limit: Duration) {
    let (mut again, mut made) = (AGAIN_MIN, 0);
    loop {
        let connected = timeout(limit * way.timeouts(), way.connect(limit)).await;
        let Some(strong) = state.upgrade() else { return };
        match connected {
            Ok(Ok(connection)) => {
                made += 1;
                strong.send_replace(State::Up(made, connection.clone()));
                drop(strong);
                tracing::info!("redis is connected");
                watch_over(connection, made, &state, limit).await;
                again = AGAIN_MIN;
            }
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "redis did not answer in time".to_owned(),
                };
                tracing::debug!(why, "redis cannot be reached");
                strong.send_replace(State::Down(format!("redis cannot be reached: {why}")));
            }
        }
        tokio::time::sleep(again).await;
        again = (again * 2).min(AGAIN_MAX);
    }
}

/// Returns when a connection is lost, by what others found or by asking it now and then.
async fn watch_over(
    mut connection: Connection,
    made: u64,
    state: &std::sync::Weak<watch::Sender<State>>,
    limit: Duration,
) {
    let Some(mut changes) = state.upgrade().map(|state| state.subscribe()) else { return };
    loop {
        let down = changes.wait_for(|state| !matches!(state, State::Up(..)));
        // Down, or wanted by nobody any more.
        if timeout(CHECK, down).await.is_ok() {
            return;
        }
        let ping = ::redis::cmd("PING");
        let answer = timeout(limit, connection.req_packed_command(&ping)).await;
        let Some(state) = state.upgrade() else { return };
        match answer {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => lost(&state, made, &error.to_string()),
            Err(_) => lost(&state, made, "redis did not answer in time"),
        }
    }
}
