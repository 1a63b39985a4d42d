//! Items that other owners send here: which runs are over, what is in progress, and what the senders have to be told.
//!
//! An item whose acknowledgement may be lost comes again by another way. While its first copy is in progress the second
//! one joins it; what was refused is refused again; what was finished is known by the account's marks.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use node::{Outbox, carry};
use parking_lot::Mutex;
use proto::delivery as wire;
use proto::router::Frame;
use proto::router::frame::Kind;
use store::Uid;
use xmpp::jid::Jid;
use xmpp::stanza::{Condition, StanzaError};

use crate::router_link::RouterLink;

/// Refusals that are remembered in case their item comes again; the oldest is forgotten first.
const REFUSED_MAX: usize = 65_536;

/// What is open between this owner and those who send to it.
#[derive(Default)]
pub(crate) struct Receiving {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    outboxes: HashMap<RouterLink, Outbox<Frame>>,
    open: HashMap<(RouterLink, u64), Open, RandomState>,
    /// By the number that its account was given.
    progress: HashMap<u64, Progress, RandomState>,
    numbers: HashMap<Part, u64, RandomState>,
    last: u64,
    refused: HashMap<Part, StanzaError, RandomState>,
    refusals: VecDeque<Part>,
    /// The highest (epoch, run) heard of each (sending owner, slot).
    runs: HashMap<(String, u32), (u64, u64)>,
}

/// An item as far as it concerns one addressee.
type Part = (Uid, Jid);

/// A part that an account is at work on, and the item by which it came last.
struct Progress {
    part: Part,
    link: RouterLink,
    seq: u64,
}

/// An item whose addressees are not all finished.
#[derive(Default)]
struct Open {
    waits: u32,
    refused: Vec<wire::Refused>,
}

impl Receiving {
    pub(crate) fn connected(&self, link: RouterLink, outbox: Outbox<Frame>) {
        self.inner.lock().outboxes.insert(link, outbox);
    }

    pub(crate) fn lost(&self, link: RouterLink) {
        let mut inner = self.inner.lock();
        inner.outboxes.remove(&link);
        inner.open.retain(|(of, _), _| *of != link);
    }

    /// Takes an item: its addressees that have to be given it, each with the number to finish it by.
    pub(crate) fn take(&self, link: RouterLink, uid: Uid, item: &wire::Item) -> Vec<(u64, Jid)> {
        let mut inner = self.inner.lock();
        let (mut open, mut given, mut heard) = (Open::default(), Vec::new(), false);
        for target in item.to.iter().filter(|target| inner.is_present(item, target)).collect::<Vec<_>>() {
            inner.runs.insert((item.from_member.clone(), target.slot), (item.from_epoch, target.run));
            heard = true;
            for addressee in &target.addressees {
                let Ok(Some(to)) = carry::address(addressee) else {
                    open.refused.push(refusal(item.seq, addressee, &Condition::JidMalformed.into()));
                    continue;
                };
                let part = (uid, to);
                if let Some(error) = inner.refused.get(&part) {
                    open.refused.push(refusal(item.seq, addressee, error));
                    continue;
                }
                open.waits += 1;
                given.extend(inner.join(link, item.seq, part));
            }
        }
        if open.waits > 0 {
            inner.open.insert((link, item.seq), open);
        } else if heard {
            inner.tell(link, item.seq, open.refused);
        }
        given
    }

    /// An item that is none: its sender's error, told at once.
    pub(crate) fn refuse(&self, link: RouterLink, seq: u64, condition: Condition) {
        self.inner.lock().tell(link, seq, vec![refusal(seq, "", &condition.into())]);
    }

    /// Of an item whose slot is not this owner's: neither it nor anything behind it in its run is taken.
    pub(crate) fn pass_over(&self, item: &wire::Item, takes: impl Fn(u32) -> bool) {
        let mut inner = self.inner.lock();
        for target in item.to.iter().filter(|target| !takes(target.slot)) {
            if inner.is_present(item, target) {
                let next = (item.from_epoch, target.run + 1);
                inner.runs.insert((item.from_member.clone(), target.slot), next);
            }
        }
    }

