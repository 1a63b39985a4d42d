//! Who logs in: accounts by number, their names, and which of them are free.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::arrivals::Part;
use crate::data::Tables;
use crate::text::{Template, Values, Words};

/// The names of all accounts, those of other workers as well.
#[derive(Debug)]
pub(crate) struct Names {
    pub first: u64,
    pub count: u64,
    pub domain: String,
    username: Template,
    password: Template,
    tables: Arc<Tables>,
    /// What stands around the number in a username, for the way back.
    around: Option<(String, String)>,
}

impl Names {
    pub(crate) fn new(
        accounts: &scenario::Accounts,
        domain: &str,
        words: &Words,
        tables: Arc<Tables>,
    ) -> Self {
        let around = accounts.username.split_once("{n}").map(|(prefix, suffix)| {
            let plain = |text: &str| Template::new(text, words).constant().map(str::to_owned);
            plain(prefix).zip(plain(suffix))
        });
        Self {
            first: accounts.first,
            count: accounts.count.max(1),
            domain: domain.to_owned(),
            username: Template::new(&accounts.username, words),
            password: Template::new(&accounts.password, words),
            tables,
            around: around.flatten(),
        }
    }

    pub(crate) fn username(&self, number: u64) -> String {
        self.written(&self.username, number)
    }

    pub(crate) fn password(&self, number: u64) -> String {
        self.written(&self.password, number)
    }

    pub(crate) fn bare(&self, number: u64) -> String {
        format!("{}@{}", self.username(number), self.domain)
    }

    /// The account of an address, with or without a resource.
    pub(crate) fn number(&self, jid: &str) -> Option<u64> {
        let bare = jid.split_once('/').map_or(jid, |(bare, _)| bare);
        let (username, domain) = bare.split_once('@')?;
        let (prefix, suffix) = self.around.as_ref()?;
        let digits = username.strip_prefix(&**prefix)?.strip_suffix(&**suffix)?;
        let number: u64 = digits.parse().ok()?;
        (domain == self.domain && (self.first..self.first + self.count).contains(&number)).then_some(number)
    }

    fn written(&self, template: &Template, number: u64) -> String {
        let row = number.saturating_sub(self.first) as usize;
        let mut out = String::new();
        template.write(&mut Nobody { number, row, tables: &self.tables }, &mut out);
        out
    }

    /// The account with which this one is a pair: 0 and 1, 2 and 3. The last of an odd number is the first one's.
    pub(crate) fn pair(&self, number: u64) -> u64 {
        let other = (number - self.first) ^ 1;
        self.first + if other < self.count { other } else { 0 }
    }

    /// The next account; after the last, the first.
    pub(crate) fn next(&self, number: u64) -> u64 {
        self.first + (number - self.first + 1) % self.count
    }
}

/// The accounts of this worker that nobody uses, in the order of their numbers, so that partners meet.
#[derive(Debug)]
pub(crate) struct Free {
    part: Part,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    fresh: std::ops::Range<u64>,
    first: u64,
    returned: VecDeque<u64>,
}

impl Free {
    pub(crate) fn new(names: &Names, part: Part) -> Self {
        let state = State { fresh: 0..names.count, first: names.first, returned: VecDeque::new() };
        Self { part, state: Mutex::new(state) }
    }

    /// An account for a session; `None` if all are in use.
    pub(crate) fn take(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let part = self.part;
        let first = state.first;
        let fresh = state.fresh.find(|&offset| part.has(offset)).map(|offset| first + offset);
        fresh.or_else(|| state.returned.pop_front())
    }

    pub(crate) fn give_back(&self, number: u64) {
        self.state.lock().returned.push_back(number);
    }
}

/// An account of which nothing else is known yet.
struct Nobody<'a> {
    number: u64,
    row: usize,
    tables: &'a Tables,
}

impl Values for Nobody<'_> {
    fn number(&self) -> u64 {
        self.number
    }
    fn username(&self) -> &'static str {
        ""
    }
    fn jid(&self) -> &'static str {
        ""
    }
    fn partner(&mut self) -> String {
        String::new()
    }
    fn seq(&mut self) -> u64 {
        self.number
    }
    fn now(&self) -> String {
        String::new()
    }
    fn random(&mut self) -> u128 {
        u128::from(self.number)
    }
    fn column(&self, file: u16, column: u16) -> &str {
        self.tables.value(file, column, self.row)
    }
    fn variable(&self, _: u16) -> &'static str {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: u64) -> Names {
        let accounts = scenario::Accounts {
            count,
            first: 10,
            username: "user{n}x".to_owned(),
            password: "secret{n}".to_owned(),
        };
        Names::new(&accounts, "example.org", &Words::default(), Arc::default())
    }

    #[test]
    fn names_go_both_ways() {
        let names = names(5);
        assert_eq!(names.bare(12), "user12x@example.org");
        assert_eq!(names.password(12), "secret12");
        assert_eq!(names.number("user12x@example.org/desk"), Some(12));
        for stranger in ["user12@example.org", "user15x@example.org", "user12x@example.com", "example.org"] {
            assert_eq!(names.number(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn partners_are_each_others_and_nobody_is_alone() {
        let names = names(5);
        assert_eq!((names.pair(10), names.pair(11)), (11, 10));
        assert_eq!(names.pair(14), 10, "the odd one writes to the first");
        assert_eq!(names.next(14), 10);
    }

    #[test]
    fn accounts_are_given_out_pair_by_pair_and_again_when_they_are_free() {
        let free = Free::new(&names(6), Part { index: 1, of: 2 });
        assert_eq!([free.take(), free.take(), free.take()], [Some(12), Some(13), None]);
        free.give_back(13);
        assert_eq!(free.take(), Some(13));
    }
}
