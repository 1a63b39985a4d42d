//! Who is there, who was there, and who gets what: looked after by one of the owners, though nothing breaks if two do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::Member;
use tokio::time::timeout;

use super::{Assignments, CALL_MS_MAX, FENCED_MS, Life};
use crate::lease::now_ms;
use crate::owner::Owner;

/// One that has not beaten for this long is suspected, if liveness has not heard of it either, in milliseconds.
const SUSPECT_MS: u64 = 2_200;

/// The same if liveness cannot be asked, in milliseconds.
const SUSPECT_ALONE_MS: u64 = 8_000;

/// Between plans that ask those who have more for slots, in milliseconds.
const EVEN_MS: u64 = 10_000;

/// One that has not looked for this long does not know who has beaten, in milliseconds.
const BLIND_MS: u64 = 1_000;

/// What an owner remembers of the others.
#[derive(Default)]
pub(super) struct Watch {
    /// The last beat of each life, and when it was first seen.
    beats: BTreeMap<Life, (u64, u64)>,
    /// When somebody was last asked for slots, or might have been.
    evened_ms: u64,
    /// When all were last looked at.
    looked_ms: u64,
    /// Since when a life that has slots is known to be fenced or over.
    gone: BTreeMap<Life, u64>,
}

impl Watch {
    /// Fences who is not heard of, and if this owner is the first of those that are there, writes who is to have what.
    /// Answers whether there is another table now.
    pub(super) async fn coordinate(&mut self, owner: &Arc<Owner>, table: &Assignments) -> bool {
        let call = owner.store.members.list();
        let Ok(Ok(members)) = timeout(Duration::from_millis(CALL_MS_MAX), call).await else { return false };
        let heard = owner.heard(&members).await;
        let now_ms = now_ms();
        let (there, suspected) = self.judge(&members, heard.as_deref(), now_ms);
        if there.first() != Some(&owner.life()) {
            return false;
        }
        for life in suspected {
            tracing::warn!(member = life.name, "an owner is not heard of any more, it is fenced");
            if let Err(error) = owner.store.members.fence(&life.name, life.incarnation).await {
                tracing::warn!(%error, member = life.name, "an owner could not be fenced");
            }
        }
        self.notice(&members, table, now_ms);
        let gone = |life: &Life| self.gone.get(life).is_some_and(|since| now_ms >= since + FENCED_MS);
        // What was asked for in vain is not asked for again at once: slots that close for nothing cost those who use them.
        let even = now_ms > self.evened_ms + EVEN_MS;
        if let Some(next) = table.plan(&there, gone, even)
            && owner.write_table(&next).await
        {
            if even {
                self.evened_ms = now_ms;
            }
            tracing::info!(version = next.version + 1, owners = there.len(), "the table of slots is written");
            return true;
        }
        false
    }

    /// Who is there, ordered by name, and who is suspected not to be.
    fn judge(&mut self, members: &[Member], heard: Option<&[bool]>, now_ms: u64) -> (Vec<Life>, Vec<Life>) {
        if now_ms > self.looked_ms + BLIND_MS {
            // Nobody could have been seen to beat: nobody is late.
            self.beats.clear();
        }
        self.looked_ms = now_ms;
        let (mut there, mut suspected) = (Vec::new(), Vec::new());
        let mut beats = BTreeMap::new();
        for (at, member) in members.iter().enumerate().filter(|(_, member)| !member.fenced) {
            let life = life(member);
            let (beat, since_ms) = match self.beats.get(&life) {
                Some((beat, since_ms)) if *beat == member.beat => (*beat, *since_ms),
                _ => (member.beat, now_ms),
            };
            beats.insert(life.clone(), (beat, since_ms));
            let silent_ms = now_ms - since_ms;
            let late = match heard.and_then(|heard| heard.get(at)) {
                Some(true) => false,
                Some(false) => silent_ms > SUSPECT_MS,
                None => silent_ms > SUSPECT_ALONE_MS,
            };
            // Whoever says it is there and does not beat can do nothing with what it has.
            if late || silent_ms > SUSPECT_ALONE_MS {
                suspected.push(life);
            } else {
                there.push(life);
            }
        }
        self.beats = beats;
        (there, suspected)
    }

