//! The disk does what the model in memory does, whatever is asked of it, also when it is opened again in between.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

mod calls;

use proptest::{collection::vec, prelude::*};

use crate::calls::{Call, call, perform, read};

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_does_what_the_model_does(calls in vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let model = store::memory::open();
            let mut disk = store::disk::open(directory.path()).unwrap();
            for call in &calls {
                if matches!(call, Call::Reopen) {
                    drop(disk);
                    disk = store::disk::open(directory.path()).unwrap();
                }
                prop_assert_eq!(perform(&disk, call).await, perform(&model, call).await, "{:?}", call);
            }
            prop_assert_eq!(read(&disk).await, read(&model).await);
            Ok(())
        })?;
    }
}
