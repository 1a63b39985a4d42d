//! What is measured, for who asks over HTTP: the text format of Prometheus, at `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use figures::{Second, Spread};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Observer;
use crate::stretch;

/// Upper ends of buckets, in microseconds.
const BUCKETS_US: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Answers scrapes, until it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// The run so far.
#[derive(Debug, Default)]
struct State {
    last: Second,
    counts: BTreeMap<String, u64>,
    latencies: BTreeMap<String, Latencies>,
}

#[derive(Debug, Default)]
struct Latencies {
    /// How many took no longer than each of [`BUCKETS_US`].
    within: [u64; BUCKETS_US.len()],
    count: u64,
    sum_us: f64,
}

impl Prometheus {
    /// Listens at this address. Port 0: any that is free.
    pub async fn serve(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shown = Arc::clone(&state);
        let scrape = async move || {
            let text = shown.lock().text();
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
        };
        let routes = Router::new().route("/metrics", get(scrape));
        let server = tokio::spawn(async move {
            // It ends when it is aborted; a broken listener is seen by who scrapes.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { state, address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Observer for Prometheus {
    fn second(&mut self, second: &Second) {
        self.state.lock().add(second);
    }
}

impl State {
    fn add(&mut self, second: &Second) {
        for (name, n) in &second.counts {
            *self.counts.entry(name.clone()).or_default() += n;
        }
        for (measure, spread) in &second.latencies {
            self.latencies.entry(measure.clone()).or_default().add(spread);
        }
        self.last = second.clone();
    }

    fn text(&self) -> String {
        let mut out = String::new();
        family(&mut out, "sessions", "gauge", "sessions that are logged in");
        let _ = writeln!(out, "throng_load_sessions {}", self.last.sessions);
        family(&mut out, "run_seconds", "gauge", "how far the run is");
        let _ = writeln!(out, "throng_load_run_seconds {}", self.last.at_ms as f64 / 1000.0);

        family(&mut out, "events_total", "counter", "what was counted, by name");
        for (name, n) in self.counts.iter().filter(|(name, _)| stretch::failure(name).is_none()) {
            let _ = writeln!(out, "throng_load_events_total{{name=\"{}\"}} {n}", label(name));
        }
        family(&mut out, "failures_total", "counter", "what failed, by measure and condition");
        for (name, n) in &self.counts {
            if let Some((measure, condition)) = stretch::failure(name) {
                let (measure, condition) = (label(measure), label(condition));
                let _ = writeln!(
                    out,
                    "throng_load_failures_total{{measure=\"{measure}\",condition=\"{condition}\"}} {n}"
                );
            }
        }
        family(&mut out, "latency_seconds", "histogram", "from when it was intended to when it was done");
        for (measure, latencies) in &self.latencies {
            latencies.write(&label(measure), &mut out);
        }
        self.processes(&mut out);
        out
    }

    fn processes(&self, out: &mut String) {
        let server = self.last.server.iter().map(|(name, it)| (name, "server", it.cpu_us, it.memory_bytes));
        let own =
            self.last.generators.iter().map(|(name, it)| (name, "generator", it.cpu_us, it.memory_bytes));
        let all: Vec<_> = server.chain(own).collect();
        family(
            out,
            "process_cpu_seconds_total",
            "counter",
            "processor time of watched processes and generators",
        );
        for (name, role, cpu_us, _) in &all {
            let (name, seconds) = (label(name), *cpu_us as f64 / 1e6);
            let _ = writeln!(
                out,
                "throng_load_process_cpu_seconds_total{{name=\"{name}\",role=\"{role}\"}} {seconds}"
            );
        }
        family(out, "process_memory_bytes", "gauge", "memory of watched processes and generators");
        for (name, role, _, bytes) in &all {
            let name = label(name);
            let _ =
                writeln!(out, "throng_load_process_memory_bytes{{name=\"{name}\",role=\"{role}\"}} {bytes}");
        }
        family(out, "lag_seconds", "gauge", "how late a generator was within the last second, at most");
        for (name, generator) in &self.last.generators {
            let seconds = generator.lag_max_us as f64 / 1e6;
            let _ = writeln!(out, "throng_load_lag_seconds{{name=\"{}\"}} {seconds}", label(name));
        }
    }
}

impl Latencies {
    fn add(&mut self, spread: &Spread) {
        let Ok(histogram) = spread.unpack() else { return };
        for (within, bound) in self.within.iter_mut().zip(BUCKETS_US) {
            *within += histogram.count_between(0, bound);
        }
        self.count += histogram.len();
        self.sum_us += spread.mean_us * histogram.len() as f64;
    }

    fn write(&self, measure: &str, out: &mut String) {
        for (within, bound) in self.within.iter().zip(BUCKETS_US) {
            let bound = bound as f64 / 1e6;
            let _ = writeln!(
                out,
                "throng_load_latency_seconds_bucket{{measure=\"{measure}\",le=\"{bound}\"}} {within}"
            );
        }
        let Self { count, sum_us, .. } = self;
        let _ =
            writeln!(out, "throng_load_latency_seconds_bucket{{measure=\"{measure}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "throng_load_latency_seconds_sum{{measure=\"{measure}\"}} {}", sum_us / 1e6);
        let _ = writeln!(out, "throng_load_latency_seconds_count{{measure=\"{measure}\"}} {count}");
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP throng_load_{name} {help}\n# TYPE throng_load_{name} {kind}");
}

fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::sample;

    /// Every line is a comment, or a name, labels in quotes, and a number.
    fn parsed(text: &str) -> BTreeMap<&str, &str> {
        let lines = text.lines().filter(|line| !line.starts_with("# "));
        lines
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(name.starts_with("throng_load_") && name.matches('"').count() % 2 == 0, "{line}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
                (name, value)
            })
            .collect()
    }

    #[test]
    fn the_text_says_what_the_run_has_counted() {
        let record = sample::record();
        let mut state = State::default();
        record.seconds.iter().for_each(|second| state.add(second));
        let text = state.text();
        let values = parsed(&text);
        assert_eq!(values["throng_load_events_total{name=\"sent\"}"], record.counts["sent"].to_string());
        assert_eq!(
            values["throng_load_failures_total{measure=\"chat\",condition=\"remote-server-timeout\"}"],
            "21"
        );
        let chat = record.spread("chat", None);
        assert_eq!(values["throng_load_latency_seconds_count{measure=\"chat\"}"], chat.count.to_string());
        let buckets: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("throng_load_latency_seconds_bucket{measure=\"chat\""))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        assert_eq!(buckets.len(), BUCKETS_US.len() + 1);
        assert!(buckets.is_sorted() && buckets[16] == chat.count && buckets[0] < chat.count);
    }

    #[test]
    fn labels_are_quoted() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }

    #[tokio::test]
    async fn who_scrapes_is_answered() {
        let mut prometheus = Prometheus::serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
        prometheus.second(&sample::record().seconds[40]);
        let mut stream = TcpStream::connect(prometheus.address()).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.0 200 OK") && answer.contains("text/plain; version=0.0.4"),
            "{answer}"
        );
        assert!(answer.contains("\nthrong_load_sessions 200\n"), "{answer}");
    }
}
