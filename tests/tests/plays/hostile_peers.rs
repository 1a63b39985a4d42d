//! Attacks on what is behind the edges, and faults of what it is secured with (cases 55 and 66): nobody is believed to be a
//! role without a certificate of the cluster, and certificates change while everybody goes on.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, SupportedProtocolVersion};
use throng_tests::client::{Client, TlsVersion};
use throng_tests::plays;
use throng_tests::run::Play;
use throng_tests::server::certificates::{Authority, Certified, EXPIRED, VALID};
use throng_tests::server::{
    CERTIFICATE, DOMAIN, ROLE_AUTHORITY, ROLE_CERTIFICATE, ROLE_NAME, Role, SECURED, Setting,
};
use throng_tests::stage::{Stage, Way};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use xmpp::sasl::BindingKind;

pub(crate) const PLAYS: &[Play] = plays![
    case_55_nobody_without_a_certificate_of_the_cluster_speaks_to_a_role,
    case_55_connections_of_nobody_do_not_keep_roles_apart,
    case_66_certificates_for_clients_change_and_bad_ones_are_not_taken,
    case_66_certificates_of_roles_change_and_nobody_notices,
];

/// For what is looked at once a second to be seen, on machines that do much else.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a role to say something to whoever it takes for one.
const ANSWER: Duration = Duration::from_secs(3);
const TLS_VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// The same people where roles prove to each other who they are; none: there is one process.
async fn secured(stage: &Stage) -> Option<Stage> {
    if !stage.is_split() {
        stage.skips("in one process roles have no connections");
        return None;
    }
    let check: Setting<'_> = ("cluster.tls_check_s", "1");
    Some(stage.alone(&[&SECURED[..], &[check]].concat()).await)
}

async fn chats(romeo: &mut Client, juliet: &mut Client, text: &str) {
    let message =
        |to: &str| format!("<message to='{{{to}}}' type='chat' id='{text}'><body>{text}</body></message>");
    romeo.sends(&message("juliet/balcony")).await;
    juliet.receives(&format!("<message><body>{text}</body></message>")).await;
    juliet.sends(&message("romeo/orchard")).await;
    romeo.receives(&format!("<message><body>{text}</body></message>")).await;
}

/// Whether whoever speaks HTTP/2 here is answered in it: settings come first (RFC 9113 §3.4).
async fn is_answered(mut io: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    const SETTINGS: u8 = 4;
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    if io.write_all(hello).await.is_err() || io.flush().await.is_err() {
        return false;
    }
    let mut head = [0; 9];
    timeout(ANSWER, io.read_exact(&mut head)).await.is_ok_and(|read| read.is_ok()) && head[3] == SETTINGS
}

/// Whether a role at this address speaks to whoever shows this certificate over TLS, and believes what the play's cluster
/// does.
async fn speaks(stage: &Stage, to: SocketAddr, shown: Option<&Certified>, believed: &Authority) -> bool {
    let mut answered = false;
    for version in TLS_VERSIONS {
        let roots = believed.roots().expect("an authority");
        let config = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots);
        let mut config = match shown {
            Some(shown) => {
                let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
                config.with_client_auth_cert(chain, key).expect("a certificate and its key")
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(to).await.expect("the role listens");
        let name = ServerName::try_from(ROLE_NAME).expect("a name");
        // In TLS 1.3 a client is refused after its side of the handshake is done.
        answered |= match TlsConnector::from(Arc::new(config)).connect(name, tcp).await {
            Ok(tls) => is_answered(tls).await,
            Err(error) => {
                stage.cast.tell(format!("{to} refuses: {error}"));
                false
            }
        };
    }
    answered
}

async fn case_55_nobody_without_a_certificate_of_the_cluster_speaks_to_a_role(stage: Stage) {
    let Some(stage) = secured(&stage).await else { return };
    let server = stage.server();
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tcp, 1).await;
    let stranger = Authority::new("roles").expect("an authority");
    let certified =
        |authority: &Authority, name, years| authority.certify(&[name], years).expect("a certificate");
    let own = certified(&server.roles, ROLE_NAME, VALID);
    for role in server.internal().collect::<Vec<_>>() {
        assert!(speaks(&stage, role, Some(&own), &server.roles).await, "{role} believes its own");
        let tcp = TcpStream::connect(role).await.expect("the role listens");
        assert!(!is_answered(tcp).await, "{role} speaks in the clear");
        assert!(!speaks(&stage, role, None, &server.roles).await, "{role} wants no certificate");
        for (who, shown) in [
            ("a stranger of the same name", certified(&stranger, ROLE_NAME, VALID)),
            ("one that has expired", certified(&server.roles, ROLE_NAME, EXPIRED)),
            // What clients are shown is no secret of the cluster's.
            ("that for clients", certified(&server.authority, DOMAIN, VALID)),
        ] {
            assert!(!speaks(&stage, role, Some(&shown), &server.roles).await, "{role} believes {who}");
        }
    }
    chats(&mut romeo, &mut juliet, "undisturbed").await;
}

