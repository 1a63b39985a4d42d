//! Which owner a login goes to: that of the name it states, if it states one that can be read.

use node::slots;
use proto::delivery::Table;
use xmpp::{jid::Jid, sasl::Mechanism};

/// The slots that an owner said are its own.
#[derive(Debug, Default)]
pub(crate) struct Owned(Vec<(u32, u32)>);

impl Owned {
    pub(crate) fn of(table: &Table) -> Self {
        Self(table.owned.iter().map(|slots| (slots.first, slots.last)).collect())
    }

    pub(crate) fn contains(&self, slot: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(slot)))
    }
}

/// The slot of the account that a login names in its first message (RFC 5802 §5.1 `n=`, RFC 4616 §2 authcid).
pub(crate) fn slot(mechanism: Mechanism, initial: &[u8], domain: &str) -> Option<u16> {
    let text = std::str::from_utf8(initial).ok()?;
    let name = match mechanism {
        Mechanism::Scram { .. } => {
            let name = text.split(',').nth(2)?.strip_prefix("n=")?;
            name.replace("=2C", ",").replace("=3D", "=")
        }
        Mechanism::Plain => text.split('\0').nth(1)?.to_owned(),
        Mechanism::Anonymous => return None,
    };
    let jid = Jid::new(Some(&name), domain, None).ok()?;
    Some(slots::of(jid.as_str(), ""))
}

#[cfg(test)]
mod tests {
    use proto::delivery::Slots;

    use super::*;

    #[test]
    fn a_login_goes_where_its_name_belongs() {
        let romeo = Some(slots::of("romeo@montague.example", ""));
        let scram = Mechanism::parse("SCRAM-SHA-256").unwrap();
        assert_eq!(slot(scram, b"n,,n=Romeo,r=abc", "montague.example"), romeo);
        assert_eq!(slot(scram, b"p=tls-exporter,a=x,n=romeo,r=abc", "montague.example"), romeo);
        assert_eq!(slot(Mechanism::Plain, b"\0romeo\0secret", "montague.example"), romeo);
        assert_eq!(slot(Mechanism::Anonymous, b"", "montague.example"), None);
        assert_eq!(slot(scram, b"n,,r=abc", "montague.example"), None);
        assert_eq!(slot(scram, &[0xff, b',', b','], "montague.example"), None);
    }

    #[test]
    fn an_owner_says_what_it_owns() {
        let slots = Slots { first: 10, last: 20, ..Slots::default() };
        let owned = Owned::of(&Table { owned: vec![slots], ..Table::default() });
        assert!(owned.contains(10) && owned.contains(20) && !owned.contains(21));
    }
}
