//! Addresses: `node@domain/resource` (RFC 6122, RFC 7622), and XEP-0106 escaping in [`escape`].
//!
//! A [`Jid`] is always prepared: parsing enforces the rules of a [`Profile`], so two addresses are the
//! same exactly if their texts are. It is one allocation; a clone and a bare form share it, and [`Jid::share`] makes one
//! of many.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use smallvec::SmallVec;

mod ascii;
mod error;
pub mod escape;
mod prepare;

use ascii::Ascii;
pub use error::{JidError, Part, Reason};
pub use prepare::{Profile, profile, set_profile};

/// The longest a part may be once prepared, in bytes (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// An address, prepared. Equality, order and hash are those of its text.
#[derive(Clone)]
pub struct Jid {
    /// The text, or one in which it lies: that of the full address a bare one was made from, or of many addresses.
    text: Arc<str>,
    /// Where this address begins.
    start: u16,
    /// Where the `@` is; 0 without a node, as a node is never empty.
    at: u16,
    /// Where the domain ends.
    slash: u16,
    /// Where this address ends: at `slash` if it is bare.
    end: u16,
}

/// An address cut in its parts, prepared or not.
#[derive(Clone, Copy)]
struct Parts<'a> {
    node: Option<&'a str>,
    domain: &'a str,
    resource: Option<&'a str>,
}

impl Jid {
    /// Puts an address together, prepared with the process's [`profile`].
    pub fn new(node: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Jid, JidError> {
        Parts { node, domain, resource }.prepare(profile())
    }

    /// Parses and prepares with a profile of one's choice; [`FromStr`] takes the process's.
    pub fn parse_with(profile: Profile, text: &str) -> Result<Jid, JidError> {
        match Ascii::find(profile, text) {
            Some(found) => Ok(Jid::lowered(text, &found)),
            None => Parts::split(text).prepare(profile),
        }
    }

    /// Takes an address one of our own processes has prepared: splits it, checks the lengths, no more.
    pub fn from_prepared(text: &str) -> Result<Jid, JidError> {
        let parts = Parts::split(text);
        parts.check_lengths()?;
        Ok(Jid::of(text.into(), parts))
    }

    /// The part before the `@`.
    pub fn node(&self) -> Option<&str> {
        (self.at > 0).then(|| self.cut(self.start, self.at))
    }

    /// The domain, or an address literal as `127.0.0.1` or `[::1]`.
    pub fn domain(&self) -> &str {
        self.cut(if self.at > 0 { self.at + 1 } else { self.start }, self.slash)
    }

    /// The part after the first `/`.
    pub fn resource(&self) -> Option<&str> {
        self.is_full().then(|| self.cut(self.slash + 1, self.end))
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.cut(self.start, self.end)
    }

    /// The address without its resource; allocates nothing.
    #[must_use]
    pub fn bare(&self) -> Jid {
        Jid { text: Arc::clone(&self.text), end: self.slash, ..*self }
    }

    /// The text of the address without its resource.
    pub fn bare_str(&self) -> &str {
        self.cut(self.start, self.slash)
    }

    /// The address of the domain alone.
    #[must_use]
    pub fn domain_jid(&self) -> Jid {
        if self.at == 0 { self.bare() } else { Jid::domain_only(self.domain()) }
    }

    /// Whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.end == self.slash
    }

    /// Whether there is a resource.
    pub fn is_full(&self) -> bool {
        !self.is_bare()
    }

