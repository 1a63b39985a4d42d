//! Preparing an address is final: what was prepared once is prepared, in both profiles.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xmpp::jid::{Jid, Profile};

fuzz_target!(|text: &str| {
    for profile in [Profile::Stringprep, Profile::Precis] {
        let Ok(jid) = Jid::parse_with(profile, text) else { continue };
        assert_eq!(Jid::parse_with(profile, jid.as_str()).as_ref(), Ok(&jid), "prepared twice");
        assert_eq!(Jid::from_prepared(jid.as_str()).as_ref(), Ok(&jid), "split only");
        let parts = [jid.node(), Some(jid.domain()), jid.resource()];
        assert!(parts.into_iter().flatten().all(|part| (1..=1023).contains(&part.len())));
        assert!(jid.bare().is_bare() && jid.same_bare(&jid.bare()) && jid.bare().as_str() == jid.bare_str());
    }
});
