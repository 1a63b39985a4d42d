//! Message retraction (XEP-0424): a message that its author takes back is replaced in the archive by a tombstone.
//!
//! Each side's archive does it for itself, under the same id, before the retraction goes on: whoever reads of it finds
//! the tombstone. Where the message is not among the newest, it stays, and clients apply the retraction as they read it.

use std::sync::Arc;

use store::{Archive, Row};
use xmpp::jid::Jid;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::ports::Ports;
use crate::stored;

/// Rows of an archive among which a retracted message is looked for.
pub(crate) const SEARCHED_ROWS_MAX: usize = 1_000;

/// Rows read at a time.
const CHUNK_ROWS: usize = 100;

const TOMBSTONE: &str = "urn:xmpp:message-retract:1#tombstone";

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "retraction",
    doc: "Replaces archived messages that their authors take back.",
    specs: &[Spec { xep: 424, version: "0.4.2", note: "among the newest 1,000 messages of an archive" }],
    host_disco: &[],
    account_disco: &[ns::RETRACT, TOMBSTONE],
    at: &[At::Sent, At::Received],
};

/// Buries messages.
pub(crate) struct Retraction {
    archive: Arc<dyn Archive>,
}

/// A retraction, as far as an archive is concerned.
struct Wanted {
    archive: Jid,
    /// Who takes it back, who has to be who wrote it (§5).
    author: Jid,
    /// The other party.
    with: Jid,
    /// The message's `id`.
    id: Box<str>,
    tombstone: Element,
}

impl Retraction {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { archive: ports.store.archive.clone() })
    }
}

impl Feature for Retraction {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if !cx.host.archive
            || stanza.kind != Kind::Message
            || !matches!(stanza.ty, Type::Chat | Type::Normal)
            || !stanza.payload.has(ns::RETRACT, "retract")
        {
            return Next::Go;
        }
        let Some(wanted) = Wanted::of(at, cx, stanza) else { return Next::Go };
        let archive = self.archive.clone();
        Next::in_turn(async move {
            if let Err(error) = bury(&*archive, &wanted).await {
                // The retraction itself goes on: it is archived, and clients heed it.
                tracing::warn!(%error, account = %wanted.archive, "a retracted message could not be replaced");
            }
            after(|_, _| Next::Go)
        })
    }
}

impl Wanted {
    fn of(at: At, cx: &Context<'_>, stanza: &Stanza) -> Option<Self> {
        let (from, to) = (stanza.from.as_ref()?, stanza.to.as_ref()?);
        let with = if at == At::Sent { to } else { from };
        let id = stanza.payload.find_element(ns::RETRACT, "retract")?.attribute("id")?.into();
        let tombstone = Element::new(ns::RETRACT, "retracted")
            .attr("stamp", datetime::write(cx.now_ms))
            .attr("id", stanza.id.as_deref()?);
        Some(Self { archive: cx.account.jid.clone(), author: from.bare(), with: with.bare(), id, tombstone })
    }

    /// The row with a tombstone in it, if it is the one.
    fn buried(&self, row: &Row) -> Option<Row> {
        if !row.with.same_bare(&self.with) {
            return None;
        }
        let message = stored::decode(&row.stanza).ok()?;
        let written = message.from.as_ref().is_some_and(|from| from.same_bare(&self.author));
        if !written || message.id.as_deref() != Some(&*self.id) {
            return None;
        }
        let mut buried = Stanza::new(message.kind, message.ty).with_from(message.from).with_to(message.to);
        buried.id = message.id;
        buried.payload.push(&self.tombstone);
        Some(Row { stanza: stored::encode(&buried), ..row.clone() })
    }
}

