//! Random calls, and everything that they answer.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use store::{
    Account, Activity, Change, Cursor, Direction, Error, Item, Request, Row, Session, Store, Subscription,
    Uid,
};
use xmpp::jid::Jid;

const NAMES: [&str; 4] = ["a@x.example", "ab@x.example", "a@x.example.org", "x.example"];

/// One call; names and keys are few, so that calls meet.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create(usize),
    Replace(usize, u64),
    Remove(usize),
    Accounts(usize, Option<usize>, usize),
    Activity(usize, u64),
    Roster(usize, Vec<Step>),
    Block(usize, Vec<usize>),
    Unblock(usize, Vec<usize>),
    Clear(usize),
    Put(usize, u8, Vec<u8>),
    Delete(usize, u8),
    Append(Vec<(usize, u64, bool)>),
    DeleteRows(usize, Vec<u64>),
    After(usize, u64, usize),
    Before(usize, u64, usize),
    Tail(usize, u64, usize),
    Cursor(usize, u64, Vec<u64>),
    Raise(usize),
    Hibernate(u8, usize, u64),
    Take(u8),
    Purge(u64),
    Reopen,
}

/// One step of a change to a roster.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(usize, bool),
    Remove(usize),
    Ask(usize),
    Answer(usize),
}

fn name() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![0..12u64, Just(u64::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (name(), any::<bool>()).prop_map(|(at, named)| Step::Put(at, named)),
        name().prop_map(Step::Remove),
        name().prop_map(Step::Ask),
        name().prop_map(Step::Answer),
    ]
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    let people = prop_oneof![
        name().prop_map(Call::Create),
        (name(), id()).prop_map(|(at, created)| Call::Replace(at, created)),
        name().prop_map(Call::Remove),
        (name(), proptest::option::of(name()), 0..5usize)
            .prop_map(|(at, after, n)| Call::Accounts(at, after, n)),
        (name(), id()).prop_map(|(at, ms)| Call::Activity(at, ms)),
        (name(), vec(step(), 0..5)).prop_map(|(at, steps)| Call::Roster(at, steps)),
        (name(), vec(name(), 0..4)).prop_map(|(at, jids)| Call::Block(at, jids)),
        (name(), vec(name(), 0..4)).prop_map(|(at, jids)| Call::Unblock(at, jids)),
        name().prop_map(Call::Clear),
        (name(), 0..3u8, vec(any::<u8>(), 0..9)).prop_map(|(at, key, bytes)| Call::Put(at, key, bytes)),
        (name(), 0..3u8).prop_map(|(at, key)| Call::Delete(at, key)),
    ];
    let messages = prop_oneof![
        vec((name(), 1..12u64, any::<bool>()), 0..6).prop_map(Call::Append),
        (name(), vec(id(), 0..4)).prop_map(|(at, ids)| Call::DeleteRows(at, ids)),
        (name(), id(), 0..9usize).prop_map(|(at, id, n)| Call::After(at, id, n)),
        (name(), id(), 0..9usize).prop_map(|(at, id, n)| Call::Before(at, id, n)),
        (name(), id(), 0..9usize).prop_map(|(at, since, n)| Call::Tail(at, since, n)),
        (name(), id(), vec(id(), 0..4)).prop_map(|(at, lowest, above)| Call::Cursor(at, lowest, above)),
        name().prop_map(Call::Raise),
        (0..4u8, name(), id()).prop_map(|(origin, at, deadline)| Call::Hibernate(origin, at, deadline)),
        (0..4u8).prop_map(Call::Take),
        id().prop_map(Call::Purge),
    ];
    prop_oneof![10 => people, 10 => messages, 1 => Just(Call::Reopen)]
}

fn jid(at: usize) -> Jid {
    Jid::from_prepared(NAMES[at]).unwrap()
}

fn jids(ats: &[usize]) -> Vec<Jid> {
    ats.iter().map(|at| jid(*at)).collect()
}

fn row((at, id, sent): (usize, u64, bool)) -> Row {
    Row {
        archive: jid(at),
        id,
        uid: Uid { origin: [at as u8; 16], n: id, k: u32::from(sent) },
        epoch: id / 2,
        direction: if sent { Direction::Sent } else { Direction::Received },
        with: jid((at + 1) % NAMES.len()),
        address: sent.then(|| jid(at)),
        deliver: id.is_multiple_of(2),
        spool: id.is_multiple_of(3),
        stamp_ms: id,
        stanza: Bytes::from(vec![id as u8; id as usize]),
    }
}

