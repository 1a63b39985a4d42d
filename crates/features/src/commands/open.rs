//! Commands whose form is being filled out.

use std::collections::VecDeque;

use xmpp::jid::Jid;

/// Commands that may be open at once; the oldest give way.
pub(super) const OPEN_MAX: usize = 256;
/// How long a form may be filled out, in milliseconds.
pub(super) const OPEN_MS_MAX: u64 = 15 * 60 * 1_000;

/// All of them, oldest first.
#[derive(Default)]
pub(super) struct Open {
    commands: VecDeque<Session>,
    /// Makes ids differ.
    count: u64,
}

struct Session {
    id: String,
    /// Full: a session is between one requester and one responder (XEP-0050 §4.3).
    who: Jid,
    node: &'static str,
    until_ms: u64,
}

impl Open {
    /// An id that was not used before.
    pub(super) fn new_id(&mut self, now_ms: u64) -> String {
        self.count += 1;
        format!("{now_ms:x}-{:x}", self.count)
    }

    pub(super) fn add(&mut self, id: String, who: Jid, node: &'static str, now_ms: u64) {
        if self.commands.len() >= OPEN_MAX {
            self.commands.pop_front();
        }
        self.commands.push_back(Session { id, who, node, until_ms: now_ms + OPEN_MS_MAX });
    }

    /// Whether this requester has this command open.
    pub(super) fn has(&self, id: &str, who: &Jid, node: &str) -> bool {
        self.commands.iter().any(|open| open.id == id && open.who == *who && open.node == node)
    }

    /// Closes it; answers until when the form was awaited, in unix milliseconds.
    pub(super) fn close(&mut self, id: &str) -> Option<u64> {
        let at = self.commands.iter().position(|open| open.id == id)?;
        self.commands.remove(at).map(|open| open.until_ms)
    }
}
