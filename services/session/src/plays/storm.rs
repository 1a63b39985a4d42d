//! §12: whatever dies, in whatever order, what was accepted arrives, and what is stored once and in order.

use std::time::Duration;

use crate::testing::cities::Cities;
use crate::testing::{Client, Edge, Stage, chat, line};

/// Each how many-th message is a headline, which is held and not stored.
const HELD: u64 = 5;

const NAMES: [&str; 4] = ["romeo", "juliet", "tybalt", "paris"];

/// A client that notes what it sends and hears.
struct Player {
    name: &'static str,
    client: Client,
    sent: u64,
    heard: Vec<String>,
}

struct Storm {
    cities: Cities,
    players: Vec<Player>,
    random: u64,
    sent: u64,
    texts: Vec<String>,
}

impl Storm {
    async fn new(seed: u64) -> Self {
        let stage = Stage::with(|config| (config.item_lifetime_ms, config.gather_ms) = (60_000, 5_000)).await;
        let cities = Cities::on(stage, 2).await;
        let mut players = Vec::new();
        for name in NAMES {
            let edge = if name == "romeo" { &cities.west } else { &cities.east };
            players.push(Player { name, client: edge.enters(name).await, sent: 1, heard: Vec::new() });
        }
        Self { cities, players, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), sent: 0, texts: Vec::new() }
    }

    fn pick(&mut self, below: u64) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below) as usize
    }

    async fn blows(&mut self) {
        match self.pick(12) {
            0 => {
                let at = self.pick(2);
                self.cities.routers[at].dies();
                self.talk(3);
                self.cities.router_returns(at).await;
            }
            1 => {
                self.cities.mantua.dies();
                self.cities.east.breaks();
                self.talk(3);
                self.cities.mantua_returns().await;
                self.cities.east.connects(self.cities.mantua.wire()).await;
            }
            2 => {
                self.cities.verona.dies();
                self.cities.west.breaks();
                self.talk(3);
                self.cities.verona_returns().await;
                self.cities.west.connects(self.cities.verona.wire()).await;
            }
            3 => {
                self.cities.east.breaks();
                self.talk(3);
                self.cities.east.connects(self.cities.mantua.wire()).await;
            }
            4 => {
                let at = self.pick(4);
                let edge = if at == 0 { self.cities.west.clone() } else { self.cities.east.clone() };
                self.players[at].returns(&edge).await;
            }
            5 => {
                let at = self.pick(4);
                self.players[at].listens();
                self.players[at].client.acks();
            }
            6 => {
                let ms = self.pick(60) as u64;
                self.cities.stage.switch.delay(Duration::from_millis(ms));
            }
            _ => self.talk(5),
        }
    }

    fn talk(&mut self, count: usize) {
        for _ in 0..count {
            let (from, to) = (self.pick(4), self.pick(4));
            self.sent += 1;
            let (player, to) = (&mut self.players[from], NAMES[to]);
            let text = format!("{}-{to}-{}", player.name, self.sent);
            if self.sent.is_multiple_of(HELD) {
                player.client.says(&format!(
                    "<message to='{to}@verona.example/home' type='headline'><body>{text}</body></message>"
                ));
            } else {
                player.client.says(&chat(to, &text));
                self.texts.push(text);
            }
            player.sent += 1;
        }
    }
}

impl Player {
    fn listens(&mut self) {
        let heard = self.client.with(|desk| std::mem::take(&mut desk.heard));
        let lines = heard.iter().map(|(_, stanza)| line(stanza)).filter(|line| line.starts_with("message"));
        self.heard.extend(lines);
    }

    /// Its connection breaks, and it resumes.
    async fn returns(&mut self, edge: &Edge) {
        let (h, previd, jid) = self.client.with(|desk| {
            desk.lost = true;
            ((desk.out_n - desk.out_base) as u32, desk.previd.clone(), desk.jid.clone())
        });
        self.client.vanishes();
        self.listens();
        let said = self.client.with(|desk| desk.in_n);
        self.client = edge.resumes(&jid, &previd, h).await.expect("its session is there");
        assert_eq!(self.client.desk().in_n, said, "all it had said is counted");
    }

    /// What it heard of somebody, in order.
    fn of<'a>(&'a self, from: &'a str) -> impl Iterator<Item = u64> + 'a {
        let said = self.heard.iter().filter_map(|line| line.split(": ").nth(1));
        let theirs = said.filter_map(move |text| text.strip_prefix(&format!("{from}-{}-", self.name)));
        theirs.filter_map(|number| number.parse().ok())
    }
}

async fn storm(seed: u64) {
    let mut storm = Storm::new(seed).await;
    for _ in 0..60 {
        storm.blows().await;
    }
    storm.cities.stage.switch.delay(Duration::ZERO);
    for player in &storm.players {
        player.client.finished(player.sent).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    storm.players.iter_mut().for_each(Player::listens);
    let mut heard: usize = 0;
    for player in &storm.players {
        for from in NAMES {
            // What is held for a client that is away is in its owner's memory only, and lost with it; what the client has
            // may come again if the sender's owner has not heard so.
            let stored: Vec<u64> = player.of(from).filter(|n| n % HELD != 0).collect();
            let to = player.name;
            assert!(stored.is_sorted_by(|a, b| a < b), "seed {seed}: {from} to {to}: {stored:?}");
            heard += stored.len();
        }
    }
    let told = |text: &&String| {
        !storm.players.iter().any(|player| player.heard.iter().any(|line| line.ends_with(*text)))
    };
    let lost: Vec<&String> = storm.texts.iter().filter(told).collect();
    let errors: Vec<_> =
        storm.players.iter().flat_map(|player| &player.heard).filter(|line| line.contains("error")).collect();
    assert_eq!(heard, storm.texts.len(), "seed {seed}: lost {lost:?}, {errors:?}");
}

#[tokio::test]
async fn everything_arrives_once_and_in_order() {
    let seeds = std::env::var("STORM_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(3);
    let first = std::env::var("STORM_FIRST").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        storm(seed).await;
    }
}
