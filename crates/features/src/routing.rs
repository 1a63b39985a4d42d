//! Which sessions of an account get a stanza (RFC 6121 §8.5). Pure; docs/rules.md has the table.
//!
//! A message for the bare JID goes to every available session of non-negative priority. §8.5.2.1.1 would also allow
//! "the most available" one, but a client that is not among those would then have to learn of the message from a
//! carbon, and one without carbons would miss it: a copy for each is what clients have come to expect.

use smallvec::SmallVec;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, Stanza, Type};

use crate::account::{Account, Origin, Session};
use crate::keep::Keep;

/// Streams of sessions; most accounts have few.
pub type Streams = SmallVec<[Origin; 3]>;

/// Where a stanza for an account goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To these sessions, each once; there is at least one.
    Sessions(Streams),
    /// To the account itself: an IQ for the bare JID.
    Account,
    /// To nobody now: it is kept, and waits for a session of non-negative priority.
    Wait,
    /// Back to the sender, as this error.
    Refuse(Condition),
    /// Nowhere, silently.
    Drop,
}

/// Where a message for `account` goes, given what [`crate::keep::rule`] says of it (RFC 6121 §8.5.2, §8.5.3).
pub fn message(account: &Account, stanza: &Stanza, keep: Keep) -> Route {
    let resource = stanza.to.as_ref().and_then(Jid::resource);
    if let Some(session) = resource.and_then(|resource| account.resource(resource)) {
        return Route::one(session); // §8.5.3.1: whatever its type, its priority or its presence
    }
    match stanza.ty {
        Type::Error => Route::Drop,
        Type::Groupchat => Route::Refuse(Condition::ServiceUnavailable),
        Type::Headline if resource.is_some() => Route::Drop,
        // The room has to learn that its occupant is gone (XEP-0045 §18.2); another resource would not know the room.
        _ if resource.is_some() && stanza.payload.has(ns::MUC_USER, "x") => {
            Route::Refuse(Condition::ServiceUnavailable)
        }
        _ => bare(account, stanza.ty, keep),
    }
}

/// Where an IQ for `account` goes (RFC 6121 §8.5.2.1.3, §8.5.3).
pub fn iq(account: &Account, stanza: &Stanza) -> Route {
    let Some(resource) = stanza.to.as_ref().and_then(Jid::resource) else { return Route::Account };
    match account.resource(resource) {
        Some(session) => Route::one(session),
        None if matches!(stanza.ty, Type::Get | Type::Set) => Route::Refuse(Condition::ServiceUnavailable),
        None => Route::Drop,
    }
}

fn bare(account: &Account, ty: Type, keep: Keep) -> Route {
    let streams: Streams =
        account.sessions.iter().filter(|session| session.eligible()).map(|session| session.stream).collect();
    match keep {
        _ if !streams.is_empty() => Route::Sessions(streams),
        _ if ty == Type::Headline => Route::Drop,
        Keep::Archive | Keep::Spool => Route::Wait,
        Keep::Hold => Route::Refuse(Condition::ServiceUnavailable),
        // Nobody is told that somebody who is not there cannot see them typing.
        Keep::Transient => Route::Drop,
    }
}

