//! The ways in: STARTTLS, TLS from the first byte, WebSocket, and the HTTP around it.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod hand;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hand::{Hand, Running, config, edge_with};
use proto::session::{edge_frame::Kind as Out, login::Step};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const HEADER: &str = "<stream:stream to='capulet.example' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

#[tokio::test]
async fn starttls_protects_the_stream_and_binds_the_login() {
    let mut hand = Hand::new();
    let (dir, edge) = with_tls(&hand);
    hand.welcome().await;
    hand.attached().await;
    let mut tcp = TcpStream::connect(edge.edge.addresses.starttls[0]).await.unwrap();
    tcp.write_all(HEADER.as_bytes()).await.unwrap();
    let said = hears(&mut tcp, "</stream:features>").await;
    assert!(said.contains("<required/>") && !said.contains("mechanism"), "{said}");
    tcp.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await.unwrap();
    hears(&mut tcp, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut tls = handshake(tcp, dir.path(), &[]).await.unwrap();
    tls.write_all(HEADER.as_bytes()).await.unwrap();
    let said = hears(&mut tls, "</stream:features>").await;
    assert!(
        said.contains("SCRAM-SHA-256-PLUS") && said.contains("PLAIN") && !said.contains("starttls"),
        "{said}"
    );

    tls.write_all(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>").await.unwrap();
    let Out::Login(login) = hand.hears().await else { panic!() };
    let Some(Step::Start(start)) = login.step else { panic!() };
    let exporter =
        tls.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
    let bindings: Vec<_> =
        start.bindings.iter().map(|binding| (&*binding.r#type, &binding.data[..])).collect();
    assert_eq!(bindings[0], ("tls-exporter", &exporter[..]));
    assert_eq!((bindings[1].0, bindings[1].1.len()), ("tls-server-end-point", 32));
    assert!(start.tls && start.plain_allowed);
}

#[tokio::test]
async fn plain_text_behind_starttls_is_never_taken_for_protected() {
    let mut hand = Hand::new();
    let (_dir, edge) = with_tls(&hand);
    hand.welcome().await;
    let mut tcp = TcpStream::connect(edge.edge.addresses.starttls[0]).await.unwrap();
    let said = format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><presence/>");
    tcp.write_all(said.as_bytes()).await.unwrap();
    hears(&mut tcp, "<policy-violation ").await;
}

#[tokio::test]
async fn tls_from_the_first_byte_is_chosen_by_alpn() {
    let mut hand = Hand::new();
    let (dir, edge) = with_tls(&hand);
    hand.welcome().await;
    let connect = || TcpStream::connect(edge.edge.addresses.direct_tls[0]);
    let mut tls = handshake(connect().await.unwrap(), dir.path(), &[b"xmpp-client"]).await.unwrap();
    tls.write_all(HEADER.as_bytes()).await.unwrap();
    hears(&mut tls, "</stream:features>").await;
    assert!(handshake(connect().await.unwrap(), dir.path(), &[b"h2"]).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_only() {
    let mut hand = Hand::new();
    let (dir, edge) = with_tls(&hand);
    hand.welcome().await;
    let connect = || TcpStream::connect(edge.edge.addresses.direct_tls[0]);
    let mut old = handshake(connect().await.unwrap(), dir.path(), &[]).await.unwrap();
    let before = old.get_ref().1.peer_certificates().unwrap()[0].clone();
    certify(dir.path());
    edge.edge.reload().unwrap();
    let new = handshake(connect().await.unwrap(), dir.path(), &[]).await.unwrap();
    assert_ne!(new.get_ref().1.peer_certificates().unwrap()[0], before);
    old.write_all(HEADER.as_bytes()).await.unwrap();
    hears(&mut old, "</stream:features>").await;
    std::fs::write(dir.path().join("key.pem"), "nonsense").unwrap();
    assert!(edge.edge.reload().is_err());
    handshake(connect().await.unwrap(), dir.path(), &[]).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_has_expired_takes_the_place_of_none_that_is_good() {
    let mut hand = Hand::new();
    let (dir, edge) = with_tls(&hand);
    hand.welcome().await;
    let good = std::fs::read(dir.path().join("chain.pem")).unwrap();
    let connect = || TcpStream::connect(edge.edge.addresses.direct_tls[0]);
    certify_until(dir.path(), 2021);
    let told = edge.edge.reload().unwrap_err().to_string();
    assert!(told.contains("it has expired"), "{told}");
    std::fs::write(dir.path().join("chain.pem"), good).unwrap();
    handshake(connect().await.unwrap(), dir.path(), &[]).await.unwrap();
    certify(dir.path());
    edge.edge.reload().unwrap();
    handshake(connect().await.unwrap(), dir.path(), &[]).await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let hand = Hand::new();
    let (_dir, edge) = with_tls(&hand);
    let mut slow = TcpStream::connect(edge.edge.addresses.direct_tls[0]).await.unwrap();
    slow.write_all(&[22, 3, 1]).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut rest))
        .await
        .expect("still open")
        .unwrap();
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_given_up() {
    let mut hand = Hand::new();
    let mut config = config();
    config.limits.login_s = 1;
    let edge = edge_with(&hand, config);
    hand.welcome().await;
    let mut slow = TcpStream::connect(edge.edge.addresses.starttls[0]).await.unwrap();
    slow.write_all(HEADER.as_bytes()).await.unwrap();
    hears(&mut slow, "<connection-timeout ").await;
}

#[tokio::test]
async fn a_stream_over_websocket_is_one_of_messages() {
    let mut hand = Hand::new();
    let edge = edge_with(&hand, config());
    hand.welcome().await;
    let mut request = websocket_url(&edge).into_client_request().unwrap();
    assert!(
        tokio_tungstenite::connect_async(request.clone()).await.is_err(),
        "it is not XMPP that is asked for"
    );
    request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "xmpp");
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='capulet.example' version='1.0'/>";
    socket.send(Message::text(open)).await.unwrap();
    let mut next = async || loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => break text.to_string(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(
        next().await.starts_with("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='capulet.example'")
    );
    assert!(next().await.starts_with("<stream:features xmlns:stream="));
    socket.send(Message::text("<presence xmlns='jabber:client'/>")).await.unwrap();
    let mut rest = String::new();
    while let Some(Ok(Message::Text(text))) = socket.next().await {
        rest.push_str(&text);
    }
    assert!(
        rest.contains("<not-authorized ")
            && rest.ends_with("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
    );
}

#[tokio::test]
async fn a_quiet_client_on_websocket_is_pinged() {
    let mut hand = Hand::new();
    let mut config = config();
    config.limits.quiet_s = 1;
    let edge = edge_with(&hand, config);
    hand.welcome().await;
    let mut request = websocket_url(&edge).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='capulet.example' version='1.0'/>";
    let client = "xmlns='jabber:client'";
    socket.send(Message::text(open)).await.unwrap();
    socket
        .send(Message::text("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>"))
        .await
        .unwrap();
    let exchange = loop {
        if let Out::Login(login) = hand.hears().await {
            break login.exchange;
        }
    };
    hand.succeeds(exchange);
    socket.send(Message::text(open)).await.unwrap();
    let bind =
        format!("<iq {client} type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    socket.send(Message::text(bind)).await.unwrap();
    assert!(matches!(hand.hears().await, Out::Bind(_)));
    hand.binds(exchange);
    let pinged = async { while !matches!(socket.next().await, Some(Ok(Message::Ping(_)))) {} };
    tokio::time::timeout(Duration::from_secs(10), pinged).await.expect("no ping");
}

#[tokio::test]
async fn too_many_pings_close_a_websocket() {
    let mut hand = Hand::new();
    let mut config = config();
    config.limits.control_frames = 3;
    let edge = edge_with(&hand, config);
    hand.welcome().await;
    let mut request = websocket_url(&edge).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    for _ in 0..8 {
        let _ = socket.send(Message::Ping(vec![].into())).await;
    }
    let closed = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("still open");
}

#[tokio::test]
async fn the_way_to_the_websocket_is_told() {
    let mut hand = Hand::new();
    let edge = edge_with(&hand, config());
    assert!(get(&edge, "/health").await.starts_with("HTTP/1.1 503"));
    hand.welcome().await;
    assert!(get(&edge, "/health").await.starts_with("HTTP/1.1 200"));
    let xml = get(&edge, "/.well-known/host-meta").await;
    assert!(xml.contains("access-control-allow-origin: *"), "{xml}");
    assert!(
        xml.contains("rel='urn:xmpp:alt-connections:websocket' href='ws://chat.example:5280/xmpp-websocket'")
    );
    let json = get(&edge, "/.well-known/host-meta.json").await;
    assert!(json.contains("\"href\":\"ws://chat.example:5280/xmpp-websocket\""), "{json}");
    assert!(get(&edge, "/etc/passwd").await.starts_with("HTTP/1.1 404"));
}

fn websocket_url(edge: &Running) -> String {
    format!("ws://{}/xmpp-websocket", edge.edge.addresses.http[0])
}

async fn get(edge: &Running, path: &str) -> String {
    let mut tcp = TcpStream::connect(edge.edge.addresses.http[0]).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: chat.example:5280\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

fn certify(dir: &Path) {
    certify_until(dir, 4000);
}

/// A certificate that is valid until the beginning of this year.
fn certify_until(dir: &Path, year: i32) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["capulet.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(dir.join("chain.pem"), certificate.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

fn with_tls(hand: &Hand) -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let mut config = config();
    config.tls_required = true;
    config.limits.handshake_s = 1;
    config.direct_tls = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.certificates =
        vec![edge::Certificate { chain: dir.path().join("chain.pem"), key: dir.path().join("key.pem") }];
    let edge = edge_with(hand, config);
    (dir, edge)
}

async fn handshake(tcp: TcpStream, dir: &Path, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("chain.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("capulet.example").unwrap(), tcp).await
}

/// Reads until this text was said.
async fn hears(io: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    let mut said = String::new();
    while !said.contains(text) {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(10), io.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("{text} was not said but {said}")).unwrap();
        assert!(read > 0, "closed before {text}: {said}");
        said.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    said
}