fn change(step: &Step) -> Change {
    match step {
        Step::Put(at, true) => Change::Put(Item {
            name: Some("named".into()),
            subscription: Subscription::From,
            groups: vec!["one".into(), "two".into()],
            ..Item::new(jid(*at))
        }),
        Step::Put(at, false) => Change::Put(Item { ask: true, ..Item::new(jid(*at)) }),
        Step::Remove(at) => Change::Remove(jid(*at)),
        Step::Ask(at) => Change::Ask(Request { from: jid(*at), stanza: Bytes::from_static(b"?") }),
        Step::Answer(at) => Change::Answer(jid(*at)),
    }
}

/// Performs a call, and tells everything it answered.
pub(crate) async fn perform(store: &Store, call: &Call) -> String {
    match call {
        Call::Create(at) => told(store.accounts.create(&jid(*at), Account::default()).await),
        Call::Replace(at, created_ms) => {
            let record = Account { created_ms: *created_ms, ..Account::default() };
            told(store.accounts.replace(&jid(*at), record).await)
        }
        Call::Remove(at) => told(store.remove_account(&jid(*at)).await),
        Call::Accounts(at, after, limit) => {
            told(store.accounts.list(jid(*at).domain(), after.map(jid).as_ref(), *limit).await)
        }
        Call::Activity(at, at_ms) => {
            let activity = Activity { at_ms: *at_ms, status: "gone".into() };
            told(store.accounts.set_last_activity(&jid(*at), activity).await)
        }
        Call::Roster(at, steps) => {
            told(store.rosters.apply(&jid(*at), steps.iter().map(change).collect()).await)
        }
        Call::Block(at, whom) => told(store.blocklists.block(&jid(*at), &jids(whom)).await),
        Call::Unblock(at, whom) => told(store.blocklists.unblock(&jid(*at), &jids(whom)).await),
        Call::Clear(at) => told(store.blocklists.clear(&jid(*at)).await),
        Call::Put(at, key, bytes) => {
            told(store.documents.put(&jid(*at), "n", &key.to_string(), Bytes::from(bytes.clone())).await)
        }
        Call::Delete(at, key) => told(store.documents.delete(&jid(*at), "n", &key.to_string()).await),
        Call::Append(rows) => {
            told(store.archive.append(&rows.iter().map(|one| row(*one)).collect::<Vec<_>>()).await)
        }
        Call::DeleteRows(at, ids) => told(store.archive.delete(&jid(*at), ids).await),
        Call::After(at, id, limit) => told(store.archive.after(&jid(*at), *id, *limit).await),
        Call::Before(at, id, limit) => told(store.archive.before(&jid(*at), *id, *limit).await),
        Call::Tail(at, since_ms, limit) => told(store.archive.tail(&jid(*at), *since_ms, *limit).await),
        Call::Cursor(at, lowest, above) => {
            let cursor = Cursor { lowest: *lowest, above: above.clone() };
            told(store.cursors.save(&[(jid(*at), cursor)]).await)
        }
        Call::Raise(at) => told(store.epochs.raise(NAMES[*at]).await),
        Call::Hibernate(origin, at, deadline_ms) => {
            let state = Bytes::from(vec![*origin]);
            let session =
                Session { origin: [*origin; 16], account: jid(*at), deadline_ms: *deadline_ms, state };
            told(store.hibernated.put(session).await)
        }
        Call::Take(origin) => told(store.hibernated.take([*origin; 16]).await),
        Call::Purge(before_ms) => told(store.hibernated.purge(*before_ms).await),
        Call::Reopen => String::new(),
    }
}

/// Everything that can be read.
pub(crate) async fn read(store: &Store) -> Vec<String> {
    let mut read = Vec::new();
    for account in (0..NAMES.len()).map(jid) {
        read.push(told(store.accounts.load(&account).await));
        read.push(told(store.accounts.last_activity(&account).await));
        read.push(told(store.rosters.load(&account).await));
        read.push(told(store.rosters.item(&account, &jid(0)).await));
        read.push(told(store.blocklists.load(&account).await));
        read.push(told(store.documents.list(&account, "n").await));
        read.push(told(store.documents.read(&account, "n", "1").await));
        read.push(told(store.archive.after(&account, 0, 100).await));
        read.push(told(store.archive.row(&account, 3).await));
        read.push(told(store.archive.last_id(&account).await));
        read.push(told(store.cursors.load(&account).await));
        read.push(told(store.hibernated.list(&account).await));
        read.push(told(store.epochs.current(account.as_str()).await));
    }
    read
}

#[allow(clippy::needless_pass_by_value)] // called in one breath with what it tells
fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    format!("{result:?}")
}
