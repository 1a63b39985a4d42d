//! What people read: a commented file, the file in effect, and the reference in Markdown.

use std::fmt::Write as _;

use super::{Kind, Opt, Origin, Settings};

/// Columns of a comment at most.
const WIDTH: usize = 100;

impl Settings {
    /// A file of every option with its default, commented out, and what it is for.
    pub fn default_file(&self) -> String {
        let mut out = String::from(
            "# Every option with its default. What begins with `#` is as if it were not there.\n",
        );
        for section in self.sections {
            out += "\n";
            comment(&mut out, section.doc);
            let _ = writeln!(out, "[{}]", section.name);
            for option in section.options {
                out += "\n";
                comment(&mut out, &sentence(option));
                let _ = writeln!(out, "#{} = {}", option.name, example(option));
            }
        }
        out
    }

    /// A file of every option that is set with its value, and where it comes from unless it is the default.
    pub fn effective_file(&self) -> String {
        let mut out = String::new();
        for section in self.sections {
            let _ = writeln!(out, "{}[{}]", if out.is_empty() { "" } else { "\n" }, section.name);
            for option in section.options {
                let key = format!("{}.{}", section.name, option.name);
                let Some(value) = self.value(&key) else { continue };
                let _ = match self.origin(&key) {
                    Origin::Default => writeln!(out, "{} = {value}", option.name),
                    origin => writeln!(out, "{} = {value} # {origin}", option.name),
                };
            }
        }
        out
    }

    /// The reference: a table a section.
    pub fn reference(&self) -> String {
        let mut out = String::new();
        for section in self.sections {
            let _ = writeln!(out, "\n## [{}]\n{}\n", section.name, section.doc);
            table(&mut out, section.options);
            for option in section.options {
                if let Kind::Tables(fields) = &option.kind {
                    let _ = writeln!(out, "\n### [[{}.{}]]\n{}\n", section.name, option.name, option.doc);
                    table(&mut out, fields);
                }
            }
        }
        out
    }
}

fn table(out: &mut String, options: &[Opt]) {
    *out += "| key | default | expected | meaning |\n|---|---|---|---|\n";
    for option in options {
        let default = option.kind.default().map_or_else(|| "unset".into(), |value| format!("`{value}`"));
        let expected = option.kind.expected().replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | {default} | {expected} | {} |", option.name, option.doc);
    }
}

/// What stands behind the key in a commented file.
fn example(option: &Opt) -> String {
    match &option.kind {
        Kind::Tables(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{} = {}", field.name, example(field))).collect();
            format!("[{{ {} }}]", fields.join(", "))
        }
        kind => kind.default().map_or_else(|| "\"\"".into(), |value| value.to_string()),
    }
}

fn sentence(option: &Opt) -> String {
    format!("{} Expects {}.", option.doc, option.kind.expected())
}

fn comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            *out += &line;
            *out += "\n";
            line.truncate(1);
        }
        line += " ";
        line += word;
    }
    *out += &line;
    *out += "\n";
}
