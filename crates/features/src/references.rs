//! References made from the descriptions: the table of XEPs and the DOAP file. `throng docs --check` compares them with
//! what is in `docs/`.

use std::fmt::Write as _;

use xmpp::ns;
use xmpp::xml::write_text;

use crate::about::{About, Spec};
use crate::chain::ORDER;

/// Where the table of XEPs is kept, from the root of the repository.
pub const XEPS_PATH: &str = "docs/xeps.md";
/// Where the DOAP file is kept, from the root of the repository.
pub const DOAP_PATH: &str = "docs/doap.xml";

/// What no room does because it belongs to the stream or to the account's owner.
static ELSEWHERE: &[About] = &[
    About {
        name: "stream",
        doc: "Streams, TLS, login, and what makes a stream outlive its connection.",
        specs: &[
            Spec { xep: 0, version: "RFC 6120", note: "" },
            Spec { xep: 0, version: "RFC 7395", note: "" },
            Spec { xep: 0, version: "RFC 7590", note: "" },
            Spec { xep: 156, version: "1.4.0", note: "" },
            Spec { xep: 175, version: "1.2", note: "" },
            Spec { xep: 170, version: "1.0", note: "" },
            Spec { xep: 198, version: "1.6.3", note: "" },
            Spec { xep: 368, version: "1.1.0", note: "" },
            Spec { xep: 440, version: "1.0.0", note: "" },
        ],
        host_disco: &[],
        account_disco: &[],
        at: &[],
    },
    About {
        name: "routing",
        doc: "Decides which sessions get a stanza.",
        specs: &[Spec { xep: 0, version: "RFC 6121 §8", note: "" }],
        host_disco: &[],
        account_disco: &[],
        at: &[],
    },
    About {
        name: "offline",
        doc: "Keeps messages for accounts that are not there.",
        specs: &[Spec { xep: 160, version: "1.0.1", note: "" }],
        host_disco: &[ns::OFFLINE_FEATURE],
        account_disco: &[],
        at: &[],
    },
    About {
        name: "addresses",
        doc: "Addresses and times.",
        specs: &[
            Spec { xep: 0, version: "RFC 6122", note: "the default, as today's servers have it" },
            Spec { xep: 0, version: "RFC 7622", note: "by configuration" },
            Spec { xep: 82, version: "1.1.1", note: "" },
            Spec { xep: 106, version: "1.1.1", note: "" },
        ],
        host_disco: &[],
        account_disco: &[],
        at: &[],
    },
];

/// Every description: the rooms in order, then what is done elsewhere.
pub fn about() -> Vec<&'static About> {
    ORDER.iter().map(|(about, _)| *about).chain(ELSEWHERE).collect()
}

/// The table of XEPs and RFCs, as Markdown.
pub fn xeps() -> String {
    let mut out = String::from(
        "# What is implemented\n\nGenerated from the code by `throng docs`; `throng docs --check` fails when it is stale.\n\
         A room is a file or folder of `crates/features`, or another part of the code.\n\n\
         | Specification | Title | Version | Room | Left out |\n|---|---|---|---|---|\n",
    );
    for (room, spec) in specs() {
        // Writing to a string never fails.
        let _ = match spec.xep {
            0 => writeln!(out, "| {} | {} | | {room} | {} |", spec.version, title(spec), spec.note),
            xep => writeln!(
                out,
                "| [XEP-{xep:04}](https://xmpp.org/extensions/xep-{xep:04}.html) | {} | {} | {room} | {} |",
                title(spec),
                spec.version,
                spec.note
            ),
        };
    }
    out
}

/// The description of the project for programs (XEP-0453).
pub fn doap() -> String {
    let mut out = String::from(DOAP_HEAD);
    let mut specs = specs();
    // Several rooms may share an RFC, by sections.
    specs.dedup_by_key(|(_, spec)| (spec.xep, rfc(spec)));
    for (_, spec) in specs {
        // Writing to a string never fails.
        let _ = match spec.xep {
            0 => writeln!(out, "    <implements rdf:resource='{}'/>", rfc_uri(spec)),
            _ => write!(out, "{}", supported(spec)),
        };
    }
    out.push_str("  </Project>\n</rdf:RDF>\n");
    out
}

const DOAP_HEAD: &str = "<?xml version='1.0' encoding='UTF-8'?>
<!-- Generated from the code by `throng docs`. -->
<rdf:RDF xmlns='http://usefulinc.com/ns/doap#' xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' \
xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>
  <Project>
    <name>Throng</name>
    <shortdesc xml:lang='en'>XMPP messaging backend</shortdesc>
    <programming-language>Rust</programming-language>
    <os>Linux</os>
    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>
";

