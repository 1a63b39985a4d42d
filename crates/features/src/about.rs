//! What a feature says of itself. disco#info, the table of XEPs and the DOAP file are made from these.

/// The static description of a feature.
#[derive(Debug)]
pub struct About {
    /// Short name, as in configuration and logs: `carbons`.
    pub name: &'static str,
    /// One sentence for operators.
    pub doc: &'static str,
    /// What it implements.
    pub specs: &'static [Spec],
    /// Features it adds to disco#info of the domain.
    pub host_disco: &'static [&'static str],
    /// Features it adds to disco#info of an account.
    pub account_disco: &'static [&'static str],
    /// The phases it hooks into.
    pub at: &'static [At],
}

/// A specification and how much of it is there.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Number of the XEP; 0: `version` names an RFC.
    pub xep: u16,
    /// Version that was read, or the RFC.
    pub version: &'static str,
    /// What is left out, or empty.
    pub note: &'static str,
}

/// The phases in which a feature may meet a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The sender's rules: a stanza of a local session that goes to somebody else.
    Sent,
    /// The recipient's rules: a stanza for a local account, before it is stored or delivered.
    Received,
    /// An IQ for the account itself: from its own sessions (`cx.session`), or from others to the bare JID.
    Account,
    /// An IQ for the domain, at the sender's owner.
    Host,
    /// A session's own presence to nobody in particular: initial, changed or unavailable.
    Presence,
    /// A stanza on its way to one session (`cx.session`), before it is numbered; what is output for that session goes
    /// before it.
    Deliver,
    /// A session has come (`Bound`) …
    Bound,
    /// … or is over, for whatever reason; the stanza is the unavailable presence that stands for it.
    Ended,
}
