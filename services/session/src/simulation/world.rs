//! Everything there is in a simulation, and what can become of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use node::Peer;
use parking_lot::Mutex;
use store::{Account, Store};
use tokio::time::sleep;

use super::machine::{Machine, STEP_MS, Time};
use super::network::{Name, Network};
use super::player::{self, Book, NAMES, Notes, slot};
use super::random::Random;
use super::storage::{self, Switch};
use crate::config::Config;
use crate::owner::Owner;
use crate::slots::Hold;
use crate::testing::{Edge, account, host};

pub(super) const OWNERS: [Name; 3] = ["mantua", "padua", "verona"];
pub(super) const ROUTERS: [Name; 2] = ["north", "south"];
pub(super) const EDGES: [Name; 2] = ["east", "west"];

/// What each player's link is called, by edge: owners tell edges apart by it.
const LINKS: [[Name; 4]; 2] = [
    ["east/romeo", "east/juliet", "east/tybalt", "east/paris"],
    ["west/romeo", "west/juliet", "west/tybalt", "west/paris"],
];

/// A process, alive or not.
#[derive(Default)]
pub(super) struct Process {
    pub(super) name: Name,
    machine: Option<Machine>,
    /// When it is started again; none: it is not.
    returns_ms: Option<u64>,
    /// It has nothing to do any more.
    ended: Arc<AtomicBool>,
    owner: Arc<Mutex<Option<Arc<Owner>>>>,
}

struct Player {
    book: Book,
    edge: Option<usize>,
    returns_ms: u64,
}

pub(super) struct World {
    pub(super) now: Time,
    pub(super) random: Random,
    pub(super) network: Network,
    pub(super) store: Store,
    pub(super) switch: Switch,
    pub(super) owners: Vec<Process>,
    pub(super) routers: Vec<Process>,
    pub(super) edges: Vec<Process>,
    players: Vec<Player>,
}

impl Process {
    fn new(name: Name) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Whether it is up and not about to end for good.
    pub(super) fn stays(&self) -> bool {
        self.owner().is_some_and(|owner| !owner.leaving.is_cancelled())
    }

    /// Its owner, if it is one and has begun.
    pub(super) fn owner(&self) -> Option<Arc<Owner>> {
        self.owner.lock().clone()
    }

    fn dies(&mut self, network: &Network, returns_ms: Option<u64>) {
        network.close(self.name);
        network.freeze(self.name, false);
        *self.owner.lock() = None;
        self.ended.store(false, Ordering::Relaxed);
        self.machine = None;
        self.returns_ms = returns_ms;
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (store, switch) = storage::open(seed);
        let network = Network::new(seed);
        let routers = ROUTERS[..random.within(1..3) as usize].iter().map(|name| Process::new(name)).collect();
        let player = |(at, name)| {
            let book = Arc::new(Mutex::new(Notes { name, ..Notes::default() }));
            Player { book, edge: None, returns_ms: at as u64 * 100 }
        };
        let players = NAMES.into_iter().enumerate().map(player).collect();
        let mut world = Self {
            now: Time::begin(),
            random,
            network,
            store,
            switch,
            owners: OWNERS.map(Process::new).into(),
            routers,
            edges: EDGES.map(Process::new).into(),
            players,
        };
        let machine = Machine::start(world.now);
        for name in NAMES {
            let accounts = Arc::clone(&world.store.accounts);
            machine.spawn(async move {
                accounts.create(&account(name), Account::default()).await.unwrap();
            });
        }
        world.now.ms += STEP_MS;
        machine.run_until(world.now);
        let few = world.random.one_in(2);
        for process in world.owners.iter_mut().skip(usize::from(few)) {
            process.returns_ms = Some(0);
        }
        for process in world.routers.iter_mut().chain(&mut world.edges) {
            process.returns_ms = Some(0);
        }
        world
    }

    /// Goes on until then.
    pub(super) fn run_until(&mut self, ms: u64) {
        while self.now.ms < ms {
            self.step();
        }
    }

    fn step(&mut self) {
        self.starts();
        self.now.ms += STEP_MS;
        for process in self.owners.iter().chain(&self.routers).chain(&self.edges) {
            if let Some(machine) = &process.machine {
                machine.run_until(self.now);
            }
        }
        self.network.step(self.now.ms);
        for process in &mut self.owners {
            if process.ended.load(Ordering::Relaxed) {
                // Whoever supervises it starts it again, unless it was to end.
                let returns_ms = process.returns_ms.map(|_| self.now.ms + 1_000);
                process.dies(&self.network, returns_ms);
            }
        }
    }

    fn starts(&mut self) {
        let now = self.now;
        let is_due = |process: &Process| {
            process.machine.is_none() && process.returns_ms.is_some_and(|ms| ms <= now.ms)
        };
        for at in 0..self.owners.len() {
            if is_due(&self.owners[at]) {
                self.start_owner(at);
            }
        }
        for process in self.routers.iter_mut().filter(|process| is_due(process)) {
            let machine = Machine::start(now);
            let router =
                router::Router::start(router::Config { member: process.name.into(), ..Default::default() });
            machine.spawn(self.network.clone().serve(process.name, router.service()));
            process.machine = Some(machine);
        }
        for process in self.edges.iter_mut().filter(|process| is_due(process)) {
            process.machine = Some(Machine::start(now));
        }
        for at in 0..self.players.len() {
            let player = &self.players[at];
            if player.edge.is_none() && player.returns_ms <= now.ms {
                self.start_player(at);
            }
        }
    }

