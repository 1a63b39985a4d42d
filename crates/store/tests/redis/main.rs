//! Redis keeps the contract in each of its forms, and is left alone while it is away.
//!
//! The tests start servers of their own. With `THRONG_REDIS`, `THRONG_REDIS_SENTINEL` or `THRONG_REDIS_CLUSTER` (URLs with
//! commas between them) the plays are performed on those too.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

mod servers;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use servers::{Server, free_port};
use store::{
    Error, Session, Store, conformance, memory,
    redis::{self, Live, Options, Servers},
};
use xmpp::jid::Jid;

/// A view of these servers with keys of its own.
fn live(servers: Servers) -> Live {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let prefix = format!("test-{now}-{}", MADE.fetch_add(1, Ordering::Relaxed));
    redis::open(Options { prefix, ..Options::new(servers) }).unwrap()
}

fn store(servers: &Servers) -> Store {
    live(servers.clone()).over(memory::open())
}

async fn perform_plays(servers: Servers) {
    conformance::hibernated(&store(&servers)).await;
    conformance::taken_once(&store(&servers)).await;
    conformance::registry(&store(&servers)).await;
    conformance::handovers(&store(&servers)).await;
    conformance::liveness(&store(&servers)).await;
    conformance::counters(&store(&servers)).await;
    conformance::removal(&store(&servers)).await;
}

fn session(at: u8) -> Session {
    let account = Jid::from_prepared("juliet@capulet.example").unwrap();
    Session { origin: [at; 16], account, deadline_ms: 1 << 41, state: Bytes::from_static(b"asleep") }
}

fn urls(name: &str) -> Option<Vec<String>> {
    let urls = std::env::var(name).ok()?;
    Some(urls.split(',').map(str::to_owned).collect())
}

#[tokio::test]
async fn one_server_keeps_the_contract() {
    if servers::are_there() {
        let server = Server::start(free_port(), &[]);
        perform_plays(Servers::Single(server.url())).await;
    }
    match urls("THRONG_REDIS") {
        Some(urls) => perform_plays(Servers::Single(urls[0].clone())).await,
        None => println!("skipped: THRONG_REDIS names no server"),
    }
}

