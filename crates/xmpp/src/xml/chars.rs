//! Which characters XML 1.0 allows, and where.

use super::XmlError;

/// May begin a name: `:` is left out, the callers of the tag treat it.
pub(crate) const NAME_START: u8 = 1;
/// May stand in a name.
pub(crate) const NAME: u8 = 2;
/// Space, tab, line feed, carriage return.
pub(crate) const SPACE: u8 = 4;

/// Of ASCII: what is beyond makes its token take the slow check.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut at = 0;
    while at < 256 {
        class[at] = match at as u8 {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => NAME_START | NAME,
            b'0'..=b'9' | b'-' | b'.' => NAME,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            _ => 0,
        };
        at += 1;
    }
    class
};

pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Skips what needs no thought: printable ASCII but for `stops`. Eight bytes are compared at once.
#[inline]
pub(crate) fn skip_plain<const N: usize>(buffer: &[u8], mut at: usize, stops: [u8; N]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGHS: u64 = ONES * 0x80;
    while let Some(block) = buffer.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let block = u64::from_le_bytes(*block);
        // The lowest byte marked is a true one: a borrow can only mark bytes above it.
        let mut marked = block | block.wrapping_sub(ONES * 0x20);
        for stop in stops {
            let other = block ^ (ONES * u64::from(stop));
            marked |= other.wrapping_sub(ONES) & !other;
        }
        marked &= HIGHS;
        if marked != 0 {
            return at + marked.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while buffer.get(at).is_some_and(|byte| matches!(byte, 0x20..0x80) && !stops.contains(byte)) {
        at += 1;
    }
    at
}

/// As [`skip_plain`] for text, which can be long: whole blocks, written so that the compiler compares them at once.
pub(crate) fn skip_plain_blocks(buffer: &[u8], mut at: usize) -> usize {
    while let Some(block) = buffer.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        let special = block.iter().fold(0, |special, &byte| {
            special
                | u8::from(byte < b' ')
                | u8::from(byte >= 0x80)
                | u8::from(byte == b'<')
                | u8::from(byte == b'&')
                | u8::from(byte == b']')
        });
        if special != 0 {
            break;
        }
        at += 32;
    }
    at
}

pub(crate) fn skip_beyond_ascii(buffer: &[u8], at: usize) -> usize {
    at + buffer[at..].iter().take_while(|byte| **byte >= 0x80).count()
}

/// Checks a token that holds bytes beyond ASCII: UTF-8, and none of the two noncharacters XML excludes (§2.2).
/// Surrogates and overlong forms are no UTF-8 to begin with; control characters were seen byte by byte.
pub(crate) fn check_beyond_ascii(token: &[u8]) -> Result<&str, XmlError> {
    let text = simdutf8::basic::from_utf8(token).map_err(|_| XmlError::NotWellFormed("not utf-8"))?;
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    for at in memchr::memchr_iter(0xEF, token) {
        if matches!(token.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) {
            return Err(XmlError::NotWellFormed("character not allowed in xml"));
        }
    }
    Ok(text)
}

/// Checks a name that holds bytes beyond ASCII against the tables of XML 1.0 §2.3. Colons were treated before.
pub(crate) fn check_name(name: &[u8]) -> Result<(), XmlError> {
    const WRONG: XmlError = XmlError::NotWellFormed("character not allowed in a name");
    let name = std::str::from_utf8(name).map_err(|_| XmlError::NotWellFormed("not utf-8"))?;
    for part in name.split(':') {
        let mut chars = part.chars();
        if !chars.next().is_some_and(is_name_start) || !chars.all(is_name) {
            return Err(WRONG);
        }
    }
    Ok(())
}

fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// What a reference at the start of `bytes` stands for, and its length; `None` if `bytes` ends within it.
pub(crate) fn reference(bytes: &[u8]) -> Result<Option<(char, usize)>, XmlError> {
    // The longest legal one is `&#x0010FFFF;`, give or take some zeros.
    const LENGTH_MAX: usize = 16;
    let window = &bytes[..bytes.len().min(LENGTH_MAX)];
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let end = match window.iter().skip(1).position(|byte| !inside(byte)) {
        Some(at) if window[at + 1] == b';' => at + 1,
        None if window.len() < LENGTH_MAX => return Ok(None),
        _ => return Err(XmlError::NotWellFormed("reference without end")),
    };
    let c = match &window[1..end] {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"apos" => Some('\''),
        b"quot" => Some('"'),
        [b'#', b'x', digits @ ..] => numbered(digits, 16),
        [b'#', digits @ ..] => numbered(digits, 10),
        _ => return Err(XmlError::Restricted("entity reference")),
    };
    c.map(|c| Some((c, end + 1))).ok_or(XmlError::NotWellFormed("character reference"))
}

fn numbered(digits: &[u8], radix: u32) -> Option<char> {
    if digits.is_empty() || !digits.iter().all(|d| char::from(*d).is_digit(radix)) {
        return None;
    }
    let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
    char::from_u32(number).filter(
        |c| !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}'),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stand_for_their_characters() {
        for (text, c) in
            [("&lt;", '<'), ("&amp;", '&'), ("&#65;", 'A'), ("&#x1F980;", '\u{1F980}'), ("&#10;", '\n')]
        {
            assert_eq!(reference(text.as_bytes()), Ok(Some((c, text.len()))), "{text}");
        }
        assert_eq!(reference(b"&am"), Ok(None));
    }

    #[test]
    fn references_to_what_xml_excludes_are_refused() {
        for text in
            ["&#0;", "&#x1F;", "&#xD800;", "&#xFFFE;", "&#x110000;", "&#;", "&#x;", "&#+5;", "&;", "&nbsp;"]
        {
            assert!(reference(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn names_follow_the_tables() {
        for name in ["\u{E9}t\u{E9}", "x\u{B7}", "p:\u{3042}"] {
            assert!(check_name(name.as_bytes()).is_ok(), "{name}");
        }
        for name in ["\u{D7}", "\u{B7}x", "x\u{2190}", "p:\u{300}"] {
            assert!(check_name(name.as_bytes()).is_err(), "{name}");
        }
    }
}
