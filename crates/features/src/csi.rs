//! Client state indication (XEP-0352): what an inactive client need not hear at once is held back.
//!
//! Held are a contact's presence and its chat states, the latest of each; whatever else comes lets them go first, so that
//! order is kept. They are marked with when they came (XEP-0203), by which they are also known when they come by again.

use xmpp::ns;
use xmpp::stanza::{Kind, Stanza, Type};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::delay;
use crate::ports::Ports;

/// Stanzas held back for a session at most; then they go.
pub const HELD_BACK_MAX: usize = 256;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "csi",
    doc: "Holds back presence and chat states while a client's user looks elsewhere.",
    specs: &[Spec { xep: 352, version: "1.0.0", note: "" }],
    host_disco: &[],
    account_disco: &[],
    at: &[At::Deliver],
};

/// Holds back what can wait.
pub(crate) struct Csi;

impl Csi {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

/// The session's client says whether its user looks at it (§4.2). Also to be called when a stream is resumed: it is
/// active then (§5.2).
pub fn set(cx: &mut Context<'_>, active: bool) {
    let Some(session) = cx.this_mut() else { return };
    if session.inactive != active {
        return;
    }
    session.inactive = !active;
    cx.changed();
    if active {
        release(cx);
    }
}

impl Feature for Csi {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// What goes out here goes before the stanza at hand.
    fn handle(&self, _: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        let Some(session) = cx.this() else { return Next::Go };
        if !session.inactive || delay::is_stamped(stanza, &cx.host.domain) {
            return Next::Go;
        }
        if !can_wait(stanza) {
            release(cx);
            return Next::Go;
        }
        if session.held_back.len() >= HELD_BACK_MAX {
            release(cx);
        }
        hold(cx, std::mem::replace(stanza, Stanza::new(stanza.kind, stanza.ty)));
        Next::Done
    }
}

/// Keeps a stanza in place of the one it makes obsolete.
fn hold(cx: &mut Context<'_>, mut stanza: Stanza) {
    delay::stamp(&mut stanza, &cx.host.domain, cx.now_ms);
    let Some(session) = cx.this_mut() else { return };
    session
        .held_back
        .retain(|held| held.kind != stanza.kind || held.from != stanza.from || !replaces(held, &stanza));
    session.held_back.push(stanza);
}

/// A carbon comes from the account whoever it is about: only what is not wrapped is known to be of one conversation.
fn replaces(held: &Stanza, new: &Stanza) -> bool {
    [held, new].iter().all(|stanza| !stanza.payload.children().iter().any(|child| child.ns == ns::CARBONS))
}

fn release(cx: &mut Context<'_>) {
    let Some(stream) = cx.session else { return };
    let held = cx.this_mut().map(|session| std::mem::take(&mut session.held_back));
    for stanza in held.into_iter().flatten() {
        cx.to_session(stream, stanza);
    }
}

fn can_wait(stanza: &Stanza) -> bool {
    match stanza.kind {
        Kind::Iq => false,
        // What a room says of the client itself changes what the client may do (XEP-0045 §7.2.2, §9).
        Kind::Presence => {
            matches!(stanza.ty, Type::Available | Type::Unavailable) && !stanza.payload.has(ns::MUC_USER, "x")
        }
        Kind::Message => {
            stanza.ty != Type::Error && {
                let states = stanza.payload.children().iter().map(|child| {
                    if child.ns == ns::CARBONS {
                        return stanza
                            .payload
                            .element(child)
                            .is_ok_and(|carbon| copies_state(&carbon))
                            .then_some(true);
                    }
                    state_or_frame(&child.ns, &child.name)
                });
                only_states(states)
            }
        }
    }
}

/// Whether a carbon is the copy of a chat state.
fn copies_state(carbon: &Element) -> bool {
    let message =
        carbon.child("forwarded", ns::FORWARD).and_then(|forwarded| forwarded.child("message", ns::CLIENT));
    message.is_some_and(|message| {
        only_states(message.children().map(|child| state_or_frame(child.ns(), child.name())))
    })
}

/// Every child is part of a chat state, and one is the state.
fn only_states(children: impl Iterator<Item = Option<bool>>) -> bool {
    let states: Option<Vec<bool>> = children.collect();
    states.is_some_and(|states| states.contains(&true))
}

/// Whether a child is a chat state (XEP-0085), or what may stand beside it; none: it is something else.
fn state_or_frame(ns: &str, name: &str) -> Option<bool> {
    match (ns, name) {
        (ns::CHAT_STATES, _) => Some(true),
        (ns::CLIENT, "thread") | (ns::HINTS | ns::SID | ns::DELAY, _) => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Origin;
    use crate::testing::{Stage, payload, stanza};

    const COMPOSING: &str = "<message from='romeo@montague.example/x' type='chat'>\
        <composing xmlns='http://jabber.org/protocol/chatstates'/></message>";

    fn scene() -> (Stage, Box<dyn Feature>, Origin) {
        let mut stage = Stage::new();
        let phone = stage.enter("phone");
        set(&mut stage.context(Some(phone)), false);
        stage.outputs.clear();
        let room = stage.room(Csi::build);
        (stage, room, phone)
    }

    fn deliver(stage: &mut Stage, room: &dyn Feature, to: Origin, xml: &str) -> bool {
        matches!(stage.meet(room, At::Deliver, Some(to), &mut stanza(xml)), Next::Go)
    }

    #[test]
    fn presence_waits_and_only_the_latest_is_told() {
        let (mut stage, room, phone) = scene();
        for show in ["away", "dnd"] {
            let presence =
                format!("<presence from='romeo@montague.example/x'><show>{show}</show></presence>");
            assert!(!deliver(&mut stage, &*room, phone, &presence));
        }
        assert!(!deliver(&mut stage, &*room, phone, "<presence from='nurse@capulet.example/x'/>"));
        assert!(!deliver(&mut stage, &*room, phone, COMPOSING));
        set(&mut stage.context(Some(phone)), true);
        let told: Vec<_> = stage.take().into_iter().map(|(_, stanza)| payload(&stanza)).collect();
        assert_eq!(told.len(), 3);
        assert!(told[0].starts_with("<show>dnd</show><delay"), "{}", told[0]);
        assert!(deliver(&mut stage, &*room, phone, "<presence from='romeo@montague.example/x'/>"));
    }

    #[test]
    fn a_message_lets_go_of_what_came_before_it() {
        let (mut stage, room, phone) = scene();
        assert!(!deliver(&mut stage, &*room, phone, "<presence from='romeo@montague.example/x'/>"));
        assert!(deliver(&mut stage, &*room, phone, "<message type='chat'><body>hark</body></message>"));
        let mut held = stage.take();
        assert_eq!(held.len(), 1);
        let next = stage.meet(&*room, At::Deliver, Some(phone), &mut held[0].1);
        assert!(matches!(next, Next::Go), "what was held back is not held again");
    }

    #[test]
    fn what_matters_does_not_wait() {
        let (mut stage, room, phone) = scene();
        for xml in [
            "<iq id='1' type='get'/>",
            "<presence type='subscribe' from='romeo@montague.example'/>",
            "<presence from='room@muc.example/juliet'><x xmlns='http://jabber.org/protocol/muc#user'/></presence>",
            "<message type='chat'><body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message type='error'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>",
            "<message/>",
        ] {
            assert!(deliver(&mut stage, &*room, phone, xml), "{xml}");
        }
    }

    #[test]
    fn the_copy_of_a_chat_state_waits_too() {
        let (mut stage, room, phone) = scene();
        let carbon = |inner: &str| {
            format!(
                "<message type='chat' from='juliet@capulet.example'><sent xmlns='urn:xmpp:carbons:2'>\
                 <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat'>{inner}</message>\
                 </forwarded></sent></message>"
            )
        };
        let state = carbon("<paused xmlns='http://jabber.org/protocol/chatstates'/>");
        assert!(!deliver(&mut stage, &*room, phone, &state));
        assert!(deliver(&mut stage, &*room, phone, &carbon("<body>come</body>")));
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let (mut stage, room, phone) = scene();
        for at in 0..=HELD_BACK_MAX {
            deliver(&mut stage, &*room, phone, &format!("<presence from='a{at}@x.example/x'/>"));
        }
        assert_eq!(stage.take().len(), HELD_BACK_MAX);
        assert_eq!(stage.account.session(phone).unwrap().held_back.len(), 1);
    }
}
