//! Why a connection failed: a stage and a condition, so that failures can be counted.

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::element::Element;

/// What was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The TCP connection.
    Connect,
    /// The TLS handshake, and the STARTTLS (RFC 6120 §5) before it.
    Tls,
    /// The HTTP request that a WebSocket or BOSH session begins with.
    Http,
    /// The stream's header and features (RFC 6120 §4.3).
    Stream,
    /// In-band registration (XEP-0077).
    Register,
    /// SASL (RFC 6120 §6).
    Auth,
    /// Resource binding (RFC 6120 §7).
    Bind,
    /// Enabling or resuming stream management (XEP-0198).
    Management,
    /// Everything after the login.
    Session,
}

/// A failure, which ends the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {condition}{}", text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub struct Error {
    /// What was under way.
    pub stage: Stage,
    /// The error's name: a defined condition of XMPP, or one of ours such as `connection-refused`, `closed`, `timeout`.
    pub condition: Cow<'static, str>,
    /// What the other side or the system said about it.
    pub text: Option<Box<str>>,
    /// Where the server wants us to go instead (RFC 6120 §4.9.3.19): a host, with WebSocket a URI.
    pub other_host: Option<Box<str>>,
}

impl Error {
    /// Nobody listens at the address.
    pub fn is_refusal(&self) -> bool {
        self.stage == Stage::Connect && self.condition == "connection-refused"
    }

    /// The server ended the connection without a stream error.
    pub const CLOSED: &'static str = "closed";
    /// The plan's time for a login was over.
    pub const TIMEOUT: &'static str = "timeout";
    /// More waits to be written, or to be acknowledged, than the limit allows.
    pub const FULL: &'static str = "queue-full";

    pub(crate) fn new(stage: Stage, condition: impl Into<Cow<'static, str>>) -> Error {
        Error { stage, condition: condition.into(), text: None, other_host: None }
    }

    pub(crate) fn with_text(self, text: impl Into<Box<str>>) -> Error {
        Error { text: Some(text.into()), ..self }
    }

    pub(crate) fn closed(stage: Stage) -> Error {
        Error::new(stage, Error::CLOSED)
    }

    pub(crate) fn io(stage: Stage, error: &io::Error) -> Error {
        // BOSH connects where others read and write.
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            return error.clone();
        }
        let condition = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection-refused",
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => "connection-reset",
            io::ErrorKind::TimedOut => Error::TIMEOUT,
            io::ErrorKind::UnexpectedEof => Error::CLOSED,
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => "no-source-port",
            io::ErrorKind::InvalidData => "protocol",
            _ if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => "too-many-open-files",
            _ => "io",
        };
        Error::new(stage, condition).with_text(error.to_string())
    }

    /// A stream error (RFC 6120 §4.9), a stanza error (§8.3), or a failure of SASL (§6.5) or stream management.
    pub(crate) fn from_element(stage: Stage, element: &Element) -> Error {
        if let Some(uri) = element.other_uri() {
            return Error { other_host: Some(uri.into()), ..Error::new(stage, "see-other-host") };
        }
        let parent = if element.is_stanza() { element.find("error") } else { Some(element.tag()) };
        let condition = parent.and_then(|parent| parent.children().find(|child| child.name() != b"text"));
        let name = condition.map_or("undefined-condition", |tag| tag.name_str());
        let text = element.find("text").map(|text| text.text().to_owned()).filter(|text| !text.is_empty());
        let other_host = condition.filter(|tag| tag.name() == b"see-other-host").map(|tag| tag.text().into());
        Error { stage, condition: name.to_owned().into(), text: text.map(String::into_boxed_str), other_host }
    }
}

const TOO_MANY_OPEN_FILES: i32 = 24;

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Connect => "connect",
            Stage::Tls => "tls",
            Stage::Http => "http",
            Stage::Stream => "stream",
            Stage::Register => "register",
            Stage::Auth => "auth",
            Stage::Bind => "bind",
            Stage::Management => "management",
            Stage::Session => "session",
        })
    }
}
