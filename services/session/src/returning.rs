//! What a session that is over was given and did not take (docs/delivery.md §8).

use std::collections::VecDeque;

use features::account::Origin;
use node::carry;
use xmpp::stanza::{Condition, Kind, Stanza, Type};

use crate::deliver::held;
use crate::lane::Arrival;
use crate::resident::Resident;
use crate::shard::Cx;
use crate::stream::Mail;
use crate::work::{Finish, Inbound};

impl Resident {
    /// Stored messages wait again, questions come back, what is kept nowhere finds its way anew; the rest was for that
    /// session only.
    pub(crate) fn return_mail(&mut self, cx: &mut Cx<'_>, mailbox: VecDeque<Mail>) {
        let mut rows = Vec::new();
        for mail in mailbox {
            if mail.settles {
                rows.push(mail.archive_id);
                continue;
            }
            let Ok(stanza) = carry::unpack(&mail.stanza) else { continue };
            let request = stanza.kind == Kind::Iq && matches!(stanza.ty, Type::Get | Type::Set);
            if request {
                self.bounce(cx, &stanza, Finish::Nobody, Condition::ServiceUnavailable);
            } else if mail.held != 0 || mail.uid.is_some() {
                self.return_held(cx, stanza, mail.held, mail.kept, mail.uid);
            }
        }
        rows.retain(|id| !self.mailboxes().any(|mail| mail.settles && mail.archive_id == *id));
        if !self.archive.ungive(&rows) {
            return;
        }
        if let Some(other) = self.takes_messages() {
            self.arrive(cx, Arrival::Backlog(other));
        }
    }

    /// Its rule decides again, unless another session has it.
    fn return_held(
        &mut self,
        cx: &mut Cx<'_>,
        stanza: Stanza,
        key: u32,
        kept: bool,
        uid: Option<store::Uid>,
    ) {
        let elsewhere = match held(cx, key) {
            Some(held) => held.acked || held.mails > 1,
            None => self.mailboxes().any(|mail| mail.uid == uid),
        };
        if elsewhere {
            if !kept {
                Self::kept_one(cx, key);
            }
            return Self::released(cx, key, false);
        }
        // Once its edge had it, it was acknowledged: nobody waits any more, and it is still owed.
        let finish =
            held(cx, key).map_or(Finish::Nobody, |held| std::mem::replace(&mut held.finish, Finish::Nobody));
        Self::released(cx, key, false);
        let to = stanza.to.clone().unwrap_or_else(|| self.account.jid.clone());
        let inbound = Inbound { uid: uid.unwrap_or_default(), finish, must: false, marked: true, to, stanza };
        self.arrive(cx, Arrival::Inbound(Box::new(inbound)));
    }

    fn mailboxes(&self) -> impl Iterator<Item = &Mail> {
        self.streams.iter().flat_map(|stream| &stream.outbound.mailbox)
    }

    /// A session that takes what waits, one whose client is there if possible.
    pub(crate) fn takes_messages(&self) -> Option<Origin> {
        let eligible = self.account.sessions.iter().filter(|session| session.eligible());
        let linked = |id: &Origin| self.stream(*id).is_some_and(|stream| stream.link.is_some());
        eligible.map(|session| session.stream).max_by_key(linked)
    }
}
