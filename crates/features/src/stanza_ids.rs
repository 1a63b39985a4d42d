//! Unique and stable stanza ids (XEP-0359): what the archive calls a message, and nobody else may claim.

use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Kind, Stanza};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::delay::claims;
use crate::ports::Ports;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "stanza-ids",
    doc: "Gives messages the id they have in the archive, and removes such ids and delays that others claim in our name.",
    specs: &[Spec { xep: 359, version: "0.7.0", note: "" }],
    host_disco: &[],
    account_disco: &[ns::SID],
    at: &[At::Sent, At::Received],
};

/// Removes what only the account or its domain may say (XEP-0359 §4, XEP-0203).
pub(crate) struct StanzaIds;

impl StanzaIds {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

/// Says that `by` keeps this stanza under `id`.
pub fn stamp(stanza: &mut Stanza, by: &Jid, id: u64) {
    stanza.payload.push(&Element::new(ns::SID, "stanza-id").attr("id", text(id)).attr("by", by));
}

/// The text of an archive's id: sixteen hexadecimal digits, so that ids sort as texts as they do as numbers.
pub fn text(id: u64) -> String {
    format!("{id:016x}")
}

/// The id of a text that [`text`] has made; nothing else is one.
pub fn parse(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

impl Feature for StanzaIds {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if stanza.kind == Kind::Iq {
            return Next::Go;
        }
        // On its way out a stanza has not passed the domain yet, so a delay in its name is as false as on the way in.
        let (account, domain) = (&cx.account.jid, &cx.host.domain);
        // The domain itself stamps what it forwards to its accounts.
        let ours = at == At::Received && stanza.from.as_ref() == Some(domain);
        stanza.payload.retain(|child, raw| match (&*child.ns, &*child.name) {
            (ns::SID, "stanza-id") => ours || !(claims(raw, "by", account) || claims(raw, "by", domain)),
            // A client may say that it kept a stanza itself (XEP-0203 §2), but not that its server did.
            (ns::DELAY, "delay") => ours || !claims(raw, "from", domain),
            _ => true,
        });
        Next::Go
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, jid, payload, stanza};

    #[test]
    fn false_claims_are_removed_and_others_stay() {
        let mut stage = Stage::new();
        let ids = stage.room(StanzaIds::build);
        let mut letter = stanza(
            "<message from='romeo@montague.example/orchard' to='juliet@capulet.example'>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='juliet@capulet.example'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='2' by='Juliet@CAPULET.example'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='5' by='capulet.example'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='3' by='room@muc.example'/>\
             <delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2002-09-10T23:08:25Z'/>\
             <delay xmlns='urn:xmpp:delay' from='romeo@montague.example' stamp='2002-09-10T23:08:25Z'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='4'/><body>hark</body></message>",
        );
        assert!(matches!(stage.meet(&*ids, At::Received, None, &mut letter), Next::Go));
        assert_eq!(
            payload(&letter),
            "<stanza-id xmlns='urn:xmpp:sid:0' id='3' by='room@muc.example'/>\
             <delay xmlns='urn:xmpp:delay' from='romeo@montague.example' stamp='2002-09-10T23:08:25Z'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='4'/><body>hark</body>"
        );
    }

    #[test]
    fn an_id_is_the_same_in_both_directions() {
        for id in [0, 1, 1_767_225_600_000, u64::MAX] {
            assert_eq!(parse(&text(id)), Some(id));
        }
        for text in ["", "1", "000000000000000G", "000000000000000A", "00000000000000001", "+000000000000001"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_stamp_names_who_keeps_it() {
        let mut letter = stanza("<message/>");
        stamp(&mut letter, &jid("juliet@capulet.example"), 255);
        assert_eq!(
            payload(&letter),
            "<stanza-id xmlns='urn:xmpp:sid:0' id='00000000000000ff' by='juliet@capulet.example'/>"
        );
    }
}
