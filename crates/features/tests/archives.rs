//! Archives against a plain model: whatever clients ask, while others are written, they get what a list would give.
//!
//! `cargo test --release -p features --test archives -- --ignored --nocapture` does it with a million messages on disk,
//! and tells how long pages took.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use features::about::At;
use features::account::{Account, Session};
use features::chain::Chain;
use features::context::{Context, Next, Output};
use features::data_form::Form;
use features::host::Host;
use features::ports::{Directory, Passwords, Ports};
use features::{stanza_ids, stored};
use store::{Direction, Row, Store, Uid};
use xmpp::jid::Jid;
use xmpp::sasl::Keys;
use xmpp::stanza::{Stanza, Type};
use xmpp::xml::Element;
use xmpp::{datetime, ns};

/// The clock of the first message, in unix milliseconds.
const BEGIN_MS: u64 = 1_767_225_600_000;
const CONTACTS: [&str; 4] = ["romeo", "nurse", "tybalt", "paris"];
const RESOURCES: [&str; 2] = ["orchard", "street"];
/// Accounts are written and asked by so many at the same time, each account by one: its owner.
const OWNERS: u64 = 16;
const PAGE_MAX: usize = 50;

/// How much is done.
#[derive(Clone, Copy)]
struct Size {
    archives: u64,
    rows: u64,
    /// Rows written between two questions.
    batch: u64,
}

/// A message as a list has it.
struct Said {
    id: u64,
    with: Jid,
    spool: bool,
}

/// What a client may ask.
#[allow(clippy::option_option, reason = "a page may be asked for before the end, or before a message")]
#[derive(Clone, Debug, Default)]
struct Question {
    with: Option<Jid>,
    start: Option<u64>,
    end: Option<u64>,
    after_id: Option<u64>,
    before_id: Option<u64>,
    /// RSM.
    after: Option<u64>,
    before: Option<Option<u64>>,
    max: usize,
    flip: bool,
}

/// One of the accounts, and what its archive has to be.
struct Archive {
    account: Account,
    said: Vec<Said>,
}

