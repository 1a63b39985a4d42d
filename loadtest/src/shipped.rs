//! Scenarios by name: those that are shipped within the binary, and files.

use std::collections::BTreeMap;
use std::path::Path;

use scenario::Scenario;

use crate::Refusal;
use crate::arguments::Chosen;

macro_rules! shipped {
    ($($name:literal)*) => {
        const SHIPPED: &[(&str, &str)] = &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}

shipped! {
    "chaos" "conn-tls" "drain-rolling" "kill-edge" "login-storm" "mam-page" "mixed-mobile" "muc" "muc-big" "p2p" "p2p-mam"
    "presence" "pubsub" "reconnect-all" "register" "s2s" "upload"
}

/// The text of a shipped scenario.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What is told whoever asks for a scenario that there is not.
pub(crate) fn unknown(name: &str) -> String {
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    format!("{name} is neither a file nor a shipped scenario; shipped are: {}", names.join(", "))
}

/// All shipped scenarios, a line each.
pub(crate) fn list() -> String {
    let line = |(name, text): &(&str, &str)| {
        let about = Scenario::parse(text, name, &BTreeMap::new()).map(|scenario| scenario.about);
        format!("{name:15} {}\n", about.unwrap_or_default())
    };
    SHIPPED.iter().map(line).collect()
}

/// Reads the scenario that was chosen, with its parameters set.
pub(crate) fn read(Chosen { name, set }: &Chosen) -> Result<Scenario, Refusal> {
    let overrides: BTreeMap<String, f64> = set.iter().cloned().collect();
    let path = Path::new(name);
    let read = match text(name) {
        Some(text) if !path.exists() => Scenario::parse(text, name, &overrides),
        None if !path.exists() => return Err(Refusal::wrong(unknown(name))),
        _ => Scenario::read(path, &overrides),
    };
    read.map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Refusal::wrong(lines.join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_is_one() {
        for (name, text) in SHIPPED {
            let scenario = Scenario::parse(text, name, &BTreeMap::new()).unwrap_or_else(|problems| {
                panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            });
            assert_eq!(scenario.name, *name, "it is called as its file");
        }
    }

    #[test]
    fn none_is_left_out() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).unwrap();
        let names = files.filter_map(|file| file.unwrap().path().file_stem()?.to_str().map(str::to_owned));
        let missing: Vec<String> = names.filter(|name| name != "README" && text(name).is_none()).collect();
        assert!(missing.is_empty(), "not shipped: {missing:?}");
    }
}
