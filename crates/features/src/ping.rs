//! XMPP ping (XEP-0199): the domain and one's own account answer.

use xmpp::ns;
use xmpp::stanza::Stanza;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "ping",
    doc: "Answers pings to the domain and to one's own account.",
    specs: &[Spec { xep: 199, version: "2.0.1", note: "" }],
    host_disco: &[ns::PING],
    account_disco: &[ns::PING],
    at: &[At::Host, At::Account],
};

/// Answers pings.
pub(crate) struct Ping;

impl Ping {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

impl Feature for Ping {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        // A ping from others to an account would tell whether the account is there.
        if cx.session.is_none() || !iq::is_get(stanza, ns::PING, "ping") {
            return Next::Go;
        }
        iq::done(cx, stanza)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Stage;

    const PING: &str =
        "<iq id='1' type='get' from='juliet@capulet.example/chamber'><ping xmlns='urn:xmpp:ping'/></iq>";

    #[test]
    fn the_server_is_there() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let ping = stage.room(Ping::build);
        assert_eq!(stage.ask(&*ping, At::Host, Some(chamber), PING), "");
        assert_eq!(stage.ask(&*ping, At::Account, Some(chamber), PING), "");
    }

    #[test]
    fn nobody_else_learns_that_an_account_is_there() {
        let mut stage = Stage::new();
        let ping = stage.room(Ping::build);
        assert_eq!(stage.ask(&*ping, At::Account, None, &PING.replace("juliet", "romeo")), "go");
    }
}
