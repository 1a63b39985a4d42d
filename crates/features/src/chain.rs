//! The one order in which features meet a stanza.

use xmpp::stanza::Stanza;

use crate::about::{About, At};
use crate::context::{Context, Next};
use crate::ports::Ports;

/// A room for a XEP: a struct whose fields are all it may touch.
pub trait Feature: Send + Sync {
    /// Its description.
    fn about(&self) -> &'static About;

    /// Meets a stanza in a phase it hooks into.
    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next;
}

/// Builds a feature from the ports; it keeps those it needs.
pub type Build = fn(&Ports) -> Box<dyn Feature>;

/// Every feature in order, with the reason for its place.
pub const ORDER: &[Build] = &[];

/// The features of a process, sorted by phase.
pub struct Chain {
    features: Vec<Box<dyn Feature>>,
    by_phase: [Vec<u8>; PHASES],
}

const PHASES: usize = 8;

impl Chain {
    /// All features, in [`ORDER`].
    pub fn new(ports: &Ports) -> Self {
        let features: Vec<_> = ORDER.iter().map(|build| build(ports)).collect();
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
