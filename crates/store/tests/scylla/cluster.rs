//! A keyspace of its own for each test.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use ::scylla::client::session_builder::SessionBuilder;
use store::{
    Store,
    scylla::{self, Options},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Tests that have a keyspace at a time: each takes a second of a busy node to make.
static ROOM: Semaphore = Semaphore::const_new(3);

/// A keyspace, while it is used.
pub(crate) struct Keyspace {
    pub(crate) options: Options,
    _room: SemaphorePermit<'static>,
}

impl Keyspace {
    /// A new one; none where there is no cluster.
    pub(crate) async fn make() -> Option<Self> {
        let Ok(node) = std::env::var("THRONG_CQL") else {
            eprintln!("skipped: THRONG_CQL does not say where Scylla or Cassandra is");
            return None;
        };
        let room = ROOM.acquire().await.unwrap();
        let options = Options { keyspace: name(), ..Options::new(vec![node]) };
        scylla::migrate(&options, |_| ()).await.unwrap();
        Some(Self { options, _room: room })
    }

    /// Opens it, as another process would.
    pub(crate) async fn open(&self) -> Store {
        scylla::open(self.options.clone()).await.unwrap()
    }

    /// Says something in CQL, as an operator would.
    pub(crate) async fn query(&self, text: &str) {
        let session = SessionBuilder::new().known_nodes(&self.options.nodes).build().await.unwrap();
        session.query_unpaged(text, ()).await.unwrap();
    }

    /// Takes it away.
    pub(crate) async fn drop(self) {
        self.query(&format!("DROP KEYSPACE {}", self.options.keyspace)).await;
    }
}

fn name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("throng_test_{now:x}_{:x}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
