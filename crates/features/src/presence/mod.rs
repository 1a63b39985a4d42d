//! Presence (RFC 6121 §4), and with it subscriptions (§3): who is told that a session is there, changes and leaves.

mod directed;
mod own;
#[cfg(test)]
pub(crate) mod play;
mod probe;
mod received;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use store::Rosters;
use xmpp::ns;
use xmpp::stanza::{Condition, Kind, Stanza};

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::ports::Ports;
use crate::subscription;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "presence",
    doc: "Tells contacts who is there, and lets them ask to be told.",
    specs: &[
        Spec {
            xep: 0,
            version: "RFC 6121 §3",
            note: "unanswered requests are not sent again by the asking side (§3.1.2, optional)",
        },
        Spec {
            xep: 0,
            version: "RFC 6121 §4",
            note: "probes of those who may not see the account are not answered",
        },
    ],
    host_disco: &[],
    account_disco: &[],
    at: &[At::Sent, At::Received, At::Presence, At::Ended],
};

/// Handles presence of all types.
pub(crate) struct Presence {
    rosters: Arc<dyn Rosters>,
}

impl Presence {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { rosters: ports.store.rosters.clone() })
    }
}

impl Feature for Presence {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        match at {
            _ if stanza.kind != Kind::Presence => Next::Go,
            At::Presence => own::changed(cx, stanza),
            At::Ended => own::ended(cx, stanza),
            At::Sent if subscription::is_about(stanza.ty) => subscription::sent(&self.rosters, cx, stanza),
            At::Sent => directed::sent(cx, stanza),
            At::Received if subscription::is_about(stanza.ty) => {
                subscription::received(&self.rosters, cx, stanza)
            }
            At::Received => received::received(cx, stanza),
            _ => Next::Go,
        }
    }
}

/// The priority that a presence gives its session (RFC 6121 §4.7.2.3).
fn priority(stanza: &Stanza) -> Result<i8, Condition> {
    let Some(child) = stanza.payload.find(ns::CLIENT, "priority") else { return Ok(0) };
    let text = stanza.payload.element(child).map_err(|_| Condition::BadRequest)?.text();
    text.trim().parse().map_err(|_| Condition::BadRequest)
}
