//! Texts of a scenario, compiled once: what is known before the run stands in them, the rest is written by each session.

use std::collections::BTreeMap;

/// A text with gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template {
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(Box<str>),
    Number,
    Username,
    Jid,
    Partner,
    Seq,
    Now,
    Uuid,
    Column { file: u16, column: u16 },
    Variable(u16),
}

/// What fills the gaps.
pub(crate) trait Values {
    fn number(&self) -> u64;
    fn username(&self) -> &str;
    fn jid(&self) -> &str;
    fn partner(&mut self) -> String;
    /// Counts up with each use.
    fn seq(&mut self) -> u64;
    /// As XEP-0082 writes it.
    fn now(&self) -> String;
    fn random(&mut self) -> u128;
    fn column(&self, file: u16, column: u16) -> &str;
    fn variable(&self, number: u16) -> &str;
}

/// The names that a template may use, beside those that every session has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Texts that are known before the run, which may have gaps themselves: the domain, parameters, a population's values.
    pub constants: BTreeMap<String, String>,
    /// The columns of each table, as `table.column`.
    pub columns: BTreeMap<String, (u16, u16)>,
    /// The variables of a session.
    pub variables: Vec<String>,
}

/// Values that stand in values, and so on, so deep at most.
const DEPTH_MAX: usize = 8;

impl Words {
    /// The number of a variable, which is new or known.
    pub(crate) fn variable(&mut self, name: &str) -> u16 {
        let at = self.variables.iter().position(|known| known == name).unwrap_or_else(|| {
            self.variables.push(name.to_owned());
            self.variables.len() - 1
        });
        at as u16
    }

    fn part(&self, name: &str) -> Option<Part> {
        // What a script sets goes before what it began with.
        if let Some(at) = self.variables.iter().position(|variable| variable == name) {
            return Some(Part::Variable(at as u16));
        }
        Some(match name {
            "n" => Part::Number,
            "username" => Part::Username,
            "jid" => Part::Jid,
            "partner" => Part::Partner,
            "seq" => Part::Seq,
            "now" => Part::Now,
            "uuid" => Part::Uuid,
            _ => {
                let &(file, column) = self.columns.get(name)?;
                Part::Column { file, column }
            }
        })
    }

    /// Adds the parts of a text; a name that nobody knows stays as it is written: payloads may well have braces.
    fn add_parts(&self, text: &str, depth: usize, parts: &mut Vec<Part>) {
        let literal = |text: &str, parts: &mut Vec<Part>| match parts.last_mut() {
            Some(Part::Literal(last)) => *last = format!("{last}{text}").into(),
            _ => parts.push(Part::Literal(text.into())),
        };
        for (piece, named) in pieces(text) {
            if !named {
                literal(piece, parts);
            } else if let Some(part) = self.part(piece) {
                parts.push(part);
            } else if let Some(value) = self.constants.get(piece).filter(|_| depth < DEPTH_MAX) {
                self.add_parts(value, depth + 1, parts);
            } else {
                literal(&format!("{{{piece}}}"), parts);
            }
        }
    }
}

impl Template {
    /// Compiles a text.
    pub(crate) fn new(text: &str, words: &Words) -> Self {
        let mut parts = Vec::new();
        words.add_parts(text, 0, &mut parts);
        Self { parts: parts.into() }
    }

    /// The text itself, if it has no gaps.
    pub(crate) fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn write(&self, values: &mut impl Values, out: &mut String) {
        use std::fmt::Write;
        for part in &self.parts {
            // Writing to a string does not fail.
            let _ = match part {
                Part::Literal(text) => out.write_str(text),
                Part::Number => write!(out, "{}", values.number()),
                Part::Username => out.write_str(values.username()),
                Part::Jid => out.write_str(values.jid()),
                Part::Partner => out.write_str(&values.partner()),
                Part::Seq => write!(out, "{}", values.seq()),
                Part::Now => out.write_str(&values.now()),
                Part::Uuid => write_uuid(values.random(), out),
                Part::Column { file, column } => out.write_str(values.column(*file, *column)),
                Part::Variable(number) => out.write_str(values.variable(*number)),
            };
        }
    }
}

/// The text in pieces: what stands there, and names in braces (`true`).
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(open) = rest[from..].find('{').map(|at| from + at) {
            if let Some(name) =
                rest[open + 1..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name))
            {
                if open > 0 {
                    let piece = &rest[..open];
                    rest = &rest[open..];
                    return Some((piece, false));
                }
                rest = &rest[name.len() + 2..];
                return Some((name, true));
            }
            from = open + 1;
        }
        Some((std::mem::take(&mut rest), false))
    })
}

/// A version 4 UUID (RFC 9562 §5.4) from so many random bits.
fn write_uuid(random: u128, out: &mut String) -> std::fmt::Result {
    use std::fmt::Write;
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    write!(
        out,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        bits >> 80 & 0xffff,
        bits >> 64 & 0xffff,
        bits >> 48 & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alice {
        used: u64,
    }

    impl Values for Alice {
        fn number(&self) -> u64 {
            7
        }
        fn username(&self) -> &'static str {
            "user7"
        }
        fn jid(&self) -> &'static str {
            "user7@example.org/desk"
        }
        fn partner(&mut self) -> String {
            "user6@example.org".to_owned()
        }
        fn seq(&mut self) -> u64 {
            self.used += 1;
            self.used
        }
        fn now(&self) -> String {
            "2026-01-01T00:00:00Z".to_owned()
        }
        fn random(&mut self) -> u128 {
            u128::MAX
        }
        fn column(&self, file: u16, column: u16) -> &'static str {
            if (file, column) == (0, 1) { "red" } else { "" }
        }
        fn variable(&self, number: u16) -> &'static str {
            if number == 0 { "k" } else { "" }
        }
    }

    fn words() -> Words {
        Words {
            constants: BTreeMap::from([
                ("domain".to_owned(), "example.org".to_owned()),
                ("room".to_owned(), "room{n}@{domain}".to_owned()),
                ("endless".to_owned(), "{endless}".to_owned()),
            ]),
            columns: BTreeMap::from([("things.colour".to_owned(), (0, 1))]),
            variables: vec!["sid".to_owned()],
        }
    }

    fn written(text: &str) -> String {
        let mut out = String::new();
        Template::new(text, &words()).write(&mut Alice { used: 0 }, &mut out);
        out
    }

    #[test]
    fn gaps_are_filled() {
        assert_eq!(written("room{n}@{domain}"), "room7@example.org");
        assert_eq!(written("{seq} {seq} {partner} {jid}"), "1 2 user6@example.org user7@example.org/desk");
        assert_eq!(written("{things.colour}/{sid}"), "red/k");
        assert_eq!(written("{uuid}"), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn braces_that_name_nothing_stay() {
        assert_eq!(written("{\"a\":{\"b\":1}} {nobody} {n"), "{\"a\":{\"b\":1}} {nobody} {n");
    }

    #[test]
    fn what_is_known_before_the_run_is_one_text() {
        assert_eq!(Template::new("a@{domain}/b", &words()).constant(), Some("a@example.org/b"));
        assert_eq!(Template::new("a{n}", &words()).constant(), None);
    }

    #[test]
    fn values_may_have_gaps_but_no_end_of_them() {
        assert_eq!(written("{room}"), "room7@example.org");
        assert_eq!(written("{endless}"), "{endless}");
    }
}
