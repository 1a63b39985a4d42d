//! What must be true when all faults are over (docs/delivery.md §9).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use features::stored;
use store::{Direction, Row};

use super::player::{NAMES, Notes, Said};
use super::world::World;
use crate::testing::account;

/// What is wrong; nothing, if all is right.
pub(super) fn audit(world: &mut World) -> Vec<String> {
    let mut wrong = owners(world);
    let books: Vec<_> = world.books().cloned().collect();
    let archives: HashMap<&str, Vec<String>> =
        NAMES.into_iter().map(|name| (name, received(world, name))).collect();
    let all: Vec<_> = books.iter().map(|book| book.lock()).collect();
    for notes in &all {
        wrong.extend(notes.faults.iter().cloned());
        if !notes.is_done() {
            wrong.push(format!("{} is not finished: online {}", notes.name, notes.online));
        }
        wrong.extend(lost(notes, &all, &archives));
        wrong.extend(doubled(notes, &archives[notes.name]));
        wrong.extend(order(notes, &all, &archives[notes.name]));
    }
    wrong
}

/// I5: one owner a slot, one live session a full JID.
fn owners(world: &World) -> Vec<String> {
    let mut wrong = BTreeMap::<String, usize>::new();
    for holders in world.holders().into_iter().filter(|holders| holders.len() != 1) {
        *wrong.entry(format!("slots are held by {holders:?}")).or_default() += 1;
    }
    let mut sessions = BTreeMap::<String, usize>::new();
    for owner in world.owners.iter().filter_map(super::world::Process::owner) {
        for jid in owner.online() {
            *sessions.entry(jid.to_string()).or_default() += 1;
        }
    }
    let doubled = sessions.into_iter().filter(|(_, count)| *count != 1);
    let doubled = doubled.map(|(jid, count)| format!("{jid} has {count} sessions"));
    wrong.into_iter().map(|(what, count)| format!("{count} {what}")).chain(doubled).collect()
}

/// The ids of what an archive has received, in its order.
fn received(world: &mut World, name: &'static str) -> Vec<String> {
    let archive = world.store.archive.clone();
    let rows: Vec<Row> = world.ask(async move {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let last = rows.last().map_or(0, |row| row.id);
            let page = archive.after(&account(name), last, 1_000).await.unwrap();
            if page.is_empty() {
                return rows;
            }
            rows.extend(page);
        }
    });
    let received = rows.iter().filter(|row| row.direction == Direction::Received);
    received.filter_map(|row| stored::decode(&row.stanza).ok()?.id.map(|id| id.to_string())).collect()
}

/// I1: what was acknowledged, and not refused, is in the archive, and came.
fn lost(
    notes: &Notes,
    all: &[parking_lot::MutexGuard<'_, Notes>],
    archives: &HashMap<&str, Vec<String>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let accepted = notes.sent.iter().filter(|sent| sent.kind == Said::Chat && sent.acked && !sent.refused);
    for sent in accepted {
        let stored = archives[sent.to].contains(&sent.id);
        let heard = all
            .iter()
            .any(|other| other.name == sent.to && other.heard.iter().any(|heard| heard.id == sent.id));
        if !stored || !heard {
            wrong.push(format!("I1: {} to {}: stored {stored}, heard {heard}", sent.id, sent.to));
        }
    }
    wrong
}

/// I2: nothing is in an archive twice, and nothing comes twice in a session.
fn doubled(notes: &Notes, archive: &[String]) -> Vec<String> {
    let (mut rows, mut heard) = (BTreeSet::new(), BTreeSet::new());
    let stored = archive.iter().filter(|id| !rows.insert(*id)).map(|id| format!("I2: {id} is stored twice"));
    let twice = notes.heard.iter().filter(|one| !heard.insert((&one.id, one.session)));
    let name = notes.name;
    let twice = twice.map(|one| format!("I2: {name} heard {} twice in session {}", one.id, one.session));
    stored.chain(twice).collect()
}

/// I3: what comes of one sender is in the order in which it was said. I4: it is in the order of the archive. But what is for a
/// full JID does not wait for a session to take messages, as stored ones do (RFC 6121 §8.5.3.1), what was refused with `wait`
/// may come late, and so does what no archive has if both owners die at once.
fn order(notes: &Notes, all: &[parking_lot::MutexGuard<'_, Notes>], archive: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let places: HashMap<&str, usize> = archive.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let (mut last, mut last_row) = (HashMap::new(), (0, 0, ""));
    let refused: BTreeSet<&str> = all
        .iter()
        .flat_map(|other| &other.sent)
        .filter(|sent| sent.refused)
        .map(|sent| sent.id.as_str())
        .collect();
    let mut once = BTreeSet::new();
    for heard in notes.heard.iter().filter(|heard| !refused.contains(heard.id.as_str())) {
        if !once.insert(heard.id.as_str()) {
            // A session before this one had it, and did not acknowledge it.
            continue;
        }
        let number: usize = heard.id[1..].split('-').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        let key = (heard.from.as_str(), heard.session);
        let late = heard.id.starts_with('h');
        let may_follow = |id: &str| {
            if late { !id.starts_with('h') } else { heard.stamp.is_some() && !id.starts_with('c') }
        };
        if let Some((before, id)) = last.insert(key, (number, heard.id.as_str()))
            && before > number
            && !may_follow(id)
        {
            wrong.push(format!("I3: {} heard {} after {id} ({:?})", notes.name, heard.id, heard.stamp));
        }
        if let Some(place) = places.get(heard.id.as_str()) {
            if last_row.0 == heard.session && last_row.1 > *place && !may_follow(last_row.2) {
                wrong.push(format!("I4: {} heard {} after {}", notes.name, heard.id, last_row.2));
            }
            last_row = (heard.session, *place, &heard.id);
        }
    }
    wrong
}
