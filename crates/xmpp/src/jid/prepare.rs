//! Preparation of each part by a profile, with the tables of stringprep or PRECIS.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped, UsernameCasePreserved};

use super::ascii::{self, is_forbidden_in_node, is_label_byte};
use super::{JidError, PART_BYTES_MAX, Part, Reason};

/// More than this is not worth preparing: no rule shrinks a text to a fourth. Bytes.
const RAW_BYTES_MAX: usize = 4 * PART_BYTES_MAX;
/// How often the rules are applied until nothing changes (RFC 8264 §7).
const ROUNDS_MAX: usize = 4;

/// Which rules make two spellings one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// RFC 6122: nodeprep, nameprep, resourceprep. The default, because ejabberd, Prosody and most client
    /// libraries compare addresses this way: a server that prepared otherwise would see two accounts where
    /// its peers see one (`fußball@` is `fussball@` to them), or refuse names that they let in.
    #[default]
    Stringprep,
    /// RFC 7622: `UsernameCaseMapped`, IDNA2008, `OpaqueString`.
    Precis,
}

static PROFILE: AtomicU8 = AtomicU8::new(0);

/// Sets the process's profile: once, at start, before the first address is parsed.
pub fn set_profile(profile: Profile) {
    PROFILE.store(u8::from(profile == Profile::Precis), Ordering::Relaxed);
}

/// The process's profile.
pub fn profile() -> Profile {
    if PROFILE.load(Ordering::Relaxed) == 0 { Profile::Stringprep } else { Profile::Precis }
}

pub(super) fn check_length(part: Part, text: &str) -> Result<(), JidError> {
    match text.len() {
        0 => Err(JidError { part, reason: Reason::Empty }),
        1..=PART_BYTES_MAX => Ok(()),
        _ => Err(JidError { part, reason: Reason::TooLong }),
    }
}

pub(super) fn node(profile: Profile, text: &str) -> Result<Cow<'_, str>, JidError> {
    let rules = match profile {
        Profile::Stringprep => |s: &str| stringprep::nodeprep(s).map(Cow::into_owned).ok(),
        Profile::Precis => |s: &str| UsernameCaseMapped::enforce(s).map(Cow::into_owned).ok(),
    };
    let node = prepare(Part::Node, text, rules)?;
    // Width mapping turns `＠` into `@`, so what comes out is looked at.
    if node.bytes().any(is_forbidden_in_node) {
        return Err(JidError { part: Part::Node, reason: Reason::Forbidden });
    }
    Ok(node)
}

pub(super) fn resource(profile: Profile, text: &str) -> Result<Cow<'_, str>, JidError> {
    if is_leading_space(profile, text) {
        return Err(JidError { part: Part::Resource, reason: Reason::Forbidden });
    }
    let rules = match profile {
        Profile::Stringprep => |s: &str| stringprep::resourceprep(s).map(Cow::into_owned).ok(),
        Profile::Precis => |s: &str| OpaqueString::enforce(s).map(Cow::into_owned).ok(),
    };
    let resource = prepare(Part::Resource, text, rules)?;
    // A non-ASCII space at the start has become a space by now.
    if is_leading_space(profile, &resource) {
        return Err(JidError { part: Part::Resource, reason: Reason::Forbidden });
    }
    Ok(resource)
}

pub(super) fn domain(profile: Profile, text: &str) -> Result<Cow<'_, str>, JidError> {
    if let Some(literal) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| not_a_domain())?;
        return Ok(Cow::Owned(format!("[{address}]")));
    }
    // A final dot says that the name is whole (RFC 7622 §3.2): another spelling of the same domain.
    let text = text.strip_suffix('.').unwrap_or(text);
    if ascii::is_domain(text) {
        let mut domain = Cow::Borrowed(text);
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            domain.to_mut().make_ascii_lowercase();
        }
        return Ok(domain);
    }
    match profile {
        Profile::Stringprep => prepare(Part::Domain, text, nameprep),
        Profile::Precis => prepare(Part::Domain, text, idna2008),
    }
}

/// Nameprep's output is the name, as RFC 6122 §2.2 has it (A-labels stay as they are); it must also be a name
/// that DNS can carry.
fn nameprep(text: &str) -> Option<String> {
    // RFC 3490 §3.1: the ideographic full stops separate labels, too.
    let dotted = text.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let name = stringprep::nameprep(&dotted).ok()?.into_owned();
    fits_dns(&name).then_some(name)
}

/// A-labels become U-labels (RFC 7622 §3.2.1), and only letters and digits in IDNA2008's sense are left.
fn idna2008(text: &str) -> Option<String> {
    let (name, result) = Uts46::new().to_unicode(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Check);
    result.ok()?;
    let labels =
        name.split('.').all(|label| label.is_ascii() || UsernameCasePreserved::prepare(label).is_ok());
    (labels && fits_dns(&name)).then(|| name.into_owned())
}

fn fits_dns(name: &str) -> bool {
    name.bytes().all(|b| !b.is_ascii() || is_label_byte(b) || b == b'.')
        && Uts46::new()
            .to_ascii(name.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Check, DnsLength::Verify)
            .is_ok()
}

/// Applies `rules` until the text is stable, so that an address prepared again is itself.
fn prepare(part: Part, text: &str, rules: fn(&str) -> Option<String>) -> Result<Cow<'_, str>, JidError> {
    if text.len() > RAW_BYTES_MAX {
        return Err(JidError { part, reason: Reason::TooLong });
    }
    if text.is_empty() {
        return Err(JidError { part, reason: Reason::Empty });
    }
    let reason = if part == Part::Domain { Reason::NotADomain } else { Reason::Forbidden };
    let mut prepared = Cow::Borrowed(text);
    for _ in 0..ROUNDS_MAX {
        let next = rules(&prepared).ok_or(JidError { part, reason })?;
        if next == prepared {
            check_length(part, &prepared)?;
            return Ok(prepared);
        }
        prepared = Cow::Owned(next);
    }
    Err(JidError { part, reason })
}

/// RFC 7622 §3.5 (example 18) refuses a resource that starts with a space; resourceprep lets it in.
fn is_leading_space(profile: Profile, resource: &str) -> bool {
    profile == Profile::Precis && resource.starts_with(' ')
}

fn not_a_domain() -> JidError {
    JidError { part: Part::Domain, reason: Reason::NotADomain }
}
