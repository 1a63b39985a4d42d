//! XMPP itself: addresses, XML, stanzas, login and streams. No I/O and no clock in here: bytes and a time
//! go in, events come out.

/// Dates and times as XMPP writes them.
pub mod datetime;
/// Addresses and their preparation.
pub mod jid;
/// Namespaces.
pub mod ns;
/// Login: mechanisms, both sides.
pub mod sasl;
/// Stanzas between the roles.
pub mod stanza;
/// The server's side of a client's stream.
pub mod stream;
/// XML as XMPP restricts it.
pub mod xml;
