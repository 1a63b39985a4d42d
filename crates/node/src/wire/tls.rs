//! What wires are secured with: TLS 1.3, and on both sides a certificate of the cluster's own authority. Whoever has
//! one is believed to be a role. The files are read again when they change: connections go on, new ones use the new.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _};
use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// Who a process is among the others, as it lies on disk.
#[derive(Clone, Debug)]
pub struct Files {
    /// Its certificate, PEM, then those between it and the authority: for servers and for clients.
    pub certificate: PathBuf,
    /// The private key of its certificate, PEM.
    pub key: PathBuf,
    /// The authorities that are believed, PEM: more than one while one takes the place of another.
    pub authority: PathBuf,
    /// The DNS name that the certificate of every role has.
    pub name: String,
}

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// Its key.
    Key,
    /// The authority.
    Authority,
    /// No file: the name that is wanted in certificates.
    Name,
}

/// A file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct FileError {
    /// Which.
    pub part: Part,
    /// Its path, or the name.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// How both sides of wires prove who they are.
pub struct Tls {
    files: Files,
    current: RwLock<Current>,
}

struct Current {
    /// What was read last, even if it is not in use.
    read: Result<Bytes, FileError>,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

/// What the files have.
#[derive(PartialEq, Eq)]
struct Bytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Vec<u8>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be used, together: other roles would refuse the certificate.
    pub fn load(files: Files) -> Result<Self, FileError> {
        let read = files.read()?;
        let (connector, acceptor) = files.both(&read)?;
        let current = RwLock::new(Current { read: Ok(read), connector, acceptor });
        Ok(Self { files, current })
    }

    /// Looks at the files this often, for as long as it is polled.
    pub async fn follow(&self, every: Duration) {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the cluster's certificates were read again"),
                Err(error) => tracing::error!(%error, "the cluster's old certificates stay in use"),
            }
        }
    }

    /// Takes files that have changed; answers whether any have. What is wrong is said once, and the old stays in use.
    pub(super) fn reload(&self) -> Result<bool, FileError> {
        let read = self.files.read();
        let mut current = self.current.write();
        if read == current.read {
            return Ok(false);
        }
        let both = read.as_ref().map_err(FileError::clone).and_then(|bytes| self.files.both(bytes));
        current.read = read;
        (current.connector, current.acceptor) = both?;
        Ok(true)
    }

    pub(super) async fn connect(&self, tcp: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let connector = self.current.read().connector.clone();
        let name = ServerName::try_from(self.files.name.clone()).map_err(io::Error::other)?;
        connector.connect(name, tcp).await
    }

    pub(super) async fn accept(&self, tcp: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = self.current.read().acceptor.clone();
        acceptor.accept(tcp).await
    }
}

impl Files {
    fn read(&self) -> Result<Bytes, FileError> {
        let bytes = |part, path: &Path| std::fs::read(path).map_err(|error| self.wrong(part, &error));
        Ok(Bytes {
            certificate: bytes(Part::Certificate, &self.certificate)?,
            key: bytes(Part::Key, &self.key)?,
            authority: bytes(Part::Authority, &self.authority)?,
        })
    }

    /// Both sides of a connection, from what the files have.
    fn both(&self, bytes: &Bytes) -> Result<(TlsConnector, TlsAcceptor), FileError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let name =
            ServerName::try_from(self.name.as_str()).map_err(|error| self.wrong(Part::Name, &error))?;
        let roots = self.authorities(&bytes.authority)?;
        let chain = self.certificates(Part::Certificate, &bytes.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes.key).map_err(|error| self.wrong(Part::Key, &error))?;

        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
        let clients = clients.build().map_err(|error| self.wrong(Part::Authority, &error))?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let servers = servers.build().map_err(|error| self.wrong(Part::Authority, &error))?;
        // As the others will see it: better here, once, than there at each connection.
        let (own, between) = chain.split_first().expect("there is one");
        let now = UnixTime::now();
        clients
            .verify_client_cert(own, between, now)
            .map_err(|error| self.wrong(Part::Certificate, &error))?;
        servers
            .verify_server_cert(own, between, &name, &[], now)
            .map_err(|error| self.wrong(Part::Certificate, &error))?;

        let own =
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| self.wrong(Part::Key, &error))?;
        let own = Arc::new(SingleCertAndKey::from(own));
        let unusable = |error: rustls::Error| self.wrong(Part::Certificate, &error);
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&own) as _);
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_webpki_verifier(servers)
            .with_client_cert_resolver(own);
        for protocols in [&mut server.alpn_protocols, &mut client.alpn_protocols] {
            *protocols = vec![b"h2".to_vec()];
        }
        // A ticket would outlive the certificates that it was given for; connections are few and long.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        client.resumption = Resumption::disabled();
        Ok((TlsConnector::from(Arc::new(client)), TlsAcceptor::from(Arc::new(server))))
    }

    fn authorities(&self, pem: &[u8]) -> Result<Arc<RootCertStore>, FileError> {
        let mut roots = RootCertStore::empty();
        for authority in self.certificates(Part::Authority, pem)? {
            roots.add(authority).map_err(|error| self.wrong(Part::Authority, &error))?;
        }
        Ok(Arc::new(roots))
    }

    /// Never empty.
    fn certificates(&self, part: Part, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let all = all.map_err(|error| self.wrong(part, &error))?;
        if all.is_empty() { Err(self.wrong(part, &"no certificate is in it")) } else { Ok(all) }
    }

    fn wrong(&self, part: Part, why: &dyn fmt::Display) -> FileError {
        let what = match part {
            Part::Certificate => self.certificate.display().to_string(),
            Part::Key => self.key.display().to_string(),
            Part::Authority => self.authority.display().to_string(),
            Part::Name => self.name.clone(),
        };
        FileError { part, what, why: why.to_string() }
    }
}

/// Without its key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