#[tokio::test]
async fn a_server_behind_sentinels_keeps_the_contract() {
    match urls("THRONG_REDIS_SENTINEL") {
        Some(sentinels) => perform_plays(Servers::Sentinel { sentinels, master: "throng".into() }).await,
        None => println!("skipped: THRONG_REDIS_SENTINEL names no sentinel"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_keeps_the_contract() {
    if servers::are_there() {
        let nodes = servers::cluster();
        perform_plays(Servers::Cluster(nodes.iter().map(Server::url).collect())).await;
    }
    match urls("THRONG_REDIS_CLUSTER") {
        Some(nodes) => perform_plays(Servers::Cluster(nodes)).await,
        None => println!("skipped: THRONG_REDIS_CLUSTER names no node"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_when_the_primary_dies() {
    if !servers::are_there() {
        return;
    }
    let primary = Server::start(free_port(), &[]);
    let replica = Server::start(free_port(), &["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    servers::until("the replica follows", || {
        replica.says(&["INFO", "replication"]).contains("link_status:up")
    });
    let sentinels: Vec<_> = (0..3).map(|_| Server::sentinel(primary.port)).collect();
    servers::until("the sentinels know each other and the replica", || {
        sentinels.iter().all(|sentinel| {
            let told = sentinel.says(&["SENTINEL", "MASTER", "throng"]);
            let fields: Vec<_> = told.lines().collect();
            let is = |name, value| fields.windows(2).any(|pair| pair == [name, value]);
            is("num-other-sentinels", "2") && is("num-slaves", "1")
        })
    });
    let urls = sentinels.iter().map(Server::url).collect();
    let servers = Servers::Sentinel { sentinels: urls, master: "throng".into() };
    perform_plays(servers.clone()).await;
    let live = live(servers);
    live.hibernated.put(session(1)).await.unwrap();
    let replicated = || replica.says(&["KEYS", "*h1}*"]).contains("0101");
    servers::until("the replica has it", replicated);

    drop(primary);
    let killed = Instant::now();
    let mut longest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let put = live.hibernated.put(session(2)).await;
        longest = longest.max(asked.elapsed());
        if put.is_ok() {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(15), "never written again: {put:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    println!(
        "written again {:?} after the primary's death, no answer took longer than {longest:?}",
        killed.elapsed()
    );
    assert!(longest < Duration::from_millis(2_500), "two requests of a second each: {longest:?}");
    assert_eq!(live.hibernated.take([1; 16]).await.unwrap(), Some(session(1)));
    assert_eq!(live.hibernated.take([2; 16]).await.unwrap(), Some(session(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_refused_at_once_and_found_when_it_comes() {
    if !servers::are_there() {
        return;
    }
    let port = free_port();
    let live = live(Servers::Single(format!("redis://127.0.0.1:{port}")));
    assert!(matches!(live.counters.count("logins").await, Err(Error::Refused(_))));
    let start = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(live.counters.add("logins", 1, 1000).await, Err(Error::Refused(_))));
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());

    let server = Server::start(port, &[]);
    until_counted(&live).await;

    // Emptied, it has forgotten the scripts as well.
    server.says(&["FLUSHALL"]);
    server.says(&["SCRIPT", "FLUSH"]);
    assert_eq!(live.counters.add("logins", 1, 60_000).await, Ok(1));

    drop(server);
    let _server = Server::start(port, &[]);
    until_counted(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_waited_for_once() {
    if !servers::are_there() {
        return;
    }
    let server = Server::start(free_port(), &[]);
    let live = live(Servers::Single(server.url()));
    assert_eq!(live.counters.add("logins", 1, 60_000).await, Ok(1));

    server.freeze();
    let write = live.counters.add("logins", 1, 60_000).await;
    assert!(matches!(write, Err(Error::Unknown(_))), "it may have been counted: {write:?}");
    let start = Instant::now();
    let read = live.counters.count("logins").await;
    assert!(matches!(read, Err(Error::Refused(_))), "{read:?}");
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());

    server.thaw();
    until_counted(&live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_that_dies_takes_only_its_part_along() {
    if !servers::are_there() {
        return;
    }
    let mut nodes = servers::cluster();
    let live = live(Servers::Cluster(nodes.iter().map(Server::url).collect()));
    let counters: Vec<String> = (0..30).map(|n| format!("counter-{n}")).collect();
    for counter in &counters {
        live.counters.add(counter, 1, 60_000).await.unwrap();
    }

    drop(nodes.pop());
    let (mut answered, mut longest) = (0, Duration::ZERO);
    for _ in 0..3 {
        answered = 0;
        for counter in &counters {
            let asked = Instant::now();
            answered += usize::from(live.counters.add(counter, 1, 60_000).await.is_ok());
            longest = longest.max(asked.elapsed());
        }
    }
    println!("{answered} of 30 are answered, none took longer than {longest:?}");
    assert!((10..30).contains(&answered), "two thirds, more or less: {answered} of 30");
    assert!(longest < Duration::from_millis(1_500), "{longest:?}");
}

#[tokio::test]
async fn without_redis_an_account_is_not_removed_by_half() {
    let store = store(&Servers::Single(format!("redis://127.0.0.1:{}", free_port())));
    let juliet = session(1).account;
    store.accounts.create(&juliet, store::Account::default()).await.unwrap();

    assert!(matches!(store.remove_account(&juliet).await, Err(Error::Refused(_))));
    assert!(store.accounts.load(&juliet).await.unwrap().is_some());
}

async fn until_counted(live: &Live) {
    let start = Instant::now();
    while live.counters.add("other", 1, 60_000).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "redis is back and nobody noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("found again after {:?}", start.elapsed());
}
