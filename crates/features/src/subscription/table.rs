//! The states of a subscription and what each of the four presences does to them (RFC 6121 appendix A). Pure.

use store::Subscription;
use xmpp::stanza::Type;

/// What an account and a contact have agreed on, or have asked for, as the account's server sees it (§A.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    None,
    NonePendingOut,
    NonePendingIn,
    NonePendingOutIn,
    To,
    ToPendingIn,
    From,
    FromPendingOut,
    Both,
}

/// The presences that change it (§3.1–§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Subscribe,
    Unsubscribe,
    Subscribed,
    Unsubscribed,
}

/// What one of them does in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether it is routed to the contact, or delivered to the account's sessions.
    pub(crate) passes: bool,
    /// What the state is then.
    pub(crate) then: State,
}

impl State {
    /// From what a roster and its requests hold.
    pub(crate) fn of(subscription: Subscription, ask: bool, requested: bool) -> Self {
        match (subscription, ask, requested) {
            (Subscription::None, false, false) => Self::None,
            (Subscription::None, true, false) => Self::NonePendingOut,
            (Subscription::None, false, true) => Self::NonePendingIn,
            (Subscription::None, true, true) => Self::NonePendingOutIn,
            (Subscription::To, _, false) => Self::To,
            (Subscription::To, _, true) => Self::ToPendingIn,
            (Subscription::From, false, _) => Self::From,
            (Subscription::From, true, _) => Self::FromPendingOut,
            (Subscription::Both, _, _) => Self::Both,
        }
    }

    /// As the roster shows it.
    pub(crate) fn subscription(self) -> Subscription {
        match self {
            Self::None | Self::NonePendingOut | Self::NonePendingIn | Self::NonePendingOutIn => {
                Subscription::None
            }
            Self::To | Self::ToPendingIn => Subscription::To,
            Self::From | Self::FromPendingOut => Subscription::From,
            Self::Both => Subscription::Both,
        }
    }

    /// Whether the account's request waits for an answer.
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::NonePendingOut | Self::NonePendingOutIn | Self::FromPendingOut)
    }

    /// Whether the contact's request waits for an answer.
    pub(crate) fn is_asked(self) -> bool {
        matches!(self, Self::NonePendingIn | Self::NonePendingOutIn | Self::ToPendingIn)
    }

    /// Whether the contact is told of the account's presence.
    pub(crate) fn is_seen(self) -> bool {
        matches!(self, Self::From | Self::FromPendingOut | Self::Both)
    }

    /// What a presence of the account to the contact does (§A.2).
    pub(crate) fn sent(self, verb: Verb) -> Step {
        SENT[self as usize][verb as usize]
    }

    /// What a presence of the contact to the account does (§A.3).
    pub(crate) fn received(self, verb: Verb) -> Step {
        RECEIVED[self as usize][verb as usize]
    }
}

impl Verb {
    /// Of a presence's type; none for the others.
    pub(crate) fn of(ty: Type) -> Option<Self> {
        match ty {
            Type::Subscribe => Some(Self::Subscribe),
            Type::Unsubscribe => Some(Self::Unsubscribe),
            Type::Subscribed => Some(Self::Subscribed),
            Type::Unsubscribed => Some(Self::Unsubscribed),
            _ => None,
        }
    }
}

const fn pass(then: State) -> Step {
    Step { passes: true, then }
}

const fn stop(then: State) -> Step {
    Step { passes: false, then }
}

use State as S;

/// §A.2, a row for each state in order: subscribe, unsubscribe, subscribed, unsubscribed.
#[rustfmt::skip]
const SENT: [[Step; 4]; 9] = [
    [pass(S::NonePendingOut),   pass(S::None),          stop(S::None),           stop(S::None)],
    [pass(S::NonePendingOut),   pass(S::None),          stop(S::NonePendingOut), stop(S::NonePendingOut)],
    [pass(S::NonePendingOutIn), pass(S::NonePendingIn), pass(S::From),           pass(S::None)],
    [pass(S::NonePendingOutIn), pass(S::NonePendingIn), pass(S::FromPendingOut), pass(S::NonePendingOut)],
    [pass(S::To),               pass(S::None),          stop(S::To),             stop(S::To)],
    [pass(S::ToPendingIn),      pass(S::NonePendingIn), pass(S::Both),           pass(S::To)],
    [pass(S::FromPendingOut),   pass(S::From),          stop(S::From),           pass(S::None)],
    [pass(S::FromPendingOut),   pass(S::From),          stop(S::FromPendingOut), pass(S::NonePendingOut)],
    [pass(S::Both),             pass(S::From),          stop(S::Both),           pass(S::To)],
];

