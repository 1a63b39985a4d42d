//! XMPP itself: addresses, XML, stanzas, login and streams. No I/O and no clock in here: bytes and a time
//! go in, events come out.

/// Dates and times as XMPP writes them.
pub mod datetime;
/// Addresses and their preparation.
pub mod jid;
/// Login: mechanisms, both sides.
pub mod sasl;
