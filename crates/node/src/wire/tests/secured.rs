//! Who gets a wire, and what happens to it when certificates change.

use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;

use super::*;

/// An authority of a cluster.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // Another authority has another name.
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("{:?}", key.public_key_raw()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes a certificate of its making for a role named so, valid from this year of grace on to that, and itself.
    fn write(&self, folder: &Path, name: &str, years: (i32, i32)) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = files(folder);
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.authority, &self.pem).unwrap();
        files
    }

    fn role(&self, folder: &Path) -> Tls {
        Tls::load(self.write(folder, "throng", VALID)).unwrap()
    }
}

const VALID: (i32, i32) = (2020, 4000);

fn files(folder: &Path) -> Files {
    Files {
        certificate: folder.join("role.pem"),
        key: folder.join("role.key"),
        authority: folder.join("authority.pem"),
        name: "throng".into(),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn secured(tls: Tls) -> Transport {
    Transport::secured(Arc::new(tls))
}

fn wire(transport: &Transport, server: SocketAddr) -> Wire {
    transport.remote(&server.to_string()).unwrap()
}

#[tokio::test]
async fn roles_of_one_authority_have_a_wire() {
    let (authority, one, other) = (Authority::new(), folder(), folder());
    let server = serving(&secured(authority.role(one.path()))).await;

    assert_eq!(echoes(wire(&secured(authority.role(other.path())), server)).await, Ok(true));
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (one, other) = (folder(), folder());
    let server = serving(&secured(Authority::new().role(one.path()))).await;

    let told = echoes(wire(&secured(Authority::new().role(other.path())), server)).await.unwrap_err();

    assert!(told.contains("UnknownIssuer"), "{told}");
}

/// A client that believes everything, and shows this certificate or none.
async fn intrusion(
    server: SocketAddr,
    shown: Option<&Files>,
    believed: &Authority,
) -> std::io::Result<usize> {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(believed.pem.as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
    let mut config = match shown {
        Some(files) => {
            let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
            let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server).await?;
    let name = ServerName::try_from("throng").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    // The server's settings come first (RFC 9113 §3.4), if it has agreed: in TLS 1.3 that is known only now.
    stream.read(&mut [0; 64]).await
}

#[tokio::test]
async fn clients_without_a_valid_certificate_of_the_authority_are_refused() {
    let (authority, one, other) = (Authority::new(), folder(), folder());
    let server = serving(&secured(authority.role(one.path()))).await;
    let mut refused = Vec::new();

    refused.push(intrusion(server, None, &authority).await.unwrap_err().to_string());
    let stranger = Authority::new().write(other.path(), "throng", VALID);
    refused.push(intrusion(server, Some(&stranger), &authority).await.unwrap_err().to_string());
    let expired = authority.write(other.path(), "throng", (2020, 2021));
    refused.push(intrusion(server, Some(&expired), &authority).await.unwrap_err().to_string());
    let good = authority.write(other.path(), "throng", VALID);
    assert!(intrusion(server, Some(&good), &authority).await.unwrap() > 0);

    let told = refused.join("\n");
    for alert in ["CertificateRequired", "UnknownCA", "CertificateExpired"] {
        assert!(told.contains(alert), "{alert}:\n{told}");
    }
}

#[tokio::test]
async fn a_client_in_the_clear_is_refused() {
    let (authority, one) = (Authority::new(), folder());
    let server = serving(&secured(authority.role(one.path()))).await;

    assert!(echoes(wire(&Transport::plain(), server)).await.is_err());
}

#[test]
fn files_that_others_would_refuse_are_refused_at_once() {
    let (authority, folder) = (Authority::new(), folder());
    let told = |files: Files| {
        let error = Tls::load(files).map(drop).unwrap_err();
        (error.part, error.why)
    };

    assert_eq!(told(files(folder.path())).0, Part::Certificate, "there is none");
    let (part, why) = told(authority.write(folder.path(), "throng", (2020, 2021)));
    assert!(part == Part::Certificate && why.contains("expired"), "{why}");
    let (part, why) = told(authority.write(folder.path(), "other", VALID));
    assert!(part == Part::Certificate && why.contains("not valid for name"), "{why}");

    let files = authority.write(folder.path(), "throng", VALID);
    std::fs::write(&files.authority, Authority::new().pem).unwrap();
    let (part, why) = told(files);
    assert!(part == Part::Certificate && why.contains("UnknownIssuer"), "{why}");

    let files = authority.write(folder.path(), "throng", VALID);
    std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert_eq!(told(files).0, Part::Key);

    let files = authority.write(folder.path(), "throng", VALID);
    std::fs::write(&files.authority, "").unwrap();
    assert_eq!(told(files), (Part::Authority, "no certificate is in it".into()));
}

#[tokio::test]
async fn certificates_change_under_streams_that_go_on() {
    let (old, new, one, other) = (Authority::new(), Authority::new(), folder(), folder());
    let server_tls = Arc::new(old.role(one.path()));
    let server = serving(&Transport::secured(Arc::clone(&server_tls))).await;
    let client_tls = Arc::new(old.role(other.path()));
    let client = Transport::secured(Arc::clone(&client_tls));
    let mut stream = Stream::begin(wire(&client, server)).await.unwrap();
    assert!(stream.echoes("before").await.unwrap());

    new.write(one.path(), "throng", VALID);
    assert_eq!(server_tls.reload(), Ok(true));
    assert_eq!(server_tls.reload(), Ok(false), "once");

    assert!(stream.echoes("between").await.unwrap());
    assert!(echoes(wire(&client, server)).await.is_err(), "it believes only in the old authority");
    new.write(other.path(), "throng", VALID);
    assert_eq!(client_tls.reload(), Ok(true));
    assert_eq!(echoes(wire(&client, server)).await, Ok(true));
    assert!(stream.echoes("after").await.unwrap());
}

#[tokio::test]
async fn an_authority_is_replaced_while_both_are_believed() {
    let (old, new, one, other) = (Authority::new(), Authority::new(), folder(), folder());
    let server_tls = Arc::new(old.role(one.path()));
    let server = serving(&Transport::secured(Arc::clone(&server_tls))).await;
    std::fs::write(files(one.path()).authority, format!("{}{}", old.pem, new.pem)).unwrap();
    assert_eq!(server_tls.reload(), Ok(true));

    let files = new.write(other.path(), "throng", VALID);
    std::fs::write(&files.authority, format!("{}{}", old.pem, new.pem)).unwrap();

    assert_eq!(echoes(wire(&secured(Tls::load(files).unwrap()), server)).await, Ok(true));
    let late = secured(old.role(other.path()));
    assert_eq!(echoes(wire(&late, server)).await, Ok(true), "who has not heard yet");
}

#[tokio::test]
async fn bad_files_are_told_once_and_the_old_ones_stay_until_there_are_good_ones() {
    let (authority, one, other) = (Authority::new(), folder(), folder());
    let tls = Arc::new(authority.role(one.path()));
    let server = serving(&Transport::secured(Arc::clone(&tls))).await;
    let client = secured(authority.role(other.path()));

    authority.write(one.path(), "throng", (2020, 2021));
    assert_eq!(tls.reload().unwrap_err().part, Part::Certificate);
    assert_eq!(tls.reload(), Ok(false), "it was said already");
    std::fs::remove_file(files(one.path()).key).unwrap();
    assert_eq!(tls.reload().unwrap_err().part, Part::Key);
    assert_eq!(echoes(wire(&client, server)).await, Ok(true));

    authority.write(one.path(), "throng", VALID);
    assert_eq!(tls.reload(), Ok(true));
    assert_eq!(echoes(wire(&client, server)).await, Ok(true));
}
