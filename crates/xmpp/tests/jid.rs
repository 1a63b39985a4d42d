//! Addresses against the RFCs' own examples, against another implementation, and against nonsense.
#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;
use xmpp::jid::{Jid, JidError, PART_BYTES_MAX, Part, Profile, Reason, escape};

const PROFILES: [Profile; 2] = [Profile::Stringprep, Profile::Precis];

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

fn refusal(text: &str) -> (Part, Reason) {
    let JidError { part, reason } = text.parse::<Jid>().unwrap_err();
    (part, reason)
}

#[test]
fn the_valid_examples_of_rfc_7622_are_addresses() {
    // §3.5, table 1: the text, and the parts it has once prepared.
    let examples = [
        ("juliet@example.com", Some("juliet"), "example.com", None),
        ("juliet@example.com/foo", Some("juliet"), "example.com", Some("foo")),
        ("juliet@example.com/foo bar", Some("juliet"), "example.com", Some("foo bar")),
        ("juliet@example.com/foo@bar", Some("juliet"), "example.com", Some("foo@bar")),
        ("foo\\20bar@example.com", Some("foo\\20bar"), "example.com", None),
        ("fussball@example.com", Some("fussball"), "example.com", None),
        ("fu\u{df}ball@example.com", Some("fu\u{df}ball"), "example.com", None),
        ("\u{3c0}@example.com", Some("\u{3c0}"), "example.com", None),
        ("\u{3a3}@example.com/foo", Some("\u{3c3}"), "example.com", Some("foo")),
        ("\u{3c3}@example.com/foo", Some("\u{3c3}"), "example.com", Some("foo")),
        ("\u{3c2}@example.com/foo", Some("\u{3c2}"), "example.com", Some("foo")),
        ("king@example.com/\u{265a}", Some("king"), "example.com", Some("\u{265a}")),
        ("example.com", None, "example.com", None),
        ("example.com/foobar", None, "example.com", Some("foobar")),
        ("a.example.com/b@example.net", None, "a.example.com", Some("b@example.net")),
    ];
    for (text, node, domain, resource) in examples {
        let jid = Jid::parse_with(Profile::Precis, text).unwrap();
        assert_eq!((jid.node(), jid.domain(), jid.resource()), (node, domain, resource), "{text}");
    }
}

#[test]
fn the_invalid_examples_of_rfc_7622_are_refused() {
    let examples = [
        ("\"juliet\"@example.com", Part::Node),
        ("foo bar@example.com", Part::Node),
        ("juliet@example.com/ foo", Part::Resource),
        ("@example.com/", Part::Node),
        ("henry\u{2163}@example.com", Part::Node),
        ("\u{265a}@example.com", Part::Node),
        ("juliet@", Part::Domain),
        ("/foobar", Part::Domain),
    ];
    for (text, part) in examples {
        let refused = Jid::parse_with(Profile::Precis, text).unwrap_err();
        assert_eq!(refused.part, part, "{text}");
    }
}

#[test]
fn stringprep_folds_what_precis_keeps() {
    let folded = [
        ("fu\u{df}ball@example.com", "fussball@example.com"),
        ("\u{3c2}@example.com", "\u{3c3}@example.com"),
        ("henry\u{2163}@example.com", "henryiv@example.com"),
        ("J\u{dc}RGEN@B\u{dc}CHER.example/\u{2122}", "j\u{fc}rgen@b\u{fc}cher.example/TM"),
        ("a\u{ad}b@example.com", "ab@example.com"),
    ];
    for (text, prepared) in folded {
        assert_eq!(Jid::parse_with(Profile::Stringprep, text).unwrap().as_str(), prepared);
    }
    let kept = Jid::parse_with(Profile::Precis, "J\u{dc}RGEN@B\u{dc}CHER.example/\u{2122}").unwrap();
    assert_eq!(kept.as_str(), "j\u{fc}rgen@b\u{fc}cher.example/\u{2122}");
}

