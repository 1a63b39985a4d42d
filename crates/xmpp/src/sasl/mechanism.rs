//! The mechanisms by name, the channel bindings, and which of them a stream offers.

use std::fmt;

use super::hash::Hash;

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM (RFC 5802, RFC 7677); `plus` binds it to the TLS channel.
    Scram {
        /// The hash function of the proof.
        hash: Hash,
        /// Whether channel binding is part of the proof.
        plus: bool,
    },
    /// The password itself (RFC 4616).
    Plain,
    /// Nobody in particular (RFC 4505).
    Anonymous,
}

/// A type of channel binding. `tls-unique` is not among them: TLS 1.3 has none (RFC 9266 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingKind {
    /// RFC 9266: keying material exported from the connection.
    TlsExporter,
    /// RFC 5929 §4: the hash of the server's certificate.
    TlsServerEndPoint,
}

/// What a TLS connection has for a type of channel binding.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    /// The type.
    pub kind: BindingKind,
    /// The bytes both ends see if nobody sits between them.
    pub bytes: Vec<u8>,
}

impl Mechanism {
    /// Every mechanism, strongest first: binding to the channel counts for more than a longer hash.
    pub const ALL: [Mechanism; 8] = [
        Mechanism::Scram { hash: Hash::Sha512, plus: true },
        Mechanism::Scram { hash: Hash::Sha256, plus: true },
        Mechanism::Scram { hash: Hash::Sha1, plus: true },
        Mechanism::Scram { hash: Hash::Sha512, plus: false },
        Mechanism::Scram { hash: Hash::Sha256, plus: false },
        Mechanism::Scram { hash: Hash::Sha1, plus: false },
        Mechanism::Plain,
        Mechanism::Anonymous,
    ];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Scram { hash: Hash::Sha512, plus: true } => "SCRAM-SHA-512-PLUS",
            Mechanism::Scram { hash: Hash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Mechanism::Scram { hash: Hash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Mechanism::Scram { hash: Hash::Sha512, plus: false } => "SCRAM-SHA-512",
            Mechanism::Scram { hash: Hash::Sha256, plus: false } => "SCRAM-SHA-256",
            Mechanism::Scram { hash: Hash::Sha1, plus: false } => "SCRAM-SHA-1",
            Mechanism::Plain => "PLAIN",
            Mechanism::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of that name; names are upper case (RFC 4422 §3.1).
    pub fn parse(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether channel binding is part of it.
    pub fn is_plus(self) -> bool {
        matches!(self, Mechanism::Scram { plus: true, .. })
    }
}

/// The mechanisms of a stream, strongest first. `bindings` are the types its connection has bytes for; PLAIN
/// is offered under TLS, and without only if `plain_without_tls` (loopback in development).
pub fn offered(
    tls: bool,
    bindings: &[BindingKind],
    plain_without_tls: bool,
    anonymous: bool,
) -> Vec<Mechanism> {
    let is_offered = |mechanism: &Mechanism| match mechanism {
        Mechanism::Scram { plus, .. } => !plus || (tls && !bindings.is_empty()),
        Mechanism::Plain => tls || plain_without_tls,
        Mechanism::Anonymous => anonymous,
    };
    Mechanism::ALL.into_iter().filter(is_offered).collect()
}

impl BindingKind {
    /// Every type, the one that binds closest first.
    pub const ALL: [BindingKind; 2] = [BindingKind::TlsExporter, BindingKind::TlsServerEndPoint];

    /// The registered name, as in `p=` and in XEP-0440.
    pub fn name(self) -> &'static str {
        match self {
            BindingKind::TlsExporter => "tls-exporter",
            BindingKind::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<BindingKind> {
        BindingKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Keying material is not to be shown.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for BindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(mechanisms: &[Mechanism]) -> Vec<&'static str> {
        mechanisms.iter().map(|mechanism| mechanism.name()).collect()
    }

    #[test]
    fn the_strongest_is_offered_first() {
        let everything = offered(true, &BindingKind::ALL, false, true);
        assert_eq!(
            names(&everything),
            [
                "SCRAM-SHA-512-PLUS",
                "SCRAM-SHA-256-PLUS",
                "SCRAM-SHA-1-PLUS",
                "SCRAM-SHA-512",
                "SCRAM-SHA-256",
                "SCRAM-SHA-1",
                "PLAIN",
                "ANONYMOUS"
            ]
        );
    }

    #[test]
    fn without_tls_there_is_no_binding_and_no_password_in_the_clear() {
        let scram = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
        assert_eq!(names(&offered(false, &BindingKind::ALL, false, false)), scram);
        assert_eq!(names(&offered(false, &[], true, false))[3..], ["PLAIN"]);
        assert_eq!(names(&offered(true, &[], false, false))[3..], ["PLAIN"]);
    }

    #[test]
    fn names_are_read_back() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
        }
        for kind in BindingKind::ALL {
            assert_eq!(BindingKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(Mechanism::parse("plain"), None);
        assert_eq!(Mechanism::parse("SCRAM-SHA-1-PLUS "), None);
        assert_eq!(BindingKind::parse("tls-unique"), None);
    }
}
