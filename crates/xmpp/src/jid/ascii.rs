//! The addresses that nearly all are: ASCII that needs at most lower case, seen in one pass.

use super::{PART_BYTES_MAX, Profile};

/// May stand in a node: visible ASCII but for what RFC 7622 §3.3.1 forbids; both profiles only lower its case.
const NODE: u8 = 1;
/// May stand in a label: letters, digits and the hyphen of host names, and the underscore of internal names.
const LABEL: u8 = 2;
const UPPER: u8 = 4;

/// Bytes of a whole domain name (RFC 1035 §2.3.4), without the final dot.
const DOMAIN_BYTES_MAX: usize = 253;

static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        class[byte as usize] = if byte.is_ascii_graphic() && !is_forbidden_in_node(byte) { NODE } else { 0 }
            | if is_label_byte(byte) { LABEL } else { 0 }
            | if byte.is_ascii_uppercase() { UPPER } else { 0 };
        byte += 1;
    }
    class
};

/// Where the parts of such an address lie.
pub(super) struct Ascii {
    /// The offset of the `@`; 0 without a node.
    pub(super) at: usize,
    /// Where the domain ends.
    pub(super) slash: usize,
    /// Node or domain have upper case.
    pub(super) upper: bool,
}

impl Ascii {
    /// `None` if the tables of the profile have to be asked, be it for what is wrong.
    pub(super) fn find(profile: Profile, text: &str) -> Option<Ascii> {
        let (text, mut seen) = (text.as_bytes(), 0);
        let node = run(text, 0, NODE, &mut seen);
        let (at, domain) = match text.get(node) {
            Some(b'@') if matches!(node, 1..=PART_BYTES_MAX) => (node, node + 1),
            Some(b'/') | None => (0, 0),
            Some(_) => return None,
        };
        let slash = domain_end(text, domain, &mut seen)?;
        let resource = match text.get(slash) {
            None => true,
            Some(_) => is_resource(profile, &text[slash + 1..]),
        };
        resource.then_some(Ascii { at, slash, upper: seen & UPPER != 0 })
    }
}

/// Labels that are no A-labels, or digits as in an IPv4 literal.
pub(super) fn is_domain(text: &str) -> bool {
    domain_end(text.as_bytes(), 0, &mut 0) == Some(text.len())
}

/// What RFC 7622 §3.3.1 forbids in a node.
pub(super) const fn is_forbidden_in_node(byte: u8) -> bool {
    matches!(byte, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@')
}

pub(super) const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// End of the bytes of a class that begin at `at`; `seen` gathers their other classes.
#[inline]
fn run(text: &[u8], mut at: usize, class: u8, seen: &mut u8) -> usize {
    while let Some(&byte) = text.get(at) {
        let classes = CLASS[usize::from(byte)];
        if classes & class == 0 {
            break;
        }
        *seen |= classes;
        at += 1;
    }
    at
}

/// End of the domain that begins at `start` and ends with the text or at a slash.
#[inline]
fn domain_end(text: &[u8], start: usize, seen: &mut u8) -> Option<usize> {
    let mut label = start;
    loop {
        let end = run(text, label, LABEL, seen);
        if !is_label(&text[label..end]) {
            return None;
        }
        match text.get(end) {
            Some(b'.') => label = end + 1,
            Some(b'/') | None => return (end - start <= DOMAIN_BYTES_MAX).then_some(end),
            Some(_) => return None,
        }
    }
}

/// Whether bytes that may stand in a label are one.
fn is_label(label: &[u8]) -> bool {
    matches!(label.len(), 1..=63)
        && label[0] != b'-'
        && label[label.len() - 1] != b'-'
        // `xn--…` is an A-label; hyphens there mean nothing else that is allowed (RFC 5891 §4.2.3.1).
        && label.get(2..4) != Some(b"--")
}

fn is_resource(profile: Profile, resource: &[u8]) -> bool {
    // RFC 7622 §3.5 (example 18) refuses one that starts with a space; resourceprep lets it in.
    let starts_well = profile == Profile::Stringprep || resource.first() != Some(&b' ');
    let plain = resource.iter().all(|byte| matches!(byte, b' '..=b'~'));
    matches!(resource.len(), 1..=PART_BYTES_MAX) && starts_well && plain
}
