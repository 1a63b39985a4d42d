//! One attempt to log in, from what its client was offered to success or failure.

use std::sync::Arc;

use bytes::Bytes;
use features::host::Host;
use proto::session as wire;
use store::Account;
use xmpp::jid::Jid;
use xmpp::sasl::{
    self, Binding, BindingKind, Condition, Credentials, Decoy, Exchange, Hash, Identity, Mechanism, Step,
    Terms,
};
use zeroize::Zeroize;

use super::anonymous;
use super::limits::Address;
use crate::keys;
use crate::owner::{Owner, random};

/// An attempt under way.
pub(super) struct Attempt {
    exchange: Exchange,
    mechanism: Mechanism,
    host: Arc<Host>,
    address: Address,
    /// The account may not log in: said only to those who have proved that it is theirs.
    disabled: bool,
}

/// What the client is told next.
#[derive(Debug)]
pub(super) enum Outcome {
    Challenge(Vec<u8>),
    Success(Jid, Option<Vec<u8>>),
    Failure(Refusal),
}

/// Why an attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) condition: Condition,
    /// For people.
    pub(super) text: &'static str,
    /// The stream is to end.
    pub(super) close: bool,
}

/// Too many have failed.
const SPENT: Refusal = Refusal {
    condition: Condition::TemporaryAuthFailure,
    text: "too many logins have failed, try again in a minute",
    close: true,
};

impl Attempt {
    /// Begins by what the edge says of the client and of what it was offered.
    pub(super) fn begin(owner: &Owner, start: wire::LoginStart) -> Result<Self, Refusal> {
        let address = Address::parse(&start.address);
        if owner.limits.failures.is_spent(address, owner.clock.now_ms()) {
            return Err(SPENT);
        }
        let begun = Self::read(owner, address, start);
        begun.map_err(|condition| failed(owner, address, condition))
    }

