//! Messages that are read from the archive: those that waited for a client, and those stored while a session's owner
//! was not there to route them.

use std::time::Duration;

use features::account::{Origin, Session};
use features::{delay, stanza_ids, stored};
use store::{Direction, Error, Row, Uid};
use tokio::time::sleep;
use xmpp::stanza::Kind;

use crate::deliver::Give;
use crate::lane::{Arrival, Cause, Job};
use crate::resident::{Pending, Resident};
use crate::shard::Cx;
use crate::stream::Stream;
use crate::work::{Done, Work};

/// Rows that are read at a time.
const PAGE_ROWS: usize = 200;

/// Between tries to read them, in milliseconds.
const RETRY_MS: u64 = 500;

impl Resident {
    /// After a session's own presence: if that made it the first to take messages, it gets those that wait.
    pub(crate) fn became_eligible(&mut self, cx: &mut Cx<'_>, job: &Job) {
        let Cause::Own { stream, was_eligible: false, .. } = job.cause else { return };
        if self.account.session(stream).is_none_or(|session| !session.eligible()) {
            return;
        }
        let end = self.archive.stored;
        if let Some(stream) = self.stream_mut(stream) {
            stream.position = end;
        }
        if self.archive.backlog {
            self.arrive(cx, Arrival::Backlog(stream));
        }
    }

    pub(crate) fn start_backlog(&mut self, cx: &mut Cx<'_>, id: Origin) {
        if self.archive.backlog && self.account.session(id).is_some() {
            self.begin(Pending::Soon(Some(id)));
            self.drain(cx);
        }
    }

    pub(crate) fn start_catch_up(&mut self, cx: &mut Cx<'_>) {
        self.begin(Pending::Soon(None));
        self.drain(cx);
    }

    /// Reads what is to be read, when nothing is left that has started before: what is read comes behind it.
    pub(crate) fn read_soon(&mut self, cx: &mut Cx<'_>) {
        let Some(Pending::Soon(session)) = self.pending.as_deref() else { return };
        // Rows below are settled.
        let settled = self.archive.lowest.saturating_sub(1);
        let (pending, after) = match *session {
            Some(id) => (Pending::Backlog(id), settled),
            None => (Pending::CatchUp, self.position().max(settled)),
        };
        self.archive.reading = after;
        self.pending = None;
        self.read_on(cx, pending, 0);
    }

    /// The lowest position of the sessions that take messages.
    fn position(&self) -> u64 {
        let eligible = |stream: &&Stream| self.account.session(stream.id).is_some_and(Session::eligible);
        let positions = self.streams.iter().filter(eligible).map(|stream| stream.position);
        positions.min().unwrap_or(self.archive.stored)
    }

    /// Whether rows are being read for every session that takes messages: what is stored meanwhile is read with them.
    pub(crate) fn is_read_for_all(&self) -> bool {
        match self.pending.as_deref() {
            Some(Pending::Soon(Some(id)) | Pending::Backlog(id)) => {
                let mut eligible = self.account.sessions.iter().filter(|session| session.eligible());
                eligible.all(|session| session.stream == *id)
            }
            Some(Pending::Soon(None) | Pending::CatchUp) => true,
            _ => false,
        }
    }

    /// Reads what is behind `archive.reading`, after a while.
    fn read_on(&mut self, cx: &mut Cx<'_>, pending: Pending, after_ms: u64) {
        self.begin(pending);
        let (store, jid, at) = (cx.owner.store.clone(), self.account.jid.clone(), self.at);
        let after = self.archive.reading;
        cx.spawn(async move {
            if after_ms > 0 {
                sleep(Duration::from_millis(after_ms)).await;
            }
            Work::Done(at, Done::Read(store.archive.after(&jid, after, PAGE_ROWS).await))
        });
    }