#[test]
fn a_node_cannot_smuggle_in_what_it_may_not_have() {
    for c in
        ['"', '&', '\'', ':', '<', '>', ' ', '\u{7f}', '\u{0}', '\u{a0}', '\u{ff20}', '\u{ff0f}', '\u{202e}']
    {
        for profile in PROFILES {
            let refused = Jid::parse_with(profile, &format!("a{c}b@example.com")).unwrap_err();
            assert_eq!((refused.part, refused.reason), (Part::Node, Reason::Forbidden), "{c:?}");
        }
    }
    // From parts, the separators cannot move the borders either.
    assert!(Jid::new(Some("a@b"), "example.com", None).is_err());
    assert!(Jid::new(Some("a/b"), "example.com", None).is_err());
    assert!(Jid::new(None, "a@example.com", None).is_err());
    assert!(Jid::new(None, "example.com/a", None).is_err());
    assert_eq!(Jid::new(Some("a"), "example.com", Some("b/c@d")).unwrap().as_str(), "a@example.com/b/c@d");
}

#[test]
fn domains_are_names_that_dns_can_carry_or_literals() {
    for (text, prepared) in [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("a_b.internal", "a_b.internal"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::0:1]", "[2001:db8::1]"),
        ("B\u{fc}cher.example", "b\u{fc}cher.example"),
        ("b\u{fc}cher\u{3002}example", "b\u{fc}cher.example"),
    ] {
        for profile in PROFILES {
            assert_eq!(Jid::parse_with(profile, text).unwrap().domain(), prepared, "{text}");
        }
    }
    let long_label = format!("{}.example", "a".repeat(64));
    let long_name = ["abcdefg."; 32].concat();
    for text in [
        "a..b",
        ".a",
        "a..",
        "-a.example",
        "a-.example",
        "ab--c.example",
        "a b",
        "a:b",
        "a&b",
        "[::1",
        "[]",
        "[127.0.0.1]",
        "[fe80::1%eth0]",
        "xn--0.example",
        "xn--\u{fc}.example",
        "\u{265a}\u{fffd}",
        "a\u{ff20}b",
        &long_label,
        &long_name,
    ] {
        for profile in PROFILES {
            let refused = Jid::parse_with(profile, text).unwrap_err();
            assert_eq!((refused.part, refused.reason), (Part::Domain, Reason::NotADomain), "{text}");
        }
    }
}

#[test]
fn an_a_label_is_its_u_label_to_precis_and_itself_to_stringprep() {
    let precis = Jid::parse_with(Profile::Precis, "XN--bcher-kva.example").unwrap();
    assert_eq!(precis.domain(), "b\u{fc}cher.example");
    let stringprep = Jid::parse_with(Profile::Stringprep, "XN--bcher-kva.example").unwrap();
    assert_eq!(stringprep.domain(), "xn--bcher-kva.example");
    // IDNA2008 has letters and digits only.
    assert!(Jid::parse_with(Profile::Precis, "\u{265a}.example").is_err());
}

#[test]
fn parts_are_one_to_1023_bytes_long() {
    let longest = "a".repeat(PART_BYTES_MAX);
    let full = jid(&format!("{longest}@example.com/{longest}"));
    assert_eq!((full.node(), full.resource()), (Some(&*longest), Some(&*longest)));

    let longer = format!("{longest}a");
    assert_eq!(refusal(&format!("{longer}@example.com")), (Part::Node, Reason::TooLong));
    assert_eq!(refusal(&format!("example.com/{longer}")), (Part::Resource, Reason::TooLong));
    assert_eq!(refusal(&format!("example.com/{}", "\u{e9}".repeat(512))), (Part::Resource, Reason::TooLong));
    assert_eq!(refusal(&format!("{}@example.com", "\u{e9}".repeat(1 << 20))), (Part::Node, Reason::TooLong));
    assert_eq!(refusal("@example.com"), (Part::Node, Reason::Empty));
    assert_eq!(refusal("example.com/"), (Part::Resource, Reason::Empty));
    assert_eq!(refusal(""), (Part::Domain, Reason::Empty));
    assert_eq!(refusal("."), (Part::Domain, Reason::Empty));
    assert_eq!(refusal("\u{ad}@example.com"), (Part::Node, Reason::Empty));
    // It is the prepared text that counts: wide letters take three bytes each before.
    assert!(format!("{}@example.com", "\u{ff41}".repeat(1023)).parse::<Jid>().is_ok());
}

