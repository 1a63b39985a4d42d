//! The shape of a file: every key, kind and bound that the schema knows, checked at once, and each number and time
//! that is written as a sum worked out. What comes out is what serde reads; all that is wrong comes out together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::expression::{evaluate, evaluate_times, is_expression, resolve};
use crate::problem::one_of;
use crate::source::{Place, Source};
use crate::span::{SPAN_FORM, TIME_FORM, parse_time};
use crate::{Scenario, Span};

/// The schema as it comes from the types, without the sums that may stand for numbers.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Scenario).to_value());

/// Checks a file's tree against the schema, and makes plain values of it.
pub(crate) fn check(
    tree: &Spanned<DeTable<'_>>,
    overrides: &BTreeMap<String, f64>,
    source: &mut Source<'_>,
) -> Value {
    let parameters = parameters(tree.get_ref(), overrides, source);
    let mut shaper = Shaper { source, parameters };
    let mut value = shaper.table(&SCHEMA, &Place::default(), tree.get_ref(), tree.span().start);
    if let Value::Object(keys) = &mut value {
        keys.insert("parameters".to_owned(), json!(shaper.parameters));
    }
    value
}

/// What the file's parameters come to.
fn parameters(
    tree: &DeTable<'_>,
    overrides: &BTreeMap<String, f64>,
    source: &mut Source<'_>,
) -> BTreeMap<String, f64> {
    let place = Place::default().key("parameters");
    let mut written = BTreeMap::new();
    let table = tree.get("parameters").and_then(|node| node.get_ref().as_table());
    for (name, node) in table.into_iter().flatten() {
        let here = place.key(name.get_ref());
        source.remember(&here, name.span().start);
        if !name.get_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            source.refuse(
                &here,
                format!("`{}`", name.get_ref()),
                "a name of letters, digits and _".to_owned(),
            );
        }
        written.insert(
            name.get_ref().to_string(),
            number_text(node.get_ref()).unwrap_or_else(|| "0".to_owned()),
        );
    }
    for name in overrides.keys().filter(|name| !written.contains_key(*name)) {
        let known = one_of(name, written.keys().map(String::as_str));
        source.refuse(&place, format!("a value for `{name}`"), format!("a parameter: {known}"));
    }
    resolve(&written, overrides).unwrap_or_else(|failed| {
        for (name, expected) in &failed {
            source.refuse(&place.key(name), format!("\"{}\"", written[name]), expected.clone());
        }
        // So that what uses them is not refused as well.
        written.keys().map(|name| (name.clone(), 1.0)).collect()
    })
}

/// A number, or the text in its place.
fn number_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        _ => plain_number(value).map(|number| number.to_string()),
    }
}

fn plain_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64)
        }
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

struct Shaper<'a, 's> {
    source: &'a mut Source<'s>,
    parameters: BTreeMap<String, f64>,
}

impl Shaper<'_, '_> {
    fn value(&mut self, schema: &Value, place: &Place, node: &Spanned<DeValue<'_>>) -> Value {
        let schema = definite(schema);
        let value = node.get_ref();
        if let Some(variants) = schema["oneOf"].as_array() {
            return self.choice(variants, place, node);
        }
        match (schema["format"].as_str(), kind(schema), value) {
            (Some("time" | "span"), ..) => self.time(schema, place, value),
            (_, "object", DeValue::Table(table)) => self.table(schema, place, table, node.span().start),
            (_, "array", DeValue::Array(items)) => {
                let items = items.iter().enumerate().map(|(at, item)| {
                    let here = place.item(at);
                    self.source.remember(&here, item.span().start);
                    self.value(&schema["items"], &here, item)
                });
                Value::Array(items.collect())
            }
            (_, "string", DeValue::String(text)) => self.text(schema, place, text),
            (_, "boolean", DeValue::Boolean(answer)) => Value::Bool(*answer),
            (_, "number" | "integer", _) => self.number(schema, place, value),
            _ => self.refuse(place, value, wanted(schema)),
        }
    }

