//! What a user wants archived (XEP-0441): everything, nothing, or what is exchanged with contacts; with exceptions.
//!
//! What is not archived is still kept until it is delivered. Loaded with the account, so that no message waits for it.

use bytes::Bytes;
use store::Documents;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::account::Account;
use crate::host::Host;
use crate::roster::Roster;

/// Addresses that each list may name.
pub(super) const LISTED_MAX: usize = 500;

/// Bytes of preferences at most, as they are kept.
pub(super) const BYTES_MAX: usize = 64 * 1_024;

/// What is archived of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    otherwise: Otherwise,
    always: Vec<Jid>,
    never: Vec<Jid>,
}

/// What is archived of those in neither list (§2.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Otherwise {
    #[default]
    Always,
    Never,
    Roster,
}

/// The names of [`Otherwise`].
const NAMES: &[(Otherwise, &str)] =
    &[(Otherwise::Always, "always"), (Otherwise::Never, "never"), (Otherwise::Roster, "roster")];

/// The preferences of an account; none: everything is archived.
///
/// # Errors
/// The store's. Preferences that cannot be read are none: no message is lost by it.
pub async fn load(documents: &dyn Documents, account: &Jid) -> store::Result<Option<Box<Preferences>>> {
    let Some(bytes) = documents.read(account, ns::MAM, "").await? else { return Ok(None) };
    let read = Preferences::read(&bytes);
    if read.is_none() {
        tracing::warn!(%account, "archiving preferences cannot be read, everything is archived");
    }
    Ok(read.map(Box::new))
}

/// Whether an account archives what it exchanges with `other`; none: the account itself.
pub(crate) fn archives(account: &Account, host: &Host, other: Option<&Jid>) -> bool {
    let wanted = |preferences: &Preferences| {
        other.is_none_or(|other| preferences.archives(&account.jid, &account.roster, other))
    };
    host.archive && account.archiving.as_deref().is_none_or(wanted)
}

impl Preferences {
    /// From the document they are kept as; none: it is damaged.
    pub fn read(document: &[u8]) -> Option<Self> {
        Self::parse(&Element::parse(document, ns::MAM).ok()?).ok()
    }

    /// Reads `<prefs/>`.
    ///
    /// # Errors
    /// It makes no sense, or is larger than what is kept.
    pub(super) fn parse(prefs: &Element) -> Result<Self, StanzaError> {
        let otherwise = prefs.attribute("default").unwrap_or_default();
        let otherwise = NAMES.iter().find(|(_, name)| *name == otherwise).map(|(otherwise, _)| *otherwise);
        Ok(Self {
            otherwise: otherwise.ok_or(StanzaError::from(Condition::BadRequest))?,
            always: listed(prefs, "always")?,
            never: listed(prefs, "never")?,
        })
    }

    /// `<prefs/>`.
    pub(super) fn to_element(&self) -> Element {
        let name =
            NAMES.iter().find(|(otherwise, _)| *otherwise == self.otherwise).map_or("", |(_, name)| *name);
        let list = |name, jids: &[Jid]| {
            let jids = jids.iter().map(|jid| Element::new(ns::MAM, "jid").with_text(jid.as_str()));
            Element::new(ns::MAM, name).with_children(jids)
        };
        Element::new(ns::MAM, "prefs")
            .attr("default", name)
            .with_child(list("always", &self.always))
            .with_child(list("never", &self.never))
    }

    /// What is to be kept of them: nothing of those that change nothing.
    ///
    /// # Errors
    /// They are too large.
    pub fn document(&self) -> Result<Option<Bytes>, StanzaError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let bytes = self.to_element().to_bytes(ns::MAM);
        if bytes.len() > BYTES_MAX { Err(Condition::PolicyViolation.into()) } else { Ok(Some(bytes.into())) }
    }

    /// §2.3.1; who is in both lists is not archived, since what was archived cannot be unsaid.
    fn archives(&self, account: &Jid, roster: &Roster, other: &Jid) -> bool {
        let is_in = |list: &[Jid]| {
            list.iter().any(|jid| if jid.is_full() { jid == other } else { jid.same_bare(other) })
        };
        if is_in(&self.never) {
            return false;
        }
        is_in(&self.always)
            || match self.otherwise {
                Otherwise::Always => true,
                Otherwise::Never => false,
                Otherwise::Roster => account.same_bare(other) || roster.contact(&other.bare()).is_some(),
            }
    }
}

fn listed(prefs: &Element, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let Some(list) = prefs.child(name, ns::MAM) else { return Ok(Vec::new()) };
    let jids = list.children().filter(|child| child.is("jid", ns::MAM));
    let mut jids: Vec<Jid> = jids
        .take(LISTED_MAX + 1)
        .map(|jid| jid.text().trim().parse().map_err(|_| StanzaError::from(Condition::JidMalformed)))
        .collect::<Result<_, _>>()?;
    if jids.len() > LISTED_MAX {
        return Err(Condition::PolicyViolation.into());
    }
    jids.sort_unstable();
    jids.dedup();
    Ok(jids)
}

