//! Registration before login (XEP-0077 §3.1): asked through the edge, answered by the feature, within limits.

use std::sync::Arc;

use features::ports::Ports;
use node::carry;
use proto::session as wire;
use proto::session::owner_frame::Kind as Frame;
use xmpp::stanza::{Condition, Stanza, StanzaError, Type};

use super::limits::Address;
use crate::directory::Sessions;
use crate::owner::Owner;

/// What a client is answered; none: what it sent is no stanza.
pub(super) async fn answer(owner: &Arc<Owner>, frame: wire::Register) -> Option<Stanza> {
    let stanza = read(&frame)?;
    let Some(host) = owner.host(&frame.domain) else {
        return Some(refuse(&stanza, Condition::ServiceUnavailable));
    };
    let now_ms = owner.clock.now_ms();
    let asks = stanza.ty == Type::Set && host.registration;
    if asks && !owner.limits.registrations.spend(Address::parse(&frame.address), now_ms) {
        tracing::info!(address = frame.address, "too many registrations from an address");
        let error = StanzaError::from(Condition::ResourceConstraint)
            .with_text("too many registrations, try again later");
        return Some(refuse(&stanza, error));
    }
    let ports = Ports {
        store: owner.store.clone(),
        directory: Arc::new(Sessions::new(Arc::downgrade(owner))),
        passwords: Arc::clone(&owner.passwords) as _,
    };
    Some(features::registration::before_login(&ports, &host, now_ms, &stanza).await)
}

/// What a client is answered when too many are at it.
pub(super) fn busy(frame: &wire::Register) -> Option<Stanza> {
    read(frame).map(|stanza| refuse(&stanza, Condition::ResourceConstraint))
}

pub(super) fn reply(exchange: u64, answer: Option<&Stanza>) -> Frame {
    Frame::Register(wire::RegisterReply { exchange, stanza: answer.map(carry::pack).unwrap_or_default() })
}

fn read(frame: &wire::Register) -> Option<Stanza> {
    carry::unpack(&frame.stanza).ok()
}

/// §3.1.1: a password is not sent back.
fn refuse(stanza: &Stanza, error: impl Into<StanzaError>) -> Stanza {
    Stanza { ty: Type::Error, ..stanza.reply() }.with_child(&error.into().to_element())
}
