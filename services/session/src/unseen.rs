//! Messages that no client sees now: push services are told of them (XEP-0357), each once.

use std::sync::Arc;

use features::account::{Origin, Session};
use features::keep::Keep;
use features::push;
use features::routing::Route;
use node::carry;

use crate::lane::Message;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::Stream;

impl Resident {
    /// A message has its turn: is it kept, and does nobody look?
    pub(crate) fn push_unseen(&mut self, cx: &mut Cx<'_>, keep: Keep, message: &Message, route: &Route) {
        if self.account.pushes.is_empty() || !keep.stored() {
            return;
        }
        let given = match route {
            Route::Sessions(streams) => &streams[..],
            // Where there is no row yet it comes by again.
            Route::Wait if message.archive_id != 0 => &[],
            _ => return,
        };
        if given.iter().any(|id| self.looks(*id)) || self.somebody_looks() {
            return;
        }
        if push::is_worth(&message.inbound.stanza) {
            self.archive.pushed = self.archive.pushed.max(message.archive_id);
            self.notify(cx, 1);
        }
    }

    /// The client of a stream is gone: what it was given, and has not acknowledged, it may never have seen.
    pub(crate) fn push_missed(&mut self, cx: &mut Cx<'_>, id: Origin) {
        if self.account.pushes.is_empty() || self.somebody_looks() {
            return;
        }
        let pushed = self.archive.pushed;
        let Some(stream) = self.stream(id) else { return };
        let missed = stream.outbound.mailbox.iter().rev().find(|mail| {
            mail.settles
                && mail.archive_id > pushed
                && carry::unpack(&mail.stanza).is_ok_and(|stanza| push::is_worth(&stanza))
        });
        if let Some(newest) = missed.map(|mail| mail.archive_id) {
            self.archive.pushed = newest;
            self.notify(cx, 0);
        }
    }

    fn notify(&mut self, cx: &mut Cx<'_>, new: usize) {
        // As many as are known of without reading the archive.
        let unseen = (self.archive.waiting + self.archive.unsettled.len() + new).max(1);
        let owner = Arc::clone(cx.owner);
        let ((), outputs) = self.with_features(cx.now_ms, None, |context| {
            push::notify(context, unseen, |service| owner.host(service.domain()).is_some());
        });
        for output in outputs {
            self.output(cx, output);
        }
    }

    fn somebody_looks(&self) -> bool {
        self.account.sessions.iter().any(|session| session.eligible() && self.looks(session.stream))
    }

    /// Whether a session's client is there, and its user looks at it (XEP-0352).
    fn looks(&self, id: Origin) -> bool {
        self.stream(id).is_some_and(|stream: &Stream| stream.link.is_some())
            && self.account.session(id).is_some_and(|session: &Session| !session.inactive)
    }
}