    /// What was taken of an item belongs to another owner by now: its sender will send it there.
    pub(crate) fn drop_part(&self, number: u64) {
        let mut inner = self.inner.lock();
        let Some(Progress { part, link, seq }) = inner.progress.remove(&number) else { return };
        inner.numbers.remove(&part);
        inner.open.remove(&(link, seq));
    }

    /// A stanza of this owner's own client was refused.
    pub(crate) fn remember(&self, uid: Uid, to: Jid, error: StanzaError) {
        self.inner.lock().remember((uid, to), error);
    }

    /// Why a stanza was refused to this addressee, if it was; it may come again from an account that is this owner's by now.
    pub(crate) fn refused(&self, uid: Uid, to: &Jid) -> Option<StanzaError> {
        self.inner.lock().refused.get(&(uid, to.clone())).cloned()
    }

    /// What was refused to the accounts of slots. None: there was more of it than is remembered.
    pub(crate) fn refused_to(&self, slots: impl Fn(u16) -> bool) -> Option<HashMap<Jid, Vec<Uid>>> {
        let inner = self.inner.lock();
        let mut all: HashMap<Jid, Vec<Uid>> = HashMap::new();
        for (uid, to) in inner.refused.keys() {
            if slots(node::slots::of(to.bare_str(), "")) {
                all.entry(to.bare()).or_default().push(*uid);
            }
        }
        (inner.refusals.len() < REFUSED_MAX).then_some(all)
    }

    /// One addressee of an item is finished.
    pub(crate) fn finished(&self, number: u64, error: Option<StanzaError>) {
        let mut inner = self.inner.lock();
        let Some(Progress { part, link, seq }) = inner.progress.remove(&number) else { return };
        inner.numbers.remove(&part);
        if let Some(open) = inner.open.get_mut(&(link, seq)) {
            open.waits -= 1;
            open.refused.extend(error.as_ref().map(|error| refusal(seq, part.1.as_str(), error)));
            if open.waits == 0 {
                let refused = inner.open.remove(&(link, seq)).unwrap_or_default().refused;
                inner.tell(link, seq, refused);
            }
        }
        if let Some(error) = error {
            inner.remember(part, error);
        }
    }
}

impl Inner {
    /// Whether nothing of a later run was heard.
    fn is_present(&self, item: &wire::Item, target: &wire::Target) -> bool {
        let heard = self.runs.get(&(item.from_member.clone(), target.slot));
        heard.is_none_or(|heard| (item.from_epoch, target.run) >= *heard)
    }

    /// Joins the copy that is in progress; if there is none, this is the first.
    fn join(&mut self, link: RouterLink, seq: u64, part: Part) -> Option<(u64, Jid)> {
        if let Some(progress) = self.numbers.get(&part).and_then(|number| self.progress.get_mut(number)) {
            (progress.link, progress.seq) = (link, seq);
            return None;
        }
        self.last += 1;
        let to = part.1.clone();
        self.numbers.insert(part.clone(), self.last);
        self.progress.insert(self.last, Progress { part, link, seq });
        Some((self.last, to))
    }

    fn tell(&self, link: RouterLink, seq: u64, refused: Vec<wire::Refused>) {
        let finished =
            if refused.is_empty() { vec![wire::Range { first: seq, last: 0 }] } else { Vec::new() };
        let done = wire::Done { finished, refused, open: Vec::new() };
        if let Some(outbox) = self.outboxes.get(&link) {
            outbox.send(Frame { kind: Some(Kind::Done(done)) });
        }
    }

    fn remember(&mut self, part: Part, error: StanzaError) {
        if self.refusals.len() >= REFUSED_MAX
            && let Some(oldest) = self.refusals.pop_front()
        {
            self.refused.remove(&oldest);
        }
        self.refusals.push_back(part.clone());
        self.refused.insert(part, error);
    }
}