/// Looks for the message from the newest on, and replaces it.
async fn bury(archive: &dyn Archive, wanted: &Wanted) -> store::Result<()> {
    let mut below = u64::MAX;
    for _ in 0..SEARCHED_ROWS_MAX / CHUNK_ROWS {
        let rows = archive.before(&wanted.archive, below, CHUNK_ROWS).await?;
        if let Some(buried) = rows.iter().rev().find_map(|row| wanted.buried(row)) {
            return archive.append(&[buried]).await;
        }
        match rows.first() {
            Some(first) if rows.len() == CHUNK_ROWS => below = first.id,
            _ => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use store::Direction;

    use super::*;
    use crate::mam::tests::{put, row};
    use crate::testing::{Stage, payload, stanza, wait};

    const ROMEO: &str = "romeo@montague.example/orchard";
    const JULIET: &str = "juliet@capulet.example/balcony";

    /// Romeo has written m1 and m3, Juliet m2 to Romeo, the nurse m4.
    fn scene() -> Stage {
        let stage = Stage::new();
        let rows = [
            row(&stage, 1, ROMEO, Direction::Received),
            row(&stage, 2, ROMEO, Direction::Sent),
            row(&stage, 3, ROMEO, Direction::Received),
            row(&stage, 4, "nurse@capulet.example/x", Direction::Received),
        ];
        put(&stage, &rows);
        stage
    }

    fn retracts(stage: &mut Stage, at: At, from: &str, to: &str, id: &str) {
        let room = stage.room(Retraction::build);
        let mut retraction = stanza(&format!(
            "<message type='chat' from='{from}' to='{to}' id='r1'>\
             <retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"
        ));
        assert!(matches!(stage.meet(&*room, at, None, &mut retraction), Next::Go));
    }

    fn archived(stage: &Stage) -> Vec<String> {
        let rows = wait(stage.ports.store.archive.after(&stage.account.jid, 0, 100)).unwrap();
        rows.iter().map(|row| payload(&stored::decode(&row.stanza).unwrap())).collect()
    }

    #[test]
    fn what_romeo_takes_back_is_a_tombstone() {
        let mut stage = scene();
        let before = wait(stage.ports.store.archive.after(&stage.account.jid, 0, 100)).unwrap();
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m1");
        let after = wait(stage.ports.store.archive.after(&stage.account.jid, 0, 100)).unwrap();
        let buried = stored::decode(&after[0].stanza).unwrap();
        assert_eq!(
            payload(&buried),
            "<retracted xmlns='urn:xmpp:message-retract:1' stamp='2026-01-01T00:00:00Z' id='r1'/>"
        );
        assert_eq!((buried.id.as_deref(), buried.from.unwrap().as_str()), (Some("m1"), ROMEO));
        assert_eq!(Row { stanza: before[0].stanza.clone(), ..after[0].clone() }, before[0], "all else stays");
        assert_eq!(after[1..], before[1..]);
    }

    #[test]
    fn what_juliet_takes_back_is_one_in_her_own_archive() {
        let mut stage = scene();
        retracts(&mut stage, At::Sent, JULIET, ROMEO, "m2");
        assert!(archived(&stage)[1].starts_with("<retracted "));
    }

    #[test]
    fn nobody_takes_back_what_others_wrote() {
        let mut stage = scene();
        let before = archived(&stage);
        retracts(&mut stage, At::Received, "tybalt@capulet.example/x", JULIET, "m1");
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m2");
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m4");
        retracts(&mut stage, At::Sent, JULIET, ROMEO, "m1");
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m9");
        assert_eq!(archived(&stage), before);
    }

    #[test]
    fn what_lies_deep_stays() {
        let mut stage = scene();
        let later: Vec<Row> = (5..SEARCHED_ROWS_MAX as u64 + 3)
            .map(|n| row(&stage, n, "nurse@capulet.example/x", Direction::Received))
            .collect();
        put(&stage, &later);
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m1");
        assert_eq!(archived(&stage)[0], "<body>1</body>");
        retracts(&mut stage, At::Received, ROMEO, JULIET, "m3");
        assert!(archived(&stage)[2].starts_with("<retracted "));
    }
}
