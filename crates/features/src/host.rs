//! A hosted domain as features see it.

use xmpp::jid::Jid;

/// A hosted domain.
#[derive(Clone, Debug)]
pub struct Host {
    /// The domain.
    pub domain: Jid,
    /// Accounts that may administer it, bare.
    pub admins: Vec<Jid>,
    /// Addresses to reach people by (XEP-0157): (`abuse`, `mailto:…`).
    pub contacts: Vec<(String, String)>,
    /// Whether accounts may be made in band (XEP-0077).
    pub registration: bool,
    /// Whether anybody may log in as nobody in particular, for one session (XEP-0175).
    pub anonymous: bool,
    /// Whether messages are archived for both sides; else kept only until delivered.
    pub archive: bool,
    /// How long archived messages are shown, in days; 0: for ever.
    pub archive_days: u32,
    /// Archived messages that a client gets in one page.
    pub archive_page_max: usize,
    /// Largest stanza taken from a client, in bytes (XEP-0478).
    pub stanza_bytes_max: u32,
    /// When this process started, in unix milliseconds.
    pub started_ms: u64,
}
