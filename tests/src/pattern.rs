//! Patterns: XML that says what an element has at least. Attributes and children of the pattern must be there, others
//! may; `*` as an attribute or text is any that is not empty, `-` as an attribute is none.

use xmpp::ns;
use xmpp::xml::{Attribute, Element, Node};

/// Reads what stands in a client's stream, where `stream` is bound.
pub fn parse(xml: &str) -> Element {
    let wrapped = format!("<w xmlns='jabber:client' xmlns:stream='{}'>{xml}</w>", ns::STREAMS);
    let element = Element::parse(wrapped.as_bytes(), ns::NONE);
    let element = element.unwrap_or_else(|error| panic!("{xml} is no pattern: {error}"));
    let mut children = element.children();
    let only = children.next().cloned().unwrap_or_else(|| panic!("{xml} has no element"));
    assert!(children.next().is_none(), "{xml} is more than one element");
    only
}

/// Why `element` does not have all of `pattern`; `None` if it has.
pub fn mismatch(pattern: &Element, element: &Element) -> Option<String> {
    if !element.is(pattern.name(), pattern.ns()) {
        let told = |element: &Element| format!("<{} xmlns='{}'/>", element.name(), element.ns());
        return Some(format!("{} is not {}", told(element), told(pattern)));
    }
    let place = pattern.name();
    for Attribute { ns, name, value } in pattern.attributes() {
        let found = element.attributes().iter().find(|found| found.name == *name && found.ns == *ns);
        let found = found.map(|found| &*found.value);
        let fits = match &**value {
            "*" => found.is_some_and(|found| !found.is_empty()),
            "-" => found.is_none(),
            value => found == Some(value),
        };
        if !fits {
            return Some(format!("{place}: {name}={found:?}, not {value:?}"));
        }
    }
    let (wanted, found) = (pattern.text(), element.text());
    let fits = match wanted.trim() {
        "" => true,
        "*" => !found.trim().is_empty(),
        text => text == found.trim(),
    };
    if !fits {
        return Some(format!("{place}: text {found:?}, not {wanted:?}"));
    }
    missing_child(pattern, element)
}

/// Each child of the pattern needs one of its own, in any order.
fn missing_child(pattern: &Element, element: &Element) -> Option<String> {
    let mut left: Vec<&Element> = element.children().collect();
    for wanted in pattern.children() {
        let Some(at) = left.iter().position(|child| mismatch(wanted, child).is_none()) else {
            let near = left.iter().find(|child| child.name() == wanted.name());
            let why = near.and_then(|child| mismatch(wanted, child)).unwrap_or_else(|| "none".into());
            return Some(format!("{}: child <{}/>: {why}", pattern.name(), wanted.name()));
        };
        left.remove(at);
    }
    None
}

/// The element as a person reads it.
pub fn told(element: &Element) -> String {
    String::from_utf8_lossy(&element.to_bytes("jabber:client")).into_owned()
}

/// All text of an element and of those within.
pub fn all_text(element: &Element) -> String {
    let parts = element.nodes().iter().map(|node| match node {
        Node::Text(text) => text.to_string(),
        Node::Element(child) => all_text(child),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, element: &str) -> bool {
        mismatch(&parse(pattern), &parse(element)).is_none()
    }

    #[test]
    fn what_a_pattern_says_must_be_there_and_more_may_be() {
        let said = "<message from='a@b/c' id='1'><body>hello</body><x xmlns='y'/></message>";
        assert!(fits("<message from='a@b/c'><body>hello</body></message>", said));
        assert!(fits("<message id='*' type='-'><x xmlns='y'/></message>", said));
        assert!(!fits("<message><body>bye</body></message>", said));
        assert!(!fits("<message><body xmlns='y'/></message>", said));
        assert!(!fits("<message id='-'/>", said));
        assert!(!fits("<message type='*'/>", said));
        assert!(!fits("<presence/>", said));
        assert!(!fits("<message><body>*</body><body>*</body></message>", said));
    }

    #[test]
    fn elements_of_a_stream_are_patterns_too() {
        let said = "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
        assert!(fits(said, said));
        assert!(!fits(
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            said
        ));
    }
}