fn supported(spec: &Spec) -> String {
    let status = if spec.note.is_empty() { "complete" } else { "partial" };
    let note = if spec.note.is_empty() {
        String::new()
    } else {
        format!("        <xmpp:note xml:lang='en'>{}</xmpp:note>\n", escaped(spec.note))
    };
    format!(
        "    <implements>\n      <xmpp:SupportedXep>\n        \
         <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-{:04}.html'/>\n        \
         <xmpp:status>{status}</xmpp:status>\n        \
         <xmpp:version>{}</xmpp:version>\n{note}      </xmpp:SupportedXep>\n    </implements>\n",
        spec.xep, spec.version
    )
}

fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    write_text(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// `RFC 6121` of `RFC 6121 §2`.
fn rfc(spec: &Spec) -> &'static str {
    spec.version.split_once(" §").map_or(spec.version, |(rfc, _)| rfc)
}

fn rfc_uri(spec: &Spec) -> String {
    rfc(spec).replace("RFC ", "https://www.rfc-editor.org/info/rfc")
}

/// Every specification with its room: RFCs first, each in order.
fn specs() -> Vec<(&'static str, &'static Spec)> {
    let mut specs: Vec<_> =
        about().into_iter().flat_map(|about| about.specs.iter().map(|spec| (about.name, spec))).collect();
    specs.sort_by_key(|(_, spec)| (spec.xep, spec.version));
    specs
}

/// The title of a specification.
fn title(spec: &Spec) -> &'static str {
    match (spec.xep, rfc(spec)) {
        (0, "RFC 6120") => "XMPP: Core",
        (0, "RFC 6121") => "XMPP: Instant Messaging and Presence",
        (0, "RFC 6122") => "XMPP: Address Format (stringprep)",
        (0, "RFC 7395") => "XMPP Subprotocol for WebSocket",
        (0, "RFC 7590") => "Use of TLS in XMPP",
        (0, "RFC 7622") => "XMPP: Address Format (PRECIS)",
        (12, _) => "Last Activity",
        (30, _) => "Service Discovery",
        (49, _) => "Private XML Storage",
        (50, _) => "Ad-Hoc Commands",
        (54, _) => "vcard-temp",
        (59, _) => "Result Set Management",
        (77, _) => "In-Band Registration",
        (82, _) => "XMPP Date and Time Profiles",
        (92, _) => "Software Version",
        (106, _) => "JID Escaping",
        (115, _) => "Entity Capabilities",
        (128, _) => "Service Discovery Extensions",
        (133, _) => "Service Administration",
        (153, _) => "vCard-Based Avatars",
        (156, _) => "Discovering Alternative XMPP Connection Methods",
        (157, _) => "Contact Addresses for XMPP Services",
        (160, _) => "Best Practices for Handling Offline Messages",
        (170, _) => "Recommended Order of Stream Feature Negotiation",
        (175, _) => "Best Practices for Use of SASL ANONYMOUS",
        (191, _) => "Blocking Command",
        (198, _) => "Stream Management",
        (199, _) => "XMPP Ping",
        (202, _) => "Entity Time",
        (203, _) => "Delayed Delivery",
        (237, _) => "Roster Versioning",
        (280, _) => "Message Carbons",
        (297, _) => "Stanza Forwarding",
        (313, _) => "Message Archive Management",
        (334, _) => "Message Processing Hints",
        (352, _) => "Client State Indication",
        (357, _) => "Push Notifications",
        (359, _) => "Unique and Stable Stanza IDs",
        (368, _) => "SRV records for XMPP over TLS",
        (424, _) => "Message Retraction",
        (440, _) => "SASL Channel-Binding Type Capability",
        (441, _) => "Message Archive Management Preferences",
        (478, _) => "Stream Limits Advertisement",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specification_has_a_title_and_stands_once() {
        let specs = specs();
        for (at, (room, spec)) in specs.iter().enumerate() {
            assert_ne!(title(spec), "", "{room}: {}", spec.xep);
            let same =
                |other: &Spec| other.xep == spec.xep && (other.xep > 0 || other.version == spec.version);
            assert!(!specs[at + 1..].iter().any(|(_, other)| same(other)), "{}", spec.xep);
        }
    }

    #[test]
    fn no_two_rooms_have_one_name() {
        let mut names: Vec<_> = about().iter().map(|about| about.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_doap_file_is_xml() {
        let doap = doap();
        let root = doap.split_once("-->\n").map(|(_, root)| root.trim()).unwrap();
        let root = xmpp::xml::Element::parse(root.as_bytes(), "").unwrap();
        let project = root.children().next().unwrap();
        let implements = project.children().filter(|child| child.name() == "implements");
        assert!(implements.count() > 20);
    }

    /// `UPDATE_DOCS=1 cargo test -p features references` writes them.
    #[test]
    fn what_is_in_docs_is_what_the_code_says() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (path, generated) in [(XEPS_PATH, xeps()), (DOAP_PATH, doap())] {
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(root.join(path), &generated).unwrap();
            }
            assert!(
                std::fs::read_to_string(root.join(path)).unwrap_or_default() == generated,
                "{path} is stale"
            );
        }
    }
}