    fn read(owner: &Owner, address: Address, start: wire::LoginStart) -> Result<Self, Condition> {
        let host = owner.host(&start.domain).ok_or(Condition::NotAuthorized)?;
        let mechanism = Mechanism::parse(&start.mechanism).ok_or(Condition::InvalidMechanism)?;
        let allowed = |mechanism: &Mechanism| match mechanism {
            Mechanism::Plain => start.plain_allowed,
            Mechanism::Anonymous => host.anonymous,
            Mechanism::Scram { .. } => true,
        };
        let offered =
            start.offered.iter().filter_map(|name| Mechanism::parse(name)).filter(allowed).collect();
        let binding = |binding: wire::Binding| {
            Some(Binding { kind: BindingKind::parse(&binding.r#type)?, bytes: binding.data.to_vec() })
        };
        let terms = Terms {
            domain: host.domain.domain().to_owned(),
            offered,
            bindings: start.bindings.into_iter().filter_map(binding).collect(),
            nonce: sasl::nonce(random()),
        };
        let exchange = Exchange::start(mechanism, terms)?;
        Ok(Self { exchange, mechanism, host, address, disabled: false })
    }

    /// Takes what the client sent as far as it goes; the attempt comes back if there is more to come. Before work that
    /// takes long, `wanted` says whether anybody still waits for it.
    pub(super) async fn step(
        mut self: Box<Self>,
        owner: &Arc<Owner>,
        data: Bytes,
        wanted: impl FnOnce() -> bool + Send + 'static,
    ) -> (Option<Box<Self>>, Outcome) {
        // Asked again at each step: others from this address may have failed meanwhile.
        if owner.limits.failures.is_spent(self.address, owner.clock.now_ms()) {
            return (None, Outcome::Failure(SPENT));
        }
        let address = self.address;
        let step = self.exchange.step(&data);
        wipe(data);
        let next = match step {
            Step::NeedCredentials { account, hash } => self.prove(owner, &account, hash, wanted).await,
            step => Ok((self, step)),
        };
        let done = match next {
            Ok((attempt, Step::Challenge(challenge))) => {
                return (Some(attempt), Outcome::Challenge(challenge));
            }
            Ok((attempt, Step::Success { identity, data })) => {
                attempt.admit(owner, identity).await.map(|account| Outcome::Success(account, data))
            }
            Ok((_, Step::Failure(condition))) => Err(failed(owner, address, condition)),
            Ok((_, Step::NeedCredentials { .. })) => Err(Condition::TemporaryAuthFailure.into()),
            Err(refusal) => Err(refusal),
        };
        (None, done.unwrap_or_else(Outcome::Failure))
    }

    /// Finds the keys of an account and goes on with them; an account that is not there looks like one that is.
    async fn prove(
        mut self: Box<Self>,
        owner: &Arc<Owner>,
        account: &Jid,
        hash: Hash,
        wanted: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<(Box<Self>, Step), Refusal> {
        let record = owner.store.accounts.load(account).await.map_err(|error| stored(&error))?;
        self.disabled = record.as_ref().is_some_and(|record| record.disabled);
        let found = record.map(|record| credentials(account, &record, hash)).transpose()?.flatten();
        let decoy = Decoy::new(&owner.secret, owner.passwords.rounds());
        if self.mechanism != Mechanism::Plain {
            let step = self.exchange.credentials(found, &decoy);
            return Ok((self, step));
        }
        let hashing = Arc::clone(owner);
        let work = move || {
            // It may have waited long for its turn.
            if !wanted() {
                return Err(Condition::TemporaryAuthFailure.into());
            }
            if hashing.limits.failures.is_spent(self.address, hashing.clock.now_ms()) {
                return Err(SPENT);
            }
            let step = self.exchange.credentials(found, &decoy);
            Ok((self, step))
        };
        owner.passwords.run(work).await.unwrap_or(Err(Condition::TemporaryAuthFailure.into()))
    }

    /// Who has proved who it is may come in, unless its account may not be used.
    async fn admit(&self, owner: &Owner, identity: Identity) -> Result<Jid, Refusal> {
        match identity {
            Identity::Account(_) if self.disabled => {
                Err(failed(owner, self.address, Condition::AccountDisabled))
            }
            Identity::Account(account) => Ok(account),
            Identity::Anonymous => {
                let now_ms = owner.clock.now_ms();
                if !owner.limits.anonymous.spend(self.address, now_ms) {
                    return Err(SPENT);
                }
                anonymous::create(&owner.store, self.host.domain.domain(), now_ms)
                    .await
                    .map_err(|error| stored(&error))
            }
        }
    }
}

impl From<Condition> for Refusal {
    fn from(condition: Condition) -> Self {
        Self { condition, text: "", close: false }
    }
}

/// The keys of an account for a hash; none: it has none, as those of anonymous sessions.
fn credentials(account: &Jid, record: &Account, hash: Hash) -> Result<Option<Credentials>, Refusal> {
    if anonymous::is_anonymous(record) {
        return Ok(None);
    }
    let Some(keys) = keys::decode(&record.keys) else {
        tracing::error!(%account, "the keys of an account cannot be read, nobody can log in to it");
        return Err(Condition::TemporaryAuthFailure.into());
    };
    Ok(Some(keys.of(hash).clone()))
}

/// Counts what the client has done wrong.
fn failed(owner: &Owner, address: Address, condition: Condition) -> Refusal {
    let ours = matches!(condition, Condition::TemporaryAuthFailure | Condition::Aborted);
    if !ours && !owner.limits.failures.spend(address, owner.clock.now_ms()) {
        tracing::debug!(%address, "too many logins of an address have failed");
    }
    tracing::debug!(%address, %condition, "a login has failed");
    condition.into()
}

fn stored(error: &store::Error) -> Refusal {
    tracing::warn!(%error, "a login could not be checked");
    Condition::TemporaryAuthFailure.into()
}

/// What a client sent may be its password. If others share the memory, it is theirs to forget.
fn wipe(data: Bytes) {
    if let Ok(mut data) = data.try_into_mut() {
        data.zeroize();
    }
}
