//! The metrics of this process.
//!
//! A metric is a static beside the code that counts: it is registered when it is first touched, and counting is one
//! relaxed addition.
//! ```
//! use std::sync::LazyLock;
//! use node::telemetry::metrics::{self, Counter};
//!
//! static STREAMS: LazyLock<Counter> = LazyLock::new(|| metrics::counter("edge_streams", "streams opened by clients"));
//! STREAMS.inc();
//! ```
//! Names begin with the role and are given without `throng_` and `_total`; units come last. No label is ever an address.

use std::sync::LazyLock;

use parking_lot::Mutex;
use prometheus_client::registry::{Metric, Registry};

pub use prometheus_client::encoding::EncodeLabelSet;
pub use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};

use super::process::Process;

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process));
    Mutex::new(registry)
});

/// Something that is only ever added to.
pub fn counter(name: &str, help: &str) -> Counter {
    registered(name, help, Counter::default())
}

/// Something that goes up and down.
pub fn gauge(name: &str, help: &str) -> Gauge {
    registered(name, help, Gauge::default())
}

/// How values spread over buckets with these upper bounds.
pub fn histogram(name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(name, help, Histogram::new(buckets.iter().copied()))
}

/// Any other metric, a [`Family`] for one.
pub fn registered<M: Metric + Clone>(name: &str, help: &str, metric: M) -> M {
    REGISTRY.lock().register(format!("throng_{name}"), help, metric.clone());
    metric
}

/// All metrics in the `OpenMetrics` text format.
pub(super) fn encoded() -> String {
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &REGISTRY.lock()) {
        tracing::error!(%error, "metrics cannot be encoded");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_beside_the_process_itself() {
        let counted = counter("test_things", "things of this test");
        counted.inc_by(3);

        let text = encoded();

        assert!(text.contains("\nthrong_test_things_total 3\n"), "{text}");
        assert!(text.contains("\nprocess_open_fds "), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
