//! Redis and Kafka away, silent, and back (docs/degradation.md): whoever chats goes on chatting.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use throng_tests::client::Client;
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::Topology;
use throng_tests::stage::Stage;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const PLAYS: &[Play] = plays![
    nobody_misses_redis_and_kafka_that_are_away,
    nobody_waits_for_redis_and_kafka_that_do_not_answer,
    nobody_notices_that_redis_goes_silent_and_dies,
];

/// An address that takes connections and says nothing, until it is dropped.
struct Silence {
    address: SocketAddr,
    listens: JoinHandle<()>,
}

impl Silence {
    async fn begins() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let listens = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                held.push(socket);
            }
        });
        Self { address, listens }
    }

    /// From now on nobody listens there.
    async fn ends(self) -> SocketAddr {
        self.listens.abort();
        let _ = self.listens.await;
        self.address
    }
}

/// The same people where Redis and Kafka are said to be at these addresses. Other topologies have real ones.
async fn stage_with(stage: &Stage, redis: SocketAddr, kafka: SocketAddr) -> Option<Stage> {
    if stage.server().topology != Topology::Embedded {
        stage.skips("only where the server is one process");
        return None;
    }
    let (redis, kafka) = (format!("redis://{redis}"), kafka.to_string());
    Some(stage.alone(&[("redis.servers", &redis), ("kafka.brokers", &kafka)]).await)
}

async fn nobody_misses_redis_and_kafka_that_are_away(stage: Stage) {
    let (redis, kafka) = (Silence::begins().await.ends().await, Silence::begins().await.ends().await);
    let Some(stage) = stage_with(&stage, redis, kafka).await else { return };
    all_is_as_ever(&stage).await;
}

async fn nobody_waits_for_redis_and_kafka_that_do_not_answer(stage: Stage) {
    let (redis, kafka) = (Silence::begins().await, Silence::begins().await);
    let Some(stage) = stage_with(&stage, redis.address, kafka.address).await else { return };
    all_is_as_ever(&stage).await;
}

async fn nobody_notices_that_redis_goes_silent_and_dies(stage: Stage) {
    let (redis, kafka) = (Silence::begins().await, Silence::begins().await);
    let Some(stage) = stage_with(&stage, redis.address, kafka.address).await else { return };
    let (mut romeo, mut juliet) = (stage.online("romeo/orchard").await, stage.online("juliet/balcony").await);
    chat(&mut juliet, &mut romeo, 0..20).await;
    redis.ends().await;
    kafka.ends().await;
    chat(&mut juliet, &mut romeo, 20..40).await;
}

/// Logins, a chat without delay, and a stream that is resumed.
async fn all_is_as_ever(stage: &Stage) {
    let mut romeo = stage.bound("romeo/orchard").await;
    romeo.enables_management().await;
    romeo.is_available().await;
    let mut juliet = stage.online("juliet/balcony").await;
    chat(&mut juliet, &mut romeo, 0..50).await;

    let saved = romeo.vanishes_for_a_while();
    juliet.sends("<message to='{romeo}' type='chat'><body>while away</body></message>").await;
    juliet.settles().await;
    let (mut romeo, _) = stage.resumed("romeo/orchard", saved, 0).await;
    romeo.receives("<message><body>while away</body></message>").await;
}

/// Each message arrives, and none takes as long as asking what does not answer.
async fn chat(juliet: &mut Client, romeo: &mut Client, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let said = Instant::now();
        juliet.sends(&format!("<message to='{{romeo}}' type='chat'><body>{n}</body></message>")).await;
        romeo.receives(&format!("<message><body>{n}</body></message>")).await;
        let took = said.elapsed();
        assert!(took < Duration::from_millis(900), "message {n} took {took:?}");
    }
}
