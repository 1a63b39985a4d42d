//! Watches processes: the server's, by number or through their Prometheus endpoints, and the generator's own.
//!
//! A thread of its own reads, so that nothing that is measured waits for it; who cuts a [`crate::Second`] takes what was read
//! last.

mod process;
mod prometheus;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{Generator, ProcessSample};

/// How often CPU time is read.
const CPU_EVERY: Duration = Duration::from_millis(200);
/// How often an endpoint is asked.
const ENDPOINT_EVERY: Duration = Duration::from_secs(1);
/// How often memory is read: adding up the shares of each page takes the kernel milliseconds a gigabyte.
const MEMORY_EVERY: Duration = Duration::from_secs(5);

/// Where a watched process is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Processes of this machine, by number: their sum.
    Processes(Vec<u32>),
    /// `process_cpu_seconds_total` and `process_resident_memory_bytes` of this `http:` URL.
    Prometheus(String),
}

/// Processes that are being watched, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    server: Mutex<BTreeMap<String, ProcessSample>>,
    own: Mutex<ProcessSample>,
    ended: AtomicBool,
}

impl std::str::FromStr for Source {
    type Err = String;

    /// `4711`, `4711,4712` or `http://127.0.0.1:9100/metrics`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") {
            return Ok(Self::Prometheus(text.to_owned()));
        }
        let numbers: Result<Vec<u32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        numbers.map(Self::Processes).map_err(|_| {
            format!("`{text}` is neither a process number (or several, with commas) nor an http:// URL")
        })
    }
}

impl Watch {
    /// Begins to watch these, by the operator's name for each, and the own process. What is known at once is read at once.
    pub fn start(sources: BTreeMap<String, Source>) -> Self {
        let shared = Arc::new(Shared::default());
        let mut reader = Reader { sources, shared: Arc::clone(&shared), memory: BTreeMap::new() };
        reader.read(true, true);
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || reader.run()).ok();
        Self { shared, thread }
    }

    /// The watched processes as they were read last. One that has not answered yet, or has ended, is missing.
    pub fn server(&self) -> BTreeMap<String, ProcessSample> {
        self.shared.server.lock().clone()
    }

    /// The own process; `lag_max_us` from [`crate::Recorder::take_lag`].
    pub fn generator(&self, lag_max_us: u64) -> Generator {
        let ProcessSample { cpu_us, memory_bytes } = *self.shared.own.lock();
        Generator { cpu_us, memory_bytes, lag_max_us }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say: a panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

struct Reader {
    sources: BTreeMap<String, Source>,
    shared: Arc<Shared>,
    /// By process.
    memory: BTreeMap<u32, u64>,
}

impl Reader {
    fn run(&mut self) {
        let (mut endpoints_read, mut memory_read) = (Instant::now(), Instant::now());
        while !self.shared.ended.load(Ordering::Relaxed) {
            thread::park_timeout(CPU_EVERY);
            let endpoints = endpoints_read.elapsed() >= ENDPOINT_EVERY;
            let memory = memory_read.elapsed() >= MEMORY_EVERY;
            if endpoints {
                endpoints_read = Instant::now();
            }
            if memory {
                memory_read = Instant::now();
            }
            self.read(endpoints, memory);
        }
    }

    fn read(&mut self, endpoints: bool, memory: bool) {
        let own = self.process(std::process::id(), memory);
        *self.shared.own.lock() = own.unwrap_or_default();
        for (name, source) in &self.sources.clone() {
            let sample = match source {
                Source::Processes(numbers) => self.sum(numbers, memory),
                Source::Prometheus(url) if endpoints => prometheus::scrape(url),
                Source::Prometheus(_) => continue,
            };
            let mut server = self.shared.server.lock();
            match sample {
                Some(sample) => server.insert(name.clone(), sample),
                None => server.remove(name),
            };
        }
    }

    fn sum(&mut self, numbers: &[u32], memory: bool) -> Option<ProcessSample> {
        let samples = numbers.iter().filter_map(|&number| self.process(number, memory));
        samples.reduce(|sum, more| ProcessSample {
            cpu_us: sum.cpu_us + more.cpu_us,
            memory_bytes: sum.memory_bytes + more.memory_bytes,
        })
    }

    fn process(&mut self, number: u32, memory: bool) -> Option<ProcessSample> {
        let cpu_us = process::cpu_us(number)?;
        let known = self.memory.get(&number).copied();
        let memory_bytes =
            known.filter(|_| !memory).or_else(|| process::memory_bytes(number)).or(known).unwrap_or(0);
        self.memory.insert(number, memory_bytes);
        Some(ProcessSample { cpu_us, memory_bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sources_are_numbers_or_urls() {
        assert_eq!("17, 18".parse(), Ok(Source::Processes(vec![17, 18])));
        assert_eq!("http://h:1/m".parse(), Ok(Source::Prometheus("http://h:1/m".to_owned())));
        assert!("https://h/m".parse::<Source>().is_err());
    }

    #[test]
    fn the_own_process_and_a_named_one_are_read_at_once() {
        let own = std::process::id();
        let sources = [("it", Source::Processes(vec![own])), ("none", Source::Processes(vec![u32::MAX]))];
        let watch = Watch::start(sources.map(|(name, source)| (name.to_owned(), source)).into());
        let generator = watch.generator(5);
        assert!(generator.memory_bytes > 100_000 && generator.lag_max_us == 5, "{generator:?}");
        let server = watch.server();
        assert!(server["it"].memory_bytes > 100_000 && !server.contains_key("none"), "{server:?}");
    }

    #[test]
    fn work_is_seen_as_cpu_time() {
        let watch = Watch::start(BTreeMap::new());
        let before = watch.generator(0).cpu_us;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) && watch.generator(0).cpu_us < before + 20_000 {
            std::hint::black_box((0..10_000).sum::<u64>());
        }
        assert!(watch.generator(0).cpu_us >= before + 20_000);
    }

    #[test]
    fn an_endpoint_is_scraped() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            let body = "# HELP\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes{x=\"y\"} 2e6\n";
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}").unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let watch = Watch::start([("it".to_owned(), Source::Prometheus(url))].into());
        assert!(server.join().unwrap().starts_with("GET /metrics HTTP/1.0\r\n"));
        let sample = watch.server()["it"].clone();
        assert_eq!((sample.cpu_us, sample.memory_bytes), (1_500_000, 2_000_000));
    }
}
