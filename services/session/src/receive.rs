//! A stanza for an account: the recipient's rules, and what is to be kept of it.

use features::about::At;
use features::keep::{self, Keep};
use features::routing::{self, Route};
use features::stored;
use store::{Direction, Row};
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};

use crate::job::placeholder;
use crate::lane::{Cause, Effect, Entry, Job, Message, Wait};
use crate::marks::{Mark, Marks};
use crate::resident::Resident;
use crate::shard::Cx;
use crate::work::{Finish, Inbound};

impl Resident {
    pub(crate) fn start_inbound(&mut self, cx: &mut Cx<'_>, mut inbound: Box<Inbound>) {
        if self.removed {
            let answered = inbound.stanza.kind != Kind::Presence;
            cx.finish(inbound.finish, answered.then(|| Condition::ServiceUnavailable.into()));
            return;
        }
        if inbound.must && !cx.owner.lease.holds() {
            // The store cannot be asked whether this is the owner still: nothing may be promised.
            return cx.finish(inbound.finish, Some(Condition::ResourceConstraint.into()));
        }
        // Undirected presence and chat states may be repeated: they say the same again.
        if !inbound.marked && (inbound.must || inbound.stanza.kind == Kind::Iq) {
            match self.mark(cx, &inbound) {
                Mark::New => {}
                // What its sender sent behind it is here: after that it may not come any more.
                Mark::Late => return cx.finish(inbound.finish, Some(Condition::ResourceConstraint.into())),
                // Only what became of it was lost: that is known when all before it is done.
                Mark::Known => {
                    let wait = self.last_row();
                    let effects = vec![Effect::Again(inbound)];
                    return self.push(cx, Entry { wait, effects, finish: Finish::Nobody });
                }
            }
        }
        let stanza = std::mem::replace(&mut inbound.stanza, placeholder());
        self.run(
            cx,
            Job { at: At::Received, step: 0, session: None, stanza, cause: Cause::Inbound(inbound) },
        );
    }

    /// Starts a message ahead of what came before it: that is not late for it.
    pub(crate) fn start_ahead(&mut self, cx: &mut Cx<'_>, mut inbound: Box<Inbound>) {
        let marks = self.marks.get_or_insert_with(|| Marks::new(cx.now_ms));
        if inbound.must && marks.of(inbound.uid) == Mark::New {
            marks.add(inbound.uid);
            inbound.marked = true;
        }
        self.start_inbound(cx, inbound);
    }

    /// Whether a stanza was handled before, under this owner or the one before it; if not, it is now.
    fn mark(&mut self, cx: &Cx<'_>, inbound: &Inbound) -> Mark {
        // Where slots stay, the stanzas of this owner's own clients are known by their streams.
        let marked = cx.owner.config.shared || matches!(inbound.finish, Finish::Remote(..));
        if self.marks.is_none() && !marked {
            return Mark::New;
        }
        let window_ms = cx.owner.marks_window_ms();
        let marks = self.marks.get_or_insert_with(|| Marks::new(cx.now_ms));
        marks.age(cx.now_ms, window_ms);
        let mut mark = marks.of(inbound.uid);
        if mark == Mark::New
            && marks.is_overtaken(inbound.uid)
            && keep::received(&self.account, &self.host, &inbound.stanza) == Keep::Archive
        {
            mark = Mark::Late;
        }
        if mark == Mark::New && marked {
            marks.mark(inbound.uid);
        }
        mark
    }

    /// When all rows that are being written are durable.
    fn last_row(&self) -> Wait {
        if self.archive.last_id > self.archive.stored {
            Wait::Stored(self.archive.last_id)
        } else {
            Wait::Nothing
        }
    }

    /// The recipient's rules have let a stanza pass.
    pub(crate) fn go_inbound(&mut self, cx: &mut Cx<'_>, job: Job, effects: Vec<Effect>) {
        let Job { at, stanza, cause: Cause::Inbound(mut inbound), .. } = job else { return };
        inbound.stanza = stanza;
        match inbound.stanza.kind {
            Kind::Message => self.go_inbound_message(cx, *inbound, effects),
            Kind::Iq if at == At::Received => self.go_inbound_iq(cx, inbound, effects),
            // An IQ for the account that no feature knows.
            Kind::Iq => {
                let refused = matches!(inbound.stanza.ty, Type::Get | Type::Set);
                let finish = inbound.finish;
                self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
                cx.finish(finish, refused.then(|| StanzaError::from(Condition::ServiceUnavailable)));
            }
            Kind::Presence => self.push(cx, Entry { wait: Wait::Nothing, effects, finish: inbound.finish }),
        }
    }

