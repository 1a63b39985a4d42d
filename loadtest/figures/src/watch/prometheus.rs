//! Asks a Prometheus endpoint what its process costs. HTTP/1.0 is enough, and leaves out chunks.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::ProcessSample;

const PATIENCE: Duration = Duration::from_millis(800);
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// `None` if it does not answer in time, or not with these metrics.
pub(super) fn scrape(url: &str) -> Option<ProcessSample> {
    let (host, path) = parts(url)?;
    let address = host.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).ok()?;
    sample(&String::from_utf8_lossy(&answer))
}

/// `host:port` and the path.
fn parts(url: &str) -> Option<(String, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some((if has_port { host.to_owned() } else { format!("{host}:80") }, path))
}

fn sample(answer: &str) -> Option<ProcessSample> {
    let of = |name: &str| {
        let values = answer.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.split_ascii_whitespace().next()?.parse::<f64>().ok()
        });
        values.reduce(|sum, more| sum + more).filter(|sum| sum.is_finite() && *sum >= 0.0)
    };
    let cpu_us = whole(of("process_cpu_seconds_total")? * 1e6);
    let memory_bytes = of("process_resident_memory_bytes").map_or(0, whole);
    Some(ProcessSample { cpu_us, memory_bytes })
}

#[expect(clippy::cast_sign_loss, reason = "is finite and not negative")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_a_port_and_a_path() {
        assert_eq!(parts("http://h:9/m"), Some(("h:9".to_owned(), "/m")));
        assert_eq!(parts("http://h"), Some(("h:80".to_owned(), "/")));
        assert_eq!(parts("ftp://h"), None);
    }

    #[test]
    fn other_metrics_are_left_alone() {
        let answer = "process_cpu_seconds_total_x 9\nprocess_cpu_seconds_total{a=\"}\"} 0.25 123\nup 1\n";
        let sample = sample(answer).unwrap();
        assert_eq!((sample.cpu_us, sample.memory_bytes), (250_000, 0));
        assert!(super::sample("up 1\n").is_none());
    }
}
