//! The client's side of TLS, shared by all connections.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// How servers are trusted. Clones share everything.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) starttls: Arc<ClientConfig>,
    /// XEP-0368 §3: the protocol is named, for ports shared with HTTPS.
    pub(crate) direct: Arc<ClientConfig>,
    pub(crate) https: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts whoever is signed by these certificates, in PEM.
    pub fn trusting(pem: &[u8]) -> Result<Tls, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|error| rustls::Error::General(error.to_string()))?)?;
        }
        Tls::build(|provider| {
            let builder = ClientConfig::builder_with_provider(provider);
            Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots.clone()))
        })
    }

    /// Trusts anybody, and spends nothing on checking signatures.
    pub fn insecure() -> Result<Tls, rustls::Error> {
        Tls::build(|provider| {
            let anybody = Arc::new(Anybody(Arc::clone(&provider)));
            let builder =
                ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            Ok(builder.dangerous().with_custom_certificate_verifier(anybody))
        })
    }

    /// What HTTPS is spoken with, where a session needs that beside its own connection.
    pub fn https(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.https)
    }

    fn build(
        trust: impl Fn(Arc<CryptoProvider>) -> Result<WithTrust, rustls::Error>,
    ) -> Result<Tls, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = |protocols: &[&[u8]]| -> Result<_, rustls::Error> {
            let mut config = trust(Arc::clone(&provider))?.with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            // Each login shall cost the server what a new client costs it; tickets would stay in memory here.
            config.resumption = Resumption::disabled();
            Ok(Arc::new(config))
        };
        Ok(Tls { starttls: config(&[])?, direct: config(&[b"xmpp-client"])?, https: config(&[b"http/1.1"])? })
    }
}

type WithTrust = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
