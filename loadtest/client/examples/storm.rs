//! What the client itself costs: many sessions that write to each other at a fixed rate, open loop.
//! Best against `throng-load null`: `storm ADDRESS:PORT tcp|starttls|tls|ws SESSIONS MESSAGES-A-SECOND SECONDS`; prints CPU time and memory of this process.
#![allow(clippy::cast_precision_loss, reason = "figures for people")]
#![allow(clippy::cast_sign_loss, reason = "times are behind us")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use client::{Client, Error, Event, Plan, Tls, Transport, connect};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

/// Logins under way at a time.
const LOGINS: usize = 200;
const SOURCES: usize = 4;

static LOGGED_IN: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static SENT: AtomicU64 = AtomicU64::new(0);
static ARRIVED: AtomicU64 = AtomicU64::new(0);
static LATE_US: AtomicU64 = AtomicU64::new(0);

struct Storm {
    plan: Plan,
    sessions: usize,
    rate: f64,
    logins: Semaphore,
    /// When the first message is due.
    begin: tokio::sync::watch::Receiver<Option<Instant>>,
    seconds: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, transport, sessions, rate, seconds] = &arguments[..] else {
        return Err("five arguments".into());
    };
    let address: SocketAddr = address.parse()?;
    let mut plan = Plan::new(address, "localhost", "", "secret");
    plan.transport = match transport.as_str() {
        "starttls" => Transport::Starttls,
        "tls" => Transport::Tls,
        "ws" => Transport::WebSocket,
        _ => Transport::Tcp,
    };
    plan.tls = Some(Tls::insecure()?);
    plan.register = std::env::var_os("REGISTER").is_some();
    let (begin, begins) = tokio::sync::watch::channel(None);
    let (rate, seconds) = (rate.parse()?, seconds.parse()?);
    let sessions = sessions.parse()?;
    let storm =
        Arc::new(Storm { plan, sessions, rate, logins: Semaphore::new(LOGINS), begin: begins, seconds });

    let (empty, began) = (resident_bytes(), Instant::now());
    let cpu = cpu_seconds();
    let tasks: Vec<_> =
        (0..sessions).map(|number| tokio::spawn(session(Arc::clone(&storm), number))).collect();
    while LOGGED_IN.load(Relaxed) + FAILED.load(Relaxed) < sessions as u64 {
        sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "{} logged in, {} failed in {took:.1} s, {:.0} µs of CPU each, {:.1} KiB each",
        LOGGED_IN.load(Relaxed),
        FAILED.load(Relaxed),
        (cpu_seconds() - cpu) / sessions as f64 * 1e6,
        (resident_bytes() - empty) as f64 / sessions as f64 / 1024.0
    );

    sleep(Duration::from_secs(1)).await;
    let (cpu, start) = (cpu_seconds(), Instant::now());
    begin.send(Some(start))?;
    sleep_until(start + Duration::from_secs_f64(seconds)).await;
    let (cpu, took) = (cpu_seconds() - cpu, start.elapsed().as_secs_f64());
    let (sent, arrived) = (SENT.load(Relaxed), ARRIVED.load(Relaxed));
    println!(
        "sent {:.0}/s, arrived {:.0}/s, {:.1} µs of CPU each, {:.0} % of two cores, mean lag {:.0} µs, {:.1} KiB a session",
        sent as f64 / took,
        arrived as f64 / took,
        cpu * 1e6 / arrived as f64,
        cpu / took * 50.0,
        LATE_US.load(Relaxed) as f64 / sent as f64,
        (resident_bytes() - empty) as f64 / sessions as f64 / 1024.0
    );
    sleep(Duration::from_secs(1)).await;
    println!("{} sent and {} arrived at last", SENT.load(Relaxed), ARRIVED.load(Relaxed));
    drop(tasks);
    Ok(())
}

async fn session(storm: Arc<Storm>, number: usize) {
    let client = {
        let _permit = storm.logins.acquire().await.expect("it is never closed");
        let mut plan = storm.plan.clone();
        plan.username = format!("tl{number}");
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 61, 1 + (number % SOURCES) as u8));
        plan.source = Some(source);
        connect(&plan).await
    };
    let mut client = match client {
        Ok(client) => client,
        Err(error) => {
            if FAILED.fetch_add(1, Relaxed) < 5 {
                println!("{error}");
            }
            return;
        }
    };
    LOGGED_IN.fetch_add(1, Relaxed);
    if let Err(error) = play(&storm, number, &mut client).await {
        println!("{error}");
    }
}

async fn play(storm: &Storm, number: usize, client: &mut Client) -> Result<(), Error> {
    let mut begin = storm.begin.clone();
    let start = begin.wait_for(Option::is_some).await.map_or(None, |start| *start).expect("it has begun");
    let every = storm.sessions as f64 / storm.rate;
    let mut due = start + Duration::from_secs_f64(every * number as f64 / storm.sessions as f64);
    let end = start + Duration::from_secs_f64(storm.seconds);
    let body = "x".repeat(120);
    let mut partner = number;
    let timer = sleep_until(due);
    tokio::pin!(timer);
    loop {
        tokio::select! {
            event = client.next() => match event? {
                Event::Stanza(stanza) if stanza.id().is_some_and(|id| id.starts_with("tl.")) => {
                    ARRIVED.fetch_add(1, Relaxed);
                }
                Event::Closed => return Ok(()),
                _ => {}
            },
            () = &mut timer => {
                partner = (partner * 31 + 7) % storm.sessions;
                LATE_US.fetch_add(due.elapsed().as_micros() as u64, Relaxed);
                client.push(
                    format!("<message to='tl{partner}@localhost' type='chat' id='tl.1.{number}.{partner}.9.77'><body>{body}</body></message>")
                        .as_bytes(),
                )?;
                client.flush().await?;
                SENT.fetch_add(1, Relaxed);
                due += Duration::from_secs_f64(every);
                if due > end {
                    due += Duration::from_hours(24);
                }
                timer.as_mut().reset(due);
            }
        }
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
