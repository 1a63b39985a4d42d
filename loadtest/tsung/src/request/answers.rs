//! What is kept of answers, and what is done about what stands in them.

use std::time::Duration;

use regex::Regex;
use scenario::{Capture, Condition, Span, Step};

use super::Request;
use crate::session::{Session, rounds};
use crate::xml::Tag;

/// Characters that mean something in a regular expression.
const MEANING: &str = r".^$*+?()[]{}|\";

impl Session<'_> {
    /// Adds what a request's `<dyn_variable>` and `<match>` say to the step that has an answer.
    pub(super) fn look_at_answer(
        &mut self,
        tag: Tag<'_, '_>,
        request: Request<'_, '_>,
        steps: &mut Vec<Step>,
    ) {
        if !request.looks_at_answer || steps.is_empty() {
            return;
        }
        let answered = steps.iter_mut().rev().find_map(|step| match step {
            Step::Raw { keep, wait, xml, expect, .. } => {
                let waits = xml.trim_start().starts_with("<iq") || expect.is_some();
                waits.then_some((keep, wait))
            }
            _ => None,
        });
        let Some((keep, wait)) = answered else {
            let text = format!("what is looked for in the answer to `{}` is left out", request.kind);
            self.notes.warn(tag, text);
            for variable in tag.children().filter(|child| child.name() == "dyn_variable") {
                self.names.set_list(variable.attribute("name").unwrap_or_default());
            }
            return;
        };
        *wait = true;
        for variable in tag.children().filter(|child| child.name() == "dyn_variable") {
            if let Some(capture) = capture(variable, self.notes) {
                let name = self.names.set_list(variable.attribute("name").unwrap_or_default());
                keep.insert(name, capture);
            }
        }
        for it in tag.children().filter(|child| child.name() == "match") {
            self.look_for(it, steps);
        }
    }

    /// What is done if an answer matches, or does not.
    fn look_for(&mut self, tag: Tag<'_, '_>, steps: &mut Vec<Step>) {
        let pattern = tag.text();
        if pattern.contains("%%") || Regex::new(&pattern).is_err() {
            self.notes.error(tag, "this expression cannot be converted");
            return;
        }
        let no = tag.is("when", "nomatch");
        let test = Condition {
            of: "{answer}".to_owned(),
            matches: (!no).then(|| pattern.clone()),
            matches_not: no.then_some(pattern),
            ..Condition::default()
        };
        let done = match tag.attribute("do").unwrap_or("continue") {
            "abort" => Step::Quit {},
            "abort_test" => Step::Abort {},
            "restart" => {
                self.notes.warn(tag, "the session ends instead of beginning anew");
                Step::Quit {}
            }
            "loop" => {
                let sleep = Duration::from_secs_f64(tag.number("sleep_loop").unwrap_or(5.0).max(0.0));
                let again = Step::When {
                    test: test.clone(),
                    steps: vec![Step::Think(Span::Fixed(sleep))],
                    otherwise: Vec::new(),
                };
                let mut round = rounds(steps.drain(..).chain([again]).collect());
                round.times = Some(tag.whole("max_loop").unwrap_or(20));
                round.while_holds = Some(test);
                steps.push(Step::Repeat(round));
                return;
            }
            other => {
                if other != "continue" {
                    self.notes.info(tag, format!("`{other}` of an answer is left out"));
                }
                return;
            }
        };
        steps.push(Step::When { test, steps: vec![done], otherwise: Vec::new() });
    }

    /// A text that has to stand in what is waited for.
    pub(super) fn expected(&mut self, regexp: &str, tag: Tag<'_, '_>) -> Option<String> {
        let (text, is_whole) = longest_literal(regexp);
        if text.is_empty() {
            self.notes.error(tag, "this expression cannot be converted: there is no plain text in it");
            return None;
        }
        if !is_whole {
            self.notes.warn(tag, format!("what is waited for is any stanza with \"{text}\" in it"));
        }
        Some(self.names.literal(&text))
    }
}

fn capture(tag: Tag<'_, '_>, notes: &mut crate::notes::Notes) -> Option<Capture> {
    let name = tag.attribute("name").unwrap_or_default();
    let texts = (tag.attribute("re"), tag.attribute("regexp"), tag.attribute("xpath"));
    let capture = match texts {
        (Some(text), _, _) => Capture::Regex(text.to_owned()),
        // The dialect before Tsung 1.4 had its groups in `\(…\)`.
        (_, Some(text), _) => Capture::Regex(text.replace(r"\(", "(").replace(r"\)", ")")),
        (_, _, Some(text)) => {
            let whole = Capture::Path(text.to_owned());
            if whole.compile().is_ok() {
                return Some(whole);
            }
            let without = without_predicates(text);
            notes.warn(tag, format!("the XPath is taken as {without}: its conditions are not known here"));
            Capture::Path(without)
        }
        _ if tag
            .attribute("jsonpath")
            .or(tag.attribute("header"))
            .or(tag.attribute("pgsql_expr"))
            .is_some() =>
        {
            notes.error(tag, format!("the variable `{name}` is not of an XMPP answer"));
            return None;
        }
        // What Tsung looks for where nothing is said: a field of a form.
        _ => Capture::Regex(format!(r#"name=["']{}["'][^>]*value=["']([^"']*)["']"#, regex::escape(name))),
    };
    match capture.compile() {
        Ok(_) => Some(capture),
        Err(expected) => {
            notes.error(tag, format!("the variable `{name}` cannot be converted: expected {expected}"));
            None
        }
    }
}

fn without_predicates(path: &str) -> String {
    let mut depth = 0_u32;
    let mut out = String::new();
    for letter in path.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(letter),
            _ => {}
        }
    }
    out
}

/// The longest text that stands in everything an expression finds, and whether that is the whole expression.
fn longest_literal(regexp: &str) -> (String, bool) {
    // Of alternatives, none is certain; and what is in a group may be absent.
    if regexp.contains(['|', '(', '[']) {
        let outside: Vec<&str> = regexp.split(['(', '[']).take(1).collect();
        let (text, _) =
            if regexp.contains('|') { (String::new(), false) } else { longest_literal(outside[0]) };
        return (text, false);
    }
    let mut pieces = vec![String::new()];
    let mut letters = regexp.chars();
    let mut is_whole = true;
    while let Some(letter) = letters.next() {
        let last = pieces.len() - 1;
        match letter {
            '\\' => match letters.next() {
                Some(escaped) if !escaped.is_ascii_alphanumeric() => pieces[last].push(escaped),
                _ => {
                    is_whole = false;
                    pieces.push(String::new());
                }
            },
            _ if MEANING.contains(letter) => {
                // The letter before these may be absent.
                if matches!(letter, '*' | '?' | '{') {
                    pieces[last].pop();
                }
                is_whole = false;
                pieces.push(String::new());
            }
            _ => pieces[last].push(letter),
        }
    }
    (pieces.into_iter().max_by_key(String::len).unwrap_or_default(), is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_certain_text_of_an_expression() {
        for (regexp, text, is_whole) in [
            ("type='result'", "type='result'", true),
            (r"<iq .* type='result'", " type='result'", false),
            (r"a\.b", "a.b", true),
            (r"abc?", "ab", false),
            ("success|failure", "", false),
            ("<item jid='(.*)'", "<item jid='", false),
        ] {
            assert_eq!(longest_literal(regexp), (text.to_owned(), is_whole), "{regexp}");
        }
    }

    #[test]
    fn conditions_of_paths_go() {
        assert_eq!(without_predicates("//iq[@type='result']/query[a[b]]/@jid"), "//iq/query/@jid");
    }
}
