//! The owners there are, which come and go: a link to each.

use std::{sync::Arc, time::Duration};

use node::{Peer, Peers};
use tokio::task::JoinSet;

use crate::{hub::Hub, link::Link};

/// How often links to owners that are gone are looked at.
const PRUNE: Duration = Duration::from_secs(1);

/// Keeps links to the owners that are listed up, for as long as it is polled.
pub(crate) async fn follow(hub: Arc<Hub>, mut owners: Peers) {
    let mut running = JoinSet::new();
    let mut may_change = true;
    loop {
        let listed = owners.borrow_and_update().clone();
        for link in hub.list(listed) {
            running.spawn(link.run(Arc::clone(&hub)));
        }
        loop {
            tokio::select! {
                changed = owners.changed(), if may_change => {
                    may_change = changed.is_ok();
                    break;
                }
                _ = running.join_next(), if !running.is_empty() => {}
                () = tokio::time::sleep(PRUNE) => {}
            }
            hub.prune();
        }
    }
}

impl Hub {
    /// These are the owners. Answers the links that have to be run.
    fn list(&self, owners: Vec<Peer>) -> Vec<Arc<Link>> {
        let mut links = self.links.lock();
        links
            .iter()
            .filter(|link| owners.iter().all(|owner| owner.name != link.name()))
            .for_each(|link| link.unlist());
        let mut new = Vec::new();
        for owner in owners {
            let known = links.iter().find(|link| link.name() == owner.name).cloned();
            let link = known.unwrap_or_else(|| {
                let link = Link::new(owner.name, owner.wire.clone());
                links.push(Arc::clone(&link));
                link
            });
            if link.list(owner.wire) {
                new.push(link);
            }
        }
        new
    }

    /// Forgets links that nothing is left of.
    fn prune(&self) {
        self.links.lock().retain(|link| {
            link.prune();
            !link.is_forgotten()
        });
    }
}