impl Route {
    fn one(session: &Session) -> Self {
        Self::Sessions(Streams::from_slice(&[session.stream]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep;
    use crate::testing::{Stage, stanza};

    const ROOM: &str = "<x xmlns='http://jabber.org/protocol/muc#user'/>";

    /// Juliet's sessions, as (resource, priority); none: not available.
    fn household(sessions: &[(&str, Option<i8>)]) -> Account {
        let mut stage = Stage::new();
        for (resource, priority) in sessions {
            let stream = if priority.is_some() { stage.enter(resource) } else { stage.bind(resource) };
            stage.account.session_mut(stream).unwrap().priority = priority.unwrap_or_default();
        }
        stage.account
    }

    /// Where a message goes, as the names of resources or of the route.
    fn message(account: &Account, to: &str, ty: &str, payload: &str) -> String {
        let message = stanza(&format!(
            "<message from='romeo@montague.example/garden' to='juliet@capulet.example{to}' type='{ty}'>{payload}</message>"
        ));
        name(account, super::message(account, &message, keep::rule(&message, true)))
    }

    fn iq(account: &Account, to: &str, ty: &str) -> String {
        let iq = stanza(&format!("<iq id='1' to='juliet@capulet.example{to}' type='{ty}'/>"));
        name(account, super::iq(account, &iq))
    }

    fn name(account: &Account, route: Route) -> String {
        match route {
            Route::Sessions(streams) => {
                let names = streams.iter().filter_map(|stream| account.session(*stream)?.jid.resource());
                names.collect::<Vec<_>>().join(" ")
            }
            Route::Refuse(condition) => condition.name().to_owned(),
            Route::Account => "account".to_owned(),
            Route::Wait => "waits".to_owned(),
            Route::Drop => "nowhere".to_owned(),
        }
    }

    const BODY: &str = "<body>hi</body>";
    const TYPING: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    const UNKEPT: &str = "<body>hi</body><no-store xmlns='urn:xmpp:hints'/>";

    #[test]
    fn chat_and_normal_for_the_bare_jid_reach_every_session_of_non_negative_priority() {
        let account =
            household(&[("balcony", Some(0)), ("chamber", Some(5)), ("crypt", Some(-1)), ("tomb", None)]);
        for ty in ["chat", "normal"] {
            assert_eq!(message(&account, "", ty, BODY), "balcony chamber");
            assert_eq!(message(&account, "", ty, TYPING), "balcony chamber");
        }
    }

    #[test]
    fn headline_for_the_bare_jid_reaches_every_session_of_non_negative_priority() {
        let account = household(&[("balcony", Some(0)), ("chamber", Some(5)), ("crypt", Some(-1))]);
        assert_eq!(message(&account, "", "headline", BODY), "balcony chamber");
    }

    #[test]
    fn groupchat_for_the_bare_jid_is_refused_and_error_dropped() {
        for account in [household(&[("balcony", Some(0))]), household(&[])] {
            assert_eq!(message(&account, "", "groupchat", BODY), "service-unavailable");
            assert_eq!(message(&account, "", "error", BODY), "nowhere");
        }
    }

    #[test]
    fn with_no_session_of_non_negative_priority_messages_wait() {
        for account in [household(&[]), household(&[("crypt", Some(-1)), ("tomb", None)])] {
            for ty in ["chat", "normal"] {
                assert_eq!(message(&account, "", ty, BODY), "waits");
            }
            assert_eq!(message(&account, "", "headline", BODY), "nowhere");
        }
    }

    #[test]
    fn what_is_not_kept_and_finds_nobody_is_refused_but_for_chat_states() {
        let account = household(&[]);
        assert_eq!(message(&account, "", "chat", UNKEPT), "service-unavailable");
        assert_eq!(message(&account, "", "chat", TYPING), "nowhere");
    }

    #[test]
    fn a_session_named_in_full_gets_everything() {
        let account = household(&[("balcony", Some(5)), ("crypt", Some(-1)), ("tomb", None)]);
        for ty in ["chat", "normal", "groupchat", "headline", "error"] {
            assert_eq!(message(&account, "/crypt", ty, BODY), "crypt");
            assert_eq!(message(&account, "/tomb", ty, ROOM), "tomb");
        }
    }

    #[test]
    fn chat_and_normal_for_a_vanished_session_go_as_for_the_bare_jid() {
        for ty in ["chat", "normal"] {
            assert_eq!(message(&household(&[("balcony", Some(0))]), "/gone", ty, BODY), "balcony");
            assert_eq!(message(&household(&[]), "/gone", ty, BODY), "waits");
        }
    }

    #[test]
    fn from_a_room_for_a_vanished_session_is_refused() {
        let account = household(&[("balcony", Some(0))]);
        assert_eq!(message(&account, "/gone", "chat", &format!("{BODY}{ROOM}")), "service-unavailable");
        assert_eq!(message(&account, "/gone", "groupchat", BODY), "service-unavailable");
        assert_eq!(message(&account, "", "normal", ROOM), "balcony", "an invitation is for the bare JID");
    }

    #[test]
    fn headline_and_error_for_a_vanished_session_are_dropped() {
        let account = household(&[("balcony", Some(0))]);
        for ty in ["headline", "error"] {
            assert_eq!(message(&account, "/gone", ty, &format!("{BODY}{ROOM}")), "nowhere");
        }
    }

    #[test]
    fn a_message_to_oneself_reaches_each_session_once() {
        let account = household(&[("balcony", Some(0)), ("chamber", Some(0))]);
        let own = stanza(
            "<message from='juliet@capulet.example/balcony' to='juliet@capulet.example'><body>!</body></message>",
        );
        let route = super::message(&account, &own, Keep::Archive);
        assert_eq!(name(&account, route), "balcony chamber");
        let own = stanza("<message from='juliet@capulet.example/balcony'><body>!</body></message>");
        let route = super::message(&account, &own, Keep::Archive);
        assert_eq!(name(&account, route), "balcony chamber", "without `to` as well");
    }

    #[test]
    fn an_iq_for_the_bare_jid_is_the_accounts_and_for_a_full_one_the_sessions() {
        let account = household(&[("balcony", Some(0)), ("tomb", None)]);
        for ty in ["get", "set", "result", "error"] {
            assert_eq!(iq(&account, "", ty), "account");
            assert_eq!(iq(&account, "/tomb", ty), "tomb");
        }
    }

    #[test]
    fn a_question_to_a_vanished_session_is_refused_and_an_answer_dropped() {
        let account = household(&[("balcony", Some(0))]);
        for (ty, route) in [
            ("get", "service-unavailable"),
            ("set", "service-unavailable"),
            ("result", "nowhere"),
            ("error", "nowhere"),
        ] {
            assert_eq!(iq(&account, "/gone", ty), route);
        }
    }
}
