//! `throng-load`: loads an XMPP server as a scenario says, and proves what became of every message.
fn main() {}
