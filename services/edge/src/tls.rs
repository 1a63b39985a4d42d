//! TLS: certificates by server name, reloaded while connections go on, and what a login can be bound to.

mod certificates;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    ProtocolVersion, ServerConfig, ServerConnection,
    crypto::aws_lc_rs,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use xmpp::{
    sasl::{Binding, BindingKind},
    stream::Security,
};

use self::certificates::Certificates;
use crate::{Error, config::Config};

/// Bytes that rustls holds for a slow reader before it refuses more.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// RFC 9266 §2.
const EXPORTER_BYTES: usize = 32;

/// The TLS side of all listeners.
pub(crate) struct Tls {
    resolver: Arc<Resolver>,
    binding_on_tls12: bool,
    pub(crate) starttls: Arc<ServerConfig>,
    pub(crate) direct: Arc<ServerConfig>,
    pub(crate) https: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Resolver {
    certificates: ArcSwap<Certificates>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.certificates.load().of(hello.server_name()).key))
    }
}

impl Tls {
    /// `None` without certificates.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, Error> {
        let Some(certificates) = Certificates::load(&config.certificates)? else { return Ok(None) };
        let resolver = Arc::new(Resolver { certificates: ArcSwap::from_pointee(certificates) });
        let server = |alpn: &[&[u8]]| -> Result<_, Error> {
            let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
                .with_no_client_auth()
                .with_cert_resolver(Arc::clone(&resolver) as _);
            server.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            // Tickets keep the state at the client: an idle session costs nothing here.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.ticketer = aws_lc_rs::Ticketer::new()?;
            server.send_tls13_tickets = 1;
            Ok(Arc::new(server))
        };
        Ok(Some(Self {
            starttls: server(&[])?,
            direct: server(&[b"xmpp-client"])?,
            https: server(&[b"http/1.1"])?,
            binding_on_tls12: config.channel_binding_on_tls12,
            resolver,
        }))
    }

    /// Reads the files again. What is wrong with them leaves the old certificates in use, and so does one that has expired
    /// in place of one that has not.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), Error> {
        let Some(certificates) = Certificates::load(&config.certificates)? else { return Ok(()) };
        if let Some(path) = certificates.expired_instead_of(&self.resolver.certificates.load()) {
            return Err(Error::Certificate { path: path.to_owned(), why: "it has expired".to_owned() });
        }
        self.resolver.certificates.store(Arc::new(certificates));
        Ok(())
    }

    /// What a finished handshake gives to a login. RFC 9266 §3 wants the extended master secret for the exporter of
    /// TLS 1.2, and rustls doesn't say whether a connection has it: there it isn't offered.
    pub(crate) fn security(&self, connection: &ServerConnection) -> Security {
        let tls13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let mut bindings = Vec::with_capacity(2);
        if !tls13 && !self.binding_on_tls12 {
            return Security { bindings };
        }
        let exported = connection.export_keying_material(
            vec![0; EXPORTER_BYTES],
            b"EXPORTER-Channel-Binding",
            Some(b""),
        );
        if let Ok(bytes) = exported
            && tls13
        {
            bindings.push(Binding { kind: BindingKind::TlsExporter, bytes });
        }
        if let Some(bytes) = &self.resolver.certificates.load().of(connection.server_name()).end_point {
            bindings.push(Binding { kind: BindingKind::TlsServerEndPoint, bytes: bytes.clone() });
        }
        Security { bindings }
    }
}

/// Before the first byte of a connection.
pub(crate) fn prepare(connection: &mut ServerConnection) {
    connection.set_buffer_limit(Some(BUFFER_BYTES_MAX));
}
