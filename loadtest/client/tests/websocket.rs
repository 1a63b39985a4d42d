//! The client against a WebSocket server that follows a script (RFC 7395).
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{Event, Plan, Stage, Transport, connect};
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const FRAMING: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-framing'";

struct Server(TcpStream);

impl Server {
    /// The opening handshake (RFC 6455 §4.2), as this answers it.
    async fn accept(listener: &TcpListener, answer: impl FnOnce(&str) -> String) -> Server {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(
            head.starts_with("GET /ws HTTP/1.1\r\n") && head.contains("Sec-WebSocket-Protocol: xmpp\r\n")
        );
        let key = head.split("Sec-WebSocket-Key: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
        let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
        stream.write_all(answer(&accept).as_bytes()).await.unwrap();
        Server(stream)
    }

    /// The next message, which has to be masked.
    async fn hears(&mut self) -> String {
        assert_eq!(self.0.read_u8().await.unwrap(), 0x81);
        let length = match self.0.read_u8().await.unwrap() {
            0xFE => usize::from(self.0.read_u16().await.unwrap()),
            length => usize::from(length) - 0x80,
        };
        let mut mask = [0; 4];
        self.0.read_exact(&mut mask).await.unwrap();
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.unwrap();
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        String::from_utf8(payload).unwrap()
    }

    async fn says(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&[0x81, 126], &length[..], text.as_bytes()].concat()).await.unwrap();
    }
}

fn upgraded(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
    )
}

async fn plan() -> (TcpListener, Plan) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plan = Plan::new(listener.local_addr().unwrap(), "x", "romeo", "secret");
    (listener, Plan { transport: Transport::WebSocket, ..plan })
}

#[tokio::test]
async fn each_element_is_a_message_that_tells_its_namespace() {
    let (listener, plan) = plan().await;
    let server = async {
        let mut server = Server::accept(&listener, upgraded).await;
        assert_eq!(server.hears().await, format!("<open {FRAMING} version='1.0' to='x'/>"));
        server.says(&format!("<open {FRAMING} version='1.0' from='x' id='1'/>")).await;
        server
            .says(
                "<features xmlns='http://etherx.jabber.org/streams'><mechanism>PLAIN</mechanism></features>",
            )
            .await;
        assert!(server.hears().await.starts_with("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"));
        server.says("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        server.hears().await;
        server.says(&format!("<open {FRAMING}/>")).await;
        server
            .says(
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind/></stream:features>",
            )
            .await;
        assert!(server.hears().await.starts_with("<iq xmlns='jabber:client' type='set' id='tl-bind'>"));
        server
            .says(
                "<iq xmlns='jabber:client' type='result' id='tl-bind'><bind><jid>romeo@x/r</jid></bind></iq>",
            )
            .await;
        assert_eq!(server.hears().await, "<presence xmlns='jabber:client'/>");
        assert_eq!(server.hears().await, "<message xmlns='jabber:client' to='j@x'><body>hi</body></message>");
        server.says(&format!("<close {FRAMING} see-other-uri='wss://b.x/ws'/>")).await;
        server
    };
    let client = async {
        let mut client = connect(&plan).await.unwrap();
        client.push(b"<presence/>").unwrap();
        client.push(b"<message to='j@x'><body>hi</body></message>").unwrap();
        client.next().await.unwrap_err()
    };
    let (_server, error) = tokio::join!(server, client);
    assert_eq!((error.stage, &*error.condition), (Stage::Session, "see-other-host"));
    assert_eq!(error.other_host.as_deref(), Some("wss://b.x/ws"));
}

#[tokio::test]
async fn both_sides_close() {
    let (listener, plan) = plan().await;
    let server = async {
        let mut server = Server::accept(&listener, upgraded).await;
        server.hears().await;
        server
            .says(
                "<features xmlns='http://etherx.jabber.org/streams'><mechanism>PLAIN</mechanism></features>",
            )
            .await;
        server.hears().await;
        server.says("<success/>").await;
        server.hears().await;
        server.says("<features/>").await;
        server.hears().await;
        server.says("<iq type='result'><bind><jid>romeo@x/r</jid></bind></iq>").await;
        assert_eq!(server.hears().await, format!("<close {FRAMING}/>"));
        server.says(&format!("<close {FRAMING}/>")).await;
        server
    };
    let client = async {
        let mut client = connect(&plan).await.unwrap();
        client.finish();
        assert!(matches!(client.next().await.unwrap(), Event::Closed));
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn who_does_not_speak_xmpp_is_not_spoken_to() {
    let answers: [fn(&str) -> String; 3] = [
        |_| "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
        |_| upgraded("somebody else's"),
        |accept| upgraded(accept).replace("xmpp", "chat"),
    ];
    for (answer, condition) in answers.into_iter().zip(["status-404", "refused", "refused"]) {
        let (listener, plan) = plan().await;
        let (_server, error) = tokio::join!(Server::accept(&listener, answer), connect(&plan));
        let error = error.unwrap_err();
        assert_eq!((error.stage, &*error.condition), (Stage::Http, condition));
    }
}
