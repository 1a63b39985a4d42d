//! Software version (XEP-0092). The operating system is not shown (§5): nobody but an attacker needs it.

use xmpp::ns;
use xmpp::stanza::Stanza;
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "version",
    doc: "Tells the name and the version of this software.",
    specs: &[Spec { xep: 92, version: "1.1", note: "the operating system is not shown" }],
    host_disco: &[ns::VERSION],
    account_disco: &[],
    at: &[At::Host],
};

/// Tells what this software is.
pub(crate) struct Version;

impl Version {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

impl Feature for Version {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if !iq::is_get(stanza, ns::VERSION, "query") {
            return Next::Go;
        }
        let text = |name, text: &str| Element::new(ns::VERSION, name).with_text(text);
        let query = Element::new(ns::VERSION, "query")
            .with_child(text("name", "Throng"))
            .with_child(text("version", env!("CARGO_PKG_VERSION")));
        iq::answer(cx, stanza, &query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Stage;

    #[test]
    fn it_is_throng_on_nobody_s_business() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let version = stage.room(Version::build);
        let answer = stage.ask(
            &*version,
            At::Host,
            Some(chamber),
            "<iq id='1' type='get'><query xmlns='jabber:iq:version'/></iq>",
        );
        assert!(answer.contains("<name>Throng</name><version>"), "{answer}");
        assert!(!answer.contains("<os>"));
    }
}
