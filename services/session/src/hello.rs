//! What an owner says of itself.

use std::sync::Arc;

use features::host::Host;
use proto::delivery as shared;
use proto::session as wire;
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
            admissions_per_s: 0,
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
