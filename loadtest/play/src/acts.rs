//! Scripts as they are played: texts are templates, names are numbers, phases are times.

use figures::Measure;
use scenario::{Comparison, Finder, Population, Span};

use crate::barrier::Barrier;
use crate::pace::Rate;
use crate::text::Template;

/// A step that is ready to be played.
#[derive(Debug)]
pub(crate) enum Act {
    Think(Span),
    /// Microseconds since the run's start.
    Until(u64),
    /// The index of a barrier.
    Barrier(usize),
    Repeat(Box<Loop>),
    Chance {
        of: f64,
        acts: Acts,
    },
    When {
        test: Condition,
        acts: Acts,
        otherwise: Acts,
    },
    Measure {
        measure: Measure,
        acts: Acts,
    },
    Set {
        variable: u16,
        to: Setting,
    },
    /// The number of a table.
    NextRow(usize),
    Choose(To),
    Chat {
        to: To,
        body: Body,
        receipt: bool,
    },
    Presence {
        show: Option<Template>,
        status: Option<Template>,
        priority: Option<i8>,
    },
    Befriend(To),
    Roster,
    RosterSet {
        jid: Template,
        name: Option<Template>,
        group: Option<Template>,
    },
    RosterRemove(Template),
    Ping(Option<Template>),
    Join {
        room: Template,
        nick: Option<Template>,
    },
    Say {
        room: Template,
        body: Body,
    },
    Leave(Template),
    CreateNode(Node),
    Subscribe(Node),
    Unsubscribe(Node),
    Publish {
        node: Node,
        payload: Body,
    },
    Page {
        items: u32,
        next: bool,
    },
    Upload {
        file_bytes: u64,
    },
    Active,
    Inactive,
    Raw(Box<Raw>),
    Relogin,
    Drop,
    Quit,
    Abort,
}

/// Steps in order.
pub(crate) type Acts = Box<[Act]>;

/// Acts that are played again and again.
#[derive(Debug)]
pub(crate) struct Loop {
    pub times: Option<u64>,
    pub until_us: u64,
    pub while_holds: Option<Condition>,
    /// A variable for the value of each round, and the one with all of them.
    pub each: Option<(u16, u16)>,
    pub counter: Option<Counter>,
    pub beat: Beat,
    pub acts: Acts,
}

/// Whether a text compares with another.
#[derive(Debug)]
pub(crate) struct Condition {
    pub of: Template,
    pub comparison: Comparison,
    pub with: Template,
}

/// A variable that counts rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    pub variable: u16,
    pub from: i64,
    pub by: i64,
}

/// What decides when a loop's acts are played again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beat {
    /// Closed: with so many messages under way.
    Window(u32),
    /// Open: at this distance.
    Every(Span),
    /// Open: by the rate of this index.
    Rate(usize),
}

/// What a variable is set to.
#[derive(Debug)]
pub(crate) enum Setting {
    Text(Template),
    Letters(u32),
    Number(i64, i64),
    /// The account's number, modulo this.
    Modulo(u64),
}

/// What a message says: a text, or so many bytes of a filling.
#[derive(Debug)]
pub(crate) enum Body {
    Bytes(u32),
    Text(Template),
}

/// A pub-sub node.
#[derive(Debug)]
pub(crate) struct Node {
    pub service: Template,
    pub node: Template,
}

/// Any XML.
#[derive(Debug)]
pub(crate) struct Raw {
    pub xml: Template,
    pub measure: Measure,
    pub expect: Option<Template>,
    pub wait: bool,
    pub keep: Box<[(u16, Finder)]>,
    /// The variable for the whole answer.
    pub answer: u16,
}

/// To whom.
#[derive(Debug)]
pub(crate) enum To {
    /// As the population says.
    Population,
    Pair,
    Ring,
    Anyone,
    Online,
    Offline,
    Contact,
    Previous,
    Oneself,
    Jid(Template),
}

/// A population's script, and how its sessions are.
#[derive(Debug)]
pub(crate) struct Role {
    pub population: Population,
    pub resource: Option<Template>,
    pub partner: To,
    pub acts: Acts,
}

/// Everything that is compiled.
#[derive(Debug)]
pub(crate) struct Script {
    pub roles: Box<[Role]>,
    pub barriers: Box<[Barrier]>,
    pub rates: Box<[Rate]>,
    /// How many variables a session has.
    pub variables: usize,
    pub end_us: u64,
}