    /// A page was read: it is given, and the next one read until there is none.
    pub(crate) fn read(&mut self, cx: &mut Cx<'_>, rows: Result<Vec<Row>, store::Error>) {
        let Some(pending) = self.pending.take() else { return };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error @ Error::Corrupt(_)) => {
                tracing::error!(%error, "waiting messages are left where they are");
                Vec::new()
            }
            // What is not read is not given, and nothing may come in front of it.
            Err(error) => {
                tracing::debug!(%error, "waiting messages could not be read");
                return self.read_on(cx, *pending, RETRY_MS);
            }
        };
        let more = rows.len() == PAGE_ROWS;
        if let Some(last) = rows.last() {
            self.archive.reading = last.id;
        }
        match *pending {
            Pending::Backlog(id) if self.account.session(id).is_some() => {
                for row in &rows {
                    self.give_waiting(cx, id, row);
                }
                if more {
                    return self.read_on(cx, Pending::Backlog(id), 0);
                }
                self.archive.taken();
            }
            Pending::CatchUp => {
                for row in &rows {
                    self.route_again(cx, row);
                }
                if self.pending.is_some() {
                    // Something that was sent before one of them is at work: the rest comes behind it.
                    self.pass(self.archive.reading);
                    self.lane_mut().waiting.push_front(Arrival::CatchUp);
                    return;
                }
                if more {
                    return self.read_on(cx, Pending::CatchUp, 0);
                }
                self.catching_up = false;
                self.pass(self.archive.reading);
                // What sessions were given that nobody has attached again.
                if let Some(other) = self.takes_messages().filter(|_| self.archive.backlog) {
                    self.begin(Pending::Soon(Some(other)));
                    return self.drain(cx);
                }
            }
            _ => {}
        }
        self.end_work(cx);
    }

    /// XEP-0160 §3: with the time it came, and under the id it has in the archive.
    fn give_waiting(&mut self, cx: &mut Cx<'_>, id: Origin, row: &Row) {
        if !row.deliver || self.archive.is_settled(row.id) || self.archive.is_given(row.id) {
            return;
        }
        if !row.spool && self.account.session(id).is_some_and(|session| row.id <= session.fetched) {
            // Its client has read it in the archive.
            return self.settle(cx, row.id);
        }
        let Ok(mut stanza) = stored::decode(&row.stanza) else { return };
        delay::stamp(&mut stanza, &self.host.domain, row.stamp_ms);
        if !row.spool {
            stanza_ids::stamp(&mut stanza, &self.account.jid, row.id);
        }
        self.archive.given(row.id, row.spool);
        self.deliver(cx, id, stanza, Give { archive_id: row.id, settles: true, ..Give::default() });
    }

    /// Lets messages start that wait here and were sent before a stored one: they were held by the owner that died, and
    /// their sender has sent them again. What was stored of theirs is known by its mark.
    fn start_before(&mut self, cx: &mut Cx<'_>, uid: Uid) {
        let earlier = |arrival: &Arrival| {
            matches!(arrival, Arrival::Inbound(inbound)
                if inbound.stanza.kind == Kind::Message && inbound.uid.origin == uid.origin && inbound.uid.n < uid.n)
        };
        while self.pending.is_none()
            && let Some(lane) = &mut self.lane
            && let Some(at) = lane.waiting.iter().position(earlier)
            && let Some(Arrival::Inbound(inbound)) = lane.waiting.remove(at)
        {
            self.start_ahead(cx, inbound);
        }
    }

    /// A row that the owner before this one may have stored and not given.
    fn route_again(&mut self, cx: &mut Cx<'_>, row: &Row) {
        if !row.deliver || row.direction != Direction::Received || self.archive.is_settled(row.id) {
            return;
        }
        self.start_before(cx, row.uid);
        let Ok(mut stanza) = stored::decode(&row.stanza) else { return };
        let keep = features::keep::Keep::Archive;
        let features::routing::Route::Sessions(streams) =
            features::routing::message(&self.account, &stanza, keep)
        else {
            return self.archive.waits(row.id);
        };
        if !row.spool {
            stanza_ids::stamp(&mut stanza, &self.account.jid, row.id);
        }
        self.archive.given(row.id, row.spool);
        let give = Give { archive_id: row.id, settles: true, ..Give::default() };
        for stream in streams {
            if self.stream(stream).is_some_and(|stream| stream.position < row.id) {
                self.deliver(cx, stream, stanza.clone(), give);
            }
        }
    }
}
