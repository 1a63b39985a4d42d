//! The client against a server that follows a script.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::Duration;

use client::{Error, Event, Management, Plan, Stage, Transport, connect, resume};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='s' from='x' version='1.0'>";
const LOGIN_FEATURES: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
const FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
    <sm xmlns='urn:xmpp:sm:3'/></stream:features>";
const PATIENCE: Duration = Duration::from_secs(5);

/// One side of the play: the server's.
struct Server {
    listener: TcpListener,
    stream: Option<TcpStream>,
    heard: String,
}

impl Server {
    async fn new() -> (Server, Plan) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut plan = Plan::new(listener.local_addr().unwrap(), "x", "romeo", "secret");
        plan.timeout = PATIENCE;
        (Server { listener, stream: None, heard: String::new() }, plan)
    }

    async fn accept(&mut self) {
        self.stream = Some(self.listener.accept().await.unwrap().0);
        self.heard.clear();
    }

    /// Reads up to and with `end`; all of it.
    async fn hears(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.heard.find(end) {
                return self.heard.drain(..at + end.len()).collect();
            }
            let mut bytes = [0; 4096];
            let stream = self.stream.as_mut().unwrap();
            let count = timeout(PATIENCE, stream.read(&mut bytes)).await.expect(end).unwrap();
            assert!(count > 0, "the client left before {end}");
            self.heard.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    async fn says(&mut self, text: &str) {
        self.stream.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// Up to the features of the second stream.
    async fn lets_in(&mut self) {
        self.accept().await;
        self.hears("version='1.0' to='x'>").await;
        self.says(&format!("{HEADER}{LOGIN_FEATURES}")).await;
        // \0romeo\0secret
        self.hears("mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>").await;
        self.says("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        self.hears("version='1.0' to='x'>").await;
        self.says(&format!("{HEADER}{FEATURES}")).await;
    }

    async fn binds(&mut self) {
        self.hears("</iq>").await;
        self.says("<iq type='result' id='tl-bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>romeo@x/r</jid></bind></iq>")
            .await;
    }

    async fn enables(&mut self) {
        self.hears("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        self.says("<enabled xmlns='urn:xmpp:sm:3' id='sm1' resume='true' location='127.0.0.1:1'/>").await;
    }
}

fn managed(plan: Plan) -> Plan {
    Plan { management: Some(Management { request_every: 2, ..Management::default() }), ..plan }
}

async fn stanza(client: &mut client::Client) -> String {
    match timeout(PATIENCE, client.next()).await.unwrap().unwrap() {
        Event::Stanza(element) => String::from_utf8(element.bytes().to_vec()).unwrap(),
        other => panic!("{other:?} is no stanza"),
    }
}

#[tokio::test]
async fn a_session_is_bound_and_closed() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.says("<message from='a@x'><body>one</body></message>").await;
        server.hears("</stream:stream>").await;
        server.says("<presence from='late@x'/></stream:stream>").await;
    };
    let client = async {
        let mut client = connect(&plan).await.unwrap();
        assert_eq!(client.jid(), "romeo@x/r");
        assert!(client.timings().login >= client.timings().auth + client.timings().bind);
        assert_eq!(stanza(&mut client).await, "<message from='a@x'><body>one</body></message>");
        client.finish();
        assert_eq!(stanza(&mut client).await, "<presence from='late@x'/>");
        assert!(matches!(client.next().await.unwrap(), Event::Closed));
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn both_sides_acknowledge_what_they_handled() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.enables().await;
        server.hears("<message id='2'/><r xmlns='urn:xmpp:sm:3'/>").await;
        server
            .says("<a xmlns='urn:xmpp:sm:3' h='2'/><iq type='get' id='q'/><r xmlns='urn:xmpp:sm:3'/>")
            .await;
        server.hears("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
        server.says("<presence/>").await;
    };
    let client = async {
        let mut client = connect(&managed(plan)).await.unwrap();
        client.push(b"<message id='1'/>").unwrap();
        client.push(b"<message id='2'/>").unwrap();
        client.push(b"<message id='3'/>").unwrap();
        client.flush().await.unwrap();
        assert!(matches!(client.next().await.unwrap(), Event::Acknowledged(2)));
        assert_eq!(client.unacknowledged(), 1);
        assert_eq!(stanza(&mut client).await, "<iq type='get' id='q'/>");
        // The answer to <r/> leaves while this waits.
        assert_eq!(stanza(&mut client).await, "<presence/>");
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_lost_session_goes_on_where_the_server_had_come_to() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.enables().await;
        server.says("<message id='in'/>").await;
        server.hears("<message id='3'/>").await;
        server.lets_in().await;
        server.hears("<resume xmlns='urn:xmpp:sm:3' h='1' previd='sm1'/>").await;
        server.says("<resumed xmlns='urn:xmpp:sm:3' previd='sm1' h='2'/>").await;
        let again = server.hears("<message id='4'/>").await;
        assert_eq!(again, "<message id='3'/><r xmlns='urn:xmpp:sm:3'/><message id='4'/>");
        server.says("<a xmlns='urn:xmpp:sm:3' h='4'/>").await;
        server.hears("</stream:stream>").await;
        server.says("</stream:stream>").await;
    };
    let client = async {
        let plan = managed(plan);
        let mut client = connect(&plan).await.unwrap();
        assert_eq!(stanza(&mut client).await, "<message id='in'/>");
        for id in 1..=3 {
            client.push(format!("<message id='{id}'/>").as_bytes()).unwrap();
        }
        client.flush().await.unwrap();
        let mut state = client.abandon().unwrap();
        assert_eq!((state.unacknowledged(), state.location()), (3, Some("127.0.0.1:1")));
        let resumption = resume(&plan, &mut state).await.unwrap();
        assert!(resumption.resumed);
        assert_eq!(resumption.acknowledged, 2);
        let mut client = resumption.client;
        assert_eq!((client.jid(), client.unacknowledged()), ("romeo@x/r", 1));
        client.push(b"<message id='4'/>").unwrap();
        assert!(matches!(client.next().await.unwrap(), Event::Acknowledged(2)));
        client.close().await.unwrap();
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_forgotten_session_becomes_a_new_one_on_the_same_connection() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.enables().await;
        server.hears("<message id='2'/>").await;
        server.lets_in().await;
        server.hears("previd='sm1'/>").await;
        server.says("<failed xmlns='urn:xmpp:sm:3' h='1'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>").await;
        server.binds().await;
        server.enables().await;
        server.hears("</stream:stream>").await;
        server.says("</stream:stream>").await;
    };
    let client = async {
        let plan = managed(plan);
        let mut client = connect(&plan).await.unwrap();
        client.push(b"<message id='1'/>").unwrap();
        client.push(b"<message id='2'/>").unwrap();
        client.flush().await.unwrap();
        let mut state = client.abandon().unwrap();
        let resumption = resume(&plan, &mut state).await.unwrap();
        assert!(!resumption.resumed);
        assert_eq!((resumption.acknowledged, state.unacknowledged()), (1, 1));
        assert_eq!(resumption.client.unacknowledged(), 0);
        resumption.client.close().await.unwrap();
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn an_element_is_not_lost_when_waiting_for_it_is_given_up() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.says("<message><body>half").await;
        server.hears("<presence/>").await;
        server.says(" and half</body></message>").await;
        server.hears("<presence type='unavailable'/>").await;
    };
    let client = async {
        let mut client = connect(&plan).await.unwrap();
        assert!(timeout(Duration::from_millis(50), client.next()).await.is_err());
        client.push(b"<presence/>").unwrap();
        client.flush().await.unwrap();
        assert_eq!(stanza(&mut client).await, "<message><body>half and half</body></message>");
        client.push(b"<presence type='unavailable'/>").unwrap();
        client.flush().await.unwrap();
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn failures_tell_their_stage_and_condition() {
    let failures: [(&str, Stage, &str, Option<&str>); 4] = [
        (
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
            Stage::Auth,
            "not-authorized",
            None,
        ),
        (
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>b.x:5222</see-other-host>\
             </stream:error></stream:stream>",
            Stage::Auth,
            "see-other-host",
            Some("b.x:5222"),
        ),
        ("</stream:stream>", Stage::Auth, Error::CLOSED, None),
        ("", Stage::Auth, Error::TIMEOUT, None),
    ];
    for (answer, stage, condition, other_host) in failures {
        let (mut server, mut plan) = Server::new().await;
        plan.timeout = Duration::from_millis(200);
        let server = async {
            server.accept().await;
            server.says(&format!("{HEADER}{LOGIN_FEATURES}")).await;
            server.hears("</auth>").await;
            server.says(answer).await;
            server
        };
        let (_server, error) = tokio::join!(server, connect(&plan));
        let error = error.unwrap_err();
        assert_eq!((error.stage, &*error.condition), (stage, condition), "{answer}");
        assert_eq!(error.other_host.as_deref(), other_host, "{answer}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_told() {
    let (server, plan) = Server::new().await;
    drop(server);
    for transport in [Transport::Tcp, Transport::WebSocket, Transport::Bosh] {
        let error = connect(&Plan { transport, ..plan.clone() }).await.unwrap_err();
        assert_eq!((error.stage, &*error.condition), (Stage::Connect, "connection-refused"), "{transport:?}");
    }
}

#[tokio::test]
async fn an_account_that_exists_already_is_as_good_as_registered() {
    let (mut server, plan) = Server::new().await;
    let plan = Plan { register: true, ..plan };
    let server = async {
        server.accept().await;
        server.says(&format!("{HEADER}{LOGIN_FEATURES}")).await;
        server.hears("<username>romeo</username><password>secret</password></query></iq>").await;
        server
            .says(
                "<iq type='error' id='tl-register'><query xmlns='jabber:iq:register'/><error type='cancel'>\
                 <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            )
            .await;
        server.hears("</auth>").await;
        server.says("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><account-disabled/></failure>").await;
    };
    let ((), error) = tokio::join!(server, connect(&plan));
    assert_eq!(&*error.unwrap_err().condition, "account-disabled");
}

#[tokio::test]
async fn what_the_server_does_not_acknowledge_is_bounded() {
    let (mut server, plan) = Server::new().await;
    let server = async {
        server.lets_in().await;
        server.binds().await;
        server.enables().await;
        server
    };
    let client = async {
        let management = Management { unacknowledged_max: 3, ..Management::default() };
        let mut client = connect(&Plan { management: Some(management), ..plan }).await.unwrap();
        (0..3).for_each(|_| client.push(b"<presence/>").unwrap());
        assert_eq!(&*client.push(b"<presence/>").unwrap_err().condition, Error::FULL);
        assert_eq!(client.unacknowledged(), 3);
    };
    tokio::join!(server, client);
}
