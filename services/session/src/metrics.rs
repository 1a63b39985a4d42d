//! What an owner counts.

use std::sync::LazyLock;

use node::telemetry::metrics::{self, Counter, Gauge, Histogram};

pub(crate) static SLOTS: LazyLock<Gauge> =
    LazyLock::new(|| metrics::gauge("session_slots", "slots that are this owner's"));
pub(crate) static TAKEN: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("session_slots_taken", "slots taken"));
pub(crate) static RELEASED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("session_slots_released", "slots let go of in order"));
pub(crate) static TAKEN_UP: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter(
        "session_accounts_taken_up",
        "accounts taken up as the owner before left them, without reading them",
    )
});
pub(crate) static READ_ANEW: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter(
        "session_accounts_read_anew",
        "accounts that the owner before had left no copy of, and were read",
    )
});
pub(crate) static KEPT: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter("session_slots_kept", "slots not let go of because something in them took too long")
});
pub(crate) static FENCED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("session_fenced", "times this owner was fenced by others"));
pub(crate) static ADRIFT: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter("session_adrift", "times the store could not be asked whether this owner is one still")
});
pub(crate) static UNSTORED: LazyLock<Counter> =
    LazyLock::new(|| metrics::counter("session_writes_failed", "writes of messages that failed"));
pub(crate) static UNSAVED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter(
        "session_hibernated_unsaved",
        "writes of hibernating sessions that failed; they are repeated",
    )
});
pub(crate) static GATHERING: LazyLock<Histogram> = LazyLock::new(|| {
    let buckets = [0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0];
    metrics::histogram("session_gathering_seconds", "time until the sessions of slots were known", &buckets)
});
pub(crate) static UNREGISTERED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::counter("session_registry_untold", "changes that the registry of sessions could not be told")
});
