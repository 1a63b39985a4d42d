//! What an owner says of itself.

use std::sync::Arc;

use features::host::Host;
use proto::delivery as shared;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;
use xmpp::stanza::StanzaError;

use crate::owner::Owner;
use crate::shard::of_stream;
use crate::work::{Finish, Work};

/// Version of the frames; a higher one has more of them.
pub(crate) const VERSION: u32 = 1;

impl Owner {
    pub(crate) fn hello(&self) -> shared::Hello {
        shared::Hello {
            version: VERSION,
            role: "session".into(),
            member: self.config.member.clone(),
            incarnation: self.incarnation,
        }
    }

    /// Greets an edge.
    pub(crate) fn welcome(&self) -> wire::Welcome {
        wire::Welcome {
            hello: Some(self.hello()),
            epoch: self.epoch,
            hosts: self.hosts().map(|host| describe(host)).collect(),
            resume_max_s: self.config.resume_max_s,
            admissions_per_s: self.share_of_admissions(),
        }
    }

    /// What each edge may admit in a second, so that all together keep to the budget; 0: there is none.
    fn share_of_admissions(&self) -> u32 {
        let edges = self.links.lock().len().max(1) as u32;
        self.config.admissions_per_s.div_ceil(edges)
    }

    /// Edges have come or gone: each of the others gets its new share.
    pub(crate) fn share_admissions(&self) {
        if self.config.admissions_per_s > 0 {
            let links = self.links.lock().clone();
            for link in &links {
                link.send_one(Frame::Welcome(self.welcome()));
            }
        }
    }

    /// Part of something is finished; for threads that are at no shard.
    pub(crate) fn finished(self: &Arc<Self>, finish: Finish, refused: Option<StanzaError>) {
        match finish {
            Finish::Nobody => {}
            Finish::Client(stream, n) => self.post(of_stream(stream), Work::Finished(stream, n, refused)),
            Finish::Remote(number) => self.routes.receiving.finished(number, refused),
        }
    }
}

fn describe(host: &Host) -> wire::Host {
    wire::Host {
        domain: host.domain.as_str().to_owned(),
        register: host.registration,
        anonymous: host.anonymous,
        caps_node: features::disco::caps::NODE.to_owned(),
        caps_ver: features::disco::caps::of(host),
        stanza_bytes_max: host.stanza_bytes_max,
    }
}
