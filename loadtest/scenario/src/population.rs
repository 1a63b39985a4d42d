//! Populations: sessions that connect in one way and play one script.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::{Time, maybe_time, times};
use crate::{Partner, Span, Step, Text};

/// Sessions that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Population {
    /// As figures call it.
    pub name: String,
    /// Its share of the arrivals, beside the other populations' weights. 0: it comes only where a phase's `weights`
    /// or `at` say so.
    #[serde(default = "one")]
    pub weight: f64,
    /// Beside its share of the arrivals, one session begins at each of these moments since the run's start.
    #[serde(default, with = "times", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Time>")]
    pub at: Vec<Duration>,
    /// How bytes travel.
    #[serde(default)]
    pub transport: Transport,
    /// How it authenticates.
    #[serde(default)]
    pub sasl: Mechanism,
    /// The resource that is asked for; without it the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Text>,
    /// Registers the account (XEP-0077) before its first login.
    #[serde(default)]
    pub register: bool,
    /// XEP-0198, if given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// Loads the roster (RFC 6121 §2.2) before the initial presence.
    #[serde(default)]
    pub roster: bool,
    /// Sends initial presence after the login.
    #[serde(default = "yes")]
    pub presence: bool,
    /// Enables carbons (XEP-0280).
    #[serde(default)]
    pub carbons: bool,
    /// Answers requested receipts (XEP-0184).
    #[serde(default)]
    pub receipts: bool,
    /// How long a session waits before it connects for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_after: Option<Span>,
    /// How long the server may be silent: a login that takes longer is tried again. With stream management, a connection
    /// without a sign of the server for so long is asked for one, and after as long again taken for lost.
    #[serde(default, with = "maybe_time", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub patience: Option<Duration>,
    /// What it does when its connection is lost.
    #[serde(default)]
    pub on_loss: OnLoss,
    /// To whom steps go that name no partner.
    #[serde(default)]
    pub partner: Partner,
    /// Values of this population's own texts, `{name}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Text>,
    /// Played once each session is logged in; at its end the session logs out.
    pub script: Vec<Step>,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP, not secured.
    #[default]
    Tcp,
    /// TCP with STARTTLS (RFC 6120 §5).
    Starttls,
    /// TLS from the first byte (XEP-0368).
    Tls,
    /// RFC 7395 over `ws:`.
    Websocket,
    /// RFC 7395 over `wss:`.
    WebsocketTls,
    /// XEP-0124 and XEP-0206 over `http:`.
    Bosh,
    /// XEP-0124 and XEP-0206 over `https:`.
    BoshTls,
}

/// The SASL mechanism that is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// RFC 4616.
    #[default]
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 5802.
    #[serde(rename = "SCRAM-SHA-1")]
    ScramSha1,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// As RFC 7677, with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// RFC 4505.
    #[serde(rename = "ANONYMOUS")]
    Anonymous,
}

/// Stream management (XEP-0198).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Management {
    /// Asks for resumption.
    #[serde(default = "yes")]
    pub resume: bool,
    /// `<r/>` after this many stanzas.
    #[serde(default = "request_every")]
    pub request_every: u32,
}

/// What a session does whose connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// Connects again after this time: resumes where stream management allows it, else logs in anew.
    Return(Span),
    /// Stays away: its script is over.
    StayAway,
}

impl Default for OnLoss {
    fn default() -> Self {
        Self::Return(Span::Between(Duration::ZERO, Duration::from_secs(1)))
    }
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn request_every() -> u32 {
    5
}
