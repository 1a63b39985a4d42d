//! The client against a real Throng, over every transport and mechanism it has. Runs only where `THRONG_BIN` names its
//! binary: this crate is not to wait for that one's build.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::{Client, Event, Hash, Management, Mechanism, Plan, Tls, Transport, connect, resume};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
/// Away from where a server for oneself listens.
const PORT_OFFSET: u16 = 23_000;
const SCRAM: Mechanism = Mechanism::Scram { hash: Hash::Sha256, plus: false };

/// A server that lives as long as its test.
struct Throng(Child);

impl Throng {
    async fn start(binary: &str, data: &Path) -> Throng {
        let child = Command::new(binary)
            .args(["run", "--dev", "--port-offset", &PORT_OFFSET.to_string(), "--data"])
            .arg(data)
            // What begins so is configuration to it.
            .env_remove("THRONG_BIN")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let throng = Throng(child);
        timeout(PATIENCE, async {
            while tokio::net::TcpStream::connect(address(5222)).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .expect("the server listens");
        throng
    }
}

impl Drop for Throng {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port + PORT_OFFSET).into()
}

fn plan(username: &str, transport: Transport, mechanism: Mechanism) -> Plan {
    let port = match transport {
        Transport::Tls => 5223,
        Transport::WebSocket => 5280,
        _ => 5222,
    };
    let mut plan = Plan::new(address(port), "localhost", username, "secret");
    (plan.transport, plan.mechanism) = (transport, mechanism);
    plan.tls = Some(Tls::insecure().unwrap());
    plan.path = "/xmpp-websocket".into();
    plan.register = true;
    plan.management = Some(Management::default());
    plan
}

async fn arrives(client: &mut Client, what: &[u8]) {
    let arrived = async {
        loop {
            if let Event::Stanza(stanza) = client.next().await.unwrap()
                && stanza.contains(what)
            {
                return;
            }
        }
    };
    timeout(PATIENCE, arrived).await.expect("it arrives");
}

#[tokio::test]
async fn two_accounts_write_to_each_other_and_one_comes_back() {
    let Ok(binary) = std::env::var("THRONG_BIN") else { return };
    let data = tempfile::tempdir().unwrap();
    let _throng = Throng::start(&binary, data.path()).await;
    let ways = [
        (Transport::Tcp, Mechanism::Plain),
        (Transport::Starttls, SCRAM),
        (Transport::Tls, Mechanism::Scram { hash: Hash::Sha512, plus: true }),
        (Transport::WebSocket, Mechanism::Scram { hash: Hash::Sha1, plus: false }),
    ];
    for (transport, mechanism) in ways {
        let romeo = plan("romeo", transport, mechanism);
        let juliet = plan("juliet", transport, mechanism);
        let mut romeo = connect(&romeo).await.unwrap_or_else(|error| panic!("{transport:?}: {error}"));
        let mut lost = connect(&juliet).await.unwrap();
        let to = lost.jid().to_owned();
        let hail =
            |body: &str| format!("<message to='{to}' type='chat'><body>{body}</body></message>").into_bytes();
        romeo.push(&hail("good morrow")).unwrap();
        romeo.flush().await.unwrap();
        arrives(&mut lost, b"good morrow").await;
        let mut state = lost.abandon().expect("it can be resumed");
        romeo.push(&hail("good night")).unwrap();
        romeo.request();
        let acknowledged = async {
            while romeo.unacknowledged() > 0 {
                let event = romeo.next().await.unwrap();
                assert!(matches!(event, Event::Acknowledged(_)), "{event:?}");
            }
        };
        timeout(PATIENCE, acknowledged).await.expect("both are acknowledged");
        let resumption = resume(&juliet, &mut state).await.unwrap();
        assert!(resumption.resumed, "{transport:?}");
        let mut found = resumption.client;
        arrives(&mut found, b"good night").await;
        found.close().await.unwrap();
        romeo.close().await.unwrap();
    }
}
