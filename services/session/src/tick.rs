//! What time does: stanzas that wait too long are refused, sessions that nobody resumes end, cursors are saved, and
//! accounts nobody uses leave memory. One tick for a shard; no timer for anything in it.

use std::sync::Arc;

use store::{Cursor, Store};
use xmpp::jid::Jid;
use xmpp::stanza::Condition;

use crate::lane::Arrival;
use crate::owner::Owner;
use crate::resident::Resident;
use crate::shard::{Cx, State};

/// Between ticks of a shard, in milliseconds.
pub(crate) const TICK_MS: u64 = 250;

/// Between saves of changed cursors, in milliseconds.
const SAVE_MS: u64 = 5_000;

impl State {
    pub(crate) fn tick(&mut self, owner: &Arc<Owner>, shard: usize, now_ms: u64) {
        let mut cursors = Vec::new();
        let mut unused = Vec::new();
        self.sweep_husks(now_ms);
        for at in std::mem::take(&mut self.common.watched) {
            let Some(resident) = self.residents.get_mut(at).filter(|one| !one.gone) else { continue };
            // A clock that was put back says that it was saved in the future: it is saved now.
            let (used_ms, save) =
                (resident.used_ms, now_ms.abs_diff(resident.saved_ms) > SAVE_MS || resident.is_unused());
            resident.watched = false;
            // Nothing is left behind of an account that was removed.
            resident.archive.changed &= !resident.removed;
            if resident.archive.changed && save {
                resident.archive.changed = false;
                resident.saved_ms = now_ms;
                cursors.push((resident.account.jid.clone(), resident.archive.cursor()));
            }
            let Some((resident, mut cx)) = self.resident(owner, shard, now_ms, at) else { continue };
            resident.used_ms = used_ms;
            resident.time_passes(&mut cx);
            // As long as a copy of it may be about, whoever reads it again would find that.
            let old =
                now_ms > used_ms + owner.config.idle_s * 1_000 && owner.slots.inherited(resident.slot) == 0;
            if resident.is_unused() && (resident.removed || old) {
                resident.sweep(&cx);
                unused.push(at);
            } else if resident.has_deadlines() {
                resident.watch(&mut cx);
            }
        }
        for at in unused {
            let resident = self.residents.remove(at);
            self.common.by_jid.remove(&resident.account.jid);
        }
        if !cursors.is_empty() {
            let store = owner.store.clone();
            tokio::spawn(async move { save(&store, &cursors).await });
        }
    }
}

/// Saves the cursors of accounts; without them some messages are given twice.
pub(crate) async fn save(store: &Store, cursors: &[(Jid, Cursor)]) {
    if let Err(error) = store.cursors.save(cursors).await {
        tracing::debug!(%error, "cursors could not be saved, some messages may come again at the next login");
    }
}

impl Resident {
    /// The next tick looks at this account.
    pub(crate) fn watch(&mut self, cx: &mut Cx<'_>) {
        if !self.watched {
            self.watched = true;
            cx.common.watched.push(self.at);
        }
    }

    fn has_deadlines(&self) -> bool {
        self.archive.changed
            || self.streams.is_empty()
            || self.streams.iter().any(|stream| {
                stream.deadline_ms > 0 || stream.inbound.unfinished() > 0 || !stream.open_iqs.is_empty()
            })
    }

    fn time_passes(&mut self, cx: &mut Cx<'_>) {
        let now_ms = cx.now_ms;
        let oldest_ms = now_ms.saturating_sub(cx.owner.config.item_lifetime_ms);
        let mut late = Vec::new();
        let mut expired = Vec::new();
        let mut unanswered = Vec::new();
        let mut hibernating = Vec::new();
        if self.lane.is_none() && self.pending.is_none() {
            self.product = None;
        }
        for stream in &mut self.streams {
            stream.release();
            late.extend(stream.inbound.older_than(oldest_ms).into_iter().map(|n| (stream.id, n)));
            if stream.link.is_none() && stream.resume {
                hibernating.push(stream.id);
            }
            if stream.link.is_none() && stream.deadline_ms > 0 && stream.deadline_ms <= now_ms {
                stream.deadline_ms = 0;
                expired.push(stream.id);
            }
            while stream.open_iqs.front().is_some_and(|iq| iq.deadline_ms <= now_ms) {
                unanswered.extend(stream.open_iqs.pop_front().map(|iq| (stream.id, iq)));
            }
        }
        for (id, n) in late {
            self.outlived(cx, id, n);
        }
        for id in hibernating {
            self.save_hibernated(cx, id, None);
        }
        for id in expired {
            self.arrive(cx, Arrival::Expired(id));
        }
        for (id, iq) in unanswered {
            self.answer_iq(cx, id, &iq);
        }
    }

    /// A stanza's lifetime is over: what became of it is not known, and its sender is told to wait.
    fn outlived(&mut self, cx: &mut Cx<'_>, id: [u8; 16], n: u64) {
        self.answer_refused(cx, id, n, Condition::ResourceConstraint.into());
        if self.stream_mut(id).is_some_and(|stream| stream.inbound.abandon(n)) {
            self.handled(cx, id);
        }
    }
}
