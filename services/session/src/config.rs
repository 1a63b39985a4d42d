//! What an operator may set of the session role.

use serde::Deserialize;

/// The session role. Every limit has a unit in its name and a default that suits a small cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of this owner among its like; stable over restarts.
    pub member: String,
    /// How long an item may stay unfinished before its sender is told `wait`, in milliseconds.
    pub item_lifetime_ms: u64,
    /// By how much the clocks of two owners may differ, in seconds: an older item is refused unread.
    pub clock_skew_s_max: u32,
    /// How long a new owner waits for the edges to say which sessions there are, in milliseconds.
    pub gather_ms: u64,
    /// Logins and resumptions in a second at all edges together; 0: as many as each edge's own options allow.
    pub admissions_per_s: u32,
    /// How long handing slots over to the other owners may take when this one ends, in milliseconds.
    pub hand_over_ms_max: u64,
    /// Accounts a second that are handed over to other owners; faster by one that ends, if it has to.
    pub hand_over_per_s: u64,
    /// Edges that gathering waits for; 0: it lasts its whole time.
    pub edges: usize,
    /// How long a session without its client may be resumed, in seconds (XEP-0198 §5).
    pub resume_max_s: u32,
    /// Sessions of one account, those that hibernate included.
    pub sessions_max: usize,
    /// Stanzas of one session that are not finished; its edge stops reading beyond.
    pub unfinished_max: usize,
    /// Stanzas that wait for the turn of one account; beyond, senders are told `wait`.
    pub lane_max: usize,
    /// Bytes not acknowledged by one session's client; beyond, the session is ended.
    pub mailbox_bytes_max: usize,
    /// Messages kept for an account without a client to take them; beyond, senders are told so.
    pub backlog_max: usize,
    /// How long a client waits for the answer to its IQ at most, in seconds.
    pub iq_deadline_s: u64,
    /// How long an account nobody uses stays in memory, in seconds.
    pub idle_s: u64,
    /// Failed logins of one address in a minute; beyond, the stream is closed at each.
    pub login_failures_max: u32,
    /// Accounts made in band by one address in an hour.
    pub registrations_max: u32,
    /// Rounds of the password hash for new passwords (RFC 7677 §4 asks for 4096 at least).
    pub password_rounds: u32,
    /// Slot ranges of other owners; empty: this one owns all, unless they are shared.
    pub owners: Vec<Range>,
    /// Owners agree over the store on who has which slot; set where the store is one that processes share.
    #[serde(skip)]
    pub shared: bool,
}

/// Slots that an owner has for ever.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The owner.
    pub member: String,
    /// First slot.
    pub first: u16,
    /// Last slot, inclusive.
    pub last: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            member: "session".into(),
            item_lifetime_ms: 10_000,
            clock_skew_s_max: 300,
            gather_ms: 3_000,
            admissions_per_s: 0,
            hand_over_ms_max: 15_000,
            hand_over_per_s: 2_000,
            edges: 0,
            resume_max_s: 600,
            sessions_max: 32,
            unfinished_max: 1_024,
            lane_max: 4_096,
            mailbox_bytes_max: 4 * 1024 * 1024,
            backlog_max: 10_000,
            iq_deadline_s: 300,
            idle_s: 60,
            login_failures_max: 20,
            registrations_max: 60,
            password_rounds: 4_096,
            owners: Vec::new(),
            shared: false,
        }
    }
}

impl Config {
    /// Whether a slot is configured to be this owner's.
    pub fn owns(&self, slot: u16) -> bool {
        self.owner_of(slot).is_none_or(|member| member == self.member)
    }

    /// An item that is older is refused unread: nobody can tell any more whether it is a repetition.
    pub(crate) fn item_age_ms_max(&self) -> u64 {
        self.item_lifetime_ms + u64::from(self.clock_skew_s_max) * 1_000
    }

    /// Who owns a slot; none: nobody else is configured.
    pub fn owner_of(&self, slot: u16) -> Option<&str> {
        self.owners
            .iter()
            .find(|range| (range.first..=range.last).contains(&slot))
            .map(|range| range.member.as_str())
    }
}
