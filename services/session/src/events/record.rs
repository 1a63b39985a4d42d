//! Events as they are written (proto/events.proto).

use features::{stanza_ids, stored};
use prost::Message as _;
use proto::events::{Direction, MessageArchived, PresenceChanged};
use store::Row;
use store::bus::{RECORD_BYTES_MAX, Record};
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{ContentNs, Stanza};

/// A row of an archive; none: it cannot be read, and the others go on without it.
pub(super) fn archived(row: &Row) -> Option<Record> {
    let message = stored::decode(&row.stanza)
        .inspect_err(
            |error| tracing::warn!(%error, archive = %row.archive, id = row.id, "a row cannot be published"),
        )
        .ok()?;
    let address = |jid: &Option<Jid>| jid.as_ref().map(ToString::to_string).unwrap_or_default();
    let direction = match row.direction {
        store::Direction::Received => Direction::Received,
        store::Direction::Sent => Direction::Sent,
    };
    let event = MessageArchived {
        archive: row.archive.to_string(),
        archive_id: stanza_ids::text(row.id),
        direction: direction.into(),
        with: row.with.to_string(),
        from: address(&message.from),
        to: address(&message.to),
        time_ms: row.stamp_ms,
        r#type: message.ty.name().unwrap_or("normal").to_owned(),
        id: message.id.as_deref().unwrap_or_default().to_owned(),
        uid: format!("{:032x}-{}-{}", u128::from_be_bytes(row.uid.origin), row.uid.n, row.uid.k),
        message: message.to_bytes(ContentNs::Client).into(),
    };
    let record = Record { key: row.archive.to_string(), value: event.encode_to_vec().into() };
    if record.value.len() > RECORD_BYTES_MAX {
        tracing::warn!(archive = %row.archive, id = row.id, "a row is too large to be published");
        return None;
    }
    Some(record)
}

pub(super) fn available(session: &Jid, show: &str, priority: i8, now_ms: u64) -> Record {
    presence(
        session,
        PresenceChanged {
            available: true,
            show: show.to_owned(),
            priority: priority.into(),
            time_ms: now_ms,
            ..PresenceChanged::default()
        },
    )
}

pub(super) fn unavailable(session: &Jid, now_ms: u64) -> Record {
    presence(session, PresenceChanged { time_ms: now_ms, ..PresenceChanged::default() })
}

fn presence(session: &Jid, event: PresenceChanged) -> Record {
    let account = session.bare_str().to_owned();
    let resource = session.resource().unwrap_or_default().to_owned();
    let event = PresenceChanged { account: account.clone(), resource, ..event };
    Record { key: account, value: event.encode_to_vec().into() }
}

/// What a presence shows (RFC 6121 §4.7.2.1); empty: nothing, or what is not one of the four.
pub(super) fn show(presence: &Stanza) -> String {
    let Some(child) = presence.payload.find(ns::CLIENT, "show") else { return String::new() };
    let text = presence.payload.element(child).map(|show| show.text()).unwrap_or_default();
    if ["away", "chat", "dnd", "xa"].contains(&text.trim()) { text.trim().to_owned() } else { String::new() }
}