async fn case_55_connections_of_nobody_do_not_keep_roles_apart(stage: Stage) {
    const CROWD: usize = 300;
    let Some(stage) = secured(&stage).await else { return };
    let mut romeo = stage.online("romeo/orchard").await;
    let mut crowd = Vec::new();
    for role in stage.server().internal().collect::<Vec<_>>() {
        for n in 0..CROWD {
            let mut tcp = TcpStream::connect(role).await.expect("the role listens");
            if n % 2 == 0 {
                // A record that promises more than will ever come (RFC 8446 §5.1).
                tcp.write_all(b"\x16\x03\x01\x02\x00\x01").await.expect("a connection");
            }
            crowd.push(tcp);
        }
    }
    stage.kills(Role::Edge(1)).await;
    stage.begins(Role::Edge(1)).await;
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tcp, 1).await;
    chats(&mut romeo, &mut juliet, "through the crowd").await;
    drop(crowd);
}

/// The certificate that clients are shown now, in short.
async fn shown(stage: &Stage) -> Vec<u8> {
    let client = stage.connects_over("passer-by", Way::Tls(TlsVersion::V13), 0).await;
    client.binding(BindingKind::TlsServerEndPoint).bytes
}

async fn case_66_certificates_for_clients_change_and_bad_ones_are_not_taken(stage: Stage) {
    let stage = stage.alone(&[("edge.certificates_check_s", "1")]).await;
    let (server, names) = (stage.server(), [DOMAIN]);
    let folder = server.folder();
    let role = if stage.is_split() { Role::Edge(0) } else { Role::Whole };
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tls(TlsVersion::V13), 0).await;
    let first = shown(&stage).await;

    let second = server.authority.certify(&names, VALID).expect("a certificate");
    second.write(folder, CERTIFICATE.0, CERTIFICATE.1).expect("a folder");
    let begun = Instant::now();
    let mut taken = first.clone();
    while taken == first {
        assert!(begun.elapsed() < PATIENCE, "the new certificate is not taken");
        sleep(Duration::from_millis(200)).await;
        taken = shown(&stage).await;
    }
    juliet.receives_nothing().await;

    let expired = server.authority.certify(&names, EXPIRED).expect("a certificate");
    let of_another = Certified { key: expired.key.clone(), ..second.clone() };
    let cut_off = Certified { chain: second.chain[..second.chain.len() / 3].to_owned(), ..second.clone() };
    for (n, bad) in [expired, of_another, cut_off].into_iter().enumerate() {
        bad.write(folder, CERTIFICATE.0, CERTIFICATE.1).expect("a folder");
        let begun = Instant::now();
        // Once for each, or twice if it was looked at between the two files.
        while server.logged(role).matches("the old certificates stay in use").count() <= n {
            assert!(begun.elapsed() < PATIENCE, "nobody is told of bad certificate {n}");
            sleep(Duration::from_millis(200)).await;
        }
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(shown(&stage).await, taken, "bad certificate {n}");
    }
    juliet.receives_nothing().await;

    // With what it cannot use a process does not begin; with what it can it does.
    stage.kills(role).await;
    assert!(server.begin(role).await.is_err(), "it begins with half a certificate");
    second.write(folder, CERTIFICATE.0, CERTIFICATE.1).expect("a folder");
    stage.begins(role).await;
    assert_eq!(shown(&stage).await, taken);
}

