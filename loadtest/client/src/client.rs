//! A client that is logged in.

use std::time::Duration;

use tokio::time::timeout;

use crate::element::Element;
use crate::error::{Error, Stage};
use crate::framer::Framed;
use crate::login::{self, Progress, Session, Timings};
use crate::management::{self, Management, State};
use crate::plan::Plan;
use crate::wire::{Wire, ended};

/// How long a server may take to close its side of a stream.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A session on a connection. Nothing happens in the background: what is pushed leaves with [`Client::flush`] or
/// [`Client::next`], and acknowledgements are answered by the latter.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    jid: String,
    management: Option<Management>,
    timings: Timings,
    is_closing: bool,
}

/// What happens to a client.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message, presence or iq.
    Stanza(Element),
    /// The server has handled so many more of the stanzas pushed, maybe none, in their order (XEP-0198 §4).
    Acknowledged(u32),
    /// Another element.
    Other(Element),
    /// The server has closed the stream; nothing follows.
    Closed,
}

/// What an attempt to resume led to.
#[derive(Debug)]
pub struct Resumption {
    /// The session.
    pub client: Client,
    /// Whether it is the one that was lost; else the server has forgotten that, and this is a new one on the same
    /// connection: what was neither acknowledged before nor now is unknown, and is not sent again.
    pub resumed: bool,
    /// How many stanzas of the lost connection the server has acknowledged now, in their order.
    pub acknowledged: u32,
}

/// Connects and logs in.
pub async fn connect(plan: &Plan) -> Result<Client, Error> {
    // Boxed, so that a session's task is not as large as a login for ever after.
    let progress = Progress::new();
    let login = Box::pin(login::log_in(plan, &progress));
    let session = timeout(plan.timeout, login).await.map_err(|_| progress.late())??;
    Ok(Client::new(session))
}

/// Connects, to the plan's address, which may be another than before, and resumes a session (XEP-0198 §5). What was
/// not acknowledged is sent again. If this fails, `state` can be tried again.
pub async fn resume(plan: &Plan, state: &mut State) -> Result<Resumption, Error> {
    let progress = Progress::new();
    let login = Box::pin(login::resume(plan, state, &progress));
    let (session, resumed) = timeout(plan.timeout, login).await.map_err(|_| progress.late())??;
    let login::Resumed { acknowledged, resumed } = resumed;
    Ok(Resumption { client: Client::new(session), resumed, acknowledged })
}

impl Client {
    fn new(session: Session) -> Client {
        let Session { wire, jid, management, timings } = session;
        Client { wire, jid, management, timings, is_closing: false }
    }

    /// The full JID the server has bound.
    pub fn jid(&self) -> &str {
        &self.jid
    }

    /// How long the login took.
    pub fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Whether stream management counts stanzas.
    pub fn is_managed(&self) -> bool {
        self.management.is_some()
    }

    /// How many stanzas have been pushed and are not acknowledged; 0 without stream management.
    pub fn unacknowledged(&self) -> u32 {
        self.management.as_ref().map_or(0, Management::outstanding)
    }

    /// Has one complete stanza, without an XML declaration or white space before it, written with the next flush.
    /// Fails with [`Error::FULL`] where the server takes or acknowledges too little; the stanza is then not counted.
    pub fn push(&mut self, stanza: &[u8]) -> Result<(), Error> {
        if !self.wire.has_room() || self.management.as_ref().is_some_and(|management| !management.has_room())
        {
            return Err(Error::new(Stage::Session, Error::FULL));
        }
        self.wire.push(stanza);
        if let Some(management) = &mut self.management
            && management.sent(stanza)
        {
            self.wire.push(management::REQUEST);
        }
        Ok(())
    }

    /// Asks for an acknowledgement now, which the plan may ask for regularly; nothing without stream management.
    pub fn request(&mut self) {
        if self.management.is_some() {
            self.wire.push(management::REQUEST);
        }
    }

    /// Has an element written that is no stanza, such as `<active/>` of XEP-0352: it is not counted.
    pub fn push_uncounted(&mut self, element: &[u8]) {
        self.wire.push(element);
    }

    /// Writes what was pushed. Cancelled, it goes on with the next call, or with [`Client::next`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.wire.flush().await.map_err(|error| Error::io(Stage::Session, &error))
    }

    /// The next event; nothing is lost if it is cancelled. Also writes what was pushed.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            match ended(Stage::Session, self.wire.next().await) {
                Ok(Framed::Element(element)) => {
                    if let Some(event) = self.take(element)? {
                        return Ok(event);
                    }
                }
                Ok(Framed::End) => return Ok(Event::Closed),
                Ok(Framed::Header) => {}
                Err(_) if self.is_closing => return Ok(Event::Closed),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will be pushed. [`Client::next`] goes on until the server has closed as well.
    pub fn finish(&mut self) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        if let Some(management) = &self.management {
            // What is not acknowledged when a stream closes may be kept as undelivered (XEP-0198 §4).
            self.wire.push(management.answer().as_bytes());
        }
        self.wire.close();
    }

    /// Closes the stream (RFC 6120 §4.4) and waits a few seconds until the server has; what arrives meanwhile is
    /// dropped.
    pub async fn close(mut self) -> Result<(), Error> {
        self.finish();
        let closed = async {
            while !matches!(self.next().await?, Event::Closed) {}
            Ok(())
        };
        timeout(CLOSE_WAIT, closed).await.map_err(|_| Error::new(Stage::Session, Error::TIMEOUT))?
    }

    /// Drops the connection without a word, as a lost network would; what the session can be resumed with.
    pub fn abandon(self) -> Option<State> {
        self.wire.abandon();
        let management = self.management.filter(Management::can_resume)?;
        Some(State::new(self.jid, management))
    }

    fn take(&mut self, element: Element) -> Result<Option<Event>, Error> {
        if element.is_stanza() {
            if let Some(management) = &mut self.management {
                management.received();
            }
            return Ok(Some(Event::Stanza(element)));
        }
        if element.is_stream_error() {
            return Err(Error::from_element(Stage::Session, &element));
        }
        match (&mut self.management, element.name()) {
            (Some(management), b"r") => {
                self.wire.push(management.answer().as_bytes());
                Ok(None)
            }
            (Some(management), b"a") => {
                let h = management::h(&element).ok_or_else(|| Error::new(Stage::Session, "bad-h"))?;
                let count = management.acknowledge(h);
                let count = count.map_err(|_| Error::new(Stage::Session, "handled-count-too-high"))?;
                Ok(Some(Event::Acknowledged(count)))
            }
            _ => Ok(Some(Event::Other(element))),
        }
    }
}
