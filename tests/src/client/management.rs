//! Stream management (XEP-0198), the client's side: counting, acknowledging, coming back.

use std::collections::VecDeque;

use xmpp::xml::Element;

use super::Client;

const STANZAS: [&str; 3] = ["<message", "<presence", "<iq"];

/// The counters of a stream.
#[derive(Debug, Default)]
pub(super) struct Management {
    /// Of the server's stanzas.
    heard: u32,
    /// Of ours, how many the server has said to have.
    acknowledged: u32,
    /// Ours that it has not.
    open: VecDeque<String>,
    id: Option<String>,
    /// Whether `<r/>` is left without an answer.
    silent: bool,
    enabled: bool,
}

/// A stream whose connection is gone: enough to resume it.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// How many of the server's stanzas were received.
    pub heard: u32,
    /// Stanzas that the server has not acknowledged.
    pub open: VecDeque<String>,
    acknowledged: u32,
}

impl Management {
    pub(super) fn sent(&mut self, xml: &str) {
        if STANZAS.iter().any(|name| xml.starts_with(name)) {
            self.open.push_back(xml.to_owned());
        }
    }

    pub(super) fn heard(&mut self, element: &Element) {
        if self.enabled && matches!(element.name(), "message" | "presence" | "iq") {
            self.heard = self.heard.wrapping_add(1);
        }
    }

    /// Takes note; what is to be answered is returned.
    pub(super) fn concerns(&mut self, element: &Element) -> Option<String> {
        match element.name() {
            "r" if !self.silent => Some(format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.heard)),
            "a" | "resumed" | "failed" => {
                let h = element.attribute("h").and_then(|h| h.parse::<u32>().ok());
                let covered = h.map_or(0, |h| h.wrapping_sub(self.acknowledged)) as usize;
                assert!(
                    covered <= self.open.len(),
                    "{covered} stanzas are acknowledged, {} were open",
                    self.open.len()
                );
                self.open.drain(..covered);
                self.acknowledged = h.unwrap_or(self.acknowledged);
                None
            }
            "enabled" => {
                self.enabled = true;
                self.id = element.attribute("id").map(str::to_owned);
                None
            }
            _ => None,
        }
    }
}

impl Client {
    /// Stream management that can be resumed; returns `<enabled/>`.
    pub async fn enables_management(&mut self) -> Element {
        self.management = Some(Management::default());
        self.sends("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        self.receives("<enabled xmlns='urn:xmpp:sm:3' id='*' resume='true' max='*'/>").await
    }

    /// Leaves every `<r/>` without an answer from here on.
    pub fn acknowledges_nothing(&mut self) {
        self.managed().silent = true;
    }

    /// Says how much was received.
    pub async fn acknowledges(&mut self) {
        let heard = self.managed().heard;
        self.sends(&format!("<a xmlns='urn:xmpp:sm:3' h='{heard}'/>")).await;
    }

    /// Asks and waits until all that was sent is acknowledged.
    pub async fn is_acknowledged(&mut self) {
        self.sends("<r xmlns='urn:xmpp:sm:3'/>").await;
        while !self.managed().open.is_empty() {
            self.receives("<a xmlns='urn:xmpp:sm:3' h='*'/>").await;
        }
    }

    /// Is gone without a word, and will come back.
    pub fn vanishes_for_a_while(&mut self) -> Saved {
        self.vanishes();
        let name = self.name.clone();
        let management = self.management.take().unwrap_or_else(|| panic!("{name} has no stream management"));
        let Management { heard, open, acknowledged, id, .. } = management;
        Saved { id: id.unwrap_or_default(), heard, open, acknowledged }
    }

    /// Resumes on a stream that is logged in and has not bound; what the server lacks is sent again. Returns the
    /// `<resumed/>`.
    pub async fn resumes(&mut self, saved: Saved) -> Element {
        let id = saved.id.clone();
        self.asks_to_resume(saved).await;
        let resumed = self.receives(&format!("<resumed xmlns='urn:xmpp:sm:3' previd='{id}' h='*'/>")).await;
        self.sends_again().await;
        resumed
    }

    /// Asks to resume; the answer is still to be received, and what the server lacks to be [sent
    /// again](Client::sends_again).
    pub async fn asks_to_resume(&mut self, saved: Saved) {
        let Saved { id, heard, open, acknowledged } = saved;
        let enabled = true;
        let management =
            Management { heard, acknowledged, open, id: Some(id.clone()), silent: false, enabled };
        self.management = Some(management);
        self.sends(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{heard}'/>")).await;
    }

    /// Sends what the server has not acknowledged, as after `<resumed/>`.
    pub async fn sends_again(&mut self) {
        for stanza in self.managed().open.clone() {
            self.sends_bytes(stanza.as_bytes()).await;
        }
    }

    /// How many of the own stanzas the server has not acknowledged.
    pub fn open(&mut self) -> usize {
        self.managed().open.len()
    }

    /// How many of the server's stanzas were received since stream management is on.
    pub fn heard(&mut self) -> u32 {
        self.managed().heard
    }

    fn managed(&mut self) -> &mut Management {
        let name = &self.name;
        self.management.as_mut().unwrap_or_else(|| panic!("{name} has no stream management"))
    }
}
