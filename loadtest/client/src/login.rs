//! Everything before a session: the connection, its stream, the login, the resource, stream management.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use xmpp::xml::write_text;

use crate::bosh::Bosh;
use crate::element::Element;
use crate::error::{Error, Stage};
use crate::framer::Framed;
use crate::io::{Io, Secured};
use crate::management::{self, Management, State};
use crate::plan::{Plan, Transport};
use crate::sasl;
use crate::websocket::WebSocket;
use crate::wire::{Wire, ended};

/// How long each stage of a login took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// The TCP connection.
    pub connect: Duration,
    /// TLS, and the STARTTLS before it; zero without.
    pub tls: Duration,
    /// Opening streams, up to their features: one, or two, before the login, and one after it; and the WebSocket.
    pub stream: Duration,
    /// In-band registration; zero without.
    pub register: Duration,
    /// SASL, up to its success.
    pub auth: Duration,
    /// Binding the resource on the new stream.
    pub bind: Duration,
    /// Enabling or resuming stream management; zero without.
    pub management: Duration,
    /// All of it, from the first packet.
    pub login: Duration,
}

/// A login under way.
pub(crate) struct Login<'a> {
    pub(crate) plan: &'a Plan,
    progress: &'a Progress,
    wire: Wire,
    timings: Timings,
    began: Instant,
}

/// What a login leads to.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) jid: String,
    pub(crate) management: Option<Management>,
    pub(crate) timings: Timings,
}

/// What became of a session that was to be resumed.
pub(crate) struct Resumed {
    /// How many stanzas the server now acknowledges.
    pub(crate) acknowledged: u32,
    /// Whether it is that session; else the server has forgotten it, and this is a new one.
    pub(crate) resumed: bool,
}

/// How far a login has come, for who gives up waiting for it.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<Stage>);

/// Logs in, and binds a resource.
pub(crate) async fn log_in(plan: &Plan, progress: &Progress) -> Result<Session, Error> {
    let (login, features) = Login::start(plan, progress).await?;
    login.bind(&features).await
}

/// Logs in, and resumes a session where the server still has it.
pub(crate) async fn resume(
    plan: &Plan,
    state: &mut State,
    progress: &Progress,
) -> Result<(Session, Resumed), Error> {
    let (mut login, features) = Login::start(plan, progress).await?;
    let began = Instant::now();
    let Some(request) = state.management.resume() else {
        return Ok((login.bind(&features).await?, Resumed { acknowledged: 0, resumed: false }));
    };
    login.push(&request);
    let answer = login.element(Stage::Management).await?;
    let h = management::h(&answer);
    let acknowledged = h.map_or(Ok(()), |h| state.acknowledge(h));
    match (answer.name(), acknowledged) {
        (b"resumed", Ok(())) if h.is_some() => {
            login.timings.management = began.elapsed();
            for copy in state.management.copies() {
                login.wire.push(copy);
            }
            if state.unacknowledged() > 0 {
                login.wire.push(management::REQUEST);
            }
            let management = Some(state.management.clone());
            let session = login.finish(state.jid.clone(), management).await?;
            Ok((session, Resumed { acknowledged: state.take_acknowledged(), resumed: true }))
        }
        // A count may come with it (XEP-0198 §5): it was still known what had been handled.
        (b"failed", _) => {
            let session = login.bind(&features).await?;
            Ok((session, Resumed { acknowledged: state.take_acknowledged(), resumed: false }))
        }
        (_, Err(management::TooMany)) => Err(Error::new(Stage::Management, "handled-count-too-high")),
        _ => Err(Error::from_element(Stage::Management, &answer)),
    }
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress(Mutex::new(Stage::Connect))
    }

    fn reached(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// The error of a login that takes too long.
    pub(crate) fn late(&self) -> Error {
        Error::new(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Error::TIMEOUT)
    }
}

impl<'a> Login<'a> {
    /// Up to the features of the stream that a resource is bound on.
    async fn start(plan: &'a Plan, progress: &'a Progress) -> Result<(Login<'a>, Element), Error> {
        let began = Instant::now();
        let mut timings = Timings::default();
        let wire = connected(plan, &mut timings, progress).await?;
        let mut login = Login { plan, progress, wire, timings, began };
        let mut features = login.open().await?;
        if plan.transport == Transport::Starttls {
            login = login.start_tls(&features).await?;
            features = login.open().await?;
        }
        if plan.register {
            login.register().await?;
        }
        let began = Instant::now();
        sasl::authenticate(&mut login, &features).await?;
        login.timings.auth = began.elapsed();
        let features = login.open().await?;
        Ok((login, features))
    }

