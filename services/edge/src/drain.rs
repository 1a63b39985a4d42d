//! How an edge goes away: it says that it isn't ready, and serves on until nobody is sent to it any more; it closes its
//! clients at a pace, those that can come back elsewhere first; and it waits until the owners have taken over what was
//! kept for them. Whoever is stuck, it is over after `drain_s`.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use node::shutdown::Drain;
use tokio::task::JoinSet;

use crate::{client::Client, hub::Hub};

const SECOND: Duration = Duration::from_secs(1);
/// Between two looks at who is still there.
const LOOK: Duration = Duration::from_millis(50);
/// For tasks that were told to end.
const STOP_TIME_MAX: Duration = Duration::from_millis(500);

/// Serves until the drain has begun and is over.
pub(crate) async fn until_drained(
    hub: Arc<Hub>,
    drain: Drain,
    mut listeners: JoinSet<()>,
    mut tasks: JoinSet<()>,
) {
    drain.begun().await;
    let limits = &hub.config.limits;
    let time = Duration::from_secs(limits.drain_s).saturating_sub(STOP_TIME_MAX);
    let end = Instant::now() + time;
    let lame = Duration::from_secs(limits.drain_lame_s).min(time / 2);
    tracing::info!(lame_s = lame.as_secs(), "draining: not ready any more");
    let drained = async {
        tokio::time::sleep(lame).await;
        hub.close();
        listeners.shutdown().await;
        close_clients(&hub, end).await;
        rest(&hub).await;
    };
    if tokio::time::timeout_at(end.into(), drained).await.is_err() {
        let clients = hub.clients.lock().len();
        tracing::warn!(clients, streams = hub.streams(), "not everything was drained in time");
    }
    // One that is stuck is not waited for: the process ends.
    let _ = tokio::time::timeout(STOP_TIME_MAX, tasks.shutdown()).await;
}

/// At the pace that was asked for, or a faster one if time is short: a quarter of it is left for the owners.
async fn close_clients(hub: &Hub, end: Instant) {
    let mut clients = there(hub);
    clients.sort_by_cached_key(|client| !client.is_resumable());
    let time = end.saturating_duration_since(Instant::now()).mul_f64(0.75);
    let each = SECOND / hub.config.limits.drain_per_s.max(1);
    let in_time = time / u32::try_from(clients.len()).unwrap_or(u32::MAX).max(1);
    let gap = each.min(in_time).as_nanos().max(1);
    tracing::info!(clients = clients.len(), gap_us = gap / 1_000, "draining: clients are closed");
    let mut clients = clients.into_iter();
    let mut due = gap;
    while clients.len() > 0 {
        let some = usize::try_from(due / gap).unwrap_or(usize::MAX);
        clients.by_ref().take(some).for_each(|client| client.drain());
        // What is closed together comes back together: nothing else of it should be regular.
        let pause = Duration::from_millis(50 + u64::from(random()) * 100 / 255);
        due = due % gap + pause.as_nanos();
        tokio::time::sleep(pause).await;
    }
}

/// Until clients are gone and owners have said that they have taken over what was kept for those that were closed.
async fn rest(hub: &Hub) {
    loop {
        // Some may have come while the others were closed.
        let clients = there(hub);
        if clients.is_empty() && hub.streams() == 0 {
            return;
        }
        clients.iter().for_each(Client::drain);
        drop(clients);
        tokio::time::sleep(LOOK).await;
    }
}

fn there(hub: &Hub) -> Vec<Arc<Client>> {
    hub.clients.lock().values().filter_map(Weak::upgrade).collect()
}

fn random() -> u8 {
    let mut byte = [0];
    // Without randomness it is regular, and otherwise as good.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}
