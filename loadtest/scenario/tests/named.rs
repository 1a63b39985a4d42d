//! The scenarios that are shipped: each is read, at its own size and at that of a cluster, and can be explained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use scenario::{Scenario, expected, explain};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn files() -> Vec<PathBuf> {
    let all = fs::read_dir(folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = all.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    assert!(files.len() >= 15, "the named set is there");
    files
}

fn read(path: &Path, scale: f64) -> Scenario {
    let overrides = BTreeMap::from([("scale".to_owned(), scale)]);
    Scenario::read(path, &overrides).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

#[test]
fn each_is_read_at_every_size() {
    for path in files() {
        let small = read(&path, 1.0);
        assert_eq!(Some(small.name.as_str()), path.file_stem().and_then(|name| name.to_str()));
        let large = read(&path, 20.0);
        assert!(large.accounts.count > 9 * small.accounts.count, "{} grows with its scale", small.name);
    }
}

#[test]
fn each_says_on_top_what_it_measures_and_in_the_table_that_it_is_there() {
    let table = fs::read_to_string(folder().join("README.md")).unwrap();
    for path in files() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("# "), "{name}");
        assert!(table.contains(&format!("`{name}`")), "{name} is not in the table");
    }
}

#[test]
fn each_fits_two_cores_and_has_everybody_logged_in() {
    for path in files() {
        let scenario = read(&path, 1.0);
        let loads = expected(&scenario);
        let most = loads.iter().map(|load| load.messages_per_second).fold(0.0, f64::max);
        let sessions = loads.iter().map(|load| load.sessions).fold(0.0, f64::max);
        assert!(most <= 2_000.0, "{}: {most} messages a second", scenario.name);
        assert!((1.0..=2_000.0).contains(&sessions), "{}: {sessions} sessions", scenario.name);
        assert!(scenario.lasts().as_secs() <= 150, "{}", scenario.name);
    }
}

#[test]
fn what_p2p_asks_for_is_what_its_parameters_say() {
    let scenario = read(&folder().join("p2p.toml"), 2.0);
    let steady = expected(&scenario).pop().unwrap();
    assert_eq!(steady.phase, "steady");
    assert!((steady.messages_per_second - 2_000.0).abs() < 1.0, "{steady:?}");
    assert!((steady.sessions - 1_000.0).abs() < 1.0, "{steady:?}");
}

#[test]
fn an_explanation_names_who_does_what_and_what_decides() {
    let words = explain(&read(&folder().join("reconnect-all.toml"), 1.0));
    for part in [
        "every session loses its connection at once",
        "stream management with resumption",
        "200 a second over all sessions",
        "no message is lost, doubled or reordered",
        "p99 of resume below 5s in storm",
    ] {
        assert!(words.contains(part), "{part:?} is not in\n{words}");
    }
}

/// A worker gets what the controller has read.
#[test]
fn a_scenario_survives_its_way_to_a_worker() {
    for path in files() {
        let scenario = read(&path, 1.0);
        let sent = serde_json::to_vec(&scenario).unwrap();
        assert_eq!(serde_json::from_slice::<Scenario>(&sent).unwrap(), scenario);
    }
}