    /// RFC 6120 §5.4.
    async fn start_tls(mut self, features: &Element) -> Result<Login<'a>, Error> {
        let began = Instant::now();
        if !features.contains(xmpp::ns::TLS.as_bytes()) {
            return Err(Error::new(Stage::Tls, "not-offered"));
        }
        self.push("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        if self.element(Stage::Tls).await?.name() != b"proceed" {
            return Err(Error::new(Stage::Tls, "refused"));
        }
        let io = self.wire.into_io().ok_or_else(|| Error::new(Stage::Tls, "not-a-stream"))?;
        let wire = Wire::stream(io.secure(self.plan, Secured::Starttls).await?);
        let timings = Timings { tls: began.elapsed(), ..self.timings };
        Ok(Login { wire, timings, ..self })
    }

    /// Opens a stream (RFC 6120 §4.2) and reads its features.
    async fn open(&mut self) -> Result<Element, Error> {
        let began = Instant::now();
        self.wire.open(&self.plan.domain);
        let features = self.element(Stage::Stream).await?;
        self.timings.stream += began.elapsed();
        if features.name() == b"features" {
            Ok(features)
        } else {
            Err(Error::new(Stage::Stream, "no-features"))
        }
    }

    /// XEP-0077 §3.1.
    async fn register(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        let mut iq = b"<iq type='set' id='tl-register'><query xmlns='jabber:iq:register'><username>".to_vec();
        write_text(&mut iq, &self.plan.username);
        iq.extend_from_slice(b"</username><password>");
        write_text(&mut iq, &self.plan.password);
        iq.extend_from_slice(b"</password></query></iq>");
        self.wire.push(&iq);
        let answer = self.element(Stage::Register).await?;
        self.timings.register = began.elapsed();
        match answer.error_condition() {
            // It is there, as was asked for.
            Some("conflict") => Ok(()),
            _ if answer.is_error() => Err(Error::from_element(Stage::Register, &answer)),
            _ => Ok(()),
        }
    }

    /// Binds a resource (RFC 6120 §7) and enables stream management (XEP-0198 §3).
    async fn bind(mut self, features: &Element) -> Result<Session, Error> {
        let began = Instant::now();
        let mut iq = b"<iq type='set' id='tl-bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>".to_vec();
        if let Some(resource) = &self.plan.resource {
            iq.extend_from_slice(b"<resource>");
            write_text(&mut iq, resource);
            iq.extend_from_slice(b"</resource>");
        }
        iq.extend_from_slice(b"</bind></iq>");
        self.wire.push(&iq);
        let answer = self.result(Stage::Bind).await?;
        let jid = answer.find("jid").map(|jid| jid.text()).filter(|jid| !jid.is_empty());
        let jid = jid.ok_or_else(|| Error::new(Stage::Bind, "no-jid"))?.to_owned();
        if needs_session(features) {
            // RFC 3921 §3, where a server still insists on it.
            let session =
                "<iq type='set' id='tl-session'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
            self.push(session);
            self.result(Stage::Bind).await?;
        }
        self.timings.bind = began.elapsed();
        let management = self.enable(features).await?;
        self.finish(jid, management).await
    }

    async fn enable(&mut self, features: &Element) -> Result<Option<Management>, Error> {
        let Some(settings) = self.plan.management else { return Ok(None) };
        if !features.contains(xmpp::ns::SM.as_bytes()) {
            return Err(Error::new(Stage::Management, "not-offered"));
        }
        let began = Instant::now();
        let resume = if settings.resume { " resume='true'" } else { "" };
        self.push(&format!("<enable xmlns='urn:xmpp:sm:3'{resume}/>"));
        // What the server sends to the resource meanwhile is not counted yet (XEP-0198 §4), nor is it for anybody.
        let answer = loop {
            let answer = self.element(Stage::Management).await?;
            if !answer.is_stanza() {
                break answer;
            }
        };
        self.timings.management = began.elapsed();
        match answer.name() {
            b"enabled" => Ok(Some(Management::enabled(settings, &answer))),
            _ => Err(Error::from_element(Stage::Management, &answer)),
        }
    }

    async fn finish(mut self, jid: String, management: Option<Management>) -> Result<Session, Error> {
        self.wire.flush().await.map_err(|error| Error::io(Stage::Management, &error))?;
        self.timings.login = self.began.elapsed();
        Ok(Session { wire: self.wire, jid, management, timings: self.timings })
    }

    pub(crate) fn exported(&self) -> Option<Vec<u8>> {
        self.wire.exported()
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.wire.push(text.as_bytes());
    }

    /// The next element, after what was pushed is written. A stream error is an error.
    pub(crate) async fn element(&mut self, stage: Stage) -> Result<Element, Error> {
        self.progress.reached(stage);
        self.wire.flush().await.map_err(|error| Error::io(stage, &error))?;
        loop {
            match ended(stage, self.wire.next().await)? {
                Framed::Header => {}
                Framed::Element(element) if element.is_stream_error() => {
                    return Err(Error::from_element(stage, &element));
                }
                Framed::Element(element) => return Ok(element),
                Framed::End => return Err(Error::closed(stage)),
            }
        }
    }

    /// The answer to a request of ours.
    async fn result(&mut self, stage: Stage) -> Result<Element, Error> {
        let answer = self.element(stage).await?;
        if answer.ty() == Some("result") { Ok(answer) } else { Err(Error::from_element(stage, &answer)) }
    }
}

/// Connects, and secures the connection unless the stream does that.
async fn connected(plan: &Plan, timings: &mut Timings, progress: &Progress) -> Result<Wire, Error> {
    if matches!(plan.transport, Transport::Bosh | Transport::BoshTls) {
        // Its connections come and go, each with a request: they are part of the stream's time.
        return Ok(Wire::requests(Bosh::new(plan)?));
    }
    let began = Instant::now();
    let mut io = Io::connect(plan).await?;
    timings.connect = began.elapsed();
    let secured = match plan.transport {
        Transport::Tls => Some(Secured::Direct),
        Transport::WebSocketTls => Some(Secured::Https),
        _ => None,
    };
    if let Some(secured) = secured {
        progress.reached(Stage::Tls);
        let began = Instant::now();
        io = io.secure(plan, secured).await?;
        timings.tls = began.elapsed();
    }
    match plan.transport {
        Transport::WebSocket | Transport::WebSocketTls => {
            progress.reached(Stage::Http);
            let began = Instant::now();
            let socket = WebSocket::open(&mut io, plan).await?;
            timings.stream = began.elapsed();
            Ok(Wire::messages(io, socket))
        }
        _ => Ok(Wire::stream(io)),
    }
}

fn needs_session(features: &Element) -> bool {
    let session = features.tag().children().find(|child| child.name() == b"session");
    session.is_some_and(|session| !session.children().any(|child| child.name() == b"optional"))
}
