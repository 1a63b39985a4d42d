//! Streams go where their slots go. All that an edge remembers of a stream is said to whoever owns its slot now, from
//! then on frames of the owner before are nobody's, and the client notices nothing.

use std::sync::Arc;

use node::Outbox;
use proto::{
    delivery,
    session::{Attach, EdgeFrame, edge_frame::Kind},
};

use crate::{
    client::record::frame,
    hub::Hub,
    link::{Link, slot},
    table::Fate,
};

impl Hub {
    /// An owner says all that it owns; `outbox` leads to it.
    pub(crate) fn announced(&self, link: &Arc<Link>, said: &delivery::Table, outbox: &Outbox<EdgeFrame>) {
        let _others_wait = self.moving.write();
        let fates = self.table.lock().announce(link, said);
        let fate = |slot: u16| fates.get(usize::from(slot)).copied().unwrap_or(Fate::Same);
        let first = link.up(outbox);
        let links = self.links.lock().clone();
        for other in links.iter().filter(|other| !Arc::ptr_eq(other, link)) {
            for (id, client) in other.streams_of(|slot| fate(slot) == Fate::Claimed) {
                other.forget(&id);
                link.remember(id, client);
            }
        }
        for (id, client) in link.streams_of(|slot| first || fate(slot) != Fate::Same) {
            if !first && fate(slot(&id)) == Fate::Shut {
                client.hold();
            } else if !client.attach(link) {
                link.forget(&id);
            }
        }
        let epoch = said.owned.iter().chain(&said.closing).map(|slots| slots.epoch).max().unwrap_or(0);
        outbox.send(frame(Kind::Attach(Box::new(Attach { last: true, epoch, ..Attach::default() }))));
        let exchanging = links.iter().flat_map(|link| link.exchanging());
        exchanging.for_each(|client| client.nudge());
        self.nudge_waiting();
    }
}
