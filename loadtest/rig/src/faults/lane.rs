//! One direction of one connection: which stanzas are hit, and what waits. It reads no clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Kind, Planted};
use crate::scan::attribute;

/// What is planted. `one_in` 0: never.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Left out.
    pub drop_one_in: u32,
    /// Sent twice.
    pub double_one_in: u32,
    /// Held for [`Plan::delay`].
    pub delay_one_in: u32,
    /// Overtaken by the next of its pair.
    pub reorder_one_in: u32,
    /// How long a delayed stanza is held.
    pub delay: Duration,
    /// How long a stanza waits at most for the one that is to overtake it; then it goes on, and nothing was planted.
    pub overtake_max: Duration,
    /// Equal seeds hit equal stanzas, as long as each connection brings the same.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            drop_one_in: 0,
            double_one_in: 0,
            delay_one_in: 0,
            reorder_one_in: 0,
            delay: Duration::from_secs(6),
            overtake_max: Duration::from_secs(1),
            seed: 1,
        }
    }
}

/// What the ids of followed stanzas begin with, `tl.<run>.<from>.<to>.<seq>.<µs>`.
const FOLLOWED: &[u8] = b"tl.";
/// Dots up to and with the one behind `<to>`: what stands before it names the pair.
const PAIR_DOTS: usize = 4;

pub(super) struct Lane {
    plan: Arc<Plan>,
    chance: SmallRng,
    held: Vec<Held>,
}

struct Held {
    kind: Kind,
    since: Instant,
    due: Instant,
    stanza: Vec<u8>,
}

/// Where stanzas and reports go.
pub(super) struct Outcome<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) planted: &'a mut Vec<Planted>,
}

impl Lane {
    /// `number` tells lanes apart that share a plan.
    pub(super) fn new(plan: Arc<Plan>, number: u64) -> Lane {
        let chance = SmallRng::seed_from_u64(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        Lane { plan, chance, held: Vec::new() }
    }

    /// Takes a piece of the stream, and lets go of it as the plan has it.
    pub(super) fn pass(&mut self, piece: &[u8], now: Instant, to: &mut Outcome) {
        let Some(pair) = followed_pair(piece) else {
            to.bytes.extend_from_slice(piece);
            return;
        };
        if let Some(at) = self.held.iter().rposition(|held| followed_pair(&held.stanza) == Some(pair)) {
            return self.pass_behind(at, piece, now, to);
        }
        match self.draw() {
            None => to.bytes.extend_from_slice(piece),
            Some(Kind::Drop) => to.planted.push(planted(Kind::Drop, piece, Duration::ZERO)),
            Some(Kind::Double) => {
                to.bytes.extend_from_slice(piece);
                to.bytes.extend_from_slice(piece);
                to.planted.push(planted(Kind::Double, piece, Duration::ZERO));
            }
            Some(kind) => {
                let wait = if kind == Kind::Reorder { self.plan.overtake_max } else { self.plan.delay };
                self.held.push(Held { kind, since: now, due: now + wait, stanza: piece.to_vec() });
            }
        }
    }

    /// Another one of its pair is held.
    fn pass_behind(&mut self, at: usize, piece: &[u8], now: Instant, to: &mut Outcome) {
        if self.held[at].kind == Kind::Reorder {
            let overtaken = self.held.remove(at);
            to.bytes.extend_from_slice(piece);
            to.bytes.extend_from_slice(&overtaken.stanza);
            to.planted.push(planted(Kind::Reorder, &overtaken.stanza, now.duration_since(overtaken.since)));
        } else {
            let due = self.held[at].due;
            self.held.push(Held { kind: Kind::Behind, since: now, due, stanza: piece.to_vec() });
        }
    }

    fn draw(&mut self) -> Option<Kind> {
        let plan = &self.plan;
        let kinds = [
            (Kind::Drop, plan.drop_one_in),
            (Kind::Double, plan.double_one_in),
            (Kind::Delay, plan.delay_one_in),
            (Kind::Reorder, plan.reorder_one_in),
        ];
        kinds
            .into_iter()
            .find(|&(_, one_in)| one_in > 0 && self.chance.random_ratio(1, one_in))
            .map(|(kind, _)| kind)
    }

    /// When something that is held is to go on.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.held.iter().map(|held| held.due).min()
    }

    /// Lets go of what is due.
    pub(super) fn release(&mut self, now: Instant, to: &mut Outcome) {
        for held in self.held.extract_if(.., |held| held.due <= now) {
            to.bytes.extend_from_slice(&held.stanza);
            if held.kind != Kind::Reorder {
                to.planted.push(planted(held.kind, &held.stanza, now.duration_since(held.since)));
            }
        }
    }

    /// The stream is at its end: whatever is held goes before it.
    pub(super) fn release_all(&mut self, now: Instant, to: &mut Outcome) {
        for held in &mut self.held {
            held.due = now;
        }
        self.release(now, to);
    }
}

/// The pair that the stanza's id names, if it is one that is followed. Bounces are not: their way ended elsewhere.
fn followed_pair(piece: &[u8]) -> Option<&[u8]> {
    let id = attribute(piece, "id").filter(|id| id.starts_with(FOLLOWED))?;
    if attribute(piece, "type") == Some(b"error") {
        return None;
    }
    let end = memchr::memchr_iter(b'.', id).nth(PAIR_DOTS - 1)?;
    Some(&id[..end])
}

