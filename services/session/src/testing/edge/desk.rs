//! What an edge keeps of a stream.

use std::collections::VecDeque;

use bytes::Bytes;
use node::Outbox;
use proto::delivery::{Item, Origin, Uid};
use proto::session::edge_frame::Kind as Say;
use proto::session::{Above, Attach, Deliver, EdgeFrame, OpenIq, Resumed};
use xmpp::stanza::Stanza;

use super::{frame, number};

/// What an edge keeps of a stream, and what its client has heard.
#[derive(Clone, Default)]
pub(crate) struct Desk {
    pub(crate) id: Origin,
    pub(crate) generation: u64,
    pub(crate) jid: String,
    pub(crate) managed: bool,
    pub(crate) previd: String,
    pub(crate) max_s: u32,
    pub(crate) in_n: u64,
    pub(crate) in_base: u64,
    pub(crate) out_n: u64,
    pub(crate) out_base: u64,
    pub(crate) acked: u64,
    pub(crate) h: u64,
    pub(crate) above: Vec<Above>,
    pub(crate) unfinished: VecDeque<Item>,
    pub(crate) mailbox: VecDeque<Deliver>,
    pub(crate) state: Bytes,
    pub(crate) cursor: u64,
    pub(crate) position: u64,
    pub(crate) settled: Vec<u64>,
    pub(crate) open_iq: Vec<OpenIq>,
    /// Uids of what its client has acknowledged and no archive has.
    pub(crate) recent: Vec<Uid>,
    pub(crate) closed: Option<String>,
    pub(crate) hibernated: bool,
    pub(crate) lost: bool,
    /// Numbers and stanzas in the order they came.
    pub(crate) heard: VecDeque<(u64, Stanza)>,
}

impl Desk {
    pub(super) fn resumed(resumed: &Resumed) -> Self {
        Self {
            id: resumed.stream.unwrap_or_default(),
            generation: resumed.generation,
            jid: resumed.jid.clone(),
            managed: true,
            previd: resumed.previd.clone(),
            max_s: resumed.max_s,
            in_n: resumed.in_n,
            h: resumed.in_n,
            in_base: resumed.in_base,
            out_n: resumed.acked,
            acked: resumed.acked,
            out_base: resumed.out_base,
            state: resumed.state.clone(),
            position: resumed.position,
            recent: resumed.recent.clone(),
            ..Self::default()
        }
    }

    pub(super) fn attach(&self, outbox: &Outbox<EdgeFrame>) {
        outbox.send(frame(Say::Attach(
            Attach {
                stream: Some(self.id),
                generation: self.generation,
                jid: self.jid.clone(),
                state: self.state.clone(),
                position: self.position,
                h: self.h,
                above: self.above.clone(),
                open_iq: self.open_iq.clone(),
                settled: self.settled.clone(),
                mailbox: self.mailbox.iter().cloned().collect(),
                out_n: self.out_n,
                acked: self.acked,
                managed: self.managed,
                resume: self.managed,
                max_s: self.max_s,
                in_base: self.in_base,
                out_base: self.out_base,
                cursor: self.cursor,
                address: String::new(),
                lost: self.lost,
                last: false,
                recent: self.recent.clone(),
                epoch: 0,
            }
            .into(),
        )));
        let finished = |item: &&Item| !self.above.iter().any(|above| above.n == number(item));
        for item in self.unfinished.iter().filter(finished) {
            outbox.send(frame(Say::Item(item.clone().into())));
        }
    }
}
