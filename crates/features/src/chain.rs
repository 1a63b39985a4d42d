//! The one order in which features meet a stanza.

use xmpp::stanza::Stanza;

use crate::about::{About, At};
use crate::context::{Context, Next};
use crate::ports::Ports;
use crate::{
    blocking, carbons, commands, csi, delay, disco, hints, last_activity, limits, mam, ping, presence,
    private_storage, push, registration, retraction, roster, stanza_ids, time, vcard, version,
};

/// A room for a XEP: a struct whose fields are all it may touch.
pub trait Feature: Send + Sync {
    /// Its description.
    fn about(&self) -> &'static About;

    /// Meets a stanza in a phase it hooks into.
    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next;
}

/// Builds a feature from the ports; it keeps those it needs.
pub type Build = fn(&Ports) -> Box<dyn Feature>;

/// A feature's description, and how it is built; none for what only describes itself and hooks in nowhere.
pub type Room = (&'static About, Option<Build>);

/// Every feature in order, with the reason for its place.
pub static ORDER: &[Room] = &[
    // First: nothing is stored, copied or answered for a blocked pair (XEP-0191 §3.2).
    (&blocking::ABOUT, Some(blocking::Blocking::build)),
    // Before anything reads or stores a message: what only we may say is ours from here on.
    (&stanza_ids::ABOUT, Some(stanza_ids::StanzaIds::build)),
    // Before the retraction itself is stored or delivered: whoever hears of it finds the message replaced.
    (&retraction::ABOUT, Some(retraction::Retraction::build)),
    (&carbons::ABOUT, Some(carbons::Carbons::build)),
    // Before the presence is kept and broadcast: the hash is part of it.
    (&vcard::ABOUT, Some(vcard::Vcard::build)),
    // Before disco: it answers for its own nodes.
    (&commands::ABOUT, Some(commands::Commands::build)),
    // From here on each answers IQs of its own namespace: their order does not matter.
    (&disco::ABOUT, Some(disco::Disco::build)),
    (&mam::ABOUT, Some(mam::Mam::build)),
    (&push::ABOUT, Some(push::Push::build)),
    (&ping::ABOUT, Some(ping::Ping::build)),
    (&version::ABOUT, Some(version::Version::build)),
    (&time::ABOUT, Some(time::Time::build)),
    (&private_storage::ABOUT, Some(private_storage::PrivateStorage::build)),
    (&registration::ABOUT, Some(registration::Registration::build)),
    (&roster::ABOUT, Some(roster::Rosters::build)),
    // Behind all that changes presence or stops it: what comes here is kept, broadcast, and the last word on subscriptions.
    (&presence::ABOUT, Some(presence::Presence::build)),
    // Behind presence: contacts see a session leave before that is written down.
    (&last_activity::ABOUT, Some(last_activity::LastActivity::build)),
    // Hook in nowhere: parts of other rooms, of the stream or of the account's owner.
    (&disco::contacts::ABOUT, None),
    (&delay::ABOUT, None),
    (&hints::ABOUT, None),
    (&limits::ABOUT, None),
    // Last: what it holds back has passed every other rule.
    (&csi::ABOUT, Some(csi::Csi::build)),
];

/// The features of a process, sorted by phase.
pub struct Chain {
    features: Vec<Box<dyn Feature>>,
    by_phase: [Vec<u8>; PHASES],
}

const PHASES: usize = 8;

impl Chain {
    /// All features, in [`ORDER`].
    pub fn new(ports: &Ports) -> Self {
        let features: Vec<_> =
            ORDER.iter().filter_map(|(_, build)| build.map(|build| build(ports))).collect();
        let mut by_phase: [Vec<u8>; PHASES] = Default::default();
        for (index, feature) in features.iter().enumerate() {
            for at in feature.about().at {
                by_phase[*at as usize].push(index as u8);
            }
        }
        Self { features, by_phase }
    }

    /// Descriptions in order.
    pub fn about(&self) -> impl Iterator<Item = &'static About> {
        self.features.iter().map(|feature| feature.about())
    }

    /// Lets the features of a phase meet a stanza, from the one at `step` on. Answers what ended it, and the step to go on
    /// from when that was [`Next::Later`] and what follows it says [`Next::Go`].
    pub fn run(&self, at: At, step: usize, cx: &mut Context<'_>, stanza: &mut Stanza) -> (usize, Next) {
        let phase = &self.by_phase[at as usize];
        for (step, index) in phase.iter().enumerate().skip(step) {
            match self.features[usize::from(*index)].handle(at, cx, stanza) {
                Next::Go => {}
                next => return (step + 1, next),
            }
        }
        (phase.len(), Next::Go)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, jid, stanza};

    #[test]
    fn nobody_meets_what_comes_from_who_is_blocked() {
        let mut stage = Stage::new();
        stage.account.blocked = vec![jid("tybalt@capulet.example")];
        let chain = Chain::new(&stage.ports);
        let mut letter = stanza("<message from='tybalt@capulet.example/x' to='juliet@capulet.example'/>");
        for (at, session) in [(At::Received, None), (At::Account, None)] {
            let (step, next) = chain.run(at, 0, &mut stage.context(session), &mut letter);
            assert!(matches!((step, next), (1, Next::Refuse(_))), "{at:?}");
        }
    }

    #[test]
    fn a_question_that_no_room_knows_is_left_to_the_owner() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let chain = Chain::new(&stage.ports);
        for at in [At::Account, At::Host, At::Sent, At::Received] {
            for ty in ["get", "set", "result", "error"] {
                let mut iq = stanza(&format!(
                    "<iq id='1' type='{ty}' from='romeo@montague.example/x'><query xmlns='urn:example:unknown'/></iq>"
                ));
                for session in [Some(chamber), None] {
                    let (_, next) = chain.run(at, 0, &mut stage.context(session), &mut iq);
                    assert!(matches!(next, Next::Go), "{at:?} {ty}");
                }
            }
        }
        assert!(stage.outputs.is_empty());
    }
}
