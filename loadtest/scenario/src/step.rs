//! Scripts: what a session does, step by step. In a file each step is a table with one key that names it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Capture, Condition, Partner, Repeat, Span};

/// A text in which names in braces are replaced, `{username}`.
pub type Text = String;

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Does nothing for a time.
    Think(Span),
    /// Does nothing until the phase of this name begins; `end` is the end of the last.
    Until(String),
    /// Waits until `sessions` sessions have reached the barrier of this name.
    Barrier {
        /// Sessions meet at barriers of one name.
        name: String,
        /// 0: all that are to arrive.
        #[serde(default)]
        sessions: u64,
    },
    /// Plays steps again and again.
    Repeat(Repeat),
    /// Plays steps with a chance.
    Chance {
        /// 0 to 1.
        of: f64,
        /// What is played.
        steps: Vec<Step>,
    },
    /// Plays steps if a condition holds.
    When {
        /// What must hold.
        test: Condition,
        /// Played if it does.
        steps: Vec<Step>,
        /// Played if it does not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        otherwise: Vec<Step>,
    },
    /// Measures the steps together, under this name.
    Measure {
        /// The measure's name.
        name: String,
        /// What is played.
        steps: Vec<Step>,
    },
    /// Gives a variable of the session a value, from then on `{name}`.
    Set {
        /// The variable.
        name: String,
        /// Its value.
        to: Value,
    },
    /// Takes the next row of a data file, from then on `{name.column}`. A session has a row from its start.
    NextRow(String),
    /// Draws a partner, from then on `{partner}` and the partner `previous`.
    Choose(Partner),
    /// A message of type chat whose fate the ledger follows.
    Chat {
        /// Else the population's partner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Partner>,
        /// The body's length in bytes, made up.
        #[serde(default = "body_bytes")]
        body: u32,
        /// The body itself, instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        /// Asks for a receipt (XEP-0184), which is measured too.
        #[serde(default)]
        receipt: bool,
    },
    /// Presence to everybody who is subscribed.
    Presence {
        /// `away`, `chat`, `dnd`, `xa`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        show: Option<Text>,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Text>,
        /// RFC 6121 §4.7.2.3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        priority: Option<i8>,
    },
    /// Subscribes to the partner, and answers its subscription (RFC 6121 §3).
    Befriend {
        /// Else the population's partner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Partner>,
    },
    /// Loads the roster.
    Roster {},
    /// Adds or changes a contact.
    RosterSet {
        /// The contact.
        jid: Text,
        /// As the user calls it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Text>,
        /// Where it is listed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<Text>,
    },
    /// Removes a contact.
    RosterRemove {
        /// The contact.
        jid: Text,
    },
    /// XEP-0199, to the server or to somebody.
    Ping {
        /// Else the server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Text>,
    },
    /// Enters a room (XEP-0045).
    Join {
        /// Its bare JID.
        room: Text,
        /// Else the username.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nick: Option<Text>,
    },
    /// A message to the room, whose arrival at every occupant the ledger follows.
    Say {
        /// Its bare JID.
        room: Text,
        /// The body's length in bytes.
        #[serde(default = "body_bytes")]
        body: u32,
    },
    /// Leaves a room.
    Leave {
        /// Its bare JID.
        room: Text,
    },
    /// Makes a pub-sub node (XEP-0060); that it is there already is no failure.
    CreateNode {
        /// The service's JID.
        service: Text,
        /// The node.
        node: Text,
    },
    /// Subscribes to a node.
    Subscribe {
        /// The service's JID.
        service: Text,
        /// The node.
        node: Text,
    },
    /// Unsubscribes from a node.
    Unsubscribe {
        /// The service's JID.
        service: Text,
        /// The node.
        node: Text,
    },
    /// Publishes an item; its arrival at every subscriber is followed.
    Publish {
        /// The service's JID.
        service: Text,
        /// The node.
        node: Text,
        /// The payload's length in bytes.
        #[serde(default = "body_bytes")]
        payload: u32,
    },
    /// One page of the own archive (XEP-0313): the newest, or the one before the last that was read.
    Page {
        /// Items a page.
        #[serde(default = "page_items")]
        items: u32,
        /// The page before the last that was read.
        #[serde(default)]
        next: bool,
    },
    /// XEP-0363: a slot, then the file.
    Upload {
        /// The file's length.
        file_bytes: u64,
    },
    /// The user looks at the client (XEP-0352).
    Active {},
    /// The user has put the client away (XEP-0352).
    Inactive {},
    /// Any XML. An `iq` waits for its answer; else, with `expect`, for a stanza that has this text in it.
    Raw {
        /// What is sent: one stanza, or anything.
        xml: Text,
        /// The measure's name; else `iq` or `raw`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Waits for a stanza that has this text in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expect: Option<Text>,
        /// Waits at all.
        #[serde(default = "yes")]
        wait: bool,
        /// What is kept of the stanza that was waited for, each under a name; the whole is `{answer}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        keep: BTreeMap<String, Capture>,
    },
    /// Ends the stream properly and connects again.
    Relogin {},
    /// Drops the connection without a word, then goes on as `on-loss` says.
    Drop {},
    /// Ends the script: the session logs out.
    Quit {},
    /// Ends the whole run, which has then failed.
    Abort {},
}

/// What a variable is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Value {
    /// This text.
    Text(Text),
    /// So many letters by chance.
    Letters(u32),
    /// A whole number by chance, both ends included.
    Number {
        /// The smallest.
        from: i64,
        /// The largest.
        to: i64,
    },
    /// The account's number, counted from the first, modulo this: spreads accounts evenly over rooms.
    Modulo(u64),
}

fn yes() -> bool {
    true
}

fn body_bytes() -> u32 {
    120
}

fn page_items() -> u32 {
    50
}
