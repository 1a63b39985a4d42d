//! The contract of the ports as plays that every backend performs, each on an empty store.
//!
//! They panic where a backend breaks the contract; call them from a test.

#![allow(clippy::unwrap_used)] // whatever fails here is the test failing

mod accounts;
mod archive;
mod bus;
mod cluster;
mod ownership;
mod people;
mod removal;

use bytes::Bytes;
use xmpp::jid::Jid;

pub use self::{
    accounts::{accounts, activity, created_once},
    archive::{archive_ids, archive_pages, archive_rows},
    bus::bus,
    cluster::{counters, handovers, inherited, liveness, members, registry, slot_table, taken_over},
    ownership::{cursors, epochs, epochs_at_once, hibernated, taken_once},
    people::{blocklists, documents, rosters, rosters_at_once, sizes},
    removal::removal,
};
use crate::{Direction, Row, Uid};

fn jid(text: &str) -> Jid {
    Jid::from_prepared(text).unwrap()
}

fn juliet() -> Jid {
    jid("juliet@capulet.example")
}

fn romeo() -> Jid {
    jid("romeo@montague.example")
}

/// A message from Romeo; its time is a thousand times its id.
fn row(archive: &Jid, id: u64) -> Row {
    Row {
        archive: archive.clone(),
        id,
        uid: Uid { origin: [1; 16], n: id, k: 0 },
        epoch: 1,
        direction: Direction::Received,
        with: romeo(),
        address: Some(archive.clone()),
        deliver: true,
        spool: false,
        stamp_ms: 1000 * id,
        stanza: Bytes::from(format!("<body>{id}</body>")),
    }
}

fn ids(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.id).collect()
}