    /// The same node and domain with this resource, which is prepared.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = prepare::resource(profile(), resource)?;
        Ok(Parts { node: self.node(), domain: self.domain(), resource: Some(&resource) }.join())
    }

    /// Whether both are of one account or one service, whatever their resources.
    pub fn same_bare(&self, other: &Jid) -> bool {
        self.bare_str() == other.bare_str()
    }

    /// Puts the texts of addresses that stay together into one allocation, where each had its own.
    pub fn share<'a>(jids: impl IntoIterator<Item = &'a mut Jid>) {
        let mut jids: Vec<_> = jids.into_iter().collect();
        let mut rest = &mut jids[..];
        while !rest.is_empty() {
            let (mut text, mut count) = (String::new(), 0);
            // Offsets are 16 bits wide; an address alone is far from that.
            while let Some(jid) = rest.get(count)
                && u16::try_from(text.len() + jid.as_str().len()).is_ok()
            {
                text.push_str(jid.as_str());
                count += 1;
            }
            let (shared, after) = rest.split_at_mut(count);
            let text: Arc<str> = text.into();
            let mut start = 0;
            for jid in shared {
                let by = |offset: u16| offset - jid.start + start;
                let (at, slash, end) = (if jid.at > 0 { by(jid.at) } else { 0 }, by(jid.slash), by(jid.end));
                **jid = Jid { text: Arc::clone(&text), start, at, slash, end };
                start = end;
            }
            rest = after;
        }
    }

    fn cut(&self, from: u16, to: u16) -> &str {
        &self.text[usize::from(from)..usize::from(to)]
    }

    fn domain_only(domain: &str) -> Jid {
        Jid::of(domain.into(), Parts { node: None, domain, resource: None })
    }

    /// ASCII that is known to be fine needs lower case in node and domain only: one copy, one allocation.
    #[inline]
    fn lowered(text: &str, found: &Ascii) -> Jid {
        let mut copy: Arc<str> = text.into();
        if let Some(copy) = found.upper.then(|| Arc::get_mut(&mut copy)).flatten() {
            copy[..found.slash].make_ascii_lowercase();
        }
        Jid { text: copy, start: 0, at: found.at as u16, slash: found.slash as u16, end: text.len() as u16 }
    }

    /// Notes where `parts` lie in `text`; their lengths have been checked, so that offsets fit.
    fn of(text: Arc<str>, parts: Parts<'_>) -> Jid {
        let at = parts.node.map_or(0, str::len);
        let slash = at + usize::from(at > 0) + parts.domain.len();
        let end = text.len();
        Jid { text, start: 0, at: at as u16, slash: slash as u16, end: end as u16 }
    }
}

impl<'a> Parts<'a> {
    /// RFC 7622 §3.1: the resource is what follows the first `/`; then the node is what precedes the first `@`.
    fn split(text: &'a str) -> Parts<'a> {
        let (bare, resource) = match memchr::memchr(b'/', text.as_bytes()) {
            Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
            None => (text, None),
        };
        match memchr::memchr(b'@', bare.as_bytes()) {
            Some(at) => Parts { node: Some(&bare[..at]), domain: &bare[at + 1..], resource },
            None => Parts { node: None, domain: bare, resource },
        }
    }

    fn prepare(self, profile: Profile) -> Result<Jid, JidError> {
        let node = self.node.map(|node| prepare::node(profile, node)).transpose()?;
        let domain = prepare::domain(profile, self.domain)?;
        let resource = self.resource.map(|resource| prepare::resource(profile, resource)).transpose()?;
        Ok(Parts { node: node.as_deref(), domain: &domain, resource: resource.as_deref() }.join())
    }

    fn check_lengths(self) -> Result<(), JidError> {
        if let Some(node) = self.node {
            prepare::check_length(Part::Node, node)?;
        }
        prepare::check_length(Part::Domain, self.domain)?;
        self.resource.map_or(Ok(()), |resource| prepare::check_length(Part::Resource, resource))
    }

    /// Writes prepared parts on the stack, so that the address is the only allocation.
    fn join(self) -> Jid {
        let mut text: SmallVec<[u8; 192]> = SmallVec::new();
        if let Some(node) = self.node {
            text.extend_from_slice(node.as_bytes());
            text.push(b'@');
        }
        text.extend_from_slice(self.domain.as_bytes());
        if let Some(resource) = self.resource {
            text.push(b'/');
            text.extend_from_slice(resource.as_bytes());
        }
        // Joined strings are UTF-8: nothing is replaced.
        Jid::of(String::from_utf8_lossy(&text).into(), self)
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::parse_with(profile(), text)
    }
}

impl PartialEq for Jid {
    fn eq(&self, other: &Jid) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Jid) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Jid) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Jid {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
