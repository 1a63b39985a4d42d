//! The real stores that `tests/infra/up` has started.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// Names the file in which `tests/infra/up` says where the stores are.
const FILE: &str = "THRONG_INFRA";

/// Where they are, by the names in that file.
pub(super) struct Infra(BTreeMap<String, String>);

impl Infra {
    /// Those that were named; none, if they lack one that a cluster needs.
    pub(super) fn here() -> Option<Infra> {
        let text = fs::read_to_string(env::var_os(FILE)?).ok()?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let infra = Infra(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        ["REDIS_URL", "CQL"].iter().all(|name| infra.0.contains_key(*name)).then_some(infra)
    }

    /// What a configuration says of them. Each server has a keyspace and a prefix that no other has.
    pub(super) fn section(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = format!("play_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        format!(
            r#"[store]
backend = "scylla"
scylla_nodes = ["{}"]
scylla_keyspace = "{own}"
[redis]
servers = ["{}"]
prefix = "{own}"
"#,
            self.0["CQL"], self.0["REDIS_URL"]
        )
    }
}
