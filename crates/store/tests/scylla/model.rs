//! It does what the model in memory does, whatever is asked of it, also when another process opens it in between.

use proptest::{
    collection::vec,
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};

use crate::{
    calls::{Call, call, perform, read},
    cluster::Keyspace,
};

/// Each begins with a keyspace of its own, which takes longer than its calls.
const CASES: usize = 6;
const CALLS_MAX: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_the_model_does() {
    let mut runner = TestRunner::default();
    for _ in 0..CASES {
        let Some(keyspace) = Keyspace::make().await else { return };
        let calls = vec(call(), 1..CALLS_MAX).new_tree(&mut runner).unwrap().current();
        let model = store::memory::open();
        let mut store = keyspace.open().await;
        for (at, call) in calls.iter().enumerate() {
            if matches!(call, Call::Reopen) {
                store = keyspace.open().await;
            }
            let (told, expected) = (perform(&store, call).await, perform(&model, call).await);
            assert_eq!(told, expected, "{:#?}", &calls[..=at]);
        }
        assert_eq!(read(&store).await, read(&model).await, "{calls:#?}");
        keyspace.drop().await;
    }
}
