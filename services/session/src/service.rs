//! What edges call: one stream for each edge, frames in both directions.

use std::pin::Pin;
use std::sync::Arc;

use features::account::Origin;
use futures_util::{Stream, StreamExt};
use node::{Outbox, carry};
use proto::delivery as shared;
use proto::session as wire;
use proto::session::edge_frame::Kind;
use proto::session::owner_frame::Kind as Frame;
use proto::session::session_server::{Session, SessionServer};
use tonic::{Request, Response, Status, Streaming};

use crate::edges::Link;
use crate::login::Logins;
use crate::owner::{Owner, stream_of};
use crate::shard::{self, SHARDS};
use crate::work::{Bind, FromEdge, Resume, Work};

/// Items that an edge may have on the way here.
const CREDIT_ITEMS: u64 = 16_384;

/// Their stanzas, in bytes.
const CREDIT_BYTES: u64 = 64 * 1024 * 1024;

/// An owner as edges see it.
#[derive(Clone)]
pub struct Service {
    owner: Arc<Owner>,
}

impl Owner {
    /// The service that edges call.
    pub fn service(self: &Arc<Self>) -> SessionServer<Service> {
        let limit = node::wire::MESSAGE_BYTES_MAX;
        SessionServer::new(Service { owner: Arc::clone(self) })
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }
}

#[tonic::async_trait]
impl Session for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<wire::OwnerFrames, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::EdgeFrames>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (outbox, batches) = Outbox::new(|frames| wire::OwnerFrames { frames });
        tokio::spawn(read(Arc::clone(&self.owner), request.into_inner(), outbox));
        Ok(Response::new(Box::pin(batches.map(Ok))))
    }
}

async fn read(owner: Arc<Owner>, mut frames: Streaming<wire::EdgeFrames>, outbox: Outbox<wire::OwnerFrame>) {
    let mut reader: Option<Reader> = None;
    loop {
        let batch = match frames.message().await {
            Ok(Some(batch)) => batch.frames,
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "an edge's stream broke");
                break;
            }
        };
        let mut batch = batch.into_iter();
        if reader.is_none() {
            let Some(Kind::Hello(hello)) = batch.next().and_then(|frame| frame.kind) else { break };
            let link = Link::new(hello.member, outbox.clone());
            if !owner.admit(&link) {
                break;
            }
            link.send_one(Frame::Welcome(owner.welcome()));
            link.send_one(Frame::Table(owner.slots.table()));
            link.send_one(Frame::Credit(shared::Credit { items: CREDIT_ITEMS, bytes: CREDIT_BYTES }));
            tracing::info!(edge = link.member(), "an edge has connected");
            owner.share_admissions();
            reader = Some(Reader { owner: Arc::clone(&owner), logins: Arc::new(Logins::default()), link });
        }
        if let Some(reader) = &reader {
            reader.batch(batch);
        }
    }
    outbox.close();
    if let Some(Reader { link, .. }) = reader {
        tracing::info!(edge = link.member(), "an edge is gone");
        owner.links.lock().retain(|other| *other != link);
        owner.gathering.changed();
        owner.share_admissions();
        owner.post_all((0..SHARDS).map(|shard| (shard, Work::LinkLost(link.clone()))));
    }
}

/// What is read of one edge.
struct Reader {
    owner: Arc<Owner>,
    logins: Arc<Logins>,
    link: Link,
}

impl Reader {
    fn batch(&self, frames: impl Iterator<Item = wire::EdgeFrame>) {
        let mut used = shared::Credit::default();
        let mut works = Vec::new();
        let mut last = None;
        for frame in frames {
            let Some(kind) = frame.kind else { continue };
            if let Kind::Attach(attach) = &kind
                && attach.last
            {
                last = Some(attach.epoch);
            }
            if let Kind::Item(item) = &kind {
                used.items += 1;
                used.bytes += item.stanza.len() as u64;
            }
            if let Kind::Credit(room) = &kind {
                let waiting = self.link.more(room).into_iter();
                works.extend(waiting.map(|id| self.of_stream(id, FromEdge::Room)));
            }
            works.extend(self.work(kind));
        }
        self.owner.post_all(works.into_iter());
        if let Some(epoch) = last {
            // All its sessions are with their accounts, or on their way there.
            self.owner.gathering.attached(self.link.member(), epoch);
        }
        if used.items > 0 {
            // What may pile up behind this is bounded for each session and each account.
            self.link.send_one(Frame::Credit(used));
        }
    }

    fn work(&self, kind: Kind) -> Option<(usize, Work)> {
        match kind {
            Kind::Item(item) => {
                let (uid, generation, stanza) = (item.uid?, item.generation, item.stanza);
                self.stream(uid.origin, FromEdge::Item { generation, n: uid.n, stanza })
            }
            Kind::Kept(kept) => self.stream(kept.stream, FromEdge::Kept(kept.out_n)),
            Kind::Acked(acked) => self.stream(acked.stream, FromEdge::Acked(acked.out_n)),
            Kind::Enable(enable) => self.stream(enable.stream, FromEdge::Enable(enable)),
            Kind::Csi(csi) => self.stream(csi.stream, FromEdge::Csi(csi.active)),
            Kind::Ended(ended) => {
                let (generation, why) = (ended.generation, ended.why());
                self.stream(ended.stream, FromEdge::Ended { generation, why })
            }
            Kind::Attach(attach) => self.attach(attach),
            Kind::Bind(bind) => {
                let jid = carry::address(&bind.jid).ok()??;
                let (link, exchange, resource) = (self.link.clone(), bind.exchange, bind.resource);
                Some((shard::of(jid.bare_str()), Work::Bind(Bind { link, exchange, jid, resource })))
            }
            Kind::Resume(resume) => self.resume(resume),
            Kind::Login(login) => {
                self.logins.login(&self.owner, &self.link, login);
                None
            }
            Kind::Register(register) => {
                self.logins.register(&self.owner, &self.link, register);
                None
            }
            Kind::Gone(gone) => {
                self.logins.gone(gone.exchange);
                None
            }
            Kind::Credit(_) | Kind::Hello(_) => None,
        }
    }

    fn stream(&self, id: Option<shared::Origin>, frame: FromEdge) -> Option<(usize, Work)> {
        Some(self.of_stream(carry::origin(id).ok()?, frame))
    }

    fn of_stream(&self, id: Origin, frame: FromEdge) -> (usize, Work) {
        (shard::of_stream(id), Work::Stream(id, self.link.clone(), frame))
    }

    fn attach(&self, attach: Box<wire::Attach>) -> Option<(usize, Work)> {
        self.stream(attach.stream, FromEdge::Attach(attach))
    }

    fn resume(&self, resume: wire::Resume) -> Option<(usize, Work)> {
        let jid = carry::address(&resume.jid).ok()??;
        // An id that is none of ours is answered like one that is not there any more.
        let stream = stream_of(&resume.previd).unwrap_or_default();
        let link = self.link.clone();
        let resume =
            Resume { link, exchange: resume.exchange, stream, jid, previd: resume.previd, h: resume.h };
        Some((shard::of(resume.jid.bare_str()), Work::Resume(resume)))
    }
}
