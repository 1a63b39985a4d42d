//! Why a login fails, in the words of the stream.

use std::fmt;

/// A SASL failure condition (RFC 6120 §6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The client gave up.
    Aborted,
    /// The account is disabled for now.
    AccountDisabled,
    /// The password has expired.
    CredentialsExpired,
    /// The mechanism wants an encrypted stream.
    EncryptionRequired,
    /// The data was not base64.
    IncorrectEncoding,
    /// The client may not act as the identity it asked for.
    InvalidAuthzid,
    /// The mechanism is unknown or was not offered.
    InvalidMechanism,
    /// The data breaks the mechanism's grammar or its order.
    MalformedRequest,
    /// The mechanism is weaker than policy wants for this account.
    MechanismTooWeak,
    /// The credentials are wrong, or there is no such account: nobody is told which.
    NotAuthorized,
    /// The server cannot tell at the moment.
    TemporaryAuthFailure,
}

impl Condition {
    /// Every condition, in the order of the RFC.
    pub const ALL: [Condition; 11] = [
        Condition::Aborted,
        Condition::AccountDisabled,
        Condition::CredentialsExpired,
        Condition::EncryptionRequired,
        Condition::IncorrectEncoding,
        Condition::InvalidAuthzid,
        Condition::InvalidMechanism,
        Condition::MalformedRequest,
        Condition::MechanismTooWeak,
        Condition::NotAuthorized,
        Condition::TemporaryAuthFailure,
    ];

    /// The name of the element in `<failure/>`.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Aborted => "aborted",
            Condition::AccountDisabled => "account-disabled",
            Condition::CredentialsExpired => "credentials-expired",
            Condition::EncryptionRequired => "encryption-required",
            Condition::IncorrectEncoding => "incorrect-encoding",
            Condition::InvalidAuthzid => "invalid-authzid",
            Condition::InvalidMechanism => "invalid-mechanism",
            Condition::MalformedRequest => "malformed-request",
            Condition::MechanismTooWeak => "mechanism-too-weak",
            Condition::NotAuthorized => "not-authorized",
            Condition::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// The condition of that name.
    pub fn parse(name: &str) -> Option<Condition> {
        Condition::ALL.into_iter().find(|condition| condition.name() == name)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for condition in Condition::ALL {
            assert_eq!(Condition::parse(condition.name()), Some(condition));
        }
        assert_eq!(Condition::parse("not_authorized"), None);
    }
}
