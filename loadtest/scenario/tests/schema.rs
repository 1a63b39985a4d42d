//! The published schema is that of the types. `UPDATE=1 cargo test -p scenario --test schema` writes it anew.

use std::path::Path;
use std::{env, fs};

use scenario::Scenario;

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenario.schema.json");
    let schema = format!("{:#}\n", Scenario::schema());
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &schema).unwrap();
    }
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(published == schema, "it is stale: UPDATE=1 cargo test -p scenario --test schema");
}
