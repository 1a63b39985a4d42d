//! Every backend performs every play of the contract.

macro_rules! on_every_backend {
    ($($play:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $play() { store::conformance::$play(&store::memory::open()).await; })*
        }

        mod disk {
            $(#[tokio::test] async fn $play() {
                let directory = tempfile::tempdir().unwrap();
                store::conformance::$play(&store::disk::open(directory.path()).unwrap()).await;
            })*
        }

        /// A wrapper is a backend too.
        mod slow {
            $(#[tokio::test] async fn $play() {
                let (store, _switch) = store::slow::wrap(store::memory::open());
                store::conformance::$play(&store).await;
            })*
        }
    };
}

on_every_backend! {
    accounts activity created_once
    rosters rosters_at_once blocklists documents sizes
    archive_rows archive_pages archive_ids
    cursors epochs epochs_at_once hibernated taken_once
    members slot_table registry handovers liveness counters taken_over inherited
    removal
}

#[tokio::test]
async fn the_bus_in_memory_keeps_its_contract() {
    store::conformance::bus(&*store::memory::bus(true)).await;
}
