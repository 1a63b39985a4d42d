//! Writes a scenario as people would: tables for what is large, one step a line, and nothing that is so anyway.

use std::fmt::Write;

use scenario::{LedgerRules, Scenario};
use serde_json::{Map, Value, json};

/// Keys of the top that are tables, or lists of tables.
const TABLES: [&str; 5] = ["target", "accounts", "ledger", "phase", "population"];
/// Wider steps are broken into lines.
const WIDTH_MAX: usize = 100;

/// The file.
pub(crate) fn write(scenario: &Scenario) -> String {
    let mut value = serde_json::to_value(scenario).unwrap_or_default();
    drop_defaults(&mut value);
    let mut out = String::new();
    let Value::Object(keys) = &value else { return out };
    let mut lines: Vec<_> =
        keys.iter().filter(|(key, _)| !TABLES.contains(&key.as_str()) && *key != "data").collect();
    lines.sort_by_key(|(key, _)| *key != "name");
    for (key, value) in lines {
        line(key, value, &mut out);
    }
    for name in ["target", "accounts", "ledger"] {
        if let Some(Value::Object(inner)) = keys.get(name) {
            table(&format!("[{name}]"), inner, &mut out);
        }
    }
    if let Some(Value::Object(tables)) = keys.get("data") {
        for (name, inner) in tables.iter().filter_map(|(name, inner)| Some((name, inner.as_object()?))) {
            table(&format!("[data.{}]", key_text(name)), inner, &mut out);
        }
    }
    for name in ["phase", "population"] {
        for inner in
            keys.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
        {
            table(&format!("[[{name}]]"), inner, &mut out);
        }
    }
    out
}

fn table(head: &str, keys: &Map<String, Value>, out: &mut String) {
    let _ = writeln!(out, "\n{head}");
    // Names first, scripts last.
    let order = |key: &str| match key {
        "name" => 0,
        "script" => 2,
        _ => 1,
    };
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|(key, _)| order(key));
    for (key, value) in keys {
        line(key, value, out);
    }
}

fn line(key: &str, value: &Value, out: &mut String) {
    let _ = match value {
        Value::Array(steps) if key == "script" => {
            let mut text = String::new();
            list(steps, 0, &mut text);
            writeln!(out, "script = {text}")
        }
        Value::Object(keys) if keys.len() == 1 => {
            let inner = keys.iter().map(|(inner, value)| (key_text(inner), inline(value)));
            let key = key_text(key);
            inner.into_iter().try_for_each(|(inner, value)| writeln!(out, "{key}.{inner} = {value}"))
        }
        _ => writeln!(out, "{} = {}", key_text(key), inline(value)),
    };
}

/// A list of steps, each on a line of its own.
fn list(steps: &[Value], depth: usize, out: &mut String) {
    if steps.is_empty() {
        out.push_str("[]");
        return;
    }
    out.push_str("[\n");
    for step in steps {
        let _ = write!(out, "{:1$}", "", (depth + 1) * 2);
        self::step(step, depth + 1, out);
        out.push_str(",\n");
    }
    let _ = write!(out, "{:1$}]", "", depth * 2);
}

/// A step; those with steps within are broken into lines.
fn step(step: &Value, depth: usize, out: &mut String) {
    let whole = inline(step);
    let inner = step.as_object().and_then(|keys| keys.iter().next());
    let Some((name, Value::Object(keys))) = inner.filter(|_| whole.len() > WIDTH_MAX) else {
        out.push_str(&whole);
        return;
    };
    let _ = write!(out, "{{ {name} = {{ ");
    let is_steps = |key: &str| matches!(key, "steps" | "otherwise");
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|(key, _)| (is_steps(key), *key != "steps"));
    for (at, (key, value)) in keys.into_iter().enumerate() {
        let _ = write!(out, "{}{key} = ", if at > 0 { ", " } else { "" });
        match value {
            Value::Array(steps) if is_steps(key) => list(steps, depth, out),
            _ => out.push_str(&inline(value)),
        }
    }
    out.push_str(" } }");
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(keys) if keys.is_empty() => "{}".to_owned(),
        Value::Object(keys) => {
            let keys: Vec<_> =
                keys.iter().map(|(key, value)| format!("{} = {}", key_text(key), inline(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    // Where nothing has to be escaped either way, a literal keeps XML readable.
    if text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(char::is_control) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        let _ = match letter {
            '"' => write!(out, "\\\""),
            '\\' => write!(out, "\\\\"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            _ if letter.is_control() => write!(out, "\\u{:04X}", letter as u32),
            _ => write!(out, "{letter}"),
        };
    }
    out.push('"');
    out
}

/// Takes away what is so if nothing is said.
fn drop_defaults(value: &mut Value) {
    let defaults = [
        ("weight", json!(1.0)),
        ("transport", json!("tcp")),
        ("sasl", json!("PLAIN")),
        ("register", json!(false)),
        ("roster", json!(false)),
        ("presence", json!(true)),
        ("carbons", json!(false)),
        ("receipts", json!(false)),
        ("receipt", json!(false)),
        ("next", json!(false)),
        ("wait", json!(true)),
        ("pace", json!("closed")),
        ("shuffled", json!(false)),
        ("delimiter", json!(",")),
        ("arrive", json!("nobody")),
    ];
    match value {
        Value::Object(keys) => {
            keys.retain(|key, value| !defaults.iter().any(|(name, default)| key == name && value == default));
            if keys.get("ledger").is_some_and(|rules| *rules == json!(LedgerRules::default())) {
                keys.remove("ledger");
            }
            keys.values_mut().for_each(drop_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_defaults),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|it| it.fract() == 0.0 && it.abs() < 1e15) {
                *value = json!(whole as i64);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The named scenarios have everything that a file may have.
    #[test]
    fn what_is_written_is_read_as_the_same() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
        assert!(files.len() >= 15);
        for file in files {
            let scenario = Scenario::read(&file, &BTreeMap::new()).unwrap();
            let written = write(&scenario);
            assert_eq!(Scenario::parse(&written, "written", &BTreeMap::new()), Ok(scenario), "{written}");
        }
    }

    #[test]
    fn texts_are_quoted_as_they_need() {
        assert_eq!(quoted("<a b='c'/>"), "\"<a b='c'/>\"");
        assert_eq!(quoted("say \"hi\""), "'say \"hi\"'");
        assert_eq!(quoted("it's \"\n"), "\"it's \\\"\\n\"");
    }
}
