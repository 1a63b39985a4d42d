//! A run as tests need one: a ramp, a steady minute in which the server stalls for a second, a storm of reconnections.

use std::sync::LazyLock;

use figures::{
    Address, FORM, Generator, GoalOutcome, Kind, Machine, Mark, Offence, PhaseSpan, ProcessSample, Record,
    Recorder, Verdict,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::words;

const STALL_S: u64 = 55;

/// The one that most tests look at.
pub(crate) fn record() -> Record {
    static RECORD: LazyLock<Record> = LazyLock::new(|| played(1, 1.0));
    RECORD.clone()
}

/// Another run of the same, whose latencies and CPU time are so many times as large.
pub(crate) fn played(seed: u64, factor: f64) -> Record {
    let phase = |name: &str, from_ms, to_ms| PhaseSpan { name: name.to_owned(), from_ms, to_ms };
    let phases =
        vec![phase("ramp", 0, 20_000), phase("steady", 20_000, 90_000), phase("storm", 90_000, 120_000)];
    let recorder = Recorder::new(phases.clone());
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut record = Record { phases, ..described() };
    let (mut server_us, mut own_us) = (4_000_000_u64, 300_000_u64);
    for at in 0..120_u64 {
        let chats = match at {
            0..20 => 10 * at,
            20..90 => 200,
            _ => 175,
        };
        play_second(&recorder, &mut dice, at, chats, factor);
        let mut second = recorder.cut(1000 * (at + 1));
        let work_us = (chats as f64 * 620.0 + 60_000.0) * factor * dice.random_range(0.95..1.05);
        server_us += words::whole(work_us) as u64;
        own_us += chats * 190 + 30_000;
        let sample = ProcessSample { cpu_us: server_us, memory_bytes: (180 << 20) + 900_000 * at.min(60) };
        second.server.insert("throng".to_owned(), sample);
        let lag_max_us = if at == 93 { 61_000 } else { dice.random_range(300..2500) };
        let own = Generator { cpu_us: own_us, memory_bytes: 90 << 20, lag_max_us };
        second.generators.insert("worker 0".to_owned(), own);
        record.seconds.push(second);
    }
    record.latencies = recorder.latencies();
    record.counts = recorder.counts();
    record.warn_of_generators();
    record
}

fn play_second(recorder: &Recorder, dice: &mut SmallRng, at: u64, chats: u64, factor: f64) {
    let [chat, receipt, login, tls] = ["chat", "receipt", "login", "tls"].map(|name| recorder.measure(name));
    let mut took = |middle_us: f64, spread: f64| {
        let normal: f64 = (0..6).map(|_| dice.random_range(-1.0..1.0)).sum::<f64>() / 1.4;
        words::whole(middle_us * factor * (normal * spread).exp()) as u64
    };
    for n in 0..chats {
        let intended_us = at * 1_000_000 + n * 1_000_000 / chats;
        // In an open model, what falls into a stall waits for its end.
        let stalled_us = if at == STALL_S { 1_000_000 - n * 1_000_000 / chats } else { 0 };
        let slow = if (90..96).contains(&at) { 6.0 } else { 1.0 };
        recorder.record(chat, intended_us, stalled_us + took(2_400.0 * slow, 0.55));
        if n % 4 == 0 {
            recorder.record(receipt, intended_us, stalled_us + took(5_200.0 * slow, 0.5));
        }
    }
    let logins = if at < 20 {
        10
    } else if (90..100).contains(&at) {
        20
    } else {
        0
    };
    for _ in 0..logins {
        recorder.record(login, at * 1_000_000, took(21_000.0, 0.4));
        recorder.record(tls, at * 1_000_000, took(6_000.0, 0.3));
        recorder.session_opened();
    }
    if at == 90 {
        (0..200).for_each(|_| recorder.session_closed());
    }
    if at > 90 && at < 97 {
        (0..97 - at).for_each(|_| recorder.failed(chat, "remote-server-timeout"));
        recorder.failed(login, "resource-constraint");
    }
    recorder.count("sent", chats);
    recorder.count("delivered", chats);
    recorder.count("bytes-out", chats * 310);
    recorder.count("bytes-in", chats * 420);
}

fn described() -> Record {
    let offence = |kind, from, to: u32, seq, at_ms| Offence {
        kind,
        from,
        to: Address::Account(to),
        by: to,
        seq,
        at_ms,
    };
    let goal = |goal: &str, measured: &str, reached| GoalOutcome {
        goal: goal.to_owned(),
        measured: measured.to_owned(),
        reached,
    };
    Record {
        form: FORM,
        scenario: "p2p".to_owned(),
        about: "Pairs of people who talk, with a storm of <reconnections> at the end.".to_owned(),
        parameters: [("users".to_owned(), 200.0), ("rate".to_owned(), 200.0)].into(),
        target: "throng on 127.0.31.1".to_owned(),
        started_unix_ms: 1_795_453_560_000,
        marks: vec![
            Mark { at_ms: STALL_S * 1000, what: "stall 1 s".to_owned() },
            Mark { at_ms: 90_000, what: "cut 100 %".to_owned() },
        ],
        ledger: Verdict {
            sent: 21_150,
            owed: 21_150,
            delivered: 21_140,
            lost: 3,
            doubled: 1,
            reordered: 1,
            delayed: 2,
            unknown: 7,
            offences: vec![
                offence(Kind::Lost, 12, 13, 417, 55_201),
                offence(Kind::Lost, 640, 641, 88, 61_930),
                offence(Kind::Lost, 641, 640, 90, 62_002),
                offence(Kind::Doubled, 77, 76, 301, 91_120),
                offence(Kind::Reordered, 300, 301, 33, 92_700),
                offence(Kind::Delayed, 300, 301, 34, 92_710),
                offence(Kind::Delayed, 2, 3, 35, 92_990),
            ],
            ..Verdict::default()
        },
        goals: vec![
            goal(
                "no message lost, doubled, reordered or astray",
                "3 lost, 1 doubled, 1 reordered, 0 astray",
                false,
            ),
            goal("p99 of chat below 250 ms in steady", "14.2 ms", true),
        ],
        machine: Machine {
            cpus: 2,
            cpu_model: "Some processor".to_owned(),
            memory_bytes: 24 << 30,
            kernel: "6.18".to_owned(),
            version: "0.1.0".to_owned(),
        },
        ..Record::default()
    }
}
