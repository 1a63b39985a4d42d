//! A cluster that is away, silent, or back again. Between it and the store is a proxy, which does what it is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use store::{Direction, Error, Row, Uid, scylla, scylla::Options};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use xmpp::jid::Jid;

use crate::cluster::Keyspace;

const TIMEOUT: Duration = Duration::from_millis(500);

/// What becomes of what the cluster answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Answers wait.
    Silent,
    /// There is nobody.
    Gone,
}

async fn proxy(node: String) -> (String, watch::Sender<Way>) {
    let (say, told) = watch::channel(Way::Open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            // Accepted and closed at once, as good as refused.
            if *told.borrow() != Way::Gone {
                tokio::spawn(relay(client, node.clone(), told.clone()));
            }
        }
    });
    (address.to_string(), say)
}

async fn relay(client: TcpStream, node: String, mut told: watch::Receiver<Way>) {
    let server = TcpStream::connect(node).await.unwrap();
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let mut gone = told.clone();
    let asked = tokio::io::copy(&mut from_client, &mut to_server);
    let answered = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok(bytes @ 1..) = from_server.read(&mut buffer).await else { return };
            if told.wait_for(|way| *way == Way::Open).await.is_err() {
                return;
            }
            if to_client.write_all(&buffer[..bytes]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = asked => {}
        () = answered => {}
        _ = gone.wait_for(|way| *way == Way::Gone) => {}
    }
}

fn row(id: u64) -> Row {
    let jid = |text| Jid::from_prepared(text).unwrap();
    Row {
        archive: jid("juliet@capulet.example"),
        id,
        uid: Uid::default(),
        epoch: 1,
        direction: Direction::Received,
        with: jid("romeo@montague.example"),
        address: None,
        deliver: true,
        spool: false,
        stamp_ms: id,
        stanza: Bytes::from_static(b"x"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_refused_or_unknown_by_what_may_have_come_of_it() {
    let Some(keyspace) = Keyspace::make().await else { return };
    let (address, say) = proxy(keyspace.options.nodes[0].clone()).await;
    let options = Options { nodes: vec![address], timeout: TIMEOUT, ..keyspace.options.clone() };
    let store = Arc::new(scylla::open(options).await.unwrap());
    let archive = row(1).archive;
    store.archive.append(&[row(1)]).await.unwrap();
    store.archive.after(&archive, 0, 10).await.unwrap();

    say.send_replace(Way::Silent);
    let begun = Instant::now();
    let unknown = store.archive.append(&[row(2)]).await;
    assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");
    let refused = store.archive.after(&archive, 0, 10).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(begun.elapsed() < TIMEOUT * 4, "{:?}", begun.elapsed());

    // The connection breaks while a write is under way.
    let under_way = tokio::spawn({
        let store = store.clone();
        async move { store.archive.append(&[row(3)]).await }
    });
    tokio::time::sleep(TIMEOUT / 5).await;
    say.send_replace(Way::Gone);
    let unknown = under_way.await.unwrap();
    assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");

    tokio::time::sleep(TIMEOUT).await;
    let begun = Instant::now();
    let refused = store.archive.append(&[row(4)]).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    let refused = store.epochs.raise("session-0").await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());

    say.send_replace(Way::Open);
    let back = Instant::now();
    while let Err(error) = store.archive.append(&[row(2), row(3)]).await {
        assert!(back.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(TIMEOUT / 5).await;
    }
    println!("back after {:.1?}", back.elapsed());
    let rows = store.archive.after(&archive, 0, 10).await.unwrap();
    assert_eq!(rows, [row(1), row(2), row(3)], "what was refused is not there, the rest is there once");
    keyspace.drop().await;
}
