//! Reading an account when it is first needed.

use std::collections::VecDeque;
use std::mem::take;
use std::time::Duration;

use features::account::Origin;
use store::{Error, Store};
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use crate::edges::Link;
use crate::handover;
use crate::lane::Arrival;
use crate::marks::Marks;
use crate::metrics;
use crate::resident::{Archive, Pending, Resident};
use crate::shard::Cx;
use crate::work::{Finish, FromEdge, Loaded, Stored, Work};

/// Rows read for their uids when an account is loaded.
pub(crate) const TAIL_ROWS_MAX: usize = 1_000;

/// Between tries to read an account whose sessions are there, in milliseconds.
const RETRY_MS: u64 = 500;

/// Under which epoch an account is read, and when.
#[derive(Clone, Copy)]
struct Moment {
    epoch: u64,
    /// The epoch of an owner that has just let go of its slot in order; 0: none has.
    before: u64,
    now_ms: u64,
    /// What came since then may come again.
    since_ms: u64,
}

/// Takes an account up from the owner before, or reads it; none: there is no such one.
async fn load(store: &Store, jid: &Jid, at: Moment) -> Result<Option<Stored>, Error> {
    // Where they are kept may be away: then their clients log in anew.
    let hibernated = async { store.hibernated.list(jid).await.unwrap_or_default() };
    let ours = async {
        if at.before == 0 {
            return None;
        }
        let stored = handover::take_up(store, jid, at.before, at.epoch, at.now_ms).await;
        let metric = if stored.is_some() { &metrics::TAKEN_UP } else { &metrics::READ_ANEW };
        metric.inc();
        stored
    };
    let (hibernated, stored) = tokio::join!(hibernated, ours);
    let stored = match stored {
        Some(stored) => Some(stored),
        None => read(store, jid, at).await?,
    };
    Ok(stored.map(|stored| Stored { hibernated, ..stored }))
}

async fn read(store: &Store, jid: &Jid, at: Moment) -> Result<Option<Stored>, Error> {
    let Moment { epoch, now_ms, since_ms, .. } = at;
    if store.accounts.load(jid).await?.is_none() {
        return Ok(None);
    }
    let archive = async {
        let last_id = store.archive.take_over(jid, epoch).await?;
        let known = last_id / 1_000 < since_ms;
        let tail = if known { Vec::new() } else { store.archive.tail(jid, since_ms, TAIL_ROWS_MAX).await? };
        Ok((last_id, Marks::from_rows(&tail, now_ms)))
    };
    // Side by side: behind a network each takes a while, and costs next to nothing.
    let ((last_id, marks), roster, blocked, pushes, archiving, cursor) = tokio::try_join!(
        archive,
        store.rosters.load(jid),
        store.blocklists.load(jid),
        features::push::load(&*store.documents, jid),
        features::mam::preferences::load(&*store.documents, jid),
        store.cursors.load(jid),
    )?;
    let (hibernated, unsaved) = (Vec::new(), false);
    Ok(Some(Stored { roster, blocked, archiving, last_id, cursor, unsaved, pushes, marks, hibernated }))
}

impl Resident {
    /// Reads the account, after a while.
    pub(crate) fn load(&self, cx: &Cx<'_>, after_ms: u64) {
        let (store, jid, at, slot) = (cx.owner.store.clone(), self.account.jid.clone(), self.at, self.slot);
        let moment = Moment {
            epoch: cx.owner.slots.epoch(slot),
            before: cx.owner.slots.inherited(slot),
            now_ms: cx.now_ms,
            since_ms: cx.owner.marks_since_ms(cx.now_ms),
        };
        cx.spawn(async move {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let account = load(&store, &jid, moment).await;
            Work::Loaded(at, slot, Box::new(Loaded { account }))
        });
    }