fn refusal(seq: u64, addressee: &str, error: &StanzaError) -> wire::Refused {
    wire::Refused {
        seq,
        addressee: addressee.to_owned(),
        condition: error.condition.name().to_owned(),
        text: error.text.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use node::Batches;

    use super::*;
    use crate::testing::account;

    const FIRST: RouterLink = (0, 1);
    const SECOND: RouterLink = (1, 1);
    const UID: Uid = Uid { origin: [1; 16], n: 7, k: 0 };

    fn stage() -> (Receiving, Batches<Frame, Vec<Frame>>) {
        let (outbox, told) = Outbox::new(|frames| frames);
        let receiving = Receiving::default();
        receiving.connected(FIRST, Outbox::new(|frames: Vec<Frame>| frames).0);
        receiving.connected(SECOND, outbox);
        (receiving, told)
    }

    fn item(seq: u64, run: u64, addressees: &[&str]) -> wire::Item {
        let addressees = addressees.iter().map(|name| account(name).to_string()).collect();
        wire::Item {
            seq,
            to: vec![wire::Target { slot: 1, run, addressees, ..Default::default() }],
            ..Default::default()
        }
    }

    async fn told(told: &mut Batches<Frame, Vec<Frame>>) -> wire::Done {
        match told.next().await.and_then(|mut frames| frames.pop()).and_then(|frame| frame.kind) {
            Some(Kind::Done(done)) => done,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_copy_joins_the_one_in_progress_and_is_told_what_became_of_it() {
        let (receiving, mut frames) = stage();
        let given = receiving.take(FIRST, UID, &item(1, 1, &["juliet"]));
        assert_eq!(given, [(1, account("juliet"))]);
        receiving.lost(FIRST);
        assert!(receiving.take(SECOND, UID, &item(5, 2, &["juliet"])).is_empty());
        receiving.finished(1, None);
        assert_eq!(told(&mut frames).await.finished, [wire::Range { first: 5, last: 0 }]);
    }

    #[tokio::test]
    async fn what_was_refused_is_refused_again() {
        let (receiving, mut frames) = stage();
        receiving.take(FIRST, UID, &item(1, 1, &["juliet"]));
        receiving.lost(FIRST);
        receiving.finished(1, Some(Condition::ResourceConstraint.into()));
        assert!(receiving.take(SECOND, UID, &item(5, 2, &["juliet"])).is_empty());
        assert_eq!(told(&mut frames).await.refused[0].condition, "resource-constraint");
    }

    #[tokio::test]
    async fn an_item_for_many_is_done_when_all_are() {
        let (receiving, mut frames) = stage();
        receiving.take(SECOND, UID, &item(1, 1, &["juliet", "paris"]));
        receiving.finished(1, None);
        receiving.finished(2, Some(Condition::ServiceUnavailable.into()));
        let done = told(&mut frames).await;
        assert_eq!((done.refused.len(), &*done.refused[0].addressee), (1, "paris@verona.example"));
    }

    #[test]
    fn nothing_of_a_run_is_taken_behind_what_was_not() {
        let (receiving, _) = stage();
        receiving.pass_over(&item(1, 1, &["juliet"]), |_| false);
        assert!(receiving.take(SECOND, UID, &item(2, 1, &["juliet"])).is_empty());
        receiving.pass_over(&item(3, 2, &["juliet"]), |_| true);
        assert_eq!(receiving.take(SECOND, UID, &item(3, 2, &["juliet"])).len(), 1);
    }

    #[test]
    fn nothing_of_a_run_that_is_over_is_taken() {
        let (receiving, _) = stage();
        assert_eq!(receiving.take(SECOND, UID, &item(1, 2, &["juliet"])).len(), 1);
        let late = Uid { n: 8, ..UID };
        assert!(receiving.take(SECOND, late, &item(2, 1, &["juliet"])).is_empty());
    }
}
