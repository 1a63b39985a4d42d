//! Items that other owners send here: which runs are over, and what the senders have to be told.

use hashbrown::HashMap;
use node::Outbox;
use parking_lot::Mutex;
use proto::delivery as wire;
use proto::router::Frame;
use proto::router::frame::Kind;
use xmpp::stanza::StanzaError;

use crate::router_link::RouterLink;

/// What is open between this owner and those who send to it.
#[derive(Default)]
pub(crate) struct Receiving {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    outboxes: HashMap<RouterLink, Outbox<Frame>>,
    open: HashMap<(RouterLink, u64), Open>,
    /// The highest (epoch, run) heard of each (sending owner, slot).
    runs: HashMap<(String, u32), (u64, u64)>,
}

/// An item whose addressees are not all finished.
struct Open {
    waits: u32,
    refused: Vec<wire::Refused>,
    addressees: Vec<String>,
}

impl Receiving {
    pub(crate) fn connected(&self, link: RouterLink, outbox: Outbox<Frame>) {
        self.inner.lock().outboxes.insert(link, outbox);
    }

    pub(crate) fn lost(&self, link: RouterLink) {
        let mut inner = self.inner.lock();
        inner.outboxes.remove(&link);
        inner.open.retain(|(of, _), _| *of != link);
    }

    /// Takes an item for its addressees; none if it is of a run that is over.
    pub(crate) fn take(&self, link: RouterLink, item: &wire::Item) -> Option<Vec<String>> {
        let mut inner = self.inner.lock();
        let mut addressees = Vec::new();
        for target in &item.to {
            let heard = inner.runs.entry((item.from_member.clone(), target.slot)).or_default();
            if (item.from_epoch, target.run) < *heard {
                continue;
            }
            *heard = (item.from_epoch, target.run);
            addressees.extend(target.addressees.iter().cloned());
        }
        if addressees.is_empty() {
            return None;
        }
        let open =
            Open { waits: addressees.len() as u32, refused: Vec::new(), addressees: addressees.clone() };
        inner.open.insert((link, item.seq), open);
        Some(addressees)
    }

    /// One addressee of an item is finished.
    pub(crate) fn finished(&self, link: RouterLink, seq: u64, addressee: u32, refused: Option<StanzaError>) {
        let mut inner = self.inner.lock();
        let Some(open) = inner.open.get_mut(&(link, seq)) else { return };
        open.waits = open.waits.saturating_sub(1);
        if let Some(error) = refused {
            let addressee = open.addressees.get(addressee as usize).cloned().unwrap_or_default();
            let text = error.text.unwrap_or_default().to_string();
            open.refused.push(wire::Refused {
                seq,
                addressee,
                condition: error.condition.name().to_owned(),
                text,
            });
        }
        if open.waits > 0 {
            return;
        }
        let Some(open) = inner.open.remove(&(link, seq)) else { return };
        let finished =
            if open.refused.is_empty() { vec![wire::Range { first: seq, last: 0 }] } else { Vec::new() };
        let done = wire::Done { finished, refused: open.refused, open: Vec::new() };
        if let Some(outbox) = inner.outboxes.get(&link) {
            outbox.send(Frame { kind: Some(Kind::Done(done)) });
        }
    }
}