    /// The account is here, or there is none.
    pub(crate) fn loaded(&mut self, cx: &mut Cx<'_>, loaded: Loaded) {
        self.pending = None;
        match loaded.account {
            Ok(Some(stored)) => {
                let streams = take(&mut self.account.sessions);
                self.account =
                    features::account::Account::new(self.account.jid.clone(), stored.roster, stored.blocked);
                self.account.sessions = streams;
                self.account.archiving = stored.archiving;
                self.account.pushes = stored.pushes;
                self.archive = Archive::from_stored(stored.last_id, stored.cursor);
                self.archive.changed = stored.unsaved;
                if let Some(events) = &cx.owner.events {
                    events.loaded(&self.account.jid, stored.last_id);
                }
                self.marks = stored.marks;
                self.restore(cx, stored.hibernated);
                self.sweep(cx);
                self.end_work(cx);
            }
            Ok(None) => self.refuse_all(cx, Condition::ServiceUnavailable),
            Err(error) => {
                tracing::warn!(%error, "an account could not be read");
                self.refuse_until_read(cx);
            }
        }
    }

    /// The store is down: edges keep the sessions they have, everybody else is told to come back.
    fn refuse_until_read(&mut self, cx: &mut Cx<'_>) {
        let waiting = self.lane.take().map(|lane| lane.waiting).unwrap_or_default();
        let (kept, refused): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|arrival| matches!(arrival, Arrival::Edge(..)));
        let again = kept.iter().any(|arrival| attaching(arrival).is_some());
        self.lane_mut().waiting = refused;
        self.refuse_all(cx, Condition::ResourceConstraint);
        if again {
            self.absent = false;
            cx.owner.gathering.load_begins(self.slot);
            self.begin(Pending::Load);
            let lane = self.lane_mut();
            lane.edges = kept.len();
            lane.waiting = kept;
            self.load(cx, RETRY_MS);
        }
    }

    /// Nobody is here: whatever came is answered, and the account is forgotten.
    fn refuse_all(&mut self, cx: &mut Cx<'_>, condition: Condition) {
        self.absent = true;
        let waiting = self.lane.take().map(|lane| lane.waiting).unwrap_or_default();
        for arrival in waiting {
            if let Some((stream, link, generation)) = attaching(&arrival) {
                cx.common.by_stream.remove(stream);
                cx.frame(link, crate::dispatch::close(stream, generation, "not-authorized"));
                continue;
            }
            match arrival {
                Arrival::Inbound(inbound) => {
                    // RFC 6121 §8.5.1: a message or IQ is answered, presence is not.
                    let answered = inbound.stanza.kind != xmpp::stanza::Kind::Presence;
                    cx.finish(inbound.finish, answered.then(|| StanzaError::from(condition)));
                }
                Arrival::Bind(bind) => cx.refuse_bind(&bind, condition),
                Arrival::Resume(resume) => cx.refuse_resume(&resume, None),
                _ => {}
            }
        }
    }

    /// Something else than a load is about to start: nothing behind it does.
    pub(crate) fn begin(&mut self, pending: Pending) {
        debug_assert!(self.pending.is_none(), "one at a time");
        self.lane_mut().working = true;
        self.pending = Some(Box::new(pending));
    }
}

/// The stream that an edge attaches, and its generation.
fn attaching(arrival: &Arrival) -> Option<(&Origin, &Link, u64)> {
    match arrival {
        Arrival::Edge(stream, link, frame) => match &**frame {
            FromEdge::Attach(attach) => Some((stream, link, attach.generation)),
            _ => None,
        },
        _ => None,
    }
}

impl Cx<'_> {
    /// Part of a stanza is finished, or refused for good: whoever waits is told.
    pub(crate) fn finish(&mut self, finish: Finish, refused: Option<StanzaError>) {
        match finish {
            Finish::Nobody => {}
            Finish::Client(stream, n) => {
                self.post(crate::shard::of_stream(stream), crate::work::Work::Finished(stream, n, refused));
            }
            Finish::Remote(number) => self.owner.routes.receiving.finished(number, refused),
        }
    }
}
