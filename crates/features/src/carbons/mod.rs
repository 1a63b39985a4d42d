//! Message carbons (XEP-0280): every session that wants them gets a copy of what the others send and receive.
//!
//! Turning them on and off is a room like others. The copies are made where a message is delivered, by [`sent`] and
//! [`received`]: only there is known who got the message itself.

mod eligible;

use xmpp::ns;
use xmpp::stanza::{Child, ContentNs, Kind, Payload, Stanza};

use crate::about::{About, At, Spec};
use crate::account::{Account, Origin, Session};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;
use eligible::{Direction, eligible};

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "carbons",
    doc: "Copies messages to a user's other clients.",
    specs: &[
        Spec { xep: 280, version: "1.0.1", note: "errors are not copied" },
        Spec { xep: 297, version: "1.0", note: "" },
    ],
    host_disco: &[ns::CARBONS],
    account_disco: &[ns::CARBONS],
    at: &[At::Account, At::Received],
};

/// Turns carbons on and off, and stops forged ones.
pub(crate) struct Carbons;

impl Carbons {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

/// The copies of a message that a session of this account sends, for its other sessions (§8).
///
/// A message to the account itself has none: it comes back, and [`received`] copies it.
pub fn sent(account: &Account, stanza: &Stanza, from: Origin) -> Vec<(Origin, Stanza)> {
    let to_self = stanza.to.as_ref().is_none_or(|to| to.same_bare(&account.jid));
    let wants = |session: &Session| session.carbons && session.stream != from;
    if to_self || !account.sessions.iter().any(wants) || !eligible(stanza, Direction::Sent) {
        return Vec::new();
    }
    copies(account, stanza, "sent", wants)
}

/// The copies of a message to this account, for the sessions that do not get the message itself (§7).
pub fn received(account: &Account, stanza: &Stanza, delivered_to: &[Origin]) -> Vec<(Origin, Stanza)> {
    // A session that writes to another of its account has the message already.
    let wants = |session: &Session| {
        session.carbons
            && !delivered_to.contains(&session.stream)
            && stanza.from.as_ref() != Some(&session.jid)
    };
    if !account.sessions.iter().any(wants) || !eligible(stanza, Direction::Received) {
        return Vec::new();
    }
    copies(account, stanza, "received", wants)
}

fn copies(
    account: &Account,
    stanza: &Stanza,
    name: &str,
    wants: impl Fn(&Session) -> bool,
) -> Vec<(Origin, Stanza)> {
    let mut copy = Stanza::message(stanza.ty).with_from(account.jid.clone());
    // Written once; the copies share the bytes.
    copy.payload = wrapped(stanza, name);
    let wanting = account.sessions.iter().filter(|session| wants(session));
    wanting.map(|session| (session.stream, copy.clone().with_to(session.jid.clone()))).collect()
}

/// The message in `<forwarded/>` (XEP-0297) in `<sent/>` or `<received/>`.
fn wrapped(stanza: &Stanza, name: &str) -> Payload {
    let mut out = Vec::with_capacity(stanza.payload.bytes().len() + 512);
    out.extend_from_slice(
        format!("<{name} xmlns='{}'><forwarded xmlns='{}'>", ns::CARBONS, ns::FORWARD).as_bytes(),
    );
    stanza.write(&mut out, ContentNs::Client);
    out.extend_from_slice(format!("</forwarded></{name}>").as_bytes());
    let child = Child { ns: ns::CARBONS.into(), name: name.into(), start: 0, end: out.len() as u32 };
    Payload::from_parts(out.into(), vec![child])
}

impl Feature for Carbons {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        if at == At::Received {
            disarm(stanza);
            return Next::Go;
        }
        let enable = iq::is_set(stanza, ns::CARBONS, "enable");
        if !enable && !iq::is_set(stanza, ns::CARBONS, "disable") {
            return Next::Go;
        }
        // From others (§4.1) it goes unanswered like any question that is not theirs to ask.
        let Some(session) = cx.this_mut() else { return Next::Go };
        if session.carbons != enable {
            session.carbons = enable;
            cx.changed();
        }
        iq::done(cx, stanza)
    }
}

