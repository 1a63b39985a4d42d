//! A client with stream management: it says what it likes, notes what it said and heard, and resumes wherever it can.

use std::sync::Arc;
use std::time::Duration;

use node::slots;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use xmpp::stanza::{Kind, Stanza, Type};

use super::random::Random;
use crate::testing::{Client, Edge, account};

/// An answer that takes longer is not waited for.
const ANSWER: Duration = Duration::from_secs(15);

const LOOK: Duration = Duration::from_millis(20);

/// Who plays.
pub(super) const NAMES: [&str; 4] = ["romeo", "juliet", "tybalt", "paris"];

/// What a player knows, wherever it is.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) name: &'static str,
    /// Everything it ever said, in order.
    pub(super) sent: Vec<Sent>,
    pub(super) heard: Vec<Heard>,
    /// What must not happen and did.
    pub(super) faults: Vec<String>,
    /// It says nothing new.
    pub(super) quiet: bool,
    /// A session that it can use.
    pub(super) online: bool,
    /// Sessions it has begun, and resumed.
    pub(super) begun: usize,
    pub(super) resumed: usize,
    pub(super) session: Option<Session>,
}

pub(super) struct Sent {
    pub(super) id: String,
    pub(super) to: &'static str,
    pub(super) kind: Said,
    pub(super) acked: bool,
    pub(super) refused: bool,
    xml: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Chat,
    Headline,
    Receipt,
}

pub(super) struct Heard {
    pub(super) id: String,
    pub(super) from: String,
    /// Which of its sessions heard it.
    pub(super) session: usize,
    pub(super) stamp: Option<String>,
}

/// A stream that may be resumed.
pub(super) struct Session {
    previd: String,
    out_base: u64,
    in_base: u64,
    /// The last number that it heard.
    heard_n: u64,
    /// Places in `sent` of what it has said; none: presence.
    said: Vec<Option<usize>>,
    acked: usize,
}

pub(super) type Book = Arc<Mutex<Notes>>;

/// Plays at an edge until its process dies.
pub(super) async fn plays(book: Book, edge: Edge, mut random: Random) {
    loop {
        let Some(client) = enters(&book, &edge).await else { continue };
        book.lock().online = true;
        while goes_on(&book, &edge, &client, &mut random) {
            sleep(Duration::from_millis(random.within(20..160))).await;
        }
        book.lock().online = false;
        sleep(Duration::from_millis(random.within(50..1_500))).await;
    }
}

/// The slot of a player's account.
pub(super) fn slot(name: &str) -> u16 {
    slots::of(account(name).as_str(), "")
}

async fn enters(book: &Book, edge: &Edge) -> Option<Client> {
    while !edge.is_open() {
        sleep(LOOK).await;
    }
    let exchange = edge.exchange();
    let resumes = {
        let notes = book.lock();
        match &notes.session {
            Some(session) => {
                let h = (session.heard_n - session.out_base) as u32;
                edge.asks(exchange, account(notes.name).as_str(), &session.previd, h);
            }
            None => edge.asks_to_bind(exchange, notes.name, "home"),
        }
        notes.session.is_some()
    };
    let answer = timeout(ANSWER, async {
        loop {
            if let Some(answer) = edge.answered(exchange) {
                return answer;
            }
            if !edge.is_open() {
                return Err("moved".to_owned());
            }
            sleep(LOOK).await;
        }
    });
    match answer.await.unwrap_or_else(|_| Err("no answer".to_owned())) {
        Ok(client) if resumes => book.lock().resumes(edge, &client).then_some(client),
        Ok(client) => begins(book, edge, client).await,
        Err(condition) => {
            if condition == "item-not-found" {
                book.lock().session = None;
            }
            sleep(Duration::from_millis(250)).await;
            None
        }
    }
}

async fn begins(book: &Book, edge: &Edge, client: Client) -> Option<Client> {
    edge.asks_to_enable(&client);
    let managed = timeout(ANSWER, async {
        while !edge.looks(&client, |desk| desk.managed).unwrap_or(false) {
            sleep(LOOK).await;
        }
    });
    if managed.await.is_err() {
        if edge.looks(&client, |_| ()).is_some() {
            client.vanishes();
        }
        return None;
    }
    let mut notes = book.lock();
    notes.begun += 1;
    notes.session = edge.looks(&client, |desk| Session {
        previd: desk.previd.clone(),
        out_base: desk.out_base,
        in_base: desk.in_base,
        heard_n: 0,
        said: vec![None],
        acked: 0,
    });
    client.says("<presence/>");
    Some(client)
}

