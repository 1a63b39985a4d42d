//! A server that is silent: asked for a sign, and given up if it gives none. Without that, a connection whose other end
//! has vanished behind a broken network is never known to be lost.

use crate::session::Session;

impl Session {
    /// The server has given a sign.
    pub(crate) fn heard(&mut self) {
        self.heard_us = self.now_us();
        self.asked_us = None;
    }

    /// Does what is due about a server's silence. Until when to wait now, if so long was asked for.
    pub(crate) fn mind_silence(&mut self, until_us: u64) -> u64 {
        let Some(patience) = self.role().population.patience else { return until_us };
        let (patience_us, now_us) = (patience.as_micros() as u64, self.now_us());
        let Some(client) = self.client.as_mut().filter(|client| client.is_managed()) else { return until_us };
        let due_us = match self.asked_us {
            None if now_us < self.heard_us + patience_us => self.heard_us + patience_us,
            None => {
                client.request();
                self.asked_us = Some(now_us);
                now_us + patience_us
            }
            Some(asked_us) if now_us < asked_us + patience_us => asked_us + patience_us,
            Some(_) => {
                self.lose("connections-given-up");
                // The connection is made again before anything is waited for.
                now_us
            }
        };
        until_us.min(due_us)
    }
}