    fn start_owner(&mut self, at: usize) {
        let (network, store) = (self.network.clone(), self.store.clone());
        let process = &mut self.owners[at];
        let config =
            Config { member: process.name.into(), shared: true, password_rounds: 1, ..Config::default() };
        let way = |router: &Process| Peer {
            name: router.name.into(),
            wire: network.wire(process.name, router.name),
        };
        let routers = node::peers::fixed(self.routers.iter().map(way).collect());
        let (name, seat, ended) = (process.name, Arc::clone(&process.owner), Arc::clone(&process.ended));
        let machine = Machine::start(self.now);
        machine.spawn(async move {
            let owner = loop {
                match Owner::start(config.clone(), store.clone(), vec![host()], routers.clone()).await {
                    Ok(owner) => break owner,
                    Err(_) => sleep(Duration::from_millis(500)).await,
                }
            };
            *seat.lock() = Some(Arc::clone(&owner));
            tokio::spawn(network.serve(name, owner.service()));
            owner.fenced().await;
            ended.store(true, Ordering::Relaxed);
        });
        process.machine = Some(machine);
    }

    fn start_player(&mut self, at: usize) {
        let first = at % self.edges.len();
        let there = [first, 1 - first].into_iter().find(|edge| self.edges[*edge].is_up());
        let Some(edge) = there else { return };
        let process = &self.edges[edge];
        let wires = OWNERS.map(|owner| self.network.wire(process.name, owner)).into();
        let (book, random) = (Arc::clone(&self.players[at].book), Random::new(self.random.next() >> 8));
        let (link, slot) = (LINKS[edge][at], slot(NAMES[at]));
        if let Some(machine) = &process.machine {
            machine.spawn(async move { player::plays(book, Edge::roams(link, slot, wires), random).await });
        }
        self.players[at].edge = Some(edge);
    }

    pub(super) fn books(&self) -> impl Iterator<Item = &Book> {
        self.players.iter().map(|player| &player.book)
    }

    // --- what becomes of processes ---

    pub(super) fn owner_dies(&mut self, at: usize, away_ms: u64) {
        self.owners[at].dies(&self.network, Some(self.now.ms + away_ms));
    }

    pub(super) fn router_dies(&mut self, at: usize, away_ms: u64) {
        self.routers[at].dies(&self.network, Some(self.now.ms + away_ms));
    }

    /// Its clients look for the other one.
    pub(super) fn edge_dies(&mut self, at: usize, away_ms: u64) {
        self.edges[at].dies(&self.network, Some(self.now.ms + away_ms));
        for player in self.players.iter_mut().filter(|player| player.edge == Some(at)) {
            player.edge = None;
            player.returns_ms = self.now.ms + self.random.within(100..2_000);
            player.book.lock().online = false;
        }
    }

    pub(super) fn joins(&mut self, at: usize) {
        self.owners[at].returns_ms = Some(self.now.ms);
    }

    /// Ends in order, and stays away.
    pub(super) fn leaves(&mut self, at: usize) {
        let process = &mut self.owners[at];
        process.returns_ms = None;
        if let (Some(owner), Some(machine)) = (process.owner(), &process.machine) {
            let ended = Arc::clone(&process.ended);
            machine.spawn(async move {
                owner.stop().await;
                ended.store(true, Ordering::Relaxed);
            });
        }
    }

    pub(super) fn freezes(&mut self, owner: bool, at: usize, frozen: bool) {
        let now = self.now;
        let process = if owner { &mut self.owners[at] } else { &mut self.routers[at] };
        let Some(machine) = &mut process.machine else { return };
        self.network.freeze(process.name, frozen);
        if frozen { machine.freezes() } else { machine.wakes(now) }
    }

    // --- how things are ---

    /// For each slot who says that it is its.
    pub(super) fn holders(&self) -> Vec<Vec<Name>> {
        let mut holders = vec![Vec::new(); usize::from(node::slots::SLOTS)];
        for process in &self.owners {
            for slot in process.owner().iter().flat_map(|owner| owner.slots.held(|hold| hold == Hold::Owned))
            {
                holders[usize::from(slot)].push(process.name);
            }
        }
        holders
    }

    /// Waits for something asked of the store.
    pub(super) fn ask<T: Send + 'static>(&mut self, ask: impl Future<Output = T> + Send + 'static) -> T {
        let answer = Arc::new(Mutex::new(None));
        let machine = Machine::start(self.now);
        let put = Arc::clone(&answer);
        machine.spawn(async move { *put.lock() = Some(ask.await) });
        while answer.lock().is_none() {
            self.now.ms += STEP_MS;
            machine.run_until(self.now);
        }
        let answer = answer.lock().take();
        answer.unwrap()
    }
}
