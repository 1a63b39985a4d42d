//! A server that does next to nothing, so that what a generator can do is seen: it lets everybody in, binds what is asked
//! for, and passes each message, unread but for its `to`, to the connection of the account that is named there.
//!
//! There are no presences, rosters or archives: an iq is answered by an empty result, everything else is dropped.

mod peer;
mod talk;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use self::peer::Peer;

/// Connections that wait to be accepted: a storm of logins comes at once.
const BACKLOG: u32 = 4096;

/// Where the server listens; at least one of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// For TCP, with STARTTLS offered.
    pub plain: Option<SocketAddr>,
    /// For TLS from the first byte.
    pub direct: Option<SocketAddr>,
    /// The domain of everybody's account.
    pub domain: String,
}

/// A server that listens and does not serve yet.
#[derive(Debug)]
pub struct Server {
    plain: Option<TcpListener>,
    direct: Option<TcpListener>,
    house: Arc<House>,
}

/// What all connections share.
#[derive(Debug)]
struct House {
    domain: String,
    tls: Arc<ServerConfig>,
    /// Connections by account; the last one of an account gets all.
    peers: RwLock<HashMap<Box<[u8]>, Arc<Peer>>>,
}

impl Server {
    /// Listens, with a certificate made for the occasion.
    pub fn bind(options: &Options) -> anyhow::Result<Server> {
        let house = House {
            domain: options.domain.clone(),
            tls: Arc::new(tls(&options.domain)?),
            peers: RwLock::new(HashMap::new()),
        };
        Ok(Server {
            plain: options.plain.map(listen).transpose()?,
            direct: options.direct.map(listen).transpose()?,
            house: Arc::new(house),
        })
    }

    /// The addresses it listens on: for TCP and for TLS.
    pub fn addresses(&self) -> io::Result<(Option<SocketAddr>, Option<SocketAddr>)> {
        let address =
            |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        Ok((address(&self.plain)?, address(&self.direct)?))
    }

    /// Serves until the future is dropped. The cheapest runtime for it has one thread.
    pub async fn serve(self) -> io::Result<()> {
        let Server { plain, direct, house } = self;
        tokio::try_join!(accept(plain, false, &house), accept(direct, true, &house))?;
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: Option<TcpListener>, secure: bool, house: &Arc<House>) -> io::Result<()> {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve_one(stream, secure, Arc::clone(house)));
            }
            // Out of descriptors, or a connection that has gone again: the others go on.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn serve_one(stream: TcpStream, secure: bool, house: Arc<House>) {
    // However a connection ends, its client sees it and counts it.
    let _ = talk::serve(stream, secure, &house).await;
}

fn tls(domain: &str) -> anyhow::Result<ServerConfig> {
    let certified = rcgen::generate_simple_self_signed([domain.to_owned()])?;
    let chain = vec![CertificateDer::from(certified.cert)];
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // XEP-0368 §3; who says nothing of it, as after STARTTLS, is let in as well.
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const HEADER: &str = "<?xml version='1.0'?><stream:stream to='x' version='1.0'>";

    struct Client {
        stream: TcpStream,
        heard: String,
    }

    impl Client {
        /// Logs in with this initial response of PLAIN.
        async fn log_in(address: SocketAddr, response: &str) -> Client {
            let stream = TcpStream::connect(address).await.unwrap();
            let mut client = Client { stream, heard: String::new() };
            client.says(HEADER).await;
            assert!(client.hears("</stream:features>").await.contains("<starttls"));
            client.says(&format!("<auth mechanism='PLAIN'>{response}</auth>")).await;
            client.hears("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
            client.says(HEADER).await;
            client.hears("</stream:features>").await;
            client.says("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
            client.hears("</iq>").await;
            client
        }

        async fn says(&mut self, text: &str) {
            self.stream.write_all(text.as_bytes()).await.unwrap();
        }

        async fn hears(&mut self, end: &str) -> String {
            while !self.heard.contains(end) {
                let mut bytes = [0; 4096];
                let read = timeout(Duration::from_secs(5), self.stream.read(&mut bytes)).await;
                let count = read.expect("it is heard").unwrap();
                assert!(count > 0, "closed before {end}");
                self.heard.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            let at = self.heard.find(end).unwrap() + end.len();
            self.heard.drain(..at).collect()
        }
    }

    #[tokio::test]
    async fn a_message_reaches_its_addressee_as_it_was_written() {
        let options =
            Options { plain: Some(([127, 0, 0, 1], 0).into()), direct: None, domain: "x".to_owned() };
        let server = Server::bind(&options).unwrap();
        let address = server.addresses().unwrap().0.unwrap();
        let server = tokio::spawn(server.serve());
        // \0romeo\0a and \0juliet\0b
        let mut romeo = Client::log_in(address, "AHJvbWVvAGE=").await;
        let mut juliet = Client::log_in(address, "AGp1bGlldABi").await;
        let message = "<message id='1' to='juliet@x/balcony'><body>a &gt; b</body></message>";
        romeo
            .says(&format!("<enable xmlns='urn:xmpp:sm:3'/>{message}<presence/><r xmlns='urn:xmpp:sm:3'/>"))
            .await;
        assert_eq!(juliet.hears("</message>").await, message);
        assert!(romeo.hears("h='2'/>").await.starts_with("<enabled"));
        romeo.says("<iq type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>").await;
        assert_eq!(romeo.hears("/>").await, "<iq type='result' id='q'/>");
        romeo.says("</stream:stream>").await;
        romeo.hears("</stream:stream>").await;
        server.abort();
    }
}
