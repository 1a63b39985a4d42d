//! XEP-0106: names with characters that a node may not have, such as `space cadet` or an e-mail address.

use std::borrow::Cow;

/// Each forbidden character and its escape; the backslash is one of them only where it would be misread.
const ESCAPES: [(char, &str); 10] = [
    (' ', "\\20"),
    ('"', "\\22"),
    ('&', "\\26"),
    ('\'', "\\27"),
    ('/', "\\2f"),
    (':', "\\3a"),
    ('<', "\\3c"),
    ('>', "\\3e"),
    ('@', "\\40"),
    ('\\', "\\5c"),
];

/// Makes a name fit to be a node; `None` if it starts or ends with a space (XEP-0106 §4.1 forbids it).
pub fn escape(name: &str) -> Option<Cow<'_, str>> {
    if name.starts_with(' ') || name.ends_with(' ') {
        return None;
    }
    let mut escaped = String::new();
    let mut copied = 0;
    for (at, c) in name.char_indices() {
        let Some((_, escape)) = ESCAPES.iter().find(|(plain, _)| *plain == c) else { continue };
        if c == '\\' && escape_at(&name[at..]).is_none() {
            continue;
        }
        escaped.push_str(&name[copied..at]);
        escaped.push_str(escape);
        copied = at + 1;
    }
    Some(finish(name, escaped, copied))
}

/// The name a node stands for. A sequence that is no escape stands for itself (XEP-0106 §4.2).
pub fn unescape(node: &str) -> Cow<'_, str> {
    let mut name = String::new();
    let mut copied = 0;
    while let Some(found) = node[copied..].find('\\') {
        let at = copied + found;
        match escape_at(&node[at..]) {
            // An escaped space at either end was never made by `escape`.
            Some(c) if !(c == ' ' && (at == 0 || at + 3 == node.len())) => {
                name.push_str(&node[copied..at]);
                name.push(c);
                copied = at + 3;
            }
            _ => {
                name.push_str(&node[copied..=at]);
                copied = at + 1;
            }
        }
    }
    finish(node, name, copied)
}

/// The character whose escape `text` starts with.
fn escape_at(text: &str) -> Option<char> {
    let (plain, _) = ESCAPES.iter().find(|(_, escape)| text.starts_with(escape))?;
    Some(*plain)
}

fn finish(original: &str, mut changed: String, copied: usize) -> Cow<'_, str> {
    if copied == 0 {
        return Cow::Borrowed(original);
    }
    changed.push_str(&original[copied..]);
    Cow::Owned(changed)
}
