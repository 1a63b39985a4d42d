//! What happens to a world, as a seed has it.

use super::machine::STEP_MS;
use super::network::Name;
use super::world::{EDGES, OWNERS, World};

/// What is over after a while.
#[derive(Clone, Copy)]
enum Undo {
    Wakes { owner: bool, at: usize },
    Mends(Name, Name),
    Answers,
    Hears,
    Hurries,
}

/// Faults, and what is told of them.
#[derive(Default)]
pub(super) struct Story {
    undo: Vec<(u64, Undo)>,
    told: Vec<String>,
}

impl Story {
    /// Things happen until then.
    pub(super) fn runs_until(&mut self, world: &mut World, ms: u64) {
        let mut next_ms = world.now.ms + world.random.within(0..3_000);
        while world.now.ms < ms {
            if world.now.ms >= next_ms {
                self.strikes(world);
                next_ms = world.now.ms + world.random.within(200..5_000);
            }
            self.undoes(world, world.now.ms);
            world.run_until(world.now.ms + STEP_MS);
        }
    }

    /// All faults are over, but for who is on its way back.
    pub(super) fn heals(&mut self, world: &mut World) {
        self.undoes(world, u64::MAX);
        self.tell(world, "all faults are over");
    }

    pub(super) fn told(&self) -> String {
        self.told.join("\n")
    }

    fn tell(&mut self, world: &World, what: &str) {
        self.told.push(format!("{:>7} ms: {what}", world.now.ms));
    }

    fn undoes(&mut self, world: &mut World, now_ms: u64) {
        for (_, undo) in self.undo.extract_if(.., |(at_ms, _)| *at_ms <= now_ms) {
            match undo {
                Undo::Wakes { owner, at } => world.freezes(owner, at, false),
                Undo::Mends(from, to) => world.network.mend(from, to),
                Undo::Answers => world.switch.refuses(false),
                Undo::Hears => world.switch.deaf(false),
                Undo::Hurries => world.switch.slow(8),
            }
        }
    }

    fn strikes(&mut self, world: &mut World) {
        let away_ms = world.random.within(300..8_000);
        let (owner, router) = (world.random.within(0..3) as usize, world.random.within(0..2) as usize);
        let (edge, router) = (world.random.within(0..2) as usize, router % world.routers.len());
        let until_ms = world.now.ms + away_ms;
        match world.random.within(0..14) {
            0..=1 if world.owners[owner].is_up() => {
                self.tell(world, &format!("{} is killed, for {away_ms} ms", OWNERS[owner]));
                world.owner_dies(owner, away_ms);
            }
            2 if world.routers[router].is_up() => {
                self.tell(world, &format!("{} is killed, for {away_ms} ms", world.routers[router].name));
                world.router_dies(router, away_ms);
            }
            3..=4 if world.edges[edge].is_up() => {
                self.tell(world, &format!("{} is killed, for {away_ms} ms", EDGES[edge]));
                world.edge_dies(edge, away_ms);
            }
            5..=6 if world.owners[owner].is_up() => {
                let for_ms = world.random.within(5_000..12_000);
                self.tell(world, &format!("{} is frozen for {for_ms} ms", OWNERS[owner]));
                world.freezes(true, owner, true);
                self.undo.push((world.now.ms + for_ms, Undo::Wakes { owner: true, at: owner }));
            }
            7 if world.routers[router].is_up() => {
                self.tell(world, &format!("{} is frozen for {away_ms} ms", world.routers[router].name));
                world.freezes(false, router, true);
                self.undo.push((until_ms, Undo::Wakes { owner: false, at: router }));
            }
            8..=9 => self.cuts(world, owner, router, edge, until_ms),
            10 => {
                self.tell(world, &format!("the store refuses for {away_ms} ms"));
                world.switch.refuses(true);
                self.undo.push((until_ms, Undo::Answers));
            }
            11 => {
                self.tell(world, &format!("nobody hears who is there for {away_ms} ms"));
                world.switch.deaf(true);
                self.undo.push((until_ms, Undo::Hears));
            }
            12 => {
                let slow_ms = world.random.within(50..1_500);
                self.tell(world, &format!("the store takes {slow_ms} ms, for {away_ms} ms"));
                world.switch.slow(slow_ms);
                self.undo.push((until_ms, Undo::Hurries));
            }
            13 => self.comes_or_goes(world, owner),
            _ => {}
        }
    }

    fn cuts(&mut self, world: &mut World, owner: usize, router: usize, edge: usize, until_ms: u64) {
        let (one, other) = (OWNERS[owner], [world.routers[router].name, EDGES[edge]]);
        let other = other[world.random.within(0..2) as usize];
        let ways = match world.random.within(0..3) {
            0 => vec![(one, other)],
            1 => vec![(other, one)],
            _ => vec![(one, other), (other, one)],
        };
        for (from, to) in ways {
            self.tell(world, &format!("nothing comes from {from} to {to} until {until_ms} ms"));
            world.network.cut(from, to);
            self.undo.push((until_ms, Undo::Mends(from, to)));
        }
    }

    fn comes_or_goes(&mut self, world: &mut World, at: usize) {
        if !world.owners[at].is_up() {
            self.tell(world, &format!("{} joins", OWNERS[at]));
            world.joins(at);
        } else if world.owners.iter().filter(|owner| owner.stays()).count() > 1 {
            self.tell(world, &format!("{} leaves", OWNERS[at]));
            world.leaves(at);
        }
    }
}