/// §A.3, as [`SENT`].
#[rustfmt::skip]
const RECEIVED: [[Step; 4]; 9] = [
    [pass(S::NonePendingIn),    stop(S::None),           stop(S::None),          stop(S::None)],
    [pass(S::NonePendingOutIn), stop(S::NonePendingOut), pass(S::To),            pass(S::None)],
    [stop(S::NonePendingIn),    pass(S::None),           stop(S::NonePendingIn), stop(S::NonePendingIn)],
    [stop(S::NonePendingOutIn), pass(S::NonePendingOut), pass(S::ToPendingIn),   pass(S::NonePendingIn)],
    [pass(S::ToPendingIn),      stop(S::To),             stop(S::To),            pass(S::None)],
    [stop(S::ToPendingIn),      pass(S::To),             stop(S::ToPendingIn),   pass(S::NonePendingIn)],
    [stop(S::From),             pass(S::None),           stop(S::From),          stop(S::From)],
    [stop(S::FromPendingOut),   pass(S::NonePendingOut), pass(S::Both),          pass(S::From)],
    [stop(S::Both),             pass(S::To),             stop(S::Both),          pass(S::From)],
];

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [(&str, State); 9] = [
        ("None", S::None),
        ("None+Out", S::NonePendingOut),
        ("None+In", S::NonePendingIn),
        ("None+Out+In", S::NonePendingOutIn),
        ("To", S::To),
        ("To+In", S::ToPendingIn),
        ("From", S::From),
        ("From+Out", S::FromPendingOut),
        ("Both", S::Both),
    ];

    /// Each row: a state, whether the presence passes, and the state after it.
    fn holds(step: impl Fn(State) -> Step, rows: &str) {
        let state =
            |name: &str| STATES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state).unwrap();
        let mut seen = 0;
        for (row, (name, before)) in rows.trim().lines().zip(STATES) {
            let words: Vec<_> = row.split_whitespace().collect();
            assert_eq!(words[0], name);
            assert_eq!(step(before), Step { passes: words[1] == "yes", then: state(words[2]) }, "{row}");
            seen += 1;
        }
        assert_eq!(seen, STATES.len());
    }

    #[test]
    fn a_2_1_a_subscribe_is_sent() {
        holds(
            |state| state.sent(Verb::Subscribe),
            "
            None        yes None+Out
            None+Out    yes None+Out
            None+In     yes None+Out+In
            None+Out+In yes None+Out+In
            To          yes To
            To+In       yes To+In
            From        yes From+Out
            From+Out    yes From+Out
            Both        yes Both",
        );
    }

    #[test]
    fn a_2_2_an_unsubscribe_is_sent() {
        holds(
            |state| state.sent(Verb::Unsubscribe),
            "
            None        yes None
            None+Out    yes None
            None+In     yes None+In
            None+Out+In yes None+In
            To          yes None
            To+In       yes None+In
            From        yes From
            From+Out    yes From
            Both        yes From",
        );
    }

    #[test]
    fn a_2_3_a_subscribed_is_sent() {
        holds(
            |state| state.sent(Verb::Subscribed),
            "
            None        no  None
            None+Out    no  None+Out
            None+In     yes From
            None+Out+In yes From+Out
            To          no  To
            To+In       yes Both
            From        no  From
            From+Out    no  From+Out
            Both        no  Both",
        );
    }

    #[test]
    fn a_2_4_an_unsubscribed_is_sent() {
        holds(
            |state| state.sent(Verb::Unsubscribed),
            "
            None        no  None
            None+Out    no  None+Out
            None+In     yes None
            None+Out+In yes None+Out
            To          no  To
            To+In       yes To
            From        yes None
            From+Out    yes None+Out
            Both        yes To",
        );
    }

    #[test]
    fn a_3_1_a_subscribe_comes() {
        holds(
            |state| state.received(Verb::Subscribe),
            "
            None        yes None+In
            None+Out    yes None+Out+In
            None+In     no  None+In
            None+Out+In no  None+Out+In
            To          yes To+In
            To+In       no  To+In
            From        no  From
            From+Out    no  From+Out
            Both        no  Both",
        );
    }

    #[test]
    fn a_3_2_an_unsubscribe_comes() {
        holds(
            |state| state.received(Verb::Unsubscribe),
            "
            None        no  None
            None+Out    no  None+Out
            None+In     yes None
            None+Out+In yes None+Out
            To          no  To
            To+In       yes To
            From        yes None
            From+Out    yes None+Out
            Both        yes To",
        );
    }

    #[test]
    fn a_3_3_a_subscribed_comes() {
        holds(
            |state| state.received(Verb::Subscribed),
            "
            None        no  None
            None+Out    yes To
            None+In     no  None+In
            None+Out+In yes To+In
            To          no  To
            To+In       no  To+In
            From        no  From
            From+Out    yes Both
            Both        no  Both",
        );
    }

    #[test]
    fn a_3_4_an_unsubscribed_comes() {
        holds(
            |state| state.received(Verb::Unsubscribed),
            "
            None        no  None
            None+Out    yes None
            None+In     no  None+In
            None+Out+In yes None+In
            To          yes None
            To+In       yes None+In
            From        no  From
            From+Out    yes From
            Both        yes From",
        );
    }

    #[test]
    fn a_state_is_what_roster_and_requests_hold() {
        for (name, state) in STATES {
            assert_eq!(State::of(state.subscription(), state.asks(), state.is_asked()), state, "{name}");
        }
    }
}
