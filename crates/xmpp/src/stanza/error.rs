//! Stanza errors (RFC 6120 §8.3).

use crate::{ns, stanza::Stanza, xml::Element};

/// What the sender can do about an error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed: it was only a warning.
    Continue,
    /// Retry after changing what was sent.
    Modify,
    /// Retry after waiting.
    Wait,
}

const KINDS: [(ErrorKind, &str); 5] = [
    (ErrorKind::Auth, "auth"),
    (ErrorKind::Cancel, "cancel"),
    (ErrorKind::Continue, "continue"),
    (ErrorKind::Modify, "modify"),
    (ErrorKind::Wait, "wait"),
];

macro_rules! conditions {
    ($($condition:ident = $name:literal $kind:ident;)*) => {
        /// What went wrong (RFC 6120 §8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the RFC's own words")]
        pub enum Condition { $($condition),* }

        impl Condition {
            /// The element's name.
            pub fn name(self) -> &'static str {
                match self { $(Condition::$condition => $name),* }
            }

            /// The kind the RFC gives it.
            pub fn kind(self) -> ErrorKind {
                match self { $(Condition::$condition => ErrorKind::$kind),* }
            }

            /// By the element's name.
            pub fn from_name(name: &str) -> Option<Condition> {
                match name { $($name => Some(Condition::$condition),)* _ => None }
            }
        }
    };
}

conditions! {
    BadRequest = "bad-request" Modify;
    Conflict = "conflict" Cancel;
    FeatureNotImplemented = "feature-not-implemented" Cancel;
    Forbidden = "forbidden" Auth;
    Gone = "gone" Cancel;
    InternalServerError = "internal-server-error" Cancel;
    ItemNotFound = "item-not-found" Cancel;
    JidMalformed = "jid-malformed" Modify;
    NotAcceptable = "not-acceptable" Modify;
    NotAllowed = "not-allowed" Cancel;
    NotAuthorized = "not-authorized" Auth;
    PolicyViolation = "policy-violation" Modify;
    RecipientUnavailable = "recipient-unavailable" Wait;
    Redirect = "redirect" Modify;
    RegistrationRequired = "registration-required" Auth;
    RemoteServerNotFound = "remote-server-not-found" Cancel;
    RemoteServerTimeout = "remote-server-timeout" Wait;
    ResourceConstraint = "resource-constraint" Wait;
    ServiceUnavailable = "service-unavailable" Cancel;
    SubscriptionRequired = "subscription-required" Auth;
    UndefinedCondition = "undefined-condition" Cancel;
    UnexpectedRequest = "unexpected-request" Wait;
}

/// Why a stanza was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What the sender can do.
    pub kind: ErrorKind,
    /// What went wrong.
    pub condition: Condition,
    /// For people.
    pub text: Option<String>,
    /// The details of an extension.
    pub application: Option<Element>,
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> StanzaError {
        StanzaError { kind: condition.kind(), condition, text: None, application: None }
    }
}

impl StanzaError {
    /// With an explanation for people.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> StanzaError {
        self.text = Some(text.into());
        self
    }

    /// With another kind than the condition's usual one.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> StanzaError {
        self.kind = kind;
        self
    }

    /// With the details of an extension.
    #[must_use]
    pub fn with_application(mut self, application: Element) -> StanzaError {
        self.application = Some(application);
        self
    }

    /// The error a stanza of type `error` carries.
    pub fn of(stanza: &Stanza) -> Option<StanzaError> {
        StanzaError::parse(&stanza.payload.find_element(ns::CLIENT, "error")?)
    }

    /// Reads `<error/>`. Senders are many: what is missing is filled in, unless there is no condition at all.
    pub fn parse(error: &Element) -> Option<StanzaError> {
        let of_rfc = |child: &&Element| child.ns() == ns::STANZA_ERRORS;
        let condition =
            error.children().filter(of_rfc).find_map(|child| Condition::from_name(child.name()))?;
        let kind = error.attribute("type").and_then(|text| KINDS.iter().find(|(_, name)| *name == text));
        Some(StanzaError {
            kind: kind.map_or(condition.kind(), |(kind, _)| *kind),
            condition,
            text: error.child("text", ns::STANZA_ERRORS).map(Element::text),
            application: error.children().find(|child| child.ns() != ns::STANZA_ERRORS).cloned(),
        })
    }

    /// `<error/>`.
    pub fn to_element(&self) -> Element {
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("cancel", |(_, name)| name);
        let mut error = Element::new(ns::CLIENT, "error")
            .attr("type", kind)
            .with_child(Element::new(ns::STANZA_ERRORS, self.condition.name()));
        if let Some(text) = &self.text {
            error.push(Element::new(ns::STANZA_ERRORS, "text").with_text(text.as_str()));
        }
        error.with_children(self.application.clone())
    }
}
