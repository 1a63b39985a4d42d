//! `docs/scenarios.md`: its example is a scenario, and its reference is that of the types.
//! `UPDATE=1 cargo test -p scenario --test reference` writes the reference anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use scenario::{Scenario, expected};
use serde_json::Value;

const MARK: &str = "<!-- reference -->\n";
/// The tables, in the order of a file; each with its heading.
const TABLES: [(&str, &str); 22] = [
    ("The file", ""),
    ("`[target]`", "Target"),
    ("`[accounts]`", "Accounts"),
    ("`[data.NAME]`", "DataFile"),
    ("`[[phase]]`", "Phase"),
    ("`arrive`", "Arrive"),
    ("`[[population]]`", "Population"),
    ("`management`", "Management"),
    ("`on-loss`", "OnLoss"),
    ("Steps", "Step"),
    ("`repeat`", "Repeat"),
    ("`pace`", "Pace"),
    ("`each`", "Each"),
    ("`counter`", "Counter"),
    ("Partners", "Partner"),
    ("`to` of `set`", "Value"),
    ("Conditions", "Condition"),
    ("`keep`", "Capture"),
    ("`[[fault]]`", "Fault"),
    ("`do` of a `[[fault]]`", "FaultKind"),
    ("`[ledger]`", "LedgerRules"),
    ("`[[goal]]`", "Goal"),
];

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios.md")
}

#[test]
fn the_reference_is_that_of_the_types() {
    let text = fs::read_to_string(path()).expect("it is there");
    let (before, _) = text.split_once(MARK).expect("it has the mark");
    let anew = format!("{before}{MARK}{}", reference(&Scenario::schema()));
    if env::var_os("UPDATE").is_some() {
        fs::write(path(), &anew).expect("it can be written");
    }
    let now = fs::read_to_string(path()).expect("it is there");
    assert!(now == anew, "it is stale: UPDATE=1 cargo test -p scenario --test reference");
}

#[test]
fn the_example_is_a_scenario() {
    let text = fs::read_to_string(path()).expect("it is there");
    let example =
        text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let scenario = Scenario::parse(example, "docs/scenarios.md", &BTreeMap::new());
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems:?}"));
    let steady = expected(&scenario).pop().expect("two phases");
    assert!((190.0..=200.0).contains(&steady.sessions), "{steady:?}");
}

fn reference(schema: &Value) -> String {
    let mut out = String::new();
    for (heading, name) in TABLES {
        let of = if name.is_empty() { schema } else { &schema["$defs"][name] };
        let _ = writeln!(out, "\n### {heading}\n{}\n", sentence(of, true));
        let _ = match of["oneOf"].as_array() {
            Some(variants) => variants_table(variants, &mut out),
            None => keys_table(of, &mut out),
        };
    }
    out
}

/// A struct: one line for each key.
fn keys_table(of: &Value, out: &mut String) -> std::fmt::Result {
    writeln!(out, "| key | value | |\n|---|---|---|")?;
    let keys = of["properties"].as_object().into_iter().flatten();
    for (key, about) in keys {
        writeln!(out, "| `{key}` | {} | {} |", value(of, key), sentence(about, false))?;
    }
    Ok(())
}

/// An enum: one line for each variant.
fn variants_table(variants: &[Value], out: &mut String) -> std::fmt::Result {
    writeln!(out, "| | value | |\n|---|---|---|")?;
    for variant in variants {
        let about = sentence(variant, false);
        if let Some(name) = variant["const"].as_str() {
            writeln!(out, "| `\"{name}\"` | | {about} |")?;
        }
        for (key, inner) in variant["properties"].as_object().into_iter().flatten() {
            let keys: Vec<String> = inner["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, about)| format!("`{key}`: {}, {}", value(inner, key), sentence(about, false)))
                .collect();
            let keys = if keys.is_empty() { value(variant, key) } else { keys.join("<br>") };
            writeln!(out, "| `{key}` | {keys} | {about} |")?;
        }
    }
    Ok(())
}

/// What a key takes, and what is so without it.
fn value(of: &Value, key: &str) -> String {
    let about = &of["properties"][key];
    let is_needed = of["required"].as_array().is_some_and(|keys| keys.iter().any(|it| it == key));
    let default = match &about["default"] {
        Value::Null if is_needed => String::new(),
        Value::Null | Value::Object(_) | Value::Array(_) => " (optional)".to_owned(),
        default => format!(" (`{default}`)"),
    };
    format!("{}{default}", kind(about))
}

fn kind(about: &Value) -> String {
    let some = about["anyOf"].as_array().and_then(|any| any.iter().find(|it| it["type"] != "null"));
    let about = some.unwrap_or(about);
    if let Some(name) = about["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return match name {
            "Time" => "time".to_owned(),
            "Span" => "time, may be by chance".to_owned(),
            "Transport" => {
                "`tcp`, `starttls`, `tls`, `websocket`, `websocket-tls`, `bosh`, `bosh-tls`".to_owned()
            }
            "Mechanism" => "`PLAIN`, `SCRAM-SHA-1`, `SCRAM-SHA-256`, `SCRAM-SHA-512`, `ANONYMOUS`".to_owned(),
            "Step" => "step".to_owned(),
            name => {
                let heading = TABLES.iter().find(|(_, of)| *of == name).map_or(name, |(heading, _)| heading);
                format!("see {heading}")
            }
        };
    }
    let kinds: Vec<&str> = match &about["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    match kinds.iter().find(|kind| **kind != "null").copied() {
        Some("integer") => "whole number".to_owned(),
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => format!("list: {}", kind(&about["items"])),
        Some("object") if about["additionalProperties"].is_object() => {
            format!("table: {}", kind(&about["additionalProperties"]))
        }
        Some("object") => "`{}`".to_owned(),
        Some(other) => other.to_owned(),
        None => "see below".to_owned(),
    }
}

/// A description, as a sentence or within one.
fn sentence(about: &Value, is_whole: bool) -> String {
    let text = about["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
    if is_whole { text } else { text.trim_end_matches('.').to_owned() }
}
