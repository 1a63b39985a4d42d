//! Bytes to and from the server: TCP, TLS, WebSocket.

use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use xmpp::sasl::{Binding, BindingKind};

use crate::server::DOMAIN;

/// A connection.
pub(super) enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocketStream<TcpStream>>),
    /// Closed by us.
    Gone,
}

impl Transport {
    /// From an address of this machine's own, so that limits per address are the play's alone.
    pub(super) async fn tcp(from: Ipv4Addr, to: SocketAddr) -> anyhow::Result<Transport> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let tcp = socket.connect(to).await?;
        tcp.set_nodelay(true)?;
        Ok(Transport::Tcp(tcp))
    }

    /// TLS from here on.
    pub(super) async fn encrypt(
        &mut self,
        roots: &RootCertStore,
        version: TlsVersion,
        alpn: bool,
    ) -> anyhow::Result<()> {
        let Transport::Tcp(tcp) = mem::replace(self, Transport::Gone) else { bail!("only TCP is encrypted") };
        let versions: &[&SupportedProtocolVersion] = match version {
            TlsVersion::V12 => &[&rustls::version::TLS12],
            TlsVersion::V13 => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_protocol_versions(versions);
        let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        if alpn {
            config.alpn_protocols = vec![b"xmpp-client".to_vec()];
        }
        let name = ServerName::try_from(DOMAIN)?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        *self = Transport::Tls(Box::new(tls));
        Ok(())
    }

    /// A WebSocket of the subprotocol `xmpp` (RFC 7395 §3.1).
    pub(super) async fn websocket(self, to: SocketAddr) -> anyhow::Result<Transport> {
        let Transport::Tcp(tcp) = self else { bail!("only TCP becomes a WebSocket") };
        let mut request = format!("ws://{to}/xmpp-websocket").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse()?);
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
        Ok(Transport::WebSocket(Box::new(socket)))
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self, Transport::WebSocket(_))
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Transport::Tcp(tcp) => tcp.write_all(bytes).await?,
            Transport::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await?;
            }
            Transport::WebSocket(socket) => {
                let message = match std::str::from_utf8(bytes) {
                    Ok(text) => Message::text(text),
                    Err(_) => Message::binary(Bytes::copy_from_slice(bytes)),
                };
                socket.send(message).await?;
            }
            Transport::Gone => bail!("the connection is closed"),
        }
        Ok(())
    }

    /// A WebSocket's control frame or anything else that is no text.
    pub(super) async fn write_message(&mut self, message: Message) -> anyhow::Result<()> {
        let Transport::WebSocket(socket) = self else { bail!("only a WebSocket has messages") };
        Ok(socket.send(message).await?)
    }

    /// Adds what arrives: some bytes, or one message of a WebSocket. False: nothing will arrive any more.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> bool {
        match self {
            Transport::Tcp(tcp) => tcp.read_buf(buffer).await.is_ok_and(|count| count > 0),
            Transport::Tls(tls) => tls.read_buf(buffer).await.is_ok_and(|count| count > 0),
            Transport::WebSocket(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        buffer.extend_from_slice(text.as_bytes());
                        return true;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
                    Some(Ok(_)) => {}
                }
            },
            Transport::Gone => false,
        }
    }

    /// What this connection can bind a login to (RFC 9266, RFC 5929 §4).
    pub(super) fn binding(&self, kind: BindingKind) -> anyhow::Result<Binding> {
        let Transport::Tls(tls) = self else { bail!("there is no TLS to bind to") };
        let (_, connection) = tls.get_ref();
        let bytes = match kind {
            BindingKind::TlsExporter => {
                let key = [0; 32];
                connection.export_keying_material(key, b"EXPORTER-Channel-Binding", Some(b""))?.to_vec()
            }
            BindingKind::TlsServerEndPoint => {
                let leaf = connection.peer_certificates().and_then(|chain| chain.first());
                Sha256::digest(leaf.context("the server showed no certificate")?).to_vec()
            }
        };
        Ok(Binding { kind, bytes })
    }

    /// New keys for what is sent (RFC 8446 §4.6.3).
    pub(super) async fn update_keys(&mut self) -> anyhow::Result<()> {
        let Transport::Tls(tls) = self else { bail!("only TLS has keys") };
        tls.get_mut().1.refresh_traffic_keys()?;
        Ok(tls.flush().await?)
    }

    /// Closes without a word, as a client whose battery is empty.
    pub(super) fn drop_now(&mut self) {
        *self = Transport::Gone;
    }
}

/// The versions of TLS that there are for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    V12,
    /// 1.3
    V13,
}
