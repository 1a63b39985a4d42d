//! What Throng keeps: one port a noun, and backends that fulfil them.
//!
//! A role is given a [`Store`], a handle on every noun, and never learns which backend is behind it.
//! [`memory`] is the reference model, [`disk`] the embedded store; [`conformance`] holds every backend to the same
//! contract.
//!
//! Whatever changes something is durable when it returns `Ok`, survives the death of the process and of the machine,
//! and is atomic: all of it or nothing. The errors say what is known of a write that failed ([`Error`]).
//! Accounts and archives are named by bare JIDs.

pub mod accounts;
pub mod archive;
pub mod blocklists;
pub mod bus;
pub mod conformance;
pub mod counters;
pub mod cursors;
pub mod disk;
pub mod documents;
pub mod epochs;
mod error;
pub mod handovers;
pub mod hibernated;
pub mod kafka;
pub mod liveness;
mod locks;
pub mod members;
pub mod memory;
mod record;
pub mod redis;
pub mod registry;
pub mod rosters;
pub mod scylla;
pub mod slow;

use std::sync::Arc;

use xmpp::jid::Jid;

pub use crate::{
    accounts::{Account, Accounts, Activity},
    archive::{Archive, Direction, Row, Uid},
    blocklists::Blocklists,
    bus::Bus,
    counters::Counters,
    cursors::{Cursor, Cursors},
    documents::Documents,
    epochs::Epochs,
    error::{Error, Result},
    handovers::Handovers,
    hibernated::{Hibernated, Session},
    liveness::Liveness,
    members::{Member, Members},
    registry::{Registered, Registry},
    rosters::{Change, Item, Request, Roster, Rosters, Subscription},
};

/// A handle on every noun of one backend. Cloning it is cheap.
#[derive(Clone)]
pub struct Store {
    /// Who exists, their keys and their last activity.
    pub accounts: Arc<dyn Accounts>,
    /// Contacts and pending subscription requests.
    pub rosters: Arc<dyn Rosters>,
    /// Who is blocked by whom.
    pub blocklists: Arc<dyn Blocklists>,
    /// Small named documents of an account.
    pub documents: Arc<dyn Documents>,
    /// Messages.
    pub archive: Arc<dyn Archive>,
    /// How far each account's offline messages are settled.
    pub cursors: Arc<dyn Cursors>,
    /// The epochs of owners.
    pub epochs: Arc<dyn Epochs>,
    /// Sessions whose client is gone but may resume.
    pub hibernated: Arc<dyn Hibernated>,
    /// What owners knew of accounts that are on their way to others.
    pub handovers: Arc<dyn Handovers>,
    /// The processes that may own slots, and the table of slots.
    pub members: Arc<dyn Members>,
    /// Which sessions there are, for their next owner.
    pub registry: Arc<dyn Registry>,
    /// Who was heard of in the last seconds.
    pub liveness: Arc<dyn Liveness>,
    /// What all processes together may do only so often.
    pub counters: Arc<dyn Counters>,
    /// Logs that others may read.
    pub bus: Arc<dyn Bus>,
}

impl Store {
    /// Removes an account and everything that any noun keeps of it ([`Accounts::remove`]). Its hibernated sessions may
    /// be in another backend, and go first.
    pub async fn remove_account(&self, account: &Jid) -> Result<()> {
        for session in self.hibernated.list(account).await? {
            self.hibernated.take(session.origin).await?;
        }
        self.handovers.take(account).await?;
        self.accounts.remove(account).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
