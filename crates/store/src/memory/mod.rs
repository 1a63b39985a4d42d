//! The store in memory: the reference model of every other backend, for tests and for trying things out.
//!
//! Everything is one state behind one lock, so whatever happens is atomic; nothing survives the process.

mod accounts;
mod archive;
mod blocklists;
mod bus;
mod cursors;
mod documents;
mod epochs;
mod hibernated;
mod members;
mod registry;
mod rosters;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use xmpp::jid::Jid;

pub use self::bus::bus;

use crate::{Account, Activity, Cursor, Item, Member, Request, Row, Session, Store};

/// An empty store, gone with its last handle.
pub fn open() -> Store {
    let memory = Arc::new(Memory::default());
    Store {
        accounts: memory.clone(),
        rosters: memory.clone(),
        blocklists: memory.clone(),
        documents: memory.clone(),
        archive: memory.clone(),
        cursors: memory.clone(),
        epochs: memory.clone(),
        hibernated: memory.clone(),
        handovers: memory.clone(),
        members: memory.clone(),
        registry: memory.clone(),
        liveness: memory.clone(),
        counters: memory,
        bus: bus(false),
    }
}

#[derive(Default)]
struct Memory {
    state: Mutex<State>,
    present: Mutex<registry::Present>,
}

#[derive(Default)]
struct State {
    /// By domain and node.
    accounts: BTreeMap<(String, String), Account>,
    /// What the nouns keep, by bare JID; an account need not exist for it.
    kept: HashMap<String, Kept>,
    epochs: HashMap<String, u64>,
    hibernated: BTreeMap<[u8; 16], Session>,
    members: BTreeMap<String, Member>,
    table: (u64, Bytes),
}

/// What the nouns keep of one bare JID; maps of contacts are by the text of their JIDs.
#[derive(Default)]
struct Kept {
    activity: Option<Activity>,
    version: u64,
    items: BTreeMap<String, Item>,
    requests: BTreeMap<String, Request>,
    blocked: BTreeMap<String, Jid>,
    documents: BTreeMap<(String, String), Bytes>,
    rows: BTreeMap<u64, Row>,
    last_id: u64,
    cursor: Cursor,
}

impl Memory {
    /// Reads what is kept of an account, as if it were empty when there is nothing.
    fn read<T>(&self, account: &Jid, read: impl FnOnce(&Kept) -> T) -> T {
        match self.state.lock().kept.get(account.bare_str()) {
            Some(kept) => read(kept),
            None => read(&Kept::default()),
        }
    }

    fn write<T>(&self, account: &Jid, write: impl FnOnce(&mut Kept) -> T) -> T {
        write(self.state.lock().kept.entry(account.bare_str().to_owned()).or_default())
    }
}
