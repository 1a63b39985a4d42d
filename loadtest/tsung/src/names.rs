//! Texts with Tsung's marks (`%%_variable%%`), and the names of its variables.

use std::collections::{BTreeMap, BTreeSet};

use crate::notes::Notes;
use crate::options::Options;
use crate::xml::Tag;

/// The mark around a variable's name.
const MARK: &str = "%%";
/// A population's value that stands for a brace which opens nothing.
const BRACE: &str = "brace";
/// What every session has already under these names.
const TAKEN: [&str; 10] =
    ["n", "domain", "username", "jid", "partner", "seq", "now", "uuid", "answer", BRACE];

/// What a session's texts may use.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Variables that the script sets, by what Tsung calls them: what stands in braces.
    known: BTreeMap<String, String>,
    /// Some text has a brace that must not open a name.
    braces: bool,
    /// Variables, by Tsung's names, that have many values.
    lists: BTreeSet<String>,
    /// Variables that the session uses somewhere, by Tsung's names.
    mentioned: BTreeSet<String>,
}

impl Names {
    /// The names of a session, of which nothing is set yet.
    pub(crate) fn of(session: Tag<'_, '_>) -> Self {
        let mut mentioned = BTreeSet::new();
        for tag in session.descendants() {
            let marked = tag.attributes().flat_map(|text| text.split(MARK).skip(1).step_by(2));
            let compared = matches!(tag.name(), "if" | "while" | "until").then(|| tag.attribute("var"));
            mentioned.extend(marked.chain(compared.flatten()).map(|name| bare(name).to_owned()));
        }
        Self { mentioned, ..Self::default() }
    }

    /// Whether the session uses a variable.
    pub(crate) fn is_mentioned(&self, name: &str) -> bool {
        self.mentioned.contains(bare(name))
    }

    /// A variable that the script sets from here on, by our name.
    pub(crate) fn set(&mut self, name: &str) -> String {
        let ours = ours(name);
        self.known.insert(name.to_owned(), ours.clone());
        ours
    }

    /// A variable that is a table's column.
    pub(crate) fn set_column(&mut self, name: &str, table: &str, column: &str) {
        self.known.insert(name.to_owned(), format!("{table}.{column}"));
    }

    /// A variable that is something every session has.
    pub(crate) fn set_as(&mut self, name: &str, ours: &str) {
        self.known.insert(name.to_owned(), ours.to_owned());
    }

    /// A variable with many values.
    pub(crate) fn set_list(&mut self, name: &str) -> String {
        self.lists.insert(name.to_owned());
        self.set(name)
    }

    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.lists.contains(name)
    }

    /// What stands in braces for a variable, if the script sets it.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let name = bare(name);
        match name {
            "tsung_userid" => Some("n"),
            "xmpp_userid" => Some("username"),
            _ => self.known.get(name).map(String::as_str),
        }
    }

    /// The population's values that its texts need.
    pub(crate) fn values(&self) -> BTreeMap<String, String> {
        self.braces.then(|| (BRACE.to_owned(), "{".to_owned())).into_iter().collect()
    }

    /// A text as it stands, in which braces mean nothing.
    pub(crate) fn literal(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (at, part) in text.split('{').enumerate() {
            if at > 0 {
                let named = part.split_once('}').is_some_and(|(name, _)| is_name(name));
                self.braces |= named;
                out.push_str(if named { "{brace}" } else { "{" });
            }
            out.push_str(part);
        }
        out
    }

    /// A text with its marks replaced, if the request says `subst`.
    pub(crate) fn text(&mut self, text: &str, subst: bool, tag: Tag<'_, '_>, notes: &mut Notes) -> String {
        if !subst || !text.contains(MARK) {
            return self.literal(text);
        }
        let mut out = String::new();
        for (at, part) in text.split(MARK).enumerate() {
            if at % 2 == 0 {
                out.push_str(&self.literal(part));
            } else if let Some(ours) = self.find(part) {
                out.extend(["{", ours, "}"]);
            } else if part == "ts_user_server:get_unique_id" {
                out.push_str("{uuid}");
                notes.info(tag, "unique ids are UUIDs");
            } else if part.contains(':') {
                notes.error(tag, format!("the Erlang callback `{part}` cannot be converted"));
            } else {
                notes.error(tag, format!("the variable `{}` is set nowhere before", bare(part)));
            }
        }
        out
    }
}

/// The table and the columns of accounts, if a text is one of a table's columns.
pub(crate) fn column(names: &Names, text: &str) -> Option<(String, String)> {
    let inner = text.strip_prefix(MARK)?.strip_suffix(MARK)?;
    let (table, column) = names.find(inner)?.split_once('.')?;
    Some((table.to_owned(), column.to_owned()))
}

/// A table's columns, under the names of the variables that take them. A session that names more than those before
/// names the rest.
pub(crate) fn columns(options: &Options, table: &str, names: &[&str]) -> Vec<String> {
    let mut tables = options.tables.borrow_mut();
    let Some(table) = tables.get_mut(table) else { return Vec::new() };
    let known = table.columns.len();
    table.columns.extend(names.iter().skip(known).map(|name| plain(name)));
    table.columns.clone()
}

/// A name without the `_` that stands before it within marks.
fn bare(name: &str) -> &str {
    name.strip_prefix('_').unwrap_or(name)
}

/// A name of letters that braces take.
fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    name.chars().map(letter).collect()
}

/// A name that no session has already.
fn ours(name: &str) -> String {
    let name = plain(name);
    if TAKEN.contains(&name.as_str()) { format!("own-{name}") } else { name }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_another() {
        assert_eq!(ours("room"), "room");
        assert_eq!(ours("domain"), "own-domain");
        assert_eq!(ours("a b"), "a-b");
    }

    #[test]
    fn braces_that_would_open_a_name_are_values() {
        let mut names = Names::default();
        assert_eq!(names.literal("{\"a\": 1}"), "{\"a\": 1}");
        assert!(names.values().is_empty());
        assert_eq!(names.literal("{n} {"), "{brace}n} {");
        assert_eq!(names.values()[BRACE], "{");
    }
}