#[test]
fn the_parts_can_be_told_apart_and_put_together() {
    let full = jid("Juliet@Example.com/Balcony");
    assert_eq!(full.to_string(), "juliet@example.com/Balcony");
    assert_eq!(format!("{full:?}"), "\"juliet@example.com/Balcony\"");
    assert!(full.is_full() && !full.is_bare());

    let bare = full.bare();
    assert_eq!((bare.as_str(), full.bare_str()), ("juliet@example.com", "juliet@example.com"));
    assert!(bare.is_bare() && bare.resource().is_none() && bare.bare() == bare);
    assert_eq!(bare, jid("juliet@example.com"));
    assert_eq!(bare.with_resource("Orchard").unwrap(), jid("juliet@example.com/Orchard"));
    assert_eq!(full.with_resource("").unwrap_err().reason, Reason::Empty);

    assert_eq!(full.domain_jid(), jid("example.com"));
    assert_eq!(jid("example.com/x").domain_jid(), jid("example.com"));
    assert!(full.same_bare(&jid("JULIET@example.com/Orchard")) && !full.same_bare(&jid("example.com")));
}

#[test]
fn equality_order_and_hash_are_those_of_the_text() {
    let shared = jid("a@b/c").bare();
    let addresses = [jid("b@b"), shared, jid("a@b/c"), jid("a@b")];
    let ordered: BTreeSet<_> = addresses.iter().cloned().collect();
    assert_eq!(ordered.iter().map(Jid::as_str).collect::<Vec<_>>(), ["a@b", "a@b/c", "b@b"]);
    let hashed: HashSet<_> = addresses.into_iter().collect();
    assert_eq!(hashed.len(), 3);
    assert!(hashed.contains("a@b") && !hashed.contains("a@b/d"));
}

#[test]
fn an_address_is_three_words() {
    assert_eq!(size_of::<Option<Jid>>(), 24);
    let full = jid("juliet@capulet.example/balcony");
    assert_eq!(full.as_str().as_ptr(), full.bare().as_str().as_ptr());
}

#[test]
fn addresses_that_share_a_text_stay_what_they_were() {
    let long = format!("montague.example/{}", "r".repeat(1_000));
    let texts: Vec<String> = (0..100)
        .flat_map(|n| {
            [format!("romeo{n}@{long}"), "montague.example".to_owned(), format!("j@capulet.example/{n}")]
        })
        .collect();
    let apart: Vec<Jid> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let mut shared: Vec<Jid> =
        apart.iter().map(Jid::bare).zip(&apart).flat_map(|(bare, jid)| [bare, jid.clone()]).collect();
    Jid::share(&mut shared);
    for (shared, apart) in shared.chunks(2).zip(&apart) {
        assert_eq!(shared, [apart.bare(), apart.clone()]);
        assert_eq!(
            (shared[1].node(), shared[1].domain(), shared[1].resource()),
            (apart.node(), apart.domain(), apart.resource())
        );
        assert_eq!((shared[1].bare(), shared[1].domain_jid()), (apart.bare(), apart.domain_jid()));
        assert_eq!((shared[0].node(), shared[0].is_bare()), (apart.node(), true));
    }
}

#[test]
fn what_was_prepared_is_only_split() {
    let odd = Jid::from_prepared("Not Prepared@EXAMPLE/r").unwrap();
    assert_eq!((odd.node(), odd.domain(), odd.resource()), (Some("Not Prepared"), "EXAMPLE", Some("r")));
    assert!(Jid::from_prepared("@example").is_err());
    assert!(Jid::from_prepared(&"a".repeat(1 << 17)).is_err());
}