struct Nobody;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archives_are_what_a_list_would_be() {
    play(store::memory::open(), Size { archives: 64, rows: 6_400, batch: 8 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million messages"]
async fn a_million_messages_on_disk_are_too() {
    let folder = tempfile::tempdir().unwrap();
    let size = Size { archives: 10_000, rows: 1_000_000, batch: 20 };
    play(store::disk::open(folder.path()).unwrap(), size).await;
}

/// Owners write their archives and ask, all at the same time.
async fn play(store: Store, size: Size) {
    let began = Instant::now();
    let owners: Vec<_> = (0..OWNERS).map(|owner| tokio::spawn(owns(store.clone(), size, owner))).collect();
    let (mut pages, mut full) = (Vec::new(), Vec::new());
    for owner in owners {
        let (all, of_fifty) = owner.await.unwrap();
        pages.extend(all);
        full.extend(of_fifty);
    }
    println!(
        "{} rows in {} archives and {} pages in {:?}",
        size.rows,
        size.archives,
        pages.len(),
        began.elapsed()
    );
    for (what, mut took) in [("pages", pages), ("newest pages of 50", full)] {
        took.sort_unstable();
        let part = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
        println!("{what}: {} asked for, p50 {:?}, p99 {:?}", took.len(), part(50), part(99));
    }
}

/// Writes the archives of one owner in batches, and asks one of them after each. How long pages took, and full ones.
async fn owns(store: Store, size: Size, owner: u64) -> (Vec<Duration>, Vec<Duration>) {
    let chain = Chain::new(&ports(store.clone()));
    let mut random = Random(owner + 1);
    let mut archives: Vec<Archive> = (0..size.archives / OWNERS)
        .map(|n| Archive::new(&format!("juliet-{owner}-{n}@capulet.example")))
        .collect();
    let (mut pages, mut full) = (Vec::new(), Vec::new());
    for _ in 0..size.rows / OWNERS / size.batch {
        let at = random.below(archives.len() as u64) as usize;
        let rows: Vec<Row> = (0..size.batch).map(|_| archives[at].says(&mut random)).collect();
        store.archive.append(&rows).await.unwrap();
        let at = if random.one_in(2) { at } else { random.below(archives.len() as u64) as usize };
        let newest = random.one_in(4);
        let question = if newest {
            Question { before: Some(None), max: PAGE_MAX, ..Question::default() }
        } else {
            archives[at].question(&mut random)
        };
        let began = Instant::now();
        let found = ask(&chain, &mut archives[at].account, &question).await;
        pages.push(began.elapsed());
        if newest && found.0.len() == PAGE_MAX {
            full.push(began.elapsed());
        }
        assert_eq!(found, archives[at].expected(&question), "{question:?}");
    }
    (pages, full)
}

impl Archive {
    fn new(jid: &str) -> Self {
        let mut account = Account::new(jid.parse().unwrap(), store::Roster::default(), Vec::new());
        let session = account.jid.with_resource("balcony").unwrap();
        account.sessions.push(Session::new([1; 16], session, BEGIN_MS));
        Self { account, said: Vec::new() }
    }

    /// The next message, within the second after the one before it.
    fn says(&mut self, random: &mut Random) -> Row {
        let last = self.said.last().map_or(BEGIN_MS * 1_000, |said| said.id);
        let id = last + 1 + random.below(1_000_000);
        let with: Jid =
            format!("{}@montague.example/{}", random.of(&CONTACTS), random.of(&RESOURCES)).parse().unwrap();
        let sent = random.one_in(2);
        let spool = !sent && random.one_in(20);
        let (own, other) = (self.account.sessions[0].jid.clone(), with.clone());
        let (from, to) = if sent { (own, other) } else { (other, own) };
        let body = Element::new(ns::CLIENT, "body").with_text("x".repeat(random.below(200) as usize));
        let letter = Stanza::message(Type::Chat).with_from(from).with_to(to.clone()).with_child(&body);
        self.said.push(Said { id, with: with.clone(), spool });
        Row {
            archive: self.account.jid.clone(),
            id,
            uid: Uid { n: id, ..Uid::default() },
            epoch: 1,
            direction: if sent { Direction::Sent } else { Direction::Received },
            with,
            address: Some(to),
            deliver: !sent,
            spool,
            stamp_ms: id / 1_000,
            stanza: stored::encode(&letter),
        }
    }

    fn question(&self, random: &mut Random) -> Question {
        let shown: Vec<u64> = self.said.iter().filter(|said| !said.spool).map(|said| said.id).collect();
        let mut some = |odds: u64| {
            (random.one_in(odds) && !shown.is_empty())
                .then(|| shown[random.below(shown.len() as u64) as usize])
        };
        let mut question = Question {
            start: some(5).map(|id| id / 1_000),
            end: some(5).map(|id| id / 1_000),
            after_id: some(6),
            before_id: some(6),
            after: some(3),
            ..Question::default()
        };
        let before = some(2);
        if question.after.is_none() && random.one_in(2) {
            question.before = Some(before);
        }
        question.with = random.one_in(3).then(|| {
            let contact = format!("{}@montague.example", random.of(&CONTACTS));
            let full = format!("{contact}/{}", random.of(&RESOURCES));
            if random.one_in(2) { contact } else { full }.parse().unwrap()
        });
        question.max = 1 + random.below(PAGE_MAX as u64) as usize;
        question.flip = random.one_in(4);
        question
    }

    /// The ids that a list gives, and whether that is all.
    fn expected(&self, question: &Question) -> (Vec<u64>, bool) {
        let fits = |said: &&Said| {
            let with = question.with.as_ref();
            let after = question.after.max(question.after_id);
            let before = [question.before.flatten(), question.before_id].into_iter().flatten().min();
            !said.spool
                && with.is_none_or(|with| {
                    if with.is_full() { *with == said.with } else { with.same_bare(&said.with) }
                })
                && question.start.is_none_or(|start| said.id / 1_000 >= start)
                && question.end.is_none_or(|end| said.id / 1_000 <= end)
                && after.is_none_or(|after| said.id > after)
                && before.is_none_or(|before| said.id < before)
        };
        let mut found: Vec<u64> = self.said.iter().filter(fits).map(|said| said.id).collect();
        let complete = found.len() <= question.max;
        if question.before.is_some() {
            found.drain(..found.len().saturating_sub(question.max));
        }
        found.truncate(question.max);
        if question.flip {
            found.reverse();
        }
        (found, complete)
    }
}

/// What a client is answered: the ids of the results as they come, and whether the page is complete.
async fn ask(chain: &Chain, account: &mut Account, question: &Question) -> (Vec<u64>, bool) {
    let mut iq = Stanza::iq(Type::Set).with_id("1").with_child(&question.to_element());
    let host = host();
    let mut outputs = Vec::new();
    let next = chain.run(At::Account, 0, &mut context(&host, account, &mut outputs), &mut iq).1;
    let Next::InTurn(work) = next else { panic!("a question waits for its turn") };
    let after = work.await.unwrap();
    assert!(matches!(after(&mut context(&host, account, &mut outputs), &mut iq), Next::Done));
    let mut stanzas: Vec<Stanza> = outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::ToSession { stanza, .. } => Some(stanza),
            _ => None,
        })
        .collect();
    let fin = stanzas.pop().unwrap().payload.find_element(ns::MAM, "fin").unwrap();
    let id = |stanza: &Stanza| {
        let result = stanza.payload.find_element(ns::MAM, "result").unwrap();
        stanza_ids::parse(result.attribute("id").unwrap()).unwrap()
    };
    (stanzas.iter().map(id).collect(), fin.attribute("complete") == Some("true"))
}

fn context<'a>(host: &'a Host, account: &'a mut Account, outputs: &'a mut Vec<Output>) -> Context<'a> {
    let session = account.sessions.first().map(|session| session.stream);
    Context { now_ms: BEGIN_MS, host, account, session, outputs }
}

