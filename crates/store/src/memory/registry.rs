//! The registry, copies of accounts, liveness and counters in memory.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use xmpp::jid::Jid;

use super::Memory;
use crate::{Counters, Handovers, Liveness, Registered, Registry, Result, handovers};

/// What is known of who is there.
#[derive(Default)]
pub(super) struct Present {
    sessions: BTreeMap<(u16, [u8; 16]), Registered>,
    handovers: BTreeMap<Jid, (Instant, Bytes)>,
    members: BTreeMap<String, Instant>,
    counters: BTreeMap<String, (Instant, u64)>,
    /// With so many counters those whose window is over are looked for.
    counters_max: usize,
}

/// Counters that are not worth a search for those that are over.
const COUNTERS_MIN: usize = 1024;

#[async_trait]
impl Registry for Memory {
    async fn put(&self, slot: u16, sessions: &[Registered]) -> Result<()> {
        let recorded = sessions.iter().map(|session| ((slot, session.origin), session.clone()));
        self.present.lock().sessions.extend(recorded);
        Ok(())
    }

    async fn remove(&self, slot: u16, origins: &[[u8; 16]]) -> Result<()> {
        let mut present = self.present.lock();
        for origin in origins {
            present.sessions.remove(&(slot, *origin));
        }
        Ok(())
    }

    async fn of_slot(&self, slot: u16) -> Result<Vec<Registered>> {
        let present = self.present.lock();
        let of_slot = present.sessions.range((slot, [0; 16])..=(slot, [0xff; 16]));
        Ok(of_slot.map(|(_, session)| session.clone()).collect())
    }
}

#[async_trait]
impl Handovers for Memory {
    async fn put(&self, account: &Jid, copy: Bytes, for_ms: u64) -> Result<()> {
        handovers::check(&copy)?;
        let (mut present, now) = (self.present.lock(), Instant::now());
        present.handovers.retain(|_, (until, _)| *until > now);
        present.handovers.insert(account.bare(), (now + Duration::from_millis(for_ms), copy));
        Ok(())
    }

    async fn take(&self, account: &Jid) -> Result<Option<Bytes>> {
        let (mut present, now) = (self.present.lock(), Instant::now());
        let kept = present.handovers.remove(&account.bare()).filter(|(until, _)| *until > now);
        Ok(kept.map(|(_, copy)| copy))
    }
}

#[async_trait]
impl Liveness for Memory {
    async fn say(&self, member: &str, for_ms: u64) -> Result<()> {
        let until = Instant::now() + Duration::from_millis(for_ms);
        self.present.lock().members.insert(member.to_owned(), until);
        Ok(())
    }

    async fn gone(&self, member: &str) -> Result<()> {
        self.present.lock().members.remove(member);
        Ok(())
    }

    async fn are_there(&self, members: &[String]) -> Result<Vec<bool>> {
        let (present, now) = (self.present.lock(), Instant::now());
        Ok(members
            .iter()
            .map(|member| present.members.get(member).is_some_and(|until| *until > now))
            .collect())
    }
}

#[async_trait]
impl Counters for Memory {
    async fn add(&self, counter: &str, n: u64, window_ms: u64) -> Result<u64> {
        let (mut present, now) = (self.present.lock(), Instant::now());
        if present.counters.len() > present.counters_max {
            present.counters.retain(|_, (until, _)| *until > now);
            present.counters_max = COUNTERS_MIN.max(2 * present.counters.len());
        }
        let begun = (now + Duration::from_millis(window_ms), 0);
        let counted = present.counters.entry(counter.to_owned()).or_insert(begun);
        if counted.0 <= now {
            *counted = begun;
        }
        counted.1 = counted.1.saturating_add(n);
        Ok(counted.1)
    }

    async fn count(&self, counter: &str) -> Result<u64> {
        let (present, now) = (self.present.lock(), Instant::now());
        Ok(present.counters.get(counter).filter(|(until, _)| *until > now).map_or(0, |(_, count)| *count))
    }
}
