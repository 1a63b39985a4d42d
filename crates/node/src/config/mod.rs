//! Configuration: one TOML file of sections, an overlay from the environment, and defaults.
//!
//! An [`Opt`] declares an option once: its name, kind, default, unit and meaning. From these declarations a file is
//! checked, a commented file and a reference are printed, and [`Settings`] are made. A role takes its section out of
//! them as a type of its own ([`Settings::section`]); a value which that type refuses is told like any other mistake:
//! where it stands, which key it is, what was found, what is expected.
//!
//! `THRONG_SECTION_KEY` in the environment goes before the file: `THRONG_LOG_LEVEL=debug` is `level` of `[log]`.

mod kind;
mod print;
mod problem;
mod settings;

pub use kind::Kind;
pub use problem::{Origin, Problem};
pub use settings::Settings;

/// Begins the names of environment variables that overlay the file.
pub const ENV_PREFIX: &str = "THRONG_";

/// Not an option: where the configuration file is, for whoever reads the environment.
pub const ENV_FILE: &str = "THRONG_CONFIG";

/// A table of the file and the options in it.
#[derive(Debug)]
pub struct Section {
    /// Its name, without brackets.
    pub name: &'static str,
    /// What it is about, in a sentence.
    pub doc: &'static str,
    /// What may stand in it, in the order in which it is printed.
    pub options: &'static [Opt],
}

/// The declaration of an option.
#[derive(Debug)]
pub struct Opt {
    /// The key in its section, its unit last.
    pub name: &'static str,
    /// What may be given, and what holds if nothing is.
    pub kind: Kind,
    /// What it is for, in sentences.
    pub doc: &'static str,
}

impl Opt {
    /// `true` or `false`.
    pub const fn flag(name: &'static str, default: bool, doc: &'static str) -> Self {
        Self { name, kind: Kind::Flag(default), doc }
    }

    /// A whole number from `range.0` to `range.1`, both included.
    pub const fn number(
        name: &'static str,
        default: i64,
        range: (i64, i64),
        unit: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Number { default, min: range.0, max: range.1, unit }, doc }
    }

    /// A text that is `form`, for example `an address and a port`; an empty default leaves it unset.
    pub const fn text(
        name: &'static str,
        default: &'static str,
        form: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Text { default, form }, doc }
    }

    /// A list of texts, each of which is `form`.
    pub const fn texts(
        name: &'static str,
        default: &'static [&'static str],
        form: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Texts { default, form }, doc }
    }

    /// One of some words.
    pub const fn choice(
        name: &'static str,
        default: &'static str,
        words: &'static [&'static str],
        doc: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Choice { default, words }, doc }
    }

    /// Any number of tables, each with these keys; none by default.
    pub const fn tables(name: &'static str, fields: &'static [Opt], doc: &'static str) -> Self {
        Self { name, kind: Kind::Tables(fields), doc }
    }
}

#[cfg(test)]
mod tests;
