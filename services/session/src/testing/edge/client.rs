//! A client at an edge that is played: what it says, hears and expects.

use node::carry;
use proto::delivery::{Item, Origin, Uid};
use proto::session::edge_frame::Kind as Say;
use proto::session::ended::Why;
use proto::session::{Acked, Csi, Enable, Ended, OpenIq};
use xmpp::stanza::{Kind, Stanza, Type};

use super::{Desk, Edge};
use crate::testing::{SILENCE, line, stanza};

/// A client at an edge.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) edge: Edge,
    pub(crate) id: Origin,
}

impl Client {
    /// Enables stream management.
    pub(crate) async fn enables(&self) {
        let desk = self.desk();
        self.edge.says(Say::Enable(Enable {
            stream: Some(desk.id),
            generation: desk.generation,
            resume: true,
            max_s: 0,
            in_base: desk.in_n,
        }));
        self.with(|desk| desk.in_base = desk.in_n);
        self.until("enabled", |desk| desk.managed.then_some(())).await;
    }

    /// Its last stanzas were these, and the edge has not heard that they are finished.
    pub(crate) fn owes(&self, last: &[&str]) {
        self.with(|desk| desk.in_n -= last.len() as u64);
        for xml in last {
            self.item(xml);
        }
    }

    /// Sends a stanza.
    pub(crate) fn says(&self, xml: &str) {
        let item = self.item(xml);
        if !self.edge.inner.office.lock().holds {
            self.edge.says(Say::Item(item.into()));
        }
    }

    fn item(&self, xml: &str) -> Item {
        let stanza = stanza(xml);
        self.with(|desk| {
            desk.in_n += 1;
            if stanza.kind == Kind::Iq
                && matches!(stanza.ty, Type::Get | Type::Set)
                && let Some(to) = &stanza.to
            {
                let id = stanza.id.as_deref().unwrap_or_default().to_owned();
                desk.open_iq.push(OpenIq { to: to.to_string(), id, deadline: u64::MAX });
            }
            let item = Item {
                uid: Some(Uid { origin: Some(desk.id), n: desk.in_n, k: 0 }),
                generation: desk.generation,
                stanza: carry::pack(&stanza),
                ..Item::default()
            };
            desk.unfinished.push_back(item.clone());
            item
        })
    }

    /// Waits for a stanza of which [`line`] says this, past whatever comes before it.
    pub(crate) async fn hears(&self, what: &str) -> Stanza {
        let what = what.to_owned();
        self.until(&what, |desk| {
            while let Some((_, stanza)) = desk.heard.pop_front() {
                if line(&stanza).contains(&what) {
                    return Some(stanza);
                }
            }
            None
        })
        .await
    }

    /// Waits for as many stanzas of which [`line`] says this, and answers what each says behind it.
    pub(crate) async fn hears_all(&self, what: &str, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.push(line(&self.hears(what).await).split(": ").last().unwrap_or_default().to_owned());
        }
        lines
    }

    /// What has come and not been looked at, when nothing more comes.
    pub(crate) async fn rest(&self) -> Vec<String> {
        tokio::time::sleep(SILENCE).await;
        self.with(|desk| desk.heard.drain(..).map(|(_, stanza)| line(&stanza)).collect())
    }

    /// Acknowledges everything.
    pub(crate) fn acks(&self) {
        let acked = self.with(|desk| {
            desk.acked = desk.out_n;
            let cursor = desk.cursor;
            let given: Vec<_> = desk.mailbox.drain(..).collect();
            let settled = given.iter().filter(|mail| mail.settles && mail.archive_id >= cursor);
            desk.settled.extend(settled.map(|mail| mail.archive_id));
            let held = given.iter().filter(|mail| mail.archive_id == 0);
            desk.recent.extend(held.filter_map(|mail| mail.uid));
            Acked { stream: Some(desk.id), out_n: desk.acked }
        });
        self.edge.says(Say::Acked(acked));
    }

    /// Waits until the owner has finished this many of the client's stanzas since stream management was enabled.
    pub(crate) async fn finished(&self, h: u64) {
        self.until(&format!("h={h}"), |desk| (desk.h - desk.in_base >= h).then_some(())).await;
    }

    /// How many of the client's stanzas the owner has finished.
    pub(crate) fn h(&self) -> u64 {
        self.with(|desk| desk.h - desk.in_base)
    }

    pub(crate) fn previd(&self) -> String {
        self.with(|desk| desk.previd.clone())
    }

    pub(crate) fn says_active(&self, active: bool) {
        let desk = self.desk();
        self.edge.says(Say::Csi(Csi { stream: Some(desk.id), generation: desk.generation, active }));
    }

    /// The client says goodbye.
    pub(crate) fn leaves(&self) {
        self.ends(Why::Closed);
    }

    /// The client's connection breaks.
    pub(crate) fn vanishes(&self) {
        self.with(|desk| desk.lost = true);
        self.ends(Why::Lost);
    }

    fn ends(&self, why: Why) {
        let (stream, generation) = self.with(|desk| (Some(desk.id), desk.generation));
        self.edge.says(Say::Ended(Ended { stream, generation, why: why.into() }));
    }

    /// Waits until the edge may forget it.
    pub(crate) async fn hibernates(&self) {
        self.until("hibernated", |desk| desk.hibernated.then_some(())).await;
    }

    /// Waits for a stream error.
    pub(crate) async fn closed(&self) -> String {
        self.until("a stream error", |desk| desk.closed.clone()).await
    }

    /// What the edge keeps of it.
    pub(crate) fn desk(&self) -> Desk {
        self.with(|desk| desk.clone())
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> T {
        act(self.edge.inner.office.lock().desks.get_mut(&self.id).expect("the edge has the stream"))
    }

    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&mut Desk) -> Option<T>) -> T {
        let id = self.id;
        self.edge.until(what, move |office| office.desks.get_mut(&id).and_then(&mut look)).await
    }
}