    /// A table with the keys of a struct, or with any keys.
    fn table(&mut self, schema: &Value, place: &Place, table: &DeTable<'_>, at: usize) -> Value {
        let mut out = Map::new();
        let properties = schema["properties"].as_object();
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            let here = place.key(name);
            self.source.remember(&here, key.span().start);
            let inner = properties
                .and_then(|known| known.get(name))
                .or_else(|| schema.get("additionalProperties").filter(|any| any.is_object()));
            if let Some(inner) = inner {
                out.insert(name.to_owned(), self.value(inner, &here, node));
            } else {
                let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                let absent = known.filter(|known| !table.iter().any(|(key, _)| key.get_ref() == known));
                self.source.refuse(&here, format!("the key `{name}`"), one_of(name, absent));
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !out.contains_key(name) {
                self.source.remember(place, at);
                self.source.refuse(&place.key(name), "nothing".to_owned(), Self::wanted_key(schema, name));
            }
        }
        Value::Object(out)
    }

    /// One of an enum's variants: a text, or a table with one key.
    fn choice(&mut self, variants: &[Value], place: &Place, node: &Spanned<DeValue<'_>>) -> Value {
        let names = || variants.iter().flat_map(names_of);
        match node.get_ref() {
            DeValue::String(text)
                if variants
                    .iter()
                    .any(|it| it["type"] == "string" && names_of(it).contains(text.as_ref())) =>
            {
                Value::String(text.to_string())
            }
            DeValue::Table(table) if table.len() == 1 => {
                let (key, _) =
                    table.iter().next().map_or((None, None), |(key, node)| (Some(key), Some(node)));
                let name = key.map_or("", |key| key.get_ref());
                let variant =
                    variants.iter().find(|it| it["type"] == "object" && names_of(it).contains(name));
                match variant {
                    Some(variant) => self.table(variant, place, table, node.span().start),
                    None => self.refuse_name(place, name, names()),
                }
            }
            DeValue::Table(table) if table.len() > 1 => {
                let keys: Vec<_> = table.keys().map(|key| key.get_ref().as_ref()).collect();
                self.source.refuse(place, format!("the keys {}", keys.join(", ")), "one of them".to_owned());
                Value::Null
            }
            DeValue::String(text) => self.refuse_name(place, text, names()),
            other => {
                let all: BTreeSet<_> = names().collect();
                let all: Vec<_> = all.into_iter().collect();
                self.refuse(place, other, format!("one of {}", all.join(", ")))
            }
        }
    }

    fn number(&mut self, schema: &Value, place: &Place, value: &DeValue<'_>) -> Value {
        let number = match value {
            DeValue::String(text) if is_expression(text) => match evaluate(text, &self.parameters) {
                Ok(number) => Some(number),
                Err(expected) => return self.refuse(place, value, expected),
            },
            _ => plain_number(value),
        };
        let bounded = number.filter(|number| within(schema, *number));
        match bounded {
            Some(number) if kind(schema) == "integer" && number.fract() == 0.0 => {
                if number < 0.0 {
                    json!(number as i64)
                } else {
                    json!(number as u64)
                }
            }
            Some(number) if kind(schema) == "number" => json!(number),
            _ => {
                let found = number.map_or_else(|| describe(value), |number| format!("{number}"));
                self.source.refuse(place, found, wanted(schema));
                Value::Null
            }
        }
    }

    fn time(&mut self, schema: &Value, place: &Place, value: &DeValue<'_>) -> Value {
        let text = match value {
            DeValue::String(text) => evaluate_times(text, &self.parameters),
            _ => plain_number(value).map(|seconds| format!("{seconds}s")).ok_or_else(|| wanted(schema)),
        };
        let read = text.and_then(|text| match schema["format"].as_str() {
            Some("span") => text.parse::<Span>().map(|_| text),
            _ => parse_time(&text).map(|_| text),
        });
        match read {
            Ok(text) => Value::String(text),
            Err(expected) => self.refuse(place, value, expected),
        }
    }

