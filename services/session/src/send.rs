//! The way from an account to its addressees: another account of this owner, another owner, or nobody.

use features::account::Origin;
use store::Uid;
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};

use crate::lane::Cause;
use crate::resident::Resident;
use crate::router_link::Sent;
use crate::shard::{Cx, of_slot};
use crate::work::{Finish, Inbound, Work};

impl Cx<'_> {
    /// Sends a stanza to its `to`, or to all of `to` where there are any.
    pub(crate) fn route(&mut self, uid: Uid, finish: Finish, mut stanza: Stanza, to: &[Jid]) {
        // Undirected presence is none the less so for having addressees.
        let must = !features::keep::transient(&stanza);
        if to.is_empty() {
            match stanza.to.clone() {
                Some(to) => self.route_one(uid, finish, must, stanza, to),
                None => self.finish(finish, None),
            }
            return;
        }
        // RFC 6121 §4.4.2: each addressee sees itself as the addressee.
        let (last, others) = to.split_last().map_or((None, &[][..]), |(last, others)| (Some(last), others));
        for to in others {
            let mut copy = stanza.clone();
            copy.to = Some(to.clone());
            self.route_one(uid, Finish::Nobody, must, copy, to.clone());
        }
        if let Some(to) = last {
            stanza.to = Some(to.clone());
            self.route_one(uid, finish, must, stanza, to.clone());
        }
    }

    fn route_one(&mut self, uid: Uid, finish: Finish, must: bool, stanza: Stanza, to: Jid) {
        if self.owner.host(to.domain()).is_none() {
            return self.finish(finish, Some(StanzaError::from(Condition::RemoteServerNotFound)));
        }
        if to.node().is_none() {
            // The domain itself: it answers IQs of its own users in the phase for them, and takes nothing else.
            let answered = match stanza.kind {
                Kind::Presence => false,
                Kind::Message => stanza.ty != Type::Error,
                Kind::Iq => matches!(stanza.ty, Type::Get | Type::Set),
            };
            return self.finish(finish, answered.then(|| StanzaError::from(Condition::ServiceUnavailable)));
        }
        let slot = node::slots::of(to.bare_str(), "");
        self.hand(slot, Box::new(Inbound { uid, finish, must, marked: false, to, stanza }));
    }

    /// A copy of a stanza that has been received: whoever sent it hears what became of that.
    pub(crate) fn again(&mut self, inbound: &Inbound) {
        let refused = self.owner.routes.receiving.refused(inbound.uid, &inbound.to);
        self.finish(inbound.finish, refused);
    }

    /// Refuses a stanza that was received. It may come again by way of another owner, if its client's slot moves.
    pub(crate) fn refuse(&mut self, inbound: &Inbound, error: StanzaError) {
        if self.owner.config.shared && matches!(inbound.finish, Finish::Client(..)) {
            self.owner.routes.receiving.remember(inbound.uid, inbound.to.clone(), error.clone());
        }
        self.finish(inbound.finish, Some(error));
    }

    /// Gives a stanza to the owner of its slot.
    pub(crate) fn hand(&mut self, slot: u16, inbound: Box<Inbound>) {
        let inbound = if self.owner.slots.owns(slot) {
            inbound
        } else {
            match self.owner.routes.send(slot, self.now_ms, inbound) {
                Sent::Gone => return,
                Sent::Full(finish) => {
                    return self.finish(finish, Some(StanzaError::from(Condition::ResourceConstraint)));
                }
                Sent::Mine(inbound) => inbound,
            }
        };
        self.post(of_slot(slot), Work::Inbound(inbound));
    }
}

impl Resident {
    /// The uid of something that handling a stanza has produced: the same if it is handled again.
    pub(crate) fn derived(&mut self, cx: &Cx<'_>, cause: &Cause) -> Uid {
        let (origin, n) = match cause {
            Cause::Own { stream, n, .. } => (*stream, *n),
            Cause::Inbound(inbound) => (inbound.uid.origin, inbound.uid.n),
            Cause::Owner => return cx.owner.own_uid(&self.account.jid),
        };
        let product = self.product.get_or_insert_default();
        let k = if (product.0, product.1) == (origin, n) { product.2 + 1 } else { 1 };
        **product = (origin, n, k);
        Uid { origin: derive(&origin, self.account.jid.as_str()), n, k }
    }
}

/// The origin of what `producer` makes of stanzas of `origin`.
pub(crate) fn derive(origin: &Origin, producer: &str) -> Origin {
    // FNV-1a over 128 bits: it has to be the same everywhere, and hard to hit only by accident.
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in origin.iter().chain(producer.as_bytes()) {
        hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash.to_be_bytes()
}
