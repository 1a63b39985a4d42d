//! Which owner an exchange goes to: that of the name it states, if it states one that can be read.

use node::slots;
use xmpp::{jid::Jid, ns, sasl::Mechanism, stanza::Stanza};

/// The slot of the account that a login names in its first message (RFC 5802 §5.1 `n=`, RFC 4616 §2 authcid).
pub(crate) fn of_login(mechanism: Mechanism, initial: &[u8], domain: &str) -> Option<u16> {
    let text = std::str::from_utf8(initial).ok()?;
    let name = match mechanism {
        Mechanism::Scram { .. } => {
            let name = text.split(',').nth(2)?.strip_prefix("n=")?;
            name.replace("=2C", ",").replace("=3D", "=")
        }
        Mechanism::Plain => text.split('\0').nth(1)?.to_owned(),
        Mechanism::Anonymous => return None,
    };
    named(&name, domain)
}

/// The slot of the account that a form of registration names (XEP-0077 §3.1).
pub(crate) fn of_registration(stanza: &Stanza, domain: &str) -> Option<u16> {
    let query = stanza.payload.find(ns::REGISTER, "query")?;
    let name = stanza.payload.element(query).ok()?.child("username", ns::REGISTER)?.text();
    named(&name, domain)
}

/// The slot of an account.
pub(crate) fn of(account: &Jid) -> u16 {
    slots::of(account.bare_str(), "")
}

fn named(name: &str, domain: &str) -> Option<u16> {
    Jid::new(Some(name), domain, None).ok().map(|jid| of(&jid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_goes_where_its_name_belongs() {
        let romeo = Some(slots::of("romeo@montague.example", ""));
        let scram = Mechanism::parse("SCRAM-SHA-256").unwrap();
        assert_eq!(of_login(scram, b"n,,n=Romeo,r=abc", "montague.example"), romeo);
        assert_eq!(of_login(scram, b"p=tls-exporter,a=x,n=romeo,r=abc", "montague.example"), romeo);
        assert_eq!(of_login(Mechanism::Plain, b"\0romeo\0secret", "montague.example"), romeo);
        assert_eq!(of_login(Mechanism::Anonymous, b"", "montague.example"), None);
        assert_eq!(of_login(scram, b"n,,r=abc", "montague.example"), None);
        assert_eq!(of_login(scram, &[0xff, b',', b','], "montague.example"), None);
    }
}