#[test]
fn the_examples_of_xep_0106_go_there_and_back() {
    // §5.1 and §5.6: what a user types, and the node.
    for (name, node) in [
        ("space cadet", "space\\20cadet"),
        ("call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"),
        ("at&t guy", "at\\26t\\20guy"),
        ("d'artagnan", "d\\27artagnan"),
        ("/.fanboy", "\\2f.fanboy"),
        ("::foo::", "\\3a\\3afoo\\3a\\3a"),
        ("<foo>", "\\3cfoo\\3e"),
        ("user@host", "user\\40host"),
        ("c:\\net", "c\\3a\\net"),
        ("c:\\\\net", "c\\3a\\\\net"),
        ("c:\\cool stuff", "c\\3a\\cool\\20stuff"),
        ("c:\\5commas", "c\\3a\\5c5commas"),
        ("\\3and\\2is\\5cool", "\\5c3and\\2is\\5c5cool"),
        ("\\2plus\\2is\\4", "\\2plus\\2is\\4"),
        ("foo\\bar", "foo\\bar"),
        ("foob\\41r", "foob\\41r"),
    ] {
        assert_eq!(escape::escape(name).as_deref(), Some(node));
        assert_eq!(escape::unescape(node), name);
        assert!(Jid::new(Some(node), "example.com", None).is_ok());
    }
    assert_eq!(escape::escape(" leading"), None);
    assert_eq!(escape::escape("trailing "), None);
    assert_eq!(escape::unescape("\\20not\\20"), "\\20not\\20");
}

/// Addresses of which some are fine and most nearly are.
fn almost_jid() -> impl Strategy<Value = String> {
    let part = "[ -~]{0,6}|[a-zA-Z0-9._-]{1,12}|\\PC{0,4}|[\u{ad}\u{df}\u{130}\u{2163}\u{ff20}\u{5d0}\u{661}\u{3c2}aI]{1,4}";
    (
        proptest::option::of(part),
        "[a-zA-Z0-9_.-]{1,12}|\\PC{0,6}|xn--[a-z0-9-]{1,8}",
        proptest::option::of(part),
    )
        .prop_map(|(node, domain, resource)| {
            let node = node.map(|node| node + "@").unwrap_or_default();
            let resource = resource.map(|resource| format!("/{resource}")).unwrap_or_default();
            node + &domain + &resource
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let text = String::from_utf8_lossy(&bytes);
        for profile in PROFILES {
            let _ = Jid::parse_with(profile, &text);
        }
        let _ = Jid::from_prepared(&text);
        let _ = (escape::escape(&text), escape::unescape(&text));
    }

    #[test]
    fn an_address_prepared_again_is_itself(text in almost_jid()) {
        for profile in PROFILES {
            let Ok(jid) = Jid::parse_with(profile, &text) else { continue };
            let again = Jid::parse_with(profile, jid.as_str());
            prop_assert_eq!(again.as_ref().map(Jid::as_str), Ok(jid.as_str()));
            let split = Jid::from_prepared(jid.as_str()).unwrap();
            prop_assert_eq!((split.node(), split.domain(), split.resource()), (jid.node(), jid.domain(), jid.resource()));
        }
    }

    #[test]
    fn another_implementation_agrees_on_ascii(text in "[!-~]{0,3}[a-zA-Z@./-]{1,10}[ -~]{0,5}") {
        // The other one loses count of its offsets after the final dot of a domain.
        if text.split('/').next().is_some_and(|bare| bare.ends_with('.')) {
            return Ok(());
        }
        let ours = text.parse::<Jid>();
        match jid_crate(&text) {
            // It lets names of domains have more punctuation than we do.
            Some((node, domain, resource)) if domain.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)) => {
                let ours = ours.unwrap();
                prop_assert_eq!((ours.node(), ours.domain(), ours.resource()), (node.as_deref(), &*domain, resource.as_deref()));
            }
            _ => prop_assert!(ours.is_err(), "{ours:?}"),
        }
    }

    #[test]
    fn names_survive_escaping(name in "[ -~]{0,12}") {
        if let Some(node) = escape::escape(&name) {
            prop_assert!(!node.contains(['@', '/', '"', ' ', '&', '\'', ':', '<', '>']));
            prop_assert_eq!(escape::unescape(&node), &*name);
        }
    }
}

type Parts = (Option<String>, String, Option<String>);

fn jid_crate(text: &str) -> Option<Parts> {
    let theirs = jid::Jid::new(text).ok()?;
    let node = theirs.node().map(|node| node.as_str().to_owned());
    let resource = theirs.resource().map(|resource| resource.as_str().to_owned());
    Some((node, theirs.domain().as_str().to_owned(), resource))
}
