//! What is measured of every run, by name.

use figures::{Measure, Recorder};

/// The measures that the engine itself knows. Scripts add their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measures {
    /// The TCP connection.
    pub connect: Measure,
    pub tls: Measure,
    pub register: Measure,
    pub auth: Measure,
    pub bind: Measure,
    /// A whole login, from the intended time.
    pub login: Measure,
    /// A whole return to a session that was lost, with XEP-0198.
    pub resume: Measure,
    /// From the loss of a connection until its session is resumed, however many attempts that takes.
    pub away: Measure,
    /// A message, from its intended time to its arrival.
    pub chat: Measure,
    /// The same, for messages that the server had stored meanwhile (XEP-0203).
    pub stored: Measure,
    /// A message, from its intended time until the server has acknowledged it (XEP-0198).
    pub chat_ack: Measure,
    /// A message, from its intended time to its receipt (XEP-0184).
    pub receipt: Measure,
    pub roster: Measure,
    pub roster_set: Measure,
    pub roster_remove: Measure,
    pub befriend: Measure,
    pub ping: Measure,
    pub join: Measure,
    pub leave: Measure,
    /// A message to a room, from its intended time to its arrival at each occupant.
    pub say: Measure,
    pub create_node: Measure,
    pub subscribe: Measure,
    pub unsubscribe: Measure,
    /// An item, from its intended time to its arrival at each subscriber.
    pub publish: Measure,
    /// An item, from its intended time to the service's answer.
    pub publish_ack: Measure,
    pub page: Measure,
    /// The place for a file (XEP-0363).
    pub slot: Measure,
    /// A whole file, with its slot.
    pub upload: Measure,
}

impl Measures {
    pub(crate) fn new(recorder: &Recorder) -> Self {
        let measure = |name| recorder.measure(name);
        Self {
            connect: measure("connect"),
            tls: measure("tls"),
            register: measure("register"),
            auth: measure("auth"),
            bind: measure("bind"),
            login: measure("login"),
            resume: measure("resume"),
            away: measure("away"),
            chat: measure("chat"),
            stored: measure("chat-stored"),
            chat_ack: measure("chat-ack"),
            receipt: measure("receipt"),
            roster: measure("roster"),
            roster_set: measure("roster-set"),
            roster_remove: measure("roster-remove"),
            befriend: measure("befriend"),
            ping: measure("ping"),
            join: measure("join"),
            leave: measure("leave"),
            say: measure("say"),
            create_node: measure("create-node"),
            subscribe: measure("subscribe"),
            unsubscribe: measure("unsubscribe"),
            publish: measure("publish"),
            publish_ack: measure("publish-ack"),
            page: measure("page"),
            slot: measure("slot"),
            upload: measure("upload"),
        }
    }
}
