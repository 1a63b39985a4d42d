//! Numbers of a file that are worked out from its parameters: `$users * 2`, `($rate + 1) / $users`.

use std::collections::BTreeMap;

use crate::problem::one_of;

/// Parentheses within parentheses.
const DEPTH_MAX: usize = 32;

/// Whether a text in the place of a number is meant to be worked out.
pub(crate) fn is_expression(text: &str) -> bool {
    text.contains('$')
}

/// Works out a sum. The error says what was expected.
pub(crate) fn evaluate(text: &str, parameters: &BTreeMap<String, f64>) -> Result<f64, String> {
    let mut reader = Reader { rest: text, parameters, depth: 0 };
    let value = reader.sum()?;
    match reader.peek() {
        Some(odd) => Err(format!("the end, or one of + - * / before `{odd}`")),
        None if value.is_finite() => Ok(value),
        None => Err("a finite number: nothing is divided by zero".to_owned()),
    }
}

/// Works out the sums in a time or a span: `$think` (in seconds), `$think ms`, `~$think s`, `$least s..$most s`.
pub(crate) fn evaluate_times(text: &str, parameters: &BTreeMap<String, f64>) -> Result<String, String> {
    let (mark, times) = text.trim().strip_prefix('~').map_or(("", text), |rest| ("~", rest));
    let times = times.split("..").map(|time| {
        if !is_expression(time) {
            return Ok(time.to_owned());
        }
        let (sum, unit) = match time.trim_end().rsplit_once(char::is_whitespace) {
            Some((sum, unit)) if unit.bytes().all(|b| b.is_ascii_lowercase()) => (sum, unit),
            _ => (time, "s"),
        };
        Ok(format!("{}{unit}", evaluate(sum, parameters)?))
    });
    Ok(format!("{mark}{}", times.collect::<Result<Vec<_>, String>>()?.join("..")))
}

/// The parameters with their values: those of the file, which may be worked out from each other, unless overridden.
pub(crate) fn resolve(
    written: &BTreeMap<String, String>,
    overrides: &BTreeMap<String, f64>,
) -> Result<BTreeMap<String, f64>, BTreeMap<String, String>> {
    let mut known: BTreeMap<String, f64> = overrides
        .iter()
        .filter(|(name, _)| written.contains_key(*name))
        .map(|(n, v)| (n.clone(), *v))
        .collect();
    loop {
        let mut failed = BTreeMap::new();
        let before = known.len();
        for (name, text) in written.iter().filter(|(name, _)| !overrides.contains_key(*name)) {
            match evaluate(text, &known) {
                Ok(value) => _ = known.insert(name.clone(), value),
                Err(expected) => _ = failed.insert(name.clone(), expected),
            }
        }
        if failed.is_empty() {
            return Ok(known);
        }
        if known.len() == before {
            return Err(failed);
        }
    }
}

/// Reads from the left; one method for each level of precedence.
struct Reader<'a> {
    rest: &'a str,
    parameters: &'a BTreeMap<String, f64>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            match self.peek() {
                Some('+') => value += self.after_sign(Self::product)?,
                Some('-') => value -= self.after_sign(Self::product)?,
                _ => return Ok(value),
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.factor()?;
        loop {
            match self.peek() {
                Some('*') => value *= self.after_sign(Self::factor)?,
                Some('/') => value /= self.after_sign(Self::factor)?,
                _ => return Ok(value),
            }
        }
    }

    fn factor(&mut self) -> Result<f64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("at most {DEPTH_MAX} parentheses within each other"));
        }
        let value = match self.peek() {
            Some('-') => -self.after_sign(Self::factor)?,
            Some('(') => {
                let value = self.after_sign(Self::sum)?;
                if self.peek() != Some(')') {
                    return Err("`)`".to_owned());
                }
                self.rest = &self.rest[1..];
                value
            }
            Some('$') => self.parameter()?,
            _ => self.number()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn parameter(&mut self) -> Result<f64, String> {
        self.rest = &self.rest[1..];
        let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
        self.parameters.get(name).copied().ok_or_else(|| {
            let known = one_of(name, self.parameters.keys().map(String::as_str));
            format!("a parameter instead of `${name}`: {known}")
        })
    }

    fn number(&mut self) -> Result<f64, String> {
        let digits = self.take(|c| c.is_ascii_digit() || matches!(c, '.' | '_'));
        digits.replace('_', "").parse().map_err(|_| "a number, a $parameter or ( … )".to_owned())
    }

    /// What stands behind the sign that comes next.
    fn after_sign(&mut self, read: fn(&mut Self) -> Result<f64, String>) -> Result<f64, String> {
        self.rest = &self.rest[1..];
        read(self)
    }

    /// The next character that is not blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> BTreeMap<String, f64> {
        BTreeMap::from([("users".to_owned(), 100.0), ("rate".to_owned(), 20.0)])
    }

    #[test]
    fn sums_are_worked_out_as_at_school() {
        for (text, value) in [
            ("$users", 100.0),
            ("$users * 2", 200.0),
            ("$rate / $users", 0.2),
            ("2 + 3 * $rate - 1", 61.0),
            ("(2 + 3) * -$rate", -100.0),
            ("10 - 2 - 3", 5.0),
            ("1_000 / 10 / 10", 10.0),
        ] {
            assert_eq!(evaluate(text, &parameters()), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_sum_says_why() {
        for (text, expected) in [
            ("$user", "a parameter instead of `$user`: perhaps `users`"),
            ("$users 2", "the end, or one of + - * / before `2`"),
            ("($users", "`)`"),
            ("$users *", "a number, a $parameter or ( … )"),
            ("1 / 0", "a finite number: nothing is divided by zero"),
        ] {
            assert_eq!(evaluate(text, &parameters()), Err(expected.to_owned()), "{text}");
        }
        assert!(evaluate(&"(".repeat(100_000), &parameters()).is_err());
    }

    #[test]
    fn parameters_may_come_from_each_other() {
        let written = [("a", "$b * 2"), ("b", "$c + 1"), ("c", "3")];
        let written = written.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let overridden = BTreeMap::from([("c".to_owned(), 4.0)]);
        assert_eq!(resolve(&written, &BTreeMap::new()).unwrap().get("a"), Some(&8.0));
        assert_eq!(resolve(&written, &overridden).unwrap().get("a"), Some(&10.0));

        let circle = BTreeMap::from([("a".to_owned(), "$a".to_owned())]);
        assert!(resolve(&circle, &BTreeMap::new()).unwrap_err().contains_key("a"));
    }

    #[test]
    fn times_are_worked_out_in_their_unit() {
        for (text, time) in [
            ("$users", "100s"),
            ("$users * 2 ms", "200ms"),
            ("~$rate / 2 m", "~10m"),
            ("1s..$rate s", "1s..20s"),
            ("3s", "3s"),
        ] {
            assert_eq!(evaluate_times(text, &parameters()), Ok(time.to_owned()), "{text}");
        }
        assert!(evaluate_times("$users + ", &parameters()).is_err());
    }
}
