//! What stands between requests: think times, transactions, loops, conditions, variables.

use scenario::{Condition, Counter, Each, Repeat, Span, Step, Value};

use crate::names::columns;
use crate::options::span;
use crate::session::{Session, State, rounds};
use crate::xml::Tag;

/// The barrier of `ack="global"` and of `wait_global`.
pub(crate) const MEETING: &str = "global";

impl Session<'_> {
    /// Adds the steps of an element.
    pub(crate) fn element(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        match tag.name() {
            "request" => self.request(tag, out),
            "thinktime" => self.think(tag, out),
            "transaction" => self.transaction(tag, out),
            "setdynvars" => self.variables(tag, out),
            "for" => self.count(tag, out),
            "repeat" => self.repeat(tag, out),
            "foreach" => self.each(tag, out),
            "if" => self.when(tag, out),
            "abort" => out.push(if tag.is("type", "all") { Step::Abort {} } else { Step::Quit {} }),
            // Their <repeat> has read them.
            "while" | "until" => {}
            "set_option" => {
                let name = tag.attribute("name").unwrap_or_default();
                self.notes.warn(tag, format!("the option `{name}` of a session is left out"));
            }
            "interaction" => {
                self.notes.warn(tag, "an <interaction> is left out: deliveries are measured anyway");
            }
            "change_type" => self.notes.error(tag, "a change to another protocol cannot be converted"),
            other => self.notes.error(tag, format!("<{other}> is not known in a session")),
        }
    }

    fn think(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let options = self.options.think;
        let value = tag.attribute("value").map(str::trim);
        let random = tag.attribute("random").map_or(options.random, |random| random == "true");
        let span = match value {
            Some("wait_global") => {
                out.push(self.meeting());
                return;
            }
            Some("wait_bidi") => {
                self.notes.warn(tag, "waiting for data from the server (`wait_bidi`) is left out");
                return;
            }
            Some(value) if value.contains("%%") => {
                self.notes.error(tag, "think times from variables cannot be converted");
                return;
            }
            _ if options.instead_of_all => options.span,
            _ => span(tag, random).unwrap_or(options.span),
        };
        match self.state {
            State::Offline => {
                let before = self.connect_after.map(Span::mean).unwrap_or_default();
                let sum = if before.is_zero() { span } else { Span::Fixed(before + span.mean()) };
                self.connect_after = Some(sum);
            }
            State::Connecting => {
                self.notes.info(tag, "think times between connecting and the login are left out");
            }
            State::Online | State::Closed => out.push(Step::Think(span)),
        }
    }

    /// All who are to meet, meet.
    pub(crate) fn meeting(&self) -> Step {
        Step::Barrier { name: MEETING.to_owned(), sessions: self.options.meeting }
    }

    fn transaction(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let steps = self.steps(tag);
        match steps.as_slice() {
            [] => {
                let text = "transactions of logins only are the measure `login`";
                self.notes.info(tag, text);
            }
            [Step::Quit {}] => out.extend(steps),
            // The name that Tsung's own reports have, which no measure of ours has.
            _ => {
                let name = format!("tr_{}", tag.attribute("name").unwrap_or("transaction"));
                out.push(Step::Measure { name, steps });
            }
        }
    }

    fn variables(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let names: Vec<&str> = tag.children().filter_map(|var| var.attribute("name")).collect();
        let number = |name: &str, default: f64| tag.number(name).unwrap_or(default);
        let value = match tag.attribute("sourcetype").unwrap_or("erlang") {
            "file" | "local_file" => return self.row(tag, &names, out),
            "random_string" | "urandom_string" => Value::Letters(tag.size("length").unwrap_or(20)),
            "random_number" => {
                Value::Number { from: number("start", 1.0) as i64, to: number("end", 10.0) as i64 }
            }
            "value" => {
                let text = tag.attribute("value").unwrap_or_default();
                Value::Text(self.names.text(text, true, tag, self.notes))
            }
            "erlang" | "eval" => {
                self.notes.error(tag, "variables from Erlang code cannot be converted");
                return;
            }
            other => {
                self.notes.error(tag, format!("variables from `{other}` cannot be converted"));
                return;
            }
        };
        for name in names {
            let name = self.names.set(name);
            out.push(Step::Set { name, to: value.clone() });
        }
    }

    /// Variables from the next row of a file.
    fn row(&mut self, tag: Tag<'_, '_>, names: &[&str], out: &mut Vec<Step>) {
        let table = tag.attribute("fileid").unwrap_or("default");
        let all = columns(self.options, table, names);
        if all.len() < names.len() {
            self.notes.error(tag, format!("no option `file_server` has the id `{table}`"));
            return;
        }
        if let Some(known) = self.options.tables.borrow_mut().get_mut(table) {
            known.delimiter = tag.attribute("delimiter").and_then(|text| text.chars().next()).unwrap_or(';');
            known.shuffled |= tag.is("order", "random");
        }
        for (name, column) in names.iter().zip(&all) {
            self.names.set_column(name, table, column);
        }
        out.push(Step::NextRow(table.to_owned()));
    }

    fn count(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let name = tag.attribute("var").unwrap_or("i");
        let whole = |name: &str| tag.number(name).map(|number| number as i64);
        let (Some(from), by) = (whole("from"), whole("incr").unwrap_or(1)) else {
            self.notes.error(tag, "loops that begin with a variable cannot be converted");
            return;
        };
        let ours = self.names.set(name);
        let counter = Counter { name: ours.clone(), from, by };
        let mut repeat = rounds(Vec::new());
        match whole("to") {
            Some(to) if by > 0 => {
                // Tsung counts at a round's end, and is done once it has reached the last number or passed it.
                repeat.times = Some(1 + u64::try_from((to - from + by - 1) / by).unwrap_or(0));
            }
            Some(_) => self.notes.error(tag, "loops that do not count up cannot be converted"),
            None => {
                let to = tag.attribute("to").unwrap_or_default();
                let below = Some(self.names.text(to, true, tag, self.notes));
                repeat.while_holds =
                    Some(Condition { of: format!("{{{ours}}}"), below, ..Condition::default() });
            }
        }
        repeat.steps = self.steps(tag);
        let counts = self.names.is_mentioned(name) || repeat.while_holds.is_some();
        repeat.counter = counts.then_some(counter);
        push_rounds(repeat, out);
    }

    fn repeat(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let name = tag.attribute("name").unwrap_or("repeat");
        let counter = Counter { name: self.names.set(name), from: 1, by: 1 };
        let steps = self.steps(tag);
        let last = tag.children().next_back().filter(|last| matches!(last.name(), "while" | "until"));
        let Some(last) = last else {
            self.notes.error(tag, "a <repeat> without <while> or <until> at its end");
            return;
        };
        let mut repeat = rounds(steps);
        // Tsung asks whether there were more rounds than that, after each.
        repeat.times = Some(tag.whole("max_repeat").unwrap_or(20) + 1);
        repeat.counter = self.names.is_mentioned(name).then_some(counter);
        repeat.while_holds = self.condition(last, last.name() == "until");
        push_rounds(repeat, out);
    }

    fn each(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let list = tag.attribute("in").unwrap_or_default();
        if !self.names.is_list(list) {
            self.notes.error(tag, format!("the variable `{list}` has no list: no <dyn_variable> sets it"));
            return;
        }
        let of = self.names.find(list).unwrap_or_default().to_owned();
        let name = self.names.set(tag.attribute("name").unwrap_or("each"));
        let mut steps = self.steps(tag);
        let filter = |include: &str, not: bool| Condition {
            of: format!("{{{name}}}"),
            matches: (!not).then(|| include.to_owned()),
            matches_not: not.then(|| include.to_owned()),
            ..Condition::default()
        };
        let test = match (tag.attribute("include"), tag.attribute("exclude")) {
            (Some(include), _) => Some(filter(include, false)),
            (None, Some(exclude)) => Some(filter(exclude, true)),
            (None, None) => None,
        };
        if let Some(test) = test {
            steps = vec![Step::When { test, steps, otherwise: Vec::new() }];
        }
        let mut repeat = rounds(steps);
        repeat.each = Some(Each { name, of });
        push_rounds(repeat, out);
    }

    fn when(&mut self, tag: Tag<'_, '_>, out: &mut Vec<Step>) {
        let test = self.condition(tag, false);
        let state = self.state;
        let steps = self.steps(tag);
        // Whether it is closed cannot be told.
        self.state = state;
        if let Some(test) = test
            && !steps.is_empty()
        {
            out.push(Step::When { test, steps, otherwise: Vec::new() });
        }
    }

    /// The condition of an `<if>`, `<while>` or <until>, or its contrary.
    fn condition(&mut self, tag: Tag<'_, '_>, contrary: bool) -> Option<Condition> {
        let var = tag.attribute("var").unwrap_or_default();
        let Some(name) = self.names.find(var) else {
            self.notes.error(tag, format!("the variable `{var}` is set nowhere before"));
            return None;
        };
        let of = format!("{{{name}}}");
        let how = ["eq", "neq", "gt", "gte", "lt", "lte"];
        let Some((how, text)) = how.into_iter().find_map(|how| Some((how, tag.attribute(how)?))) else {
            self.notes.error(tag, "a condition without eq, neq, gt, gte, lt or lte");
            return None;
        };
        let text = Some(self.names.text(text, true, tag, self.notes));
        let mut condition = Condition { of, ..Condition::default() };
        match (how, contrary) {
            ("eq", false) | ("neq", true) => condition.is = text,
            ("eq", true) | ("neq", false) => condition.is_not = text,
            ("gt", false) | ("lte", true) => condition.above = text,
            ("gte", false) | ("lt", true) => condition.at_least = text,
            ("lt", false) | ("gte", true) => condition.below = text,
            _ => condition.at_most = text,
        }
        Some(condition)
    }
}

fn push_rounds(repeat: Repeat, out: &mut Vec<Step>) {
    if !repeat.steps.is_empty() {
        out.push(Step::Repeat(repeat));
    }
}
