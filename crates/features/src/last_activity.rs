//! Last activity (XEP-0012): how long the server is up, and how long an account has been away.

use std::sync::Arc;

use store::accounts::STATUS_BYTES_MAX;
use store::{Accounts, Activity};
use xmpp::ns;
use xmpp::stanza::{Condition, Stanza};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::iq;
use crate::ports::Ports;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "last-activity",
    doc: "Tells the server's uptime, and those who see an account's presence since when it has been away.",
    specs: &[Spec {
        xep: 12,
        version: "2.0",
        note: "refused with service-unavailable, as for accounts that are not there",
    }],
    host_disco: &[ns::LAST],
    account_disco: &[ns::LAST],
    at: &[At::Host, At::Account, At::Received, At::Ended],
};

/// Remembers when accounts were last there, and tells.
pub(crate) struct LastActivity {
    accounts: Arc<dyn Accounts>,
}

impl LastActivity {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { accounts: ports.store.accounts.clone() })
    }

    /// §3: how long ago the account left and what it said then.
    fn away(&self, cx: &mut Context<'_>, stanza: &Stanza) -> Next {
        if !cx.account.sessions.is_empty() {
            return iq::answer(cx, stanza, &query(0));
        }
        let (accounts, account) = (self.accounts.clone(), cx.account.jid.clone());
        Next::later(async move {
            let last = accounts.last_activity(&account).await.map_err(iq::stored)?;
            // Without a record it has never been there; nobody can say since when.
            let last = last.ok_or(Condition::ServiceUnavailable)?;
            after(move |cx, stanza| {
                let seconds = cx.now_ms.saturating_sub(last.at_ms) / 1_000;
                let query = query(seconds);
                let query = if last.status.is_empty() { query } else { query.with_text(last.status) };
                iq::answer(cx, stanza, &query)
            })
        })
    }

    fn left(&self, cx: &Context<'_>, stanza: &Stanza) -> Next {
        let status = stanza.payload.find_element(ns::CLIENT, "status").map(|status| status.text());
        let mut status = status.unwrap_or_default();
        status.truncate(status.floor_char_boundary(STATUS_BYTES_MAX));
        let activity = Activity { at_ms: cx.now_ms, status };
        let (accounts, account) = (self.accounts.clone(), cx.account.jid.clone());
        Next::later(async move {
            // The session may have ended because the account is gone: then nothing is written of it. A store that fails
            // does not keep a session from ending.
            let written = match accounts.load(&account).await {
                Ok(Some(_)) => accounts.set_last_activity(&account, activity).await,
                other => other.map(|_| ()),
            };
            if let Err(error) = written {
                tracing::warn!(%error, %account, "last activity could not be stored");
            }
            after(|_, _| Next::Go)
        })
    }
}

impl Feature for LastActivity {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if at == At::Ended {
            return self.left(cx, stanza);
        }
        if !iq::is_get(stanza, ns::LAST, "query") {
            return Next::Go;
        }
        match at {
            At::Host => {
                let seconds = cx.now_ms.saturating_sub(cx.host.started_ms) / 1_000;
                iq::answer(cx, stanza, &query(seconds))
            }
            At::Account if iq::may_ask(cx, stanza) => self.away(cx, stanza),
            // §4: not even a session is asked. The XEP's `forbidden` would tell that the account is there.
            _ if !iq::may_ask(cx, stanza) => iq::refuse(Condition::ServiceUnavailable),
            _ => Next::Go,
        }
    }
}

fn query(seconds: u64) -> Element {
    Element::new(ns::LAST, "query").attr("seconds", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use store::Subscription;

    use super::*;
    use crate::testing::{Stage, stanza, wait};

    const ASKED: &str =
        "<iq id='1' type='get' from='romeo@montague.example/x'><query xmlns='jabber:iq:last'/></iq>";

    fn told(seconds: u64, status: &str) -> String {
        match status {
            "" => format!("<query xmlns='jabber:iq:last' seconds='{seconds}'/>"),
            status => format!("<query xmlns='jabber:iq:last' seconds='{seconds}'>{status}</query>"),
        }
    }

    #[test]
    fn romeo_learns_since_when_juliet_sleeps() {
        let mut stage = Stage::new();
        stage.befriend("romeo@montague.example", Subscription::From);
        wait(stage.ports.store.accounts.create(&stage.account.jid, store::Account::default())).unwrap();
        let room = stage.room(LastActivity::build);
        assert_eq!(stage.ask(&*room, At::Account, None, ASKED), "error service-unavailable");
        let mut night = stanza("<presence type='unavailable'><status>good night</status></presence>");
        assert!(matches!(stage.meet(&*room, At::Ended, None, &mut night), Next::Go));
        stage.now_ms += 903_500;
        assert_eq!(stage.ask(&*room, At::Account, None, ASKED), told(903, "good night"));
        stage.bind("chamber");
        assert_eq!(stage.ask(&*room, At::Account, None, ASKED), told(0, ""));
    }

    #[test]
    fn a_stranger_learns_nothing() {
        let mut stage = Stage::new();
        stage.befriend("romeo@montague.example", Subscription::To);
        stage.bind("chamber");
        let room = stage.room(LastActivity::build);
        for at in [At::Account, At::Received] {
            assert_eq!(stage.ask(&*room, at, None, ASKED), "error service-unavailable");
        }
    }

    #[test]
    fn nothing_is_written_of_an_account_that_was_removed() {
        let mut stage = Stage::new();
        let room = stage.room(LastActivity::build);
        stage.meet(&*room, At::Ended, None, &mut stanza("<presence type='unavailable'/>"));
        assert_eq!(wait(stage.ports.store.accounts.last_activity(&stage.account.jid)).unwrap(), None);
    }

    #[test]
    fn the_server_tells_its_uptime() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let room = stage.room(LastActivity::build);
        assert_eq!(stage.ask(&*room, At::Host, Some(chamber), ASKED), told(60, ""));
    }
}
