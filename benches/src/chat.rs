//! The closed loop: pairs of users, each of whom has a constant number of messages to the other under way.
//!
//! Whoever hears a message sends the next one in its sender's name, on the sender's connection: this keeps both windows of
//! a pair apart (with answers, they would merge into bursts twice as long), and takes no word between tasks.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::account;
use crate::client::{Client, GOODBYE};
use crate::process;
use crate::scan::{Scanner, Seen};

/// Stanzas for each request of an acknowledgement.
const REQUEST_EVERY: u64 = 5;
const REQUEST: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// Logins under way at once.
const LOGINS_MAX: usize = 16;
const BUFFER_BYTES: usize = 8192;
/// For messages under way to arrive after the last was sent.
const DRAIN_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// An even number.
    pub(crate) users: usize,
    /// Messages under way from each user.
    pub(crate) window: usize,
    /// Of a message as its sender writes it.
    pub(crate) bytes: usize,
    /// Stream management: `<r/>` after every fifth stanza, and each `<r/>` answered.
    pub(crate) management: bool,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// Who is loaded.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) pids: Vec<u32>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) deliveries: u64,
    pub(crate) elapsed: Duration,
    /// Of each process.
    pub(crate) cpu: Vec<Duration>,
    /// Messages that came back as errors, and those that never came.
    pub(crate) lost: u64,
}

impl Figures {
    /// Microseconds of all processes for each delivery.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_us_each().iter().sum()
    }

    /// Microseconds of each process for each delivery.
    pub(crate) fn cpu_us_each(&self) -> Vec<f64> {
        self.cpu.iter().map(|cpu| cpu.as_secs_f64() * 1e6 / self.deliveries as f64).collect()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.deliveries as f64 / self.elapsed.as_secs_f64()
    }
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    delivered: AtomicU64,
    bounced: AtomicU64,
    stopping: AtomicBool,
}

/// Logs everybody in, lets them talk, and logs them out.
pub(crate) async fn run(target: &Target, load: &Load) -> anyhow::Result<Figures> {
    let users = log_in_all(target.address, load).await?;
    let counts = Arc::new(Counts::default());
    let mut talks = JoinSet::new();
    for number in 0..users.len() {
        // Pairs are 0 and 1, 2 and 3, …
        let (own, other) = (Arc::clone(&users[number]), Arc::clone(&users[number ^ 1]));
        let talk = Talk::new(own, other, number, load, Arc::clone(&counts));
        talks.spawn(talk.run(load.window));
    }

    sleep(load.warm_up).await;
    let (cpu_before, delivered_before, begun) =
        (spent(target)?, counts.delivered.load(Ordering::Relaxed), Instant::now());
    sleep(load.measured).await;
    let (cpu, delivered, elapsed) =
        (spent(target)?, counts.delivered.load(Ordering::Relaxed), begun.elapsed());

    let lost = drain(&counts).await;
    if let Some(ended) = talks.try_join_next() {
        ended?.context("a user was cut off")?;
    }
    for user in &users {
        let _ = user.stream.try_write(GOODBYE);
    }
    talks.shutdown().await;
    ensure!(delivered > delivered_before, "nothing was delivered");
    let cpu = cpu.iter().zip(cpu_before).map(|(after, before)| after.saturating_sub(before)).collect();
    Ok(Figures { deliveries: delivered - delivered_before, elapsed, cpu, lost })
}

fn spent(target: &Target) -> anyhow::Result<Vec<Duration>> {
    target.pids.iter().map(|pid| process::cpu(*pid)).collect()
}

/// Nothing more is sent; waits for what is under way. Returns how many never arrived.
async fn drain(counts: &Counts) -> u64 {
    counts.stopping.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    loop {
        let missing =
            counts.sent.load(Ordering::SeqCst).saturating_sub(counts.delivered.load(Ordering::SeqCst));
        if missing == 0 || begun.elapsed() > DRAIN_MAX {
            return missing + counts.bounced.load(Ordering::Relaxed);
        }
        sleep(POLL).await;
    }
}

async fn log_in_all(address: SocketAddr, load: &Load) -> anyhow::Result<Vec<Arc<User>>> {
    let mut users = Vec::with_capacity(load.users);
    let numbers: Vec<usize> = (0..load.users).collect();
    for some in numbers.chunks(LOGINS_MAX) {
        let logins: Vec<_> =
            some.iter().map(|number| tokio::spawn(log_in(address, *number, load.management))).collect();
        for login in logins {
            users.push(Arc::new(User { stream: login.await??, writing: Mutex::new(()) }));
        }
    }
    Ok(users)
}

