//! Where workers come in: each holds one stream, and what it says becomes events of the controller.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::Clock;
use crate::wire::fleet_server::{Fleet, FleetServer};
use crate::wire::{FromWorker, ToWorker, from_worker};

/// Messages that wait for a worker, at most.
pub(crate) const QUEUE_MAX: usize = 64;

/// What the controller says to one worker.
pub(crate) type Line = mpsc::Sender<Result<ToWorker, Status>>;

/// Something that a worker said or did.
#[derive(Debug)]
pub(crate) struct Event {
    /// The connection's number.
    pub line: u64,
    /// When it was heard, by the controller's clock.
    pub at_us: i64,
    pub news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    /// It has connected, from this address; this is how to answer.
    Came(String, Line),
    Said(from_worker::Kind),
    /// Its connection has ended.
    Gone(String),
}

/// Lets workers in until it is dropped.
pub(crate) async fn open(
    listener: TcpListener,
    clock: Clock,
    events: mpsc::Sender<Event>,
) -> Result<(), tonic::transport::Error> {
    let door = Door { clock, events, lines: AtomicU64::new(0) };
    // Waiting to fill a packet would be taken for distance between clocks.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder().add_service(FleetServer::new(door)).serve_with_incoming(incoming).await
}

struct Door {
    clock: Clock,
    events: mpsc::Sender<Event>,
    lines: AtomicU64,
}

#[tonic::async_trait]
impl Fleet for Door {
    type JoinStream = Pin<Box<dyn Stream<Item = Result<ToWorker, Status>> + Send>>;

    async fn join(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let from = request.remote_addr().map_or_else(|| "somewhere".to_owned(), |from| from.ip().to_string());
        let (to, answers) = mpsc::channel(QUEUE_MAX);
        let line = self.lines.fetch_add(1, Ordering::Relaxed);
        let ear = Ear { line, clock: self.clock, events: self.events.clone() };
        tokio::spawn(ear.listen(request.into_inner(), from, to));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

struct Ear {
    line: u64,
    clock: Clock,
    events: mpsc::Sender<Event>,
}

impl Ear {
    async fn listen(self, mut said: Streaming<FromWorker>, from: String, to: Line) {
        // The controller that nobody listens to any more has ended.
        if !self.tell(News::Came(from, to)).await {
            return;
        }
        let why = loop {
            match said.message().await {
                Ok(Some(FromWorker { kind: Some(kind) })) => {
                    if !self.tell(News::Said(kind)).await {
                        return;
                    }
                }
                Ok(Some(FromWorker { kind: None })) => {}
                Ok(None) => break "it hung up".to_owned(),
                Err(status) => break format!("its connection broke ({})", status.message()),
            }
        };
        self.tell(News::Gone(why)).await;
    }

    async fn tell(&self, news: News) -> bool {
        let event = Event { line: self.line, at_us: self.clock.now_us(), news };
        self.events.send(event).await.is_ok()
    }
}
