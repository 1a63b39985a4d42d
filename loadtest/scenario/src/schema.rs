//! The schema of scenario files, for editors.

use serde_json::{Value, json};

use crate::Scenario;

/// A number, a unit, and nothing else; or a sum.
const TIME: &str = r"^\s*[0-9.]+\s*(us|ms|s|m|h)\s*$|\$";
const SPAN: &str = r"^\s*(~\s*)?[0-9.]+\s*(us|ms|s|m|h)(\s*\.\.\s*[0-9.]+\s*(us|ms|s|m|h))?\s*$|\$";

impl Scenario {
    /// The JSON schema of scenario files, published as `loadtest/scenario.schema.json`. In the place of a number it
    /// takes a sum with parameters as well.
    pub fn schema() -> Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        widen(&mut schema);
        schema
    }
}

/// Lets sums stand where numbers and times stand.
fn widen(schema: &mut Value) {
    match schema {
        Value::Object(keys) => {
            match keys.get("format").and_then(Value::as_str) {
                Some("time") => _ = keys.insert("pattern".to_owned(), json!(TIME)),
                Some("span") => _ = keys.insert("pattern".to_owned(), json!(SPAN)),
                _ => {
                    if let Some(kinds) = widened(keys.get("type")) {
                        keys.insert("type".to_owned(), kinds);
                        keys.insert("pattern".to_owned(), json!(r"\$"));
                    }
                }
            }
            // What schemars notes of Rust's types means nothing to others.
            keys.retain(|key, value| key != "format" || !value.is_string());
            keys.values_mut().for_each(widen);
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}

fn widened(kinds: Option<&Value>) -> Option<Value> {
    let mut kinds = match kinds? {
        Value::Array(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let is_number = kinds.iter().any(|kind| kind == "number" || kind == "integer");
    is_number.then(|| {
        kinds.push(json!("string"));
        Value::Array(kinds)
    })
}