/// A message that comes in is never a carbon: those are made here (§11; CVE-2017-5589 and its kin).
fn disarm(stanza: &mut Stanza) {
    if stanza.kind == Kind::Message {
        stanza
            .payload
            .retain(|child, _| !(child.is(ns::CARBONS, "sent") || child.is(ns::CARBONS, "received")));
    }
}

#[cfg(test)]
mod tests {
    use xmpp::stanza::Type;

    use super::*;
    use crate::testing::{Stage, payload, stanza};

    const ENABLE: &str = "<iq id='1' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>";

    /// Juliet in her chamber and on her balcony, both with carbons.
    fn scene() -> (Stage, Origin, Origin) {
        let mut stage = Stage::new();
        let (chamber, balcony) = (stage.enter("chamber"), stage.enter("balcony"));
        for session in &mut stage.account.sessions {
            session.carbons = true;
        }
        (stage, chamber, balcony)
    }

    #[test]
    fn carbons_are_turned_on_and_off_any_number_of_times() {
        let mut stage = Stage::new();
        let chamber = stage.bind("chamber");
        let room = stage.room(Carbons::build);
        for (name, on) in [("enable", true), ("enable", true), ("disable", false), ("disable", false)] {
            let iq = ENABLE.replace("enable", name);
            assert_eq!(stage.ask(&*room, At::Account, Some(chamber), &iq), "");
            assert_eq!(stage.account.session(chamber).unwrap().carbons, on);
        }
        assert_eq!(stage.ask(&*room, At::Account, None, ENABLE), "go");
    }

    #[test]
    fn the_balcony_sees_what_the_chamber_writes() {
        let (stage, chamber, balcony) = scene();
        let letter = stanza(
            "<message from='juliet@capulet.example/chamber' to='romeo@montague.example' type='chat'>\
             <body>come &amp; stay</body></message>",
        );
        let copies = sent(&stage.account, &letter, chamber);
        assert_eq!(copies.len(), 1);
        assert_eq!(copies[0].0, balcony);
        let copy = &copies[0].1;
        assert_eq!(copy.from.as_ref().unwrap().as_str(), "juliet@capulet.example");
        assert_eq!(copy.to.as_ref().unwrap().as_str(), "juliet@capulet.example/balcony");
        assert_eq!(copy.ty, Type::Chat);
        assert_eq!(
            payload(copy),
            "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' to='romeo@montague.example' from='juliet@capulet.example/chamber' \
             type='chat'><body>come &amp; stay</body></message></forwarded></sent>"
        );
        assert!(copy.payload.has(ns::CARBONS, "sent"));
    }

    #[test]
    fn only_who_did_not_get_the_message_gets_a_copy() {
        let (stage, chamber, balcony) = scene();
        let letter = stanza(
            "<message from='romeo@montague.example/x' to='juliet@capulet.example/chamber' type='chat'/>",
        );
        let copies = received(&stage.account, &letter, &[chamber]);
        assert_eq!(copies.iter().map(|(stream, _)| *stream).collect::<Vec<_>>(), [balcony]);
        assert!(received(&stage.account, &letter, &[chamber, balcony]).is_empty());
    }

    #[test]
    fn what_juliet_writes_to_herself_is_copied_once() {
        let (mut stage, chamber, balcony) = scene();
        let garden = stage.enter("garden");
        stage.account.session_mut(garden).unwrap().carbons = true;
        let note = stanza(
            "<message from='juliet@capulet.example/chamber' to='juliet@capulet.example/balcony' type='chat'/>",
        );
        assert!(sent(&stage.account, &note, chamber).is_empty());
        let copies = received(&stage.account, &note, &[balcony]);
        assert_eq!(copies.iter().map(|(stream, _)| *stream).collect::<Vec<_>>(), [garden]);
    }

    #[test]
    fn a_forged_carbon_loses_its_wrapping() {
        let mut stage = Stage::new();
        let room = stage.room(Carbons::build);
        for name in ["sent", "received"] {
            let mut forged = stanza(&format!(
                "<message from='tybalt@capulet.example/x' to='juliet@capulet.example'><{name} \
                 xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></{name}><body>die</body></message>"
            ));
            assert!(matches!(stage.meet(&*room, At::Received, None, &mut forged), Next::Go));
            assert_eq!(payload(&forged), "<body>die</body>");
        }
    }
}