async fn case_66_certificates_of_roles_change_and_nobody_notices(stage: Stage) {
    let Some(stage) = secured(&stage).await else { return };
    let server = stage.server();
    let folder = server.folder();
    let mut romeo = stage.online("romeo/orchard").await;
    let mut juliet = stage.bound_over("juliet/balcony", Way::Tcp, 1).await;
    juliet.is_available().await;
    chats(&mut romeo, &mut juliet, "first").await;
    let next = Authority::new("next").expect("an authority");
    let (old, new) = [&server.roles, &next]
        .map(|authority| authority.certify(&[ROLE_NAME], VALID).expect("a certificate"))
        .into();

    // Both are believed, then the new one is shown, then it alone is believed.
    fs::write(folder.join(ROLE_AUTHORITY), format!("{}{}", server.roles.pem, next.pem)).expect("a folder");
    is_read(&stage, 1).await;
    new.write(folder, ROLE_CERTIFICATE.0, ROLE_CERTIFICATE.1).expect("a folder");
    is_read(&stage, 2).await;
    fs::write(folder.join(ROLE_AUTHORITY), &next.pem).expect("a folder");
    is_read(&stage, 3).await;
    chats(&mut romeo, &mut juliet, "after").await;
    for role in server.internal().collect::<Vec<_>>() {
        assert!(speaks(&stage, role, Some(&new), &next).await, "{role} believes the new one");
        assert!(!speaks(&stage, role, Some(&old), &next).await, "{role} believes the old one");
    }

    // One that has expired is not taken: who comes is shown the one that is good.
    let expired = next.certify(&[ROLE_NAME], EXPIRED).expect("a certificate");
    expired.write(folder, ROLE_CERTIFICATE.0, ROLE_CERTIFICATE.1).expect("a folder");
    is_told(&stage, "the cluster's old certificates stay in use", 1).await;
    for role in server.internal().collect::<Vec<_>>() {
        assert!(speaks(&stage, role, Some(&new), &next).await, "{role} is still who it was");
    }
    new.write(folder, ROLE_CERTIFICATE.0, ROLE_CERTIFICATE.1).expect("a folder");
    stage.kills(Role::Edge(1)).await;
    stage.begins(Role::Edge(1)).await;
    let mut juliet = stage.bound_over("juliet/garden", Way::Tcp, 1).await;
    juliet.sends("<message to='{romeo/orchard}' type='chat'><body>from afar</body></message>").await;
    romeo.receives_at_last("<message><body>from afar</body></message>").await;
}

/// Waits until every process has taken this many changes of the cluster's files.
async fn is_read(stage: &Stage, changes: usize) {
    is_told(stage, "the cluster's certificates were read again", changes).await;
}

/// Waits until every process has said this so often.
async fn is_told(stage: &Stage, what: &str, times: usize) {
    let server = stage.server();
    let processes = server.edges.len() + server.internal().count();
    let begun = Instant::now();
    loop {
        let roles = [Role::Router, Role::Session, Role::Edge(0), Role::Edge(1)];
        let told: usize = roles.iter().map(|role| server.logged(*role).matches(what).count()).sum();
        if told >= processes * times {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{told} of {processes} processes say {times} times: {what}");
        sleep(Duration::from_millis(200)).await;
    }
}
