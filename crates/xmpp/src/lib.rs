//! XMPP itself: addresses, XML, stanzas, login and streams. No I/O and no clock in here: bytes and a time
//! go in, events come out.

/// Addresses and their preparation.
pub mod jid;