    fn go_inbound_message(&mut self, cx: &mut Cx<'_>, inbound: Inbound, mut effects: Vec<Effect>) {
        let keep = keep::received(&self.account, &self.host, &inbound.stanza);
        let mut message = Message { inbound, archive_id: 0, deliver: false, spool: false };
        let mut wait = Wait::Nothing;
        if keep == Keep::Archive {
            let full = self.is_full(cx);
            if full && matches!(routing::message(&self.account, &message.inbound.stanza, keep), Route::Wait) {
                return cx.refuse(&message.inbound, Condition::ServiceUnavailable.into());
            }
            wait = Wait::Stored(self.append_received(cx, &mut message, false));
        } else if keep == Keep::Spool && self.nobody_takes(&message.inbound.stanza, keep) {
            if self.is_full(cx) {
                return cx.refuse(&message.inbound, Condition::ServiceUnavailable.into());
            }
            wait = Wait::Stored(self.append_received(cx, &mut message, true));
        }
        effects.push(Effect::Message(Box::new(message)));
        self.push(cx, Entry { wait, effects, finish: Finish::Nobody });
    }

    fn go_inbound_iq(&mut self, cx: &mut Cx<'_>, inbound: Box<Inbound>, mut effects: Vec<Effect>) {
        if routing::iq(&self.account, &inbound.stanza) == Route::Account {
            let mut inbound = inbound;
            let stanza = std::mem::replace(&mut inbound.stanza, placeholder());
            self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
            self.run(
                cx,
                Job { at: At::Account, step: 0, session: None, stanza, cause: Cause::Inbound(inbound) },
            );
        } else {
            effects.push(Effect::Iq(inbound));
            self.push(cx, Entry { wait: Wait::Nothing, effects, finish: Finish::Nobody });
        }
    }

    /// Queues a received message for the archive, and gives it its id.
    pub(crate) fn append_received(&mut self, cx: &mut Cx<'_>, message: &mut Message, spool: bool) -> u64 {
        let id = self.archive.next_id(cx.now_ms);
        message.archive_id = id;
        message.deliver = true;
        message.spool = spool;
        let inbound = &message.inbound;
        let row = Row {
            archive: self.account.jid.clone(),
            id,
            uid: inbound.uid,
            epoch: cx.owner.slots.epoch(self.slot),
            direction: Direction::Received,
            with: inbound.stanza.from.clone().unwrap_or_else(|| self.account.jid.clone()),
            address: inbound.stanza.to.clone(),
            deliver: true,
            spool,
            stamp_ms: cx.now_ms,
            stanza: stored::encode(&inbound.stanza),
        };
        cx.common.rows.push((self.at, row));
        id
    }

    /// Queues a sent message for its sender's archive.
    pub(crate) fn append_sent(&mut self, cx: &mut Cx<'_>, stanza: &Stanza, origin: [u8; 16], n: u64) -> u64 {
        let id = self.archive.next_id(cx.now_ms);
        let row = Row {
            archive: self.account.jid.clone(),
            id,
            uid: store::Uid { origin, n, k: 0 },
            epoch: cx.owner.slots.epoch(self.slot),
            direction: Direction::Sent,
            with: stanza.to.clone().unwrap_or_else(|| self.account.jid.clone()),
            address: stanza.to.clone(),
            deliver: false,
            spool: false,
            stamp_ms: cx.now_ms,
            stanza: stored::encode(stanza),
        };
        cx.common.rows.push((self.at, row));
        id
    }

    /// Whether a message reaches no client now: all it could be given to hibernate, or nobody is there.
    fn nobody_takes(&self, stanza: &Stanza, keep: Keep) -> bool {
        match routing::message(&self.account, stanza, keep) {
            Route::Wait => true,
            Route::Sessions(streams) => {
                !streams.iter().any(|id| self.stream(*id).is_some_and(|stream| stream.link.is_some()))
            }
            _ => false,
        }
    }

    /// Whether more messages wait for the account than may.
    fn is_full(&self, cx: &Cx<'_>) -> bool {
        self.archive.waiting >= cx.owner.config.backlog_max
    }
}