impl Question {
    fn to_element(&self) -> Element {
        let time = |ms: &Option<u64>| ms.map(datetime::write);
        let id = |id: &Option<u64>| id.map(stanza_ids::text);
        let fields = [
            ("with", self.with.as_ref().map(ToString::to_string)),
            ("start", time(&self.start)),
            ("end", time(&self.end)),
            ("after-id", id(&self.after_id)),
            ("before-id", id(&self.before_id)),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let form = fields.fold(Form::submitting(ns::MAM), |form, (name, value)| form.tell(name, [value]));
        let place = |name, id: Option<u64>| {
            Element::new(ns::RSM, name).with_text(id.map(stanza_ids::text).unwrap_or_default())
        };
        let set = Element::new(ns::RSM, "set")
            .with_child(Element::new(ns::RSM, "max").with_text(self.max.to_string()))
            .with_children(self.after.map(|id| place("after", Some(id))))
            .with_children(self.before.map(|id| place("before", id)));
        Element::new(ns::MAM, "query")
            .with_child(form.into_element())
            .with_child(set)
            .with_children(self.flip.then(|| Element::new(ns::MAM, "flip-page")))
    }
}

fn host() -> Host {
    Host {
        domain: "capulet.example".parse().unwrap(),
        admins: Vec::new(),
        contacts: Vec::new(),
        registration: false,
        anonymous: false,
        archive: true,
        archive_days: 0,
        archive_page_max: PAGE_MAX,
        stanza_bytes_max: 262_144,
        started_ms: BEGIN_MS,
    }
}

fn ports(store: Store) -> Ports {
    Ports { store, directory: Arc::new(Nobody), passwords: Arc::new(Nobody) }
}

#[async_trait]
impl Directory for Nobody {
    async fn online(&self, _: &Jid, _: usize) -> Vec<Jid> {
        Vec::new()
    }

    async fn end(&self, _: &Jid, _: &'static str, _: bool) {}
}

#[async_trait]
impl Passwords for Nobody {
    async fn keys(&self, _: &str) -> Option<Keys> {
        None
    }
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}