    fn text(&mut self, schema: &Value, place: &Place, text: &str) -> Value {
        let length = text.chars().count() as u64;
        if schema["maxLength"].as_u64().is_some_and(|most| length != most) {
            return self.refuse(place, &DeValue::String(text.into()), "one character".to_owned());
        }
        Value::String(text.to_owned())
    }

    fn wanted_key(schema: &Value, name: &str) -> String {
        let inner = definite(&schema["properties"][name]);
        let about = schema["properties"][name]["description"].as_str().unwrap_or_default();
        let about = about.split(['\n', '.']).next().unwrap_or_default();
        let wanted = if inner["oneOf"].is_array() { "a choice".to_owned() } else { wanted(inner) };
        if about.is_empty() { wanted } else { format!("{wanted} ({about})") }
    }

    fn refuse_name<'n>(&mut self, place: &Place, name: &str, known: impl Iterator<Item = &'n str>) -> Value {
        self.source.refuse(place, format!("`{name}`"), one_of(name, known));
        Value::Null
    }

    fn refuse(&mut self, place: &Place, value: &DeValue<'_>, expected: String) -> Value {
        self.source.refuse(place, describe(value), expected);
        Value::Null
    }
}

/// The schema behind a reference, or beside a `null`.
fn definite(schema: &Value) -> &Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return definite(&SCHEMA["$defs"][name]);
    }
    let some = schema["anyOf"].as_array().and_then(|any| any.iter().find(|it| it["type"] != "null"));
    some.map_or(schema, definite)
}

/// A schema's type, which is not `null`.
fn kind(schema: &Value) -> &str {
    let kinds = schema["type"].as_array().and_then(|kinds| kinds.iter().find(|kind| *kind != "null"));
    kinds.unwrap_or(&schema["type"]).as_str().unwrap_or_default()
}

/// The names by which a variant goes.
fn names_of(variant: &Value) -> BTreeSet<&str> {
    let texts = variant["enum"].as_array().into_iter().flatten().chain(variant.get("const"));
    let keys = variant["properties"].as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    texts.filter_map(Value::as_str).chain(keys).collect()
}

fn within(schema: &Value, number: f64) -> bool {
    let bound = |name: &str| schema[name].as_f64();
    let most = match schema["format"].as_str() {
        Some("uint8") => 255.0,
        Some("int8") => 127.0,
        Some("uint32") => f64::from(u32::MAX),
        // Beyond this, a sum would not be exact.
        _ if kind(schema) == "integer" => 9_007_199_254_740_992.0,
        _ => f64::MAX,
    };
    number <= bound("maximum").unwrap_or(most) && number >= bound("minimum").unwrap_or(-most)
}

/// What a schema takes, in words.
fn wanted(schema: &Value) -> String {
    let text = match (schema["format"].as_str(), kind(schema)) {
        (Some("time"), _) => TIME_FORM,
        (Some("span"), _) => SPAN_FORM,
        (_, "object") => "a table",
        (_, "array") => "a list",
        (_, "string") => "a text in quotes",
        (_, "boolean") => "true or false",
        (Some("uint32" | "int8" | "uint8"), "integer") => {
            let (least, most) = (schema["minimum"].as_f64().unwrap_or(-128.0), schema["maximum"].as_f64());
            return match most {
                Some(most) => format!("a whole number from {least} to {most}"),
                None => format!("a whole number from {least} to {}", u32::MAX),
            };
        }
        (_, "integer") if schema["minimum"] == 0 => "a whole number, 0 or more",
        (_, "integer") => "a whole number",
        _ => "a number",
    };
    text.to_owned()
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(answer) => answer.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
