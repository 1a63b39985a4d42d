//! It performs every play of the contract.

use crate::cluster::Keyspace;

macro_rules! on_scylla {
    ($($play:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $play() {
            let Some(keyspace) = Keyspace::make().await else { return };
            store::conformance::$play(&keyspace.open().await).await;
            keyspace.drop().await;
        })*
    };
}

on_scylla! {
    accounts activity created_once
    rosters rosters_at_once blocklists documents sizes
    archive_rows archive_pages archive_ids
    cursors epochs epochs_at_once hibernated taken_once
    members slot_table registry liveness counters taken_over inherited
    removal
}