async fn log_in(address: SocketAddr, number: usize, management: bool) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut client = Client::new(stream);
    client.log_in(number).await?;
    client.appear().await?;
    if management {
        client.enable_management().await?;
    }
    Ok(client.stream)
}

/// A connection that two tasks write to.
struct User {
    stream: TcpStream,
    writing: Mutex<()>,
}

impl User {
    async fn write(&self, bytes: &mut Vec<u8>) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let _writing = self.writing.lock().await;
        let mut written = 0;
        while written < bytes.len() {
            match self.stream.try_write(&bytes[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error),
            }
        }
        bytes.clear();
        Ok(())
    }
}

/// One direction of a conversation, at the end where it arrives.
struct Talk {
    own: Arc<User>,
    other: Arc<User>,
    message: Vec<u8>,
    management: bool,
    counts: Arc<Counts>,
    scanner: Scanner,
    sent: u64,
    /// Stanzas since stream management was turned on, which is when the conversation begins.
    heard: u64,
    /// What the other says next.
    next: Vec<u8>,
    /// An answer to `<r/>`.
    answer: Vec<u8>,
}

impl Talk {
    fn new(own: Arc<User>, other: Arc<User>, number: usize, load: &Load, counts: Arc<Counts>) -> Self {
        Self {
            own,
            other,
            message: message(&account::jid(number), load.bytes),
            management: load.management,
            counts,
            scanner: Scanner::new(),
            sent: 0,
            heard: 0,
            next: Vec::new(),
            answer: Vec::new(),
        }
    }

    async fn run(mut self, window: usize) -> anyhow::Result<()> {
        self.say(window);
        self.other.write(&mut self.next).await?;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut filled = 0;
        loop {
            self.own.stream.readable().await?;
            match self.own.stream.try_read(&mut buffer[filled..]) {
                Ok(0) => anyhow::bail!("the server closed"),
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            let used = self.hear(&buffer[..filled])?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
            ensure!(filled < BUFFER_BYTES, "a stanza of more than {BUFFER_BYTES} bytes");
            self.other.write(&mut self.next).await?;
            self.own.write(&mut self.answer).await?;
        }
    }

    /// Takes what is whole and prepares what is to be sent; returns how much that was.
    fn hear(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut used = 0;
        let (mut delivered, mut bounced, mut asked) = (0, 0, false);
        while let Some((seen, length)) = self.scanner.first(&bytes[used..]) {
            match seen {
                Seen::Message => delivered += 1,
                Seen::Bounced => bounced += 1,
                Seen::Presence | Seen::Iq => self.heard += 1,
                Seen::Request => asked = true,
                Seen::Acknowledgement => {}
                Seen::Other => {
                    anyhow::bail!("unexpected: {}", String::from_utf8_lossy(&bytes[used..used + length]))
                }
            }
            used += length;
        }
        self.heard += delivered + bounced;
        if bounced > 0 {
            self.counts.bounced.fetch_add(bounced, Ordering::Relaxed);
        }
        if delivered + bounced > 0 {
            if !self.counts.stopping.load(Ordering::Relaxed) {
                self.say((delivered + bounced) as usize);
            }
            // After the next were counted as sent: a drain never sees all delivered while another is to come.
            self.counts.delivered.fetch_add(delivered, Ordering::SeqCst);
        }
        if asked {
            self.answer
                .extend_from_slice(format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.heard).as_bytes());
        }
        Ok(used)
    }

    fn say(&mut self, count: usize) {
        for _ in 0..count {
            self.next.extend_from_slice(&self.message);
            self.sent += 1;
            if self.management && self.sent.is_multiple_of(REQUEST_EVERY) {
                self.next.extend_from_slice(REQUEST);
            }
        }
        self.counts.sent.fetch_add(count as u64, Ordering::SeqCst);
    }
}

/// A chat message of exactly so many bytes, if its frame leaves room for a body.
fn message(to: &str, bytes: usize) -> Vec<u8> {
    let frame = |body: &str| format!("<message to='{to}' type='chat' id='m1'><body>{body}</body></message>");
    let room = bytes.saturating_sub(frame("").len());
    let words = "but soft what light through yonder window breaks ";
    frame(&words.chars().cycle().take(room).collect::<String>()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_bytes_it_is_to_have() {
        assert_eq!(message("u1@localhost", 250).len(), 250);
        assert_eq!(message("u199@localhost", 250).len(), 250);
    }
}
