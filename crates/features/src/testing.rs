//! A stage for the tests of rooms: an account, its sessions, a store in memory, and who plays a stanza to a room.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, Waker};

use async_trait::async_trait;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::sasl::Keys;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

use crate::about::At;
use crate::account::{Account, Origin, Session};
use crate::chain::{Build, Feature};
use crate::context::{Context, Next, Output};
use crate::host::Host;
use crate::ports::{Directory, Passwords, Ports};

/// When every play begins, in unix milliseconds: 2026-01-01.
pub(crate) const NOW_MS: u64 = 1_767_225_600_000;

/// The stage.
pub(crate) struct Stage {
    pub(crate) now_ms: u64,
    pub(crate) host: Host,
    pub(crate) account: Account,
    pub(crate) ports: Ports,
    pub(crate) directory: Arc<Sessions>,
    /// What rooms wanted done and the play has not yet looked at.
    pub(crate) outputs: Vec<Output>,
}

/// The sessions of the process, as administration sees them.
#[derive(Default)]
pub(crate) struct Sessions {
    pub(crate) online: Mutex<Vec<Jid>>,
    pub(crate) ended: Mutex<Vec<(Jid, &'static str, bool)>>,
}

struct Quick;

impl Stage {
    /// Juliet of capulet.example, without sessions.
    pub(crate) fn new() -> Self {
        Self::of("juliet@capulet.example")
    }

    /// An account of its own domain.
    pub(crate) fn of(account: &str) -> Self {
        let account = jid(account);
        let directory = Arc::new(Sessions::default());
        let ports =
            Ports { store: store::memory::open(), directory: directory.clone(), passwords: Arc::new(Quick) };
        let host = Host {
            domain: account.domain_jid(),
            admins: vec![jid("admin@capulet.example")],
            contacts: vec![("abuse".into(), "mailto:abuse@capulet.example".into())],
            registration: true,
            anonymous: false,
            archive: true,
            archive_days: 0,
            archive_page_max: 100,
            stanza_bytes_max: 262_144,
            started_ms: NOW_MS - 60_000,
        };
        let account = Account::new(account, store::Roster::default(), Vec::new());
        Self { now_ms: NOW_MS, host, account, ports, directory, outputs: Vec::new() }
    }

    /// Binds a session with a resource.
    pub(crate) fn bind(&mut self, resource: &str) -> Origin {
        let stream = [self.account.sessions.len() as u8 + 1; 16];
        let jid = self.account.jid.with_resource(resource).unwrap();
        self.account.sessions.push(Session::new(stream, jid, self.now_ms));
        stream
    }

    /// Binds a session that is available.
    pub(crate) fn enter(&mut self, resource: &str) -> Origin {
        let stream = self.bind(resource);
        let mut presence = Stanza::presence(Type::Available);
        let session = self.account.session_mut(stream).unwrap();
        presence.from = Some(session.jid.clone());
        session.presence = Some(Box::new(presence));
        stream
    }

    /// Adds a contact to the roster.
    pub(crate) fn befriend(&mut self, contact: &str, subscription: store::Subscription) {
        let mut item = store::Item::new(jid(contact));
        item.subscription = subscription;
        let version = self.account.roster.version + 1;
        self.account.roster.apply(version, vec![store::Change::Put(item)]);
    }

    /// A room, built on this stage's ports.
    pub(crate) fn room(&self, build: Build) -> Box<dyn Feature> {
        build(&self.ports)
    }

    /// Lets a room meet a stanza, and waits for what it waits for.
    pub(crate) fn meet(
        &mut self,
        room: &dyn Feature,
        at: At,
        session: Option<Origin>,
        stanza: &mut Stanza,
    ) -> Next {
        let mut next = room.handle(at, &mut self.context(session), stanza);
        while let Next::Later(work) | Next::InTurn(work) = next {
            next = match wait(work) {
                Ok(after) => after(&mut self.context(session), stanza),
                Err(error) => Next::Refuse(error),
            };
        }
        next
    }

    /// What a room answers to an IQ, as XML without its start tag's addresses, or the error's condition.
    pub(crate) fn ask(&mut self, room: &dyn Feature, at: At, session: Option<Origin>, iq: &str) -> String {
        let next = self.meet(room, at, session, &mut stanza(iq));
        self.verdict(next)
    }

    /// How a meeting ended: `go`, `done`, the payloads of what was answered, or `error CONDITION`.
    pub(crate) fn verdict(&mut self, next: Next) -> String {
        match next {
            Next::Go => "go".into(),
            Next::Refuse(error) => format!("error {}", error.condition.name()),
            Next::Later(_) | Next::InTurn(_) => "later".into(),
            Next::Done => self.take().first().map_or_else(|| "done".into(), |(_, stanza)| payload(stanza)),
        }
    }

    /// Everything that was to be sent, each with whom to: a session's resource, or addresses.
    pub(crate) fn take(&mut self) -> Vec<(String, Stanza)> {
        let mut sent = Vec::new();
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::ToSession { stream, stanza } => {
                    let session = self.account.session(stream);
                    let resource = session.and_then(|session| session.jid.resource().map(str::to_owned));
                    sent.push((resource.unwrap_or_default(), stanza));
                }
                Output::Send { stanza, to } if to.is_empty() => {
                    sent.push((stanza.to.as_ref().map(ToString::to_string).unwrap_or_default(), stanza));
                }
                Output::Send { stanza, to } => {
                    sent.extend(to.into_iter().map(|to| (to.to_string(), stanza.clone())));
                }
                Output::Changed(_) | Output::End { .. } => {}
            }
        }
        sent
    }

    /// A context on this stage.
    pub(crate) fn context(&mut self, session: Option<Origin>) -> Context<'_> {
        Context {
            now_ms: self.now_ms,
            host: &self.host,
            account: &mut self.account,
            session,
            outputs: &mut self.outputs,
        }
    }
}

/// An address.
pub(crate) fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// A stanza from its XML.
pub(crate) fn stanza(xml: &str) -> Stanza {
    let element = Element::parse(xml.as_bytes(), ns::CLIENT).unwrap();
    let (kind, default) = match element.name() {
        "message" => (Kind::Message, Type::Normal),
        "presence" => (Kind::Presence, Type::Available),
        _ => (Kind::Iq, Type::Get),
    };
    let named = |name: &str| (0..).map_while(Type::from_number).find(|ty| ty.name() == Some(name)).unwrap();
    let mut stanza =
        Stanza::new(kind, element.attribute("type").filter(|ty| *ty != "normal").map_or(default, named));
    stanza.from = element.attribute("from").map(jid);
    stanza.to = element.attribute("to").map(jid);
    stanza.id = element.attribute("id").map(Into::into);
    for child in element.children() {
        stanza.payload.push(child);
    }
    stanza
}

/// The payload of a stanza, as text.
pub(crate) fn payload(stanza: &Stanza) -> String {
    String::from_utf8(stanza.payload.bytes().to_vec()).unwrap()
}

/// Waits for work that is never pending long: the stores are in memory.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut task = Task::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut task) {
            return done;
        }
    }
}

#[async_trait]
impl Directory for Sessions {
    async fn online(&self, _: &Jid, limit: usize) -> Vec<Jid> {
        self.online.lock().unwrap().iter().take(limit).cloned().collect()
    }

    async fn end(&self, account: &Jid, condition: &'static str, removed: bool) {
        self.ended.lock().unwrap().push((account.clone(), condition, removed));
    }
}

#[async_trait]
impl Passwords for Quick {
    async fn keys(&self, password: &str) -> Option<Keys> {
        Keys::from_password(password, || [7; 16], 1).ok()
    }
}
