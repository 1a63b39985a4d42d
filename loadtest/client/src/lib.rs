//! One XMPP connection of a load generator: small enough that one process holds fifteen thousand, and able to speak
//! with any server.
//!
//! The story: a [`Plan`] says where and how; [`connect`] logs in and times each stage; the [`Client`] is then pushed
//! stanzas and asked for the [`Event`] that comes next. When its connection is lost, [`Client::abandon`] gives what
//! [`resume`] needs to continue the session (XEP-0198 §5) on another connection.
//!
//! What a server sends is framed and not checked: a generator must cost less than what it measures.

mod bosh;
mod client;
mod element;
mod error;
mod framer;
mod http;
mod io;
mod login;
mod management;
mod plan;
mod sasl;
mod tls;
mod websocket;
mod wire;

pub use client::{Client, Event, Resumption, connect, resume};
pub use element::{Element, Kind, Tag};
pub use error::{Error, Stage};
pub use login::Timings;
pub use management::State;
pub use plan::{Management, Plan, Transport};
pub use sasl::SaltedPassword;
pub use tls::Tls;
pub use xmpp::sasl::{Hash, Mechanism};