    /// Notes since when owners of slots are no members any more.
    fn notice(&mut self, members: &[Member], table: &Assignments, now_ms: u64) {
        let live = |of: &Life| members.iter().any(|member| !member.fenced && life(member) == *of);
        let mut gone = BTreeMap::new();
        let owners = table.slots.iter().filter_map(|one| one.owner.as_ref()).chain(&table.leaving);
        for owner in owners.filter(|owner| !live(owner)) {
            if !gone.contains_key(owner) {
                gone.insert(owner.clone(), self.gone.get(owner).copied().unwrap_or(now_ms));
            }
        }
        self.gone = gone;
    }
}

impl Owner {
    /// What liveness says of each member; none: it cannot be asked.
    pub(super) async fn heard(&self, members: &[Member]) -> Option<Vec<bool>> {
        let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
        let call = self.store.liveness.are_there(&names);
        timeout(Duration::from_millis(CALL_MS_MAX), call).await.ok()?.ok()
    }
}

fn life(member: &Member) -> Life {
    Life { name: member.name.clone(), incarnation: member.incarnation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, beat: u64) -> Member {
        Member { name: name.into(), incarnation: 1, fenced: false, beat }
    }

    fn names(lives: &[Life]) -> Vec<&str> {
        lives.iter().map(|life| life.name.as_str()).collect()
    }

    #[test]
    fn who_neither_beats_nor_is_heard_of_is_suspected() {
        let mut watch = Watch::default();
        let said = [[true, true], [true, false]];
        let beats = |a, b| [member("a", a), member("b", b)];
        watch.judge(&beats(1, 1), Some(&said[0]), 0);
        watch.judge(&beats(1, 1), Some(&said[0]), 1_000);
        let (there, suspected) = watch.judge(&beats(2, 1), Some(&said[1]), 2_000);
        assert_eq!((names(&there), names(&suspected)), (vec!["a", "b"], vec![]), "it may just be late");
        let (there, suspected) = watch.judge(&beats(3, 1), Some(&said[1]), 2_300);
        assert_eq!((names(&there), names(&suspected)), (vec!["a"], vec!["b"]));
        let (there, _) = watch.judge(&beats(4, 2), Some(&said[1]), 2_600);
        assert_eq!(names(&there), ["a", "b"], "a beat is enough");
    }

    #[test]
    fn without_liveness_beats_alone_decide_and_take_longer() {
        let mut watch = Watch::default();
        for ms in (0..8_000).step_by(500) {
            assert_eq!(names(&watch.judge(&[member("a", 1)], None, ms).0), ["a"]);
        }
        assert_eq!(names(&watch.judge(&[member("a", 1)], None, 8_100).1), ["a"]);
    }

    #[test]
    fn who_could_not_look_suspects_nobody() {
        let mut watch = Watch::default();
        watch.judge(&[member("a", 1)], None, 0);
        assert_eq!(names(&watch.judge(&[member("a", 1)], None, 60_000).0), ["a"], "the store was down");
    }

    #[test]
    fn a_fenced_owner_is_gone_since_it_was_first_seen_so() {
        let mut watch = Watch::default();
        let a = Life { name: "a".into(), incarnation: 1 };
        let table = Assignments::decode(0, &bytes::Bytes::new()).unwrap();
        let table = table.plan(std::slice::from_ref(&a), |_| false, true).unwrap();
        let fenced = Member { fenced: true, ..member("a", 1) };
        watch.notice(&[member("a", 1)], &table, 5);
        assert!(watch.gone.is_empty());
        watch.notice(std::slice::from_ref(&fenced), &table, 10);
        watch.notice(&[], &table, 20);
        assert_eq!(watch.gone.get(&a), Some(&10));
    }
}
