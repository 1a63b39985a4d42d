//! What an edge counts.

use std::sync::LazyLock;

use node::telemetry::metrics::{self, Counter, Family, Gauge};
use xmpp::stream::Condition;

pub(crate) static CONNECTIONS: LazyLock<Gauge> =
    LazyLock::new(|| metrics::gauge("edge_connections", "connections of clients that are open"));
pub(crate) static LINKS: LazyLock<Gauge> =
    LazyLock::new(|| metrics::gauge("edge_links", "links to owners that are up"));
pub(crate) static ACCEPTED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_connections_accepted", "connections accepted"));
pub(crate) static REFUSED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_connections_refused", "connections beyond a limit"));
pub(crate) static HANDSHAKES_FAILED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter("edge_handshakes_failed", "TLS handshakes that failed or took too long")
});
pub(crate) static LOGINS: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_logins", "logins that succeeded"));
pub(crate) static LOGINS_FAILED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_logins_failed", "logins that failed"));
pub(crate) static LOGINS_WAITING: LazyLock<Gauge> =
    LazyLock::new(|| metrics::gauge("edge_logins_waiting", "logins that wait for the budget of logins"));
pub(crate) static LOGINS_DELAYED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_logins_delayed", "logins that had to wait for the budget"));
pub(crate) static LOGINS_REFUSED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_logins_refused", "logins refused because too many waited"));
pub(crate) static BOUND: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_bound", "resources bound"));
pub(crate) static RESUMED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_resumed", "streams resumed"));
pub(crate) static SLOW: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_slow_closed", "clients closed because they did not read"));
pub(crate) static STANZAS_IN: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_stanzas_in", "stanzas from clients"));
pub(crate) static STANZAS_OUT: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("edge_stanzas_out", "stanzas to clients"));

static FAILED: LazyLock<Family<Reason, Counter>> = LazyLock::new(|| {
    metrics::registered("edge_streams_failed", "streams ended by an error of the client's", Family::default())
});

type Reason = [(&'static str, &'static str); 1];

/// A stream was ended because of what its client did.
pub(crate) fn failed(condition: Condition) {
    FAILED.get_or_create(&[("condition", condition.name())]).inc();
}
