//! Scripts as trees: the name of a step, the steps within it, and what it takes.

use crate::{Pace, Population, Repeat, Step};

impl Population {
    /// All steps of the script, those within others after them.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let mut waiting: Vec<&Step> = self.script.iter().rev().collect();
        std::iter::from_fn(move || {
            let step = waiting.pop()?;
            waiting.extend(step.within().into_iter().flat_map(|(_, steps)| steps).rev());
            Some(step)
        })
    }
}

impl Step {
    /// As a file calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Think(_) => "think",
            Self::Until(_) => "until",
            Self::Barrier { .. } => "barrier",
            Self::Repeat(_) => "repeat",
            Self::Chance { .. } => "chance",
            Self::When { .. } => "when",
            Self::Measure { .. } => "measure",
            Self::Set { .. } => "set",
            Self::NextRow(_) => "next-row",
            Self::Choose(_) => "choose",
            Self::Chat { .. } => "chat",
            Self::Presence { .. } => "presence",
            Self::Befriend { .. } => "befriend",
            Self::Roster {} => "roster",
            Self::RosterSet { .. } => "roster-set",
            Self::RosterRemove { .. } => "roster-remove",
            Self::Ping { .. } => "ping",
            Self::Join { .. } => "join",
            Self::Say { .. } => "say",
            Self::Leave { .. } => "leave",
            Self::CreateNode { .. } => "create-node",
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe { .. } => "unsubscribe",
            Self::Publish { .. } => "publish",
            Self::Page { .. } => "page",
            Self::Upload { .. } => "upload",
            Self::Active {} => "active",
            Self::Inactive {} => "inactive",
            Self::Raw { .. } => "raw",
            Self::Relogin {} => "relogin",
            Self::Drop {} => "drop",
            Self::Quit {} => "quit",
            Self::Abort {} => "abort",
        }
    }

    /// The lists of steps within this one, each with its key.
    pub fn within(&self) -> Vec<(&'static str, &[Step])> {
        match self {
            Self::Repeat(Repeat { steps, .. }) | Self::Chance { steps, .. } | Self::Measure { steps, .. } => {
                vec![("steps", steps)]
            }
            Self::When { steps, otherwise, .. } => vec![("steps", steps), ("otherwise", otherwise)],
            _ => Vec::new(),
        }
    }

    /// Whether it has to do with somebody else, and the population's partner is that somebody.
    pub(crate) fn uses_partner(&self) -> bool {
        matches!(self, Self::Chat { to: None, .. } | Self::Befriend { to: None })
    }

    /// Whether time passes when it is played.
    pub(crate) fn takes_time(&self) -> bool {
        match self {
            Self::Chance { steps, .. } | Self::Measure { steps, .. } => steps.iter().any(Self::takes_time),
            Self::When { steps, otherwise, .. } => steps.iter().chain(otherwise).any(Self::takes_time),
            Self::Repeat(repeat) => repeat.pace.takes_time() || repeat.steps.iter().any(Self::takes_time),
            Self::Raw { xml, expect, wait, .. } => {
                *wait && (expect.is_some() || xml.trim_start().starts_with("<iq"))
            }
            Self::Set { .. }
            | Self::NextRow(_)
            | Self::Choose(_)
            | Self::Presence { .. }
            | Self::Active {}
            | Self::Inactive {} => false,
            Self::Think(span) => !span.mean().is_zero(),
            _ => true,
        }
    }
}

impl Pace {
    /// Whether rounds are apart from each other whatever is in them.
    pub(crate) fn takes_time(self) -> bool {
        matches!(self, Self::Every(_) | Self::Rate(_))
    }
}