#[cfg(test)]
mod tests {
    use store::Subscription;

    use super::*;
    use crate::about::At;
    use crate::mam::Mam;
    use crate::testing::{Stage, jid, wait};

    const PREFS: &str = "<iq id='1' type='get'><prefs xmlns='urn:xmpp:mam:2'/></iq>";

    fn set(default: &str, always: &str, never: &str) -> String {
        let list = |name, jid: &str| match jid {
            "" => format!("<{name}/>"),
            jid => format!("<{name}><jid>{jid}</jid></{name}>"),
        };
        let lists = [list("always", always), list("never", never)].concat();
        format!(
            "<iq id='1' type='set'><prefs xmlns='urn:xmpp:mam:2' default='{default}'>{lists}</prefs></iq>"
        )
    }

    /// Which of Romeo's garden, Romeo's orchard, the nurse (a contact) and Juliet herself are archived.
    fn archived(stage: &Stage) -> String {
        let others = [
            ("garden", "romeo@montague.example/garden"),
            ("orchard", "romeo@montague.example/orchard"),
            ("nurse", "nurse@capulet.example/x"),
            ("self", "juliet@capulet.example/balcony"),
        ];
        let kept = |(_, other): &&(&str, &str)| archives(&stage.account, &stage.host, Some(&jid(other)));
        others.iter().filter(kept).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }

    fn scene() -> (Stage, crate::account::Origin) {
        let mut stage = Stage::new();
        stage.befriend("nurse@capulet.example", Subscription::None);
        let chamber = stage.bind("chamber");
        (stage, chamber)
    }

    #[test]
    fn everything_is_archived_unless_juliet_wants_it_otherwise() {
        let (mut stage, chamber) = scene();
        let room = stage.room(Mam::build);
        let told = stage.ask(&*room, At::Account, Some(chamber), PREFS);
        assert_eq!(told, "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>");
        assert_eq!(archived(&stage), "garden orchard nurse self");
        stage.host.archive = false;
        assert_eq!(archived(&stage), "");
    }

    #[test]
    fn lists_come_before_the_rest_and_never_before_always() {
        let (mut stage, chamber) = scene();
        let room = stage.room(Mam::build);
        let (romeo, garden) = ("romeo@montague.example", "romeo@montague.example/garden");
        for (default, always, never, expected) in [
            ("never", "", "", ""),
            ("never", romeo, "", "garden orchard"),
            ("never", romeo, garden, "orchard"),
            ("never", garden, "", "garden"),
            ("roster", "", "", "nurse self"),
            ("roster", garden, "nurse@capulet.example", "garden self"),
            ("always", "", romeo, "nurse self"),
            ("always", romeo, romeo, "nurse self"),
        ] {
            let iq = set(default, always, never);
            let told = stage.ask(&*room, At::Account, Some(chamber), &iq);
            assert!(iq.contains(&told), "what applies is what was asked for: {told}");
            assert_eq!(archived(&stage), expected, "{iq}");
        }
    }

    #[test]
    fn they_are_there_when_the_account_is_loaded_again() {
        let (mut stage, chamber) = scene();
        let room = stage.room(Mam::build);
        let load = |stage: &Stage| wait(load(&*stage.ports.store.documents, &stage.account.jid)).unwrap();
        assert_eq!(load(&stage), None);
        stage.ask(&*room, At::Account, Some(chamber), &set("roster", "", "romeo@montague.example"));
        assert_eq!(load(&stage), stage.account.archiving);
        assert!(stage.account.archiving.is_some());
        stage.ask(&*room, At::Account, Some(chamber), &set("always", "", ""));
        assert_eq!((load(&stage), &stage.account.archiving), (None, &None));
    }

    #[test]
    fn what_makes_no_sense_or_is_too_much_is_refused() {
        let (mut stage, chamber) = scene();
        let room = stage.room(Mam::build);
        let many: String = (0..=LISTED_MAX).map(|n| n.to_string()).collect::<Vec<_>>().join("</jid><jid>");
        for (iq, error) in [
            (set("sometimes", "", ""), "error bad-request"),
            (set("always", "@", ""), "error jid-malformed"),
            (set("always", &many, ""), "error policy-violation"),
        ] {
            assert_eq!(stage.ask(&*room, At::Account, Some(chamber), &iq), error);
        }
        assert_eq!(stage.ask(&*room, At::Account, None, PREFS), "go");
        assert_eq!(stage.account.archiving, None);
    }
}
