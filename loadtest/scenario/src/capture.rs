//! What a step keeps of an answer.

use regex::Regex;
use roxmltree::{Document, Node};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is kept of an answer: all that is found, of which `{name}` is the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// The first group of a regular expression, or the whole match where it has none.
    Regex(String),
    /// A path of elements and a last attribute: `/iq/query/item/@jid`, `//nonce`, `//x[@type='form']/*`. Namespaces
    /// do not matter. Without an attribute, it finds texts.
    Path(String),
}

/// A [`Capture`] that is ready to be used.
#[derive(Clone, Debug)]
pub struct Finder(How);

#[derive(Clone, Debug)]
enum How {
    Regex(Regex),
    Path { elements: Vec<Element>, attribute: Option<String> },
}

#[derive(Clone, Debug)]
struct Element {
    /// At any depth, not among the children only.
    anywhere: bool,
    /// `*` is any.
    name: String,
    /// An attribute, and its value if that matters.
    with: Option<(String, Option<String>)>,
}

impl Capture {
    /// Makes it ready to be used.
    ///
    /// # Errors
    /// What was expected, if it is no expression or no path.
    pub fn compile(&self) -> Result<Finder, String> {
        match self {
            Self::Regex(text) => {
                let expression = Regex::new(text);
                expression.map(How::Regex).map_err(|error| format!("a regular expression ({error})"))
            }
            Self::Path(text) => path(text).ok_or_else(|| {
                "a path such as /iq/query/item/@jid, //nonce or //x[@type='form']/title".to_owned()
            }),
        }
        .map(Finder)
    }
}

impl Finder {
    /// All that is found in a stanza, in order.
    pub fn find(&self, stanza: &str) -> Vec<String> {
        match &self.0 {
            How::Regex(expression) => {
                let all = expression.captures_iter(stanza);
                all.filter_map(|found| found.get(1).or(found.get(0)))
                    .map(|it| it.as_str().to_owned())
                    .collect()
            }
            How::Path { elements, attribute } => {
                // The stream's prefix is declared where the stream was opened.
                let whole = format!("<_ xmlns:stream='http://etherx.jabber.org/streams'>{stanza}</_>");
                let Ok(document) = Document::parse(&whole) else { return Vec::new() };
                let mut nodes = vec![document.root_element()];
                for element in elements {
                    nodes = nodes.into_iter().flat_map(|node| element.among(node)).collect();
                }
                let value = |node: Node<'_, '_>| match attribute {
                    Some(name) => {
                        node.attributes().find(|it| it.name() == name).map(|it| it.value().to_owned())
                    }
                    None => {
                        Some(node.descendants().filter_map(|it| it.is_text().then(|| it.text())?).collect())
                    }
                };
                nodes.into_iter().filter_map(value).collect()
            }
        }
    }
}

impl Element {
    fn among<'a, 'i>(&self, node: Node<'a, 'i>) -> Vec<Node<'a, 'i>> {
        let fits = |it: &Node<'a, 'i>| {
            let named = it.is_element() && (self.name == "*" || it.tag_name().name() == self.name);
            named
                && self.with.as_ref().is_none_or(|(name, value)| {
                    let found = it.attributes().find(|attribute| attribute.name() == name);
                    found.is_some_and(|found| value.as_deref().is_none_or(|value| value == found.value()))
                })
        };
        if self.anywhere {
            node.descendants().skip(1).filter(fits).collect()
        } else {
            node.children().filter(fits).collect()
        }
    }
}

fn path(text: &str) -> Option<How> {
    let mut elements = Vec::new();
    let mut rest = text.trim().strip_prefix('/')?;
    loop {
        let anywhere = rest.starts_with('/');
        let from = rest.trim_start_matches('/');
        // A slash within a predicate's value does not part steps.
        let quoted = from.find('[').filter(|at| !from[..*at].contains('/'));
        let past = quoted.map_or(Some(0), |at| from[at..].find(']').map(|length| at + length))?;
        let end = from[past..].find('/').map(|at| past + at);
        let (step, after) = end.map_or((from, None), |at| (&from[..at], Some(&from[at + 1..])));
        match (step, after) {
            ("text()", None) => return done(elements, None),
            (_, None) if step.starts_with('@') => {
                return done(elements, Some(local(&step[1..])?.to_owned()));
            }
            _ => elements.push(element(step, anywhere)?),
        }
        match after {
            Some(after) => rest = after,
            None => return done(elements, None),
        }
    }
}

fn done(elements: Vec<Element>, attribute: Option<String>) -> Option<How> {
    (!elements.is_empty()).then_some(How::Path { elements, attribute })
}

fn element(step: &str, anywhere: bool) -> Option<Element> {
    let (name, predicate) = match step.split_once('[') {
        Some((name, predicate)) => (name, Some(predicate.strip_suffix(']')?.strip_prefix('@')?)),
        None => (step, None),
    };
    let with = match predicate
        .map(|it| it.split_once('=').map_or((it, None), |(name, value)| (name, Some(value))))
    {
        Some((name, Some(value))) => {
            let plain = value.trim().trim_matches(['\'', '"']).to_owned();
            Some((local(name.trim())?.to_owned(), Some(plain)))
        }
        Some((name, None)) => Some((local(name.trim())?.to_owned(), None)),
        None => None,
    };
    Some(Element { anywhere, name: local(name)?.to_owned(), with })
}

/// A name without its prefix.
fn local(name: &str) -> Option<&str> {
    let name = name.rsplit(':').next().unwrap_or(name);
    let letters = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (name == "*" || !name.is_empty() && name.chars().all(letters)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROSTER: &str = "<iq id='a/b'><query xmlns='jabber:iq:roster'><item jid='x@y' ask='no'><group>g</group>\
        </item><item jid='z@y'/></query></iq>";

    fn found(capture: &Capture) -> Vec<String> {
        capture.compile().unwrap().find(ROSTER)
    }

    #[test]
    fn paths_find_attributes_and_texts() {
        for (path, all) in [
            ("/iq/query/item/@jid", &["x@y", "z@y"][..]),
            ("//item[@jid='z@y']/@jid", &["z@y"]),
            ("//item[@ask]/group/text()", &["g"]),
            ("/iq[@id='a/b']//group", &["g"]),
            ("/iq/*/item/@ask", &["no"]),
            ("/message", &[]),
        ] {
            assert_eq!(found(&Capture::Path(path.to_owned())), all, "{path}");
        }
        for path in ["", "iq", "/", "//", "/iq[", "/iq[1]", "/a b"] {
            assert!(Capture::Path(path.to_owned()).compile().is_err(), "{path}");
        }
    }

    #[test]
    fn expressions_find_their_first_group() {
        assert_eq!(found(&Capture::Regex("jid='([^']*)'".to_owned())), ["x@y", "z@y"]);
        assert_eq!(found(&Capture::Regex("z@.".to_owned())), ["z@y"]);
        assert!(Capture::Regex("(".to_owned()).compile().is_err());
    }
}