fn planted(kind: Kind, stanza: &[u8], held: Duration) -> Planted {
    let id = String::from_utf8_lossy(attribute(stanza, "id").unwrap_or_default()).into_owned();
    Planted { kind, id, held_ms: held.as_millis() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane that a test sends to and looks behind.
    struct Play {
        lane: Lane,
        start: Instant,
        planted: Vec<Planted>,
    }

    impl Play {
        fn new(plan: Plan) -> Play {
            Play { lane: Lane::new(Arc::new(plan), 0), start: Instant::now(), planted: Vec::new() }
        }

        fn send(&mut self, at_ms: u64, pair: &str, seq: u32) -> String {
            let stanza = message(pair, seq);
            self.then(at_ms, |lane, now, to| lane.pass(stanza.as_bytes(), now, to))
        }

        fn wait(&mut self, at_ms: u64) -> String {
            self.then(at_ms, Lane::release)
        }

        fn then(&mut self, at_ms: u64, act: impl FnOnce(&mut Lane, Instant, &mut Outcome)) -> String {
            let mut bytes = Vec::new();
            let to = &mut Outcome { bytes: &mut bytes, planted: &mut self.planted };
            act(&mut self.lane, self.start + Duration::from_millis(at_ms), to);
            String::from_utf8(bytes).expect("text")
        }

        fn planted(&self) -> Vec<(Kind, &str, u64)> {
            self.planted.iter().map(|planted| (planted.kind, planted.id.as_str(), planted.held_ms)).collect()
        }
    }

    fn message(pair: &str, seq: u32) -> String {
        format!("<message id='tl.1.{pair}.{seq}.0'/>")
    }

    #[test]
    fn nothing_is_planted_where_nothing_is_asked_for_or_followed() {
        let mut calm = Play::new(Plan::default());
        assert_eq!(calm.send(0, "a.b", 1), message("a.b", 1));

        let mut fierce = Play::new(Plan { drop_one_in: 1, ..Plan::default() });
        for other in ["<message id='mine'/>", "<message id='tl.1.a.b.1.0' type='error'/>", "<iq/>", " "] {
            assert_eq!(fierce.then(0, |lane, now, to| lane.pass(other.as_bytes(), now, to)), other);
        }
        assert!(fierce.planted.is_empty());
    }

    #[test]
    fn dropped_and_doubled_stanzas_are_named() {
        let mut play = Play::new(Plan { drop_one_in: 1, ..Plan::default() });
        assert_eq!(play.send(0, "a.b", 7), "");
        assert_eq!(play.planted(), [(Kind::Drop, "tl.1.a.b.7.0", 0)]);

        let mut play = Play::new(Plan { double_one_in: 1, ..Plan::default() });
        assert_eq!(play.send(0, "a.b", 7), message("a.b", 7).repeat(2));
        assert_eq!(play.planted(), [(Kind::Double, "tl.1.a.b.7.0", 0)]);
    }

    #[test]
    fn a_delayed_stanza_holds_up_its_own_pair_alone_and_in_order() {
        let delay = Duration::from_secs(6);
        let mut play = Play::new(Plan { delay_one_in: 1, delay, ..Plan::default() });
        play.send(0, "a.b", 1);
        play.lane.plan = Arc::new(Plan::default());
        assert_eq!(play.send(1_000, "a.b", 2), "", "behind the delayed one");
        assert_eq!(play.send(1_000, "c.b", 1), message("c.b", 1), "another pair");
        assert_eq!(play.wait(5_999), "");
        assert_eq!(play.wait(6_000), message("a.b", 1) + &message("a.b", 2));
        assert_eq!(
            play.planted(),
            [(Kind::Delay, "tl.1.a.b.1.0", 6_000), (Kind::Behind, "tl.1.a.b.2.0", 5_000)]
        );
    }

    #[test]
    fn a_reordered_stanza_comes_behind_the_next_of_its_pair() {
        let mut play = Play::new(Plan { reorder_one_in: 1, ..Plan::default() });
        assert_eq!(play.send(0, "a.b", 1), "");
        assert_eq!(play.send(10, "a.b", 2), message("a.b", 2) + &message("a.b", 1));
        assert_eq!(play.planted(), [(Kind::Reorder, "tl.1.a.b.1.0", 10)]);
    }

    #[test]
    fn a_stanza_that_none_overtakes_goes_on_unlogged() {
        let mut play = Play::new(Plan { reorder_one_in: 1, ..Plan::default() });
        assert_eq!(play.send(0, "a.b", 1), "");
        assert_eq!(play.wait(1_000), message("a.b", 1));
        assert!(play.planted.is_empty());
    }

    #[test]
    fn what_is_held_goes_before_the_end_of_the_stream() {
        let mut play = Play::new(Plan { delay_one_in: 1, ..Plan::default() });
        play.send(0, "a.b", 1);
        assert_eq!(play.then(100, Lane::release_all), message("a.b", 1));
        assert_eq!(play.planted(), [(Kind::Delay, "tl.1.a.b.1.0", 100)]);
    }

    #[test]
    fn one_in_a_hundred_is_about_one_in_a_hundred_and_the_same_each_time() {
        let hit = || {
            let mut play = Play::new(Plan { drop_one_in: 100, ..Plan::default() });
            (0..10_000).for_each(|seq| drop(play.send(0, "a.b", seq)));
            play.planted
        };
        assert!((60..140).contains(&hit().len()));
        assert_eq!(hit(), hit());
    }
}
