//! Text as it is meant and as it is written: references resolved, and characters escaped.

use std::borrow::Cow;

use super::{XmlError, chars};

/// The text that `raw` of a checked document stands for. In an attribute's value (`attribute`) white space is
/// normalised (XML 1.0 §3.3.3), elsewhere line ends are (§2.11).
pub(crate) fn resolved(raw: &[u8], attribute: bool) -> Result<Cow<'_, str>, XmlError> {
    let text = std::str::from_utf8(raw).map_err(|_| XmlError::NotWellFormed("not utf-8"))?;
    let special = |&byte: &u8| byte == b'&' || byte == b'\r' || attribute && matches!(byte, b'\t' | b'\n');
    let Some(first) = raw.iter().position(special) else { return Ok(Cow::Borrowed(text)) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '&' => {
                let (c, length) = chars::reference(rest.as_bytes())?
                    .ok_or(XmlError::NotWellFormed("reference without end"))?;
                out.push(c);
                length
            }
            '\r' if rest[1..].starts_with('\n') => 1 + usize::from(attribute && push_space(&mut out)),
            '\r' if !attribute => {
                out.push('\n');
                1
            }
            '\r' | '\n' | '\t' if attribute => usize::from(push_space(&mut out)),
            c => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(Cow::Owned(out))
}

fn push_space(out: &mut String) -> bool {
    out.push(' ');
    true
}

/// Writes text between tags.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    write_escaped(out, text, false);
}

/// Writes ` name="value"`.
pub fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    write_escaped(out, value, true);
    out.push(b'\'');
}

/// Characters that XML cannot carry at all become U+FFFD: a text of ours must never end the peer's stream.
fn write_escaped(out: &mut Vec<u8>, text: &str, attribute: bool) {
    let bytes = text.as_bytes();
    let (mut at, mut written) = (0, 0);
    loop {
        at = chars::skip_plain(bytes, at, [b'<', b'>', b'&', b'\'']);
        let Some(&byte) = bytes.get(at) else { break };
        let (instead, length): (&[u8], usize) = match byte {
            b'<' => (b"&lt;", 1),
            b'>' => (b"&gt;", 1),
            b'&' => (b"&amp;", 1),
            b'\'' if attribute => (b"&apos;", 1),
            b'\t' if attribute => (b"&#9;", 1),
            b'\n' if attribute => (b"&#10;", 1),
            b'\r' => (b"&#13;", 1),
            b'\'' | b'\t' | b'\n' => (&[byte], 1),
            0..=0x1F => ("\u{FFFD}".as_bytes(), 1),
            0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => {
                ("\u{FFFD}".as_bytes(), 3)
            }
            _ => {
                at += 1 + bytes[at + 1..].iter().take_while(|byte| **byte >= 0x80 && **byte != 0xEF).count();
                continue;
            }
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(instead);
        at += length;
        written = at;
    }
    out.extend_from_slice(&bytes[written..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["", "a < b && c > d", "'\"", "tab\tline\nreturn\r\n", "\u{1F980} \u{FFFC}", "]]>"] {
            for attribute in [false, true] {
                let mut out = Vec::new();
                write_escaped(&mut out, text, attribute);
                assert_eq!(resolved(&out, attribute).unwrap(), text, "{text:?} attribute {attribute}");
            }
        }
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        let mut out = Vec::new();
        write_text(&mut out, "a\0b\u{FFFF}c\u{1B}");
        assert_eq!(out, "a\u{FFFD}b\u{FFFD}c\u{FFFD}".as_bytes());
    }

    #[test]
    fn white_space_is_normalised() {
        assert_eq!(resolved(b"a\r\nb\rc\td", false).unwrap(), "a\nb\nc\td");
        assert_eq!(resolved(b"a\r\nb\rc\td&#9;", true).unwrap(), "a b c d\t");
    }
}