/// False: the client's connection is over.
fn goes_on(book: &Book, edge: &Edge, client: &Client, random: &mut Random) -> bool {
    let notes = &mut *book.lock();
    let Some((heard, h, closed)) =
        edge.looks(client, |desk| (std::mem::take(&mut desk.heard), desk.h, desk.closed.clone()))
    else {
        return false;
    };
    if closed.is_some() {
        edge.forgets(client);
        return false;
    }
    notes.acked(h);
    for (n, stanza) in heard {
        notes.hears(n, &stanza, random);
    }
    if random.one_in(3) || notes.quiet {
        client.acks();
    }
    if !notes.quiet && random.one_in(3) {
        notes.says_something(random);
    }
    notes.says_rest(edge, client);
    if !notes.quiet && random.one_in(300) {
        client.vanishes();
        return false;
    }
    true
}

impl Notes {
    fn fault(&mut self, what: &str) {
        self.faults.push(format!("{}: {what}", self.name));
    }

    /// The stream is there again: what did not arrive is said again.
    fn resumes(&mut self, edge: &Edge, client: &Client) -> bool {
        self.resumed += 1;
        let Some((in_n, acked)) = edge.looks(client, |desk| (desk.in_n, desk.acked)) else { return false };
        let Some(session) = &mut self.session else { return false };
        let (heard_n, known) = (session.heard_n, session.acked);
        let arrived = (in_n - session.in_base) as usize;
        if acked != heard_n {
            self.fault(&format!("resumed at {acked}, had heard up to {heard_n}"));
        }
        if arrived < known {
            self.fault(&format!("{known} were acknowledged, {arrived} at resumption"));
        }
        self.acked(in_n);
        self.says_rest(edge, client);
        true
    }

    fn acked(&mut self, h: u64) {
        let Some(session) = &mut self.session else { return };
        let count = (h - session.in_base) as usize;
        let known = session.acked.min(count);
        for at in session.said[known..count.min(session.said.len())].iter().flatten() {
            self.sent[*at].acked = true;
        }
        session.acked = session.acked.max(count);
    }

    fn hears(&mut self, n: u64, stanza: &Stanza, random: &mut Random) {
        let Some(session) = &mut self.session else { return };
        if n <= session.heard_n {
            return;
        }
        let follows = n == session.heard_n + 1;
        session.heard_n = n;
        if !follows {
            self.fault(&format!("number {n} came out of turn"));
        }
        if stanza.kind != Kind::Message {
            return;
        }
        let id = stanza.id.as_deref().unwrap_or_default().to_owned();
        let from = stanza.from.as_ref().and_then(|from| from.node()).unwrap_or_default().to_owned();
        if stanza.ty == Type::Error {
            self.sent.iter_mut().filter(|sent| sent.id == id).for_each(|sent| sent.refused = true);
            return;
        }
        if stanza.ty == Type::Chat && id.starts_with('c') && !self.quiet && random.one_in(2) {
            let to = NAMES.into_iter().find(|name| *name == from).unwrap_or(NAMES[0]);
            self.says(to, Said::Receipt);
        }
        let delay = stanza.payload.find_element("urn:xmpp:delay", "delay");
        let stamp = delay.and_then(|delay| delay.attribute("stamp").map(ToOwned::to_owned));
        self.heard.push(Heard { id, from, session: self.begun, stamp });
    }

    fn says_something(&mut self, random: &mut Random) {
        for _ in 0..random.within(1..4) {
            let kind = if random.one_in(5) { Said::Headline } else { Said::Chat };
            self.says(NAMES[random.within(0..NAMES.len() as u64) as usize], kind);
        }
    }

    fn says(&mut self, to: &'static str, kind: Said) {
        let number = self.sent.len();
        let (id, ty, address, child) = match kind {
            Said::Chat => (format!("c{number}-{}", self.name), "chat", "", "<body>hark</body>".to_owned()),
            Said::Headline => {
                (format!("h{number}-{}", self.name), "headline", "/home", "<body>news</body>".to_owned())
            }
            Said::Receipt => {
                let child = "<received xmlns='urn:xmpp:receipts' id='it'/>".to_owned();
                (format!("r{number}-{}", self.name), "chat", "/home", child)
            }
        };
        let xml =
            format!("<message to='{to}@verona.example{address}' type='{ty}' id='{id}'>{child}</message>");
        self.sent.push(Sent { id, to, kind, acked: false, refused: false, xml });
        if let Some(session) = &mut self.session {
            session.said.push(Some(number));
        }
    }

    /// Says what its stream has not had.
    fn says_rest(&mut self, edge: &Edge, client: &Client) {
        let Some(session) = &self.session else { return };
        let Some(in_n) = edge.looks(client, |desk| desk.in_n) else { return };
        let from = (in_n - session.in_base) as usize;
        for said in session.said.iter().skip(from) {
            client.says(said.map_or("<presence/>", |at| &self.sent[at].xml));
        }
    }

    /// Whether all that was said is finished.
    pub(super) fn is_done(&self) -> bool {
        self.online && self.session.as_ref().is_some_and(|session| session.acked >= session.said.len())
    }
}
