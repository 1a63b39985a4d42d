//! Archives (XEP-0313): pages as a user reads them, and the whole of one's own to compare with what was delivered.

use std::sync::Arc;

use figures::MessageId;
use xmpp::xml::write_text;

use crate::asking::Then;
use crate::session::{Over, Session};
use crate::stage::unescape;

/// Items that are asked for at once when a whole archive is read.
const READ_ITEMS: u32 = 100;
/// The run's first messages are looked for from so long before its start, in milliseconds: clocks differ.
const CLOCKS_MS: u64 = 60_000;

impl Session {
    /// Reads the newest page, or the one before the last that was read.
    pub(crate) async fn read_page(&mut self, items: u32, next: bool) -> Result<(), Over> {
        let before = self.page.take().filter(|_| next).unwrap_or_default();
        let measure = self.stage.measures.page;
        let id = self.ask(measure, None, "set", &query("", "before", Some(&before), items), Then::Nothing);
        if let Some(answer) = self.answer(&id).await? {
            self.page = answer.find("first").map(|first| unescape(first.text()).into_owned());
        }
        Ok(())
    }

    /// Reads the own archive of this run to its end, for the ledger.
    pub(crate) async fn read_own_archive(&mut self) {
        let stage = Arc::clone(&self.stage);
        let Ok(_permit) = stage.archive_readers.acquire().await else { return };
        self.archive = Some(stage.book.lock().archive(self.account as u32));
        let complete = self.read_from_start().await;
        let archive = self.archive.take();
        if complete == Ok(true)
            && let Some(archive) = archive
            && self.seat().read_archive()
        {
            stage.book.lock().archive_read(archive);
        } else if self.seat().read_archive() {
            stage.recorder.count("archives-unread", 1);
        }
    }

    /// Whether everything was read.
    async fn read_from_start(&mut self) -> Result<bool, Over> {
        let stage = Arc::clone(&self.stage);
        let measure = stage.recorder.measure("archive-check");
        let start = xmpp::datetime::write(stage.clock.started_unix_ms().saturating_sub(CLOCKS_MS));
        let form = format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value>\
             </field><field var='start'><value>{start}</value></field></x>"
        );
        let mut after = None;
        loop {
            let id = self.ask(
                measure,
                None,
                "set",
                &query(&form, "after", after.as_deref(), READ_ITEMS),
                Then::Nothing,
            );
            let Some(answer) = self.answer(&id).await? else { return Ok(false) };
            let Some(fin) = answer.find("fin") else { return Ok(false) };
            let last = answer.find("last").map(|last| unescape(last.text()).into_owned());
            if matches!(fin.attribute("complete"), Some("true" | "1")) || last.is_none() {
                return Ok(true);
            }
            if last == after {
                return Ok(false);
            }
            after = last;
        }
    }

    /// A page has this message of the run.
    pub(crate) fn archive_holds(&mut self, id: &MessageId) {
        match &mut self.archive {
            Some(archive) => archive.holds(id),
            None => self.stage.recorder.count("archived-read", 1),
        }
    }
}

/// A query with a form, for so many items before or after one (XEP-0059 §2).
fn query(form: &str, direction: &str, item: Option<&str>, items: u32) -> String {
    let mut out = format!(
        "<query xmlns='urn:xmpp:mam:2'>{form}<set xmlns='http://jabber.org/protocol/rsm'><max>{items}</max>"
    )
    .into_bytes();
    if let Some(item) = item {
        out.extend_from_slice(format!("<{direction}>").as_bytes());
        write_text(&mut out, item);
        out.extend_from_slice(format!("</{direction}>").as_bytes());
    }
    out.extend_from_slice(b"</set></query>");
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_pages_in_both_directions() {
        let rsm = "<set xmlns='http://jabber.org/protocol/rsm'><max>5</max>";
        let newest = query("", "before", Some(""), 5);
        assert_eq!(newest, format!("<query xmlns='urn:xmpp:mam:2'>{rsm}<before></before></set></query>"));
        let next = query("", "after", Some("a<b"), 5);
        assert_eq!(next, format!("<query xmlns='urn:xmpp:mam:2'>{rsm}<after>a&lt;b</after></set></query>"));
    }
}
