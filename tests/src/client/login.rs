//! From a connection to a bound resource: header, features, registration, SASL, bind.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::ns;
use xmpp::sasl::{self, BindingKind, Login, Mechanism};
use xmpp::xml::{Element, Reader};

use super::{Client, Heard, LIMITS};
use crate::pattern::all_text;

impl Client {
    /// Opens a stream to the server's first domain; returns the features.
    pub async fn opens(&mut self) -> Element {
        self.opens_to("{domain}").await
    }

    /// Opens a stream to a domain; returns the features.
    pub async fn opens_to(&mut self, domain: &str) -> Element {
        self.sends_header(domain).await;
        self.receives_header().await;
        self.receives("<stream:features/>").await
    }

    /// Sends a header or `<open/>`, and reads what comes as a new stream.
    pub async fn sends_header(&mut self, domain: &str) {
        self.reader = Some(Reader::stream(LIMITS));
        let header = if self.transport.is_websocket() {
            format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{domain}' version='1.0'/>")
        } else {
            format!(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{}' to='{domain}' version='1.0'>",
                ns::STREAMS
            )
        };
        self.sends(&header).await;
    }

    /// The server's header or `<open/>`.
    pub async fn receives_header(&mut self) -> Element {
        match self.next(false).await {
            Heard::Header(header) => header,
            heard => self.fail(&heard, "a stream header"),
        }
    }

    /// Makes an account (XEP-0077) on a stream that is open and not logged in.
    pub async fn registers(&mut self, name: &str, password: &str) {
        let node = self.cast.node(name);
        self.sends(&format!(
            "<iq type='set' id='register'><query xmlns='jabber:iq:register'>\
             <username>{node}</username><password>{password}</password></query></iq>"
        ))
        .await;
        self.receives("<iq type='result' id='register'/>").await;
    }

    /// Logs in as somebody of the cast with their password, which is their name; a new stream is open afterwards, and
    /// its features are returned.
    pub async fn logs_in(&mut self, name: &str, mechanism: Mechanism) -> Element {
        let outcome = self.authenticates(name, name, mechanism, None).await;
        assert_eq!(outcome.name(), "success", "{}: {outcome:?}", self.name);
        self.opens().await
    }

    /// Runs a login to its end, which is `<success/>` or `<failure/>`. `binding`: with -PLUS, what to bind to.
    pub async fn authenticates(
        &mut self,
        name: &str,
        password: &str,
        mechanism: Mechanism,
        binding: Option<BindingKind>,
    ) -> Element {
        let binding = binding.map(|kind| self.binding(kind));
        let username = self.cast.node(name);
        let login = Login { username, password: password.as_bytes().to_vec().into(), authzid: None, binding };
        self.exchanges(mechanism, login).await
    }

    /// What the connection can bind a login to.
    pub fn binding(&self, kind: BindingKind) -> sasl::Binding {
        self.transport.binding(kind).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Runs a login to its end.
    pub async fn exchanges(&mut self, mechanism: Mechanism, login: Login) -> Element {
        let nonce = fresh_nonce();
        let mut sasl = sasl::Client::start(mechanism, login, nonce).expect("a login that can begin");
        let initial = match STANDARD.encode(sasl.first()) {
            empty if empty.is_empty() => "=".to_owned(),
            data => data,
        };
        self.sends(&format!("<auth xmlns='{}' mechanism='{mechanism}'>{initial}</auth>", ns::SASL)).await;
        loop {
            let heard = self.next(false).await;
            let Heard::Element(element) = heard else { self.fail(&heard, "an answer to a login") };
            let data = STANDARD.decode(all_text(&element).trim()).unwrap_or_default();
            match element.name() {
                "challenge" => {
                    let response = sasl.respond(&data).expect("a challenge that can be answered");
                    let response = STANDARD.encode(response);
                    self.sends(&format!("<response xmlns='{}'>{response}</response>", ns::SASL)).await;
                }
                "success" => {
                    sasl.finish(&data).expect("a server that knows the account");
                    return element;
                }
                _ => return element,
            }
        }
    }

    /// Binds a resource (RFC 6120 §7); returns the full JID.
    pub async fn binds(&mut self, resource: &str) -> String {
        self.sends(&format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            ns::BIND
        ))
        .await;
        let bind = format!("<iq type='result' id='bind'><bind xmlns='{}'><jid>*</jid></bind></iq>", ns::BIND);
        let answer = self.receives(&bind).await;
        all_text(&answer)
    }
}

/// Used once; nothing here depends on its being secret.
fn fresh_nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; sasl::NONCE_BYTES];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    sasl::nonce(bytes)
}
