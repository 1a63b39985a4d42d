//! docs/rules.md names tests; they exist, and each is there under the name it is given.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_rules_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = fs::read_to_string(root.join("../../docs/rules.md")).unwrap();
    let rows = rules.lines().filter(|line| line.starts_with("| ") && !line.contains("| test |"));
    let mut named = 0;
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap().split(',').map(|name| name.trim().trim_matches('`'));
        for test in tests {
            let (file, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("no test in: {row}"));
            let source = root.join("src").join(file);
            let source = if source.is_dir() { source.join("tests.rs") } else { source.with_extension("rs") };
            let text = fs::read_to_string(&source).unwrap_or_else(|error| panic!("{test}: {error}"));
            assert!(text.contains(&format!("fn {name}()")), "{test} is not in {}", source.display());
            named += 1;
        }
    }
    assert!(named > 50, "the tables have been read: {named}");
}
