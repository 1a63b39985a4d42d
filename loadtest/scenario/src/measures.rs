//! The names under which a run's figures stand.

use std::collections::BTreeSet;

use crate::{Scenario, Step};

/// What every session does.
const OF_LOGINS: [&str; 5] = ["connect", "tls", "auth", "bind", "login"];

/// All measures that a run of this scenario has, each by its name in goals and reports.
pub fn measures(scenario: &Scenario) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = OF_LOGINS.map(str::to_owned).into();
    for population in &scenario.populations {
        let managed = population.management.as_ref();
        names.extend(managed.filter(|management| management.resume).map(|_| "resume".to_owned()));
        names.extend(population.register.then(|| "register".to_owned()));
        names.extend(population.roster.then(|| "roster".to_owned()));
        for step in population.steps() {
            names.extend(step.measures(managed.is_some()));
        }
    }
    names
}

/// The names that no step may take for itself.
pub(crate) fn is_taken(name: &str) -> bool {
    let of_steps = [
        "resume",
        "register",
        "chat",
        "chat-ack",
        "receipt",
        "befriend",
        "roster",
        "roster-set",
        "roster-remove",
        "ping",
        "join",
        "say",
        "leave",
        "create-node",
        "subscribe",
        "unsubscribe",
        "publish",
        "publish-ack",
        "page",
        "slot",
        "upload",
    ];
    OF_LOGINS.contains(&name) || of_steps.contains(&name)
}

impl Step {
    /// The measures of this step itself, without those within it.
    fn measures(&self, managed: bool) -> Vec<String> {
        let own = self.name().to_owned();
        match self {
            Self::Chat { receipt, .. } => {
                let all = [("chat", true), ("chat-ack", managed), ("receipt", *receipt)];
                all.iter().filter(|(_, has)| *has).map(|(name, _)| (*name).to_owned()).collect()
            }
            Self::Publish { .. } => vec![own, "publish-ack".to_owned()],
            Self::Upload { .. } => vec![own, "slot".to_owned()],
            Self::Measure { name, .. } | Self::Raw { name: Some(name), .. } => vec![name.clone()],
            Self::Raw { xml, expect, wait: true, .. } => {
                if xml.trim_start().starts_with("<iq") {
                    vec!["iq".to_owned()]
                } else {
                    expect.iter().map(|_| own.clone()).collect()
                }
            }
            Self::Befriend { .. }
            | Self::Roster {}
            | Self::RosterSet { .. }
            | Self::RosterRemove { .. }
            | Self::Ping { .. }
            | Self::Join { .. }
            | Self::Say { .. }
            | Self::Leave { .. }
            | Self::CreateNode { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::Page { .. } => vec![own],
            _ => Vec::new(),
        }
    }
}
