//! What owners call: one stream for each owner.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use node::Outbox;
use proto::delivery as wire;
use proto::router::frame::Kind;
use proto::router::router_server::Router as Calls;
use proto::router::{Frame, Frames};
use tonic::{Request, Response, Status, Streaming};

use crate::Router;

/// A router as owners see it.
#[derive(Clone)]
pub struct Service {
    router: Arc<Router>,
}

impl Service {
    pub(crate) fn new(router: Arc<Router>) -> Self {
        Self { router }
    }
}

#[tonic::async_trait]
impl Calls for Service {
    type RouteStream = Pin<Box<dyn Stream<Item = Result<Frames, Status>> + Send>>;

    async fn route(
        &self,
        request: Request<Streaming<Frames>>,
    ) -> Result<Response<Self::RouteStream>, Status> {
        let (outbox, batches) = Outbox::new(|frames| Frames { frames });
        let hello = wire::Hello {
            version: 1,
            role: "router".into(),
            member: self.router.config.member.clone(),
            incarnation: 0,
        };
        outbox.send(Frame { kind: Some(Kind::Hello(hello)) });
        tokio::spawn(read(Arc::clone(&self.router), request.into_inner(), outbox));
        Ok(Response::new(Box::pin(batches.map(Ok))))
    }
}

async fn read(router: Arc<Router>, mut frames: Streaming<Frames>, outbox: Outbox<Frame>) {
    let link = router.relay.lock().connect(outbox.clone());
    while let Ok(Some(batch)) = frames.message().await {
        let mut relay = router.relay.lock();
        for frame in batch.frames {
            match frame.kind {
                Some(Kind::Hello(hello)) => tracing::info!(owner = hello.member, "an owner has connected"),
                Some(Kind::Table(table)) => relay.owned(link, &table),
                Some(Kind::Item(item)) => relay.item(link, &item),
                Some(Kind::Done(done)) => relay.done(link, done),
                Some(Kind::Moved(_) | Kind::Credit(_)) | None => {}
            }
        }
    }
    outbox.close();
    router.relay.lock().lost(link);
}
