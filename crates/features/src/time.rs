//! Entity time (XEP-0202): the domain's clock, in UTC.

use xmpp::stanza::Stanza;
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "time",
    doc: "Tells the server's time.",
    specs: &[Spec { xep: 202, version: "2.0", note: "always in UTC" }],
    host_disco: &[ns::TIME],
    account_disco: &[],
    at: &[At::Host],
};

/// Tells the time.
pub(crate) struct Time;

impl Time {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

impl Feature for Time {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if !iq::is_get(stanza, ns::TIME, "time") {
            return Next::Go;
        }
        let text = |name, text: &str| Element::new(ns::TIME, name).with_text(text);
        let time = Element::new(ns::TIME, "time")
            .with_child(text("tzo", "+00:00"))
            .with_child(text("utc", &datetime::write(cx.now_ms)));
        iq::answer(cx, stanza, &time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Stage;

    #[test]
    fn the_clock_strikes() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let time = stage.room(Time::build);
        let asked = "<iq id='1' type='get'><time xmlns='urn:xmpp:time'/></iq>";
        let told = "<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo><utc>2026-01-01T00:00:00Z</utc></time>";
        assert_eq!(stage.ask(&*time, At::Host, Some(chamber), asked), told);
        let set = asked.replace("get", "set");
        assert_eq!(stage.ask(&*time, At::Host, Some(chamber), &set), "go");
    }
}
