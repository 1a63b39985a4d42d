//! A small tree for payloads: read by the feature that owns a namespace, built for what we say ourselves.
//!
//! Never on the path of a routed stanza.

use super::{
    Limits, Name, XmlError,
    check::{Checker, Sink},
    scope::Scope,
    tag::Tag,
    text::{resolved, write_attribute, write_text},
};
use crate::ns;

/// An element with all it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    ns: Name,
    name: Name,
    attributes: Vec<Attribute>,
    nodes: Vec<Node>,
}

/// What stands between the tags of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, its references resolved.
    Text(Box<str>),
}

/// An attribute; `ns` is [`ns::NONE`] but for those with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Namespace.
    pub ns: Name,
    /// Local name.
    pub name: Name,
    /// Value, its references resolved.
    pub value: Box<str>,
}

impl Element {
    /// An empty element.
    pub fn new(ns: &str, name: &str) -> Element {
        Element { ns: ns.into(), name: name.into(), attributes: Vec::new(), nodes: Vec::new() }
    }

    /// Reads exactly one element, where `outer_ns` is the default namespace.
    pub fn parse(bytes: &[u8], outer_ns: &str) -> Result<Element, XmlError> {
        Element::parse_in(bytes, Scope::new(outer_ns.into()))
    }

    pub(crate) fn parse_in(bytes: &[u8], scope: Scope) -> Result<Element, XmlError> {
        const NONE: XmlError = XmlError::NotWellFormed("not one complete element");
        if bytes.first() != Some(&b'<') {
            return Err(NONE);
        }
        let mut tree = Tree::default();
        match Checker::new(scope).advance(bytes, &Limits::INSIDE, &mut tree)? {
            Some(end) if end == bytes.len() => tree.root.ok_or(NONE),
            _ => Err(NONE),
        }
    }

    /// Adds an attribute; `xml:lang` is written so.
    #[must_use]
    pub fn attr(mut self, name: &str, value: impl AsRef<str>) -> Element {
        self.set_attribute(name, value.as_ref());
        self
    }

    /// Adds text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<Box<str>>) -> Element {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Element {
        self.push(child);
        self
    }

    /// Adds children.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Adds a child.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        let (ns, name) = split(name);
        match self.attributes.iter_mut().find(|attribute| attribute.name == name && attribute.ns == ns) {
            Some(attribute) => attribute.value = value.into(),
            None => self.attributes.push(Attribute { ns: ns.into(), name: name.into(), value: value.into() }),
        }
    }

    /// Removes those children for which `keep` is false; text stays.
    pub fn retain(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.nodes.retain(|node| match node {
            Node::Element(child) => keep(child),
            Node::Text(_) => true,
        });
    }

    /// Namespace.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is `name` of `ns`.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The value of an attribute without namespace, or of `xml:lang` if asked so.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (ns, name) = split(name);
        let found = self.attributes.iter().find(|attribute| attribute.name == name && attribute.ns == ns);
        found.map(|attribute| &*attribute.value)
    }

    /// All attributes.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Children and text, in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The text directly inside.
    pub fn text(&self) -> String {
        let texts = self.nodes.iter().filter_map(|node| match node {
            Node::Text(text) => Some(&**text),
            Node::Element(_) => None,
        });
        texts.collect()
    }

    /// The children, in order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }

    /// Appends the element as it is written where `outer_ns` is the default namespace.
    pub fn write(&self, out: &mut Vec<u8>, outer_ns: &str) {
        // Namespaces in XML §3: this one cannot be declared, and needs not to be.
        let reserved = self.ns == ns::XML;
        let (prefix, inner_ns) = if reserved { ("xml:", outer_ns) } else { ("", &*self.ns) };
        out.push(b'<');
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(self.name.as_bytes());
        if self.ns != outer_ns && !reserved {
            write_attribute(out, "xmlns", &self.ns);
        }
        for (at, attribute) in self.attributes.iter().enumerate() {
            attribute.write(out, at);
        }
        if self.nodes.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write(out, inner_ns),
                Node::Text(text) => write_text(out, text),
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'>');
    }

    /// The element as bytes, see [`Element::write`].
    pub fn to_bytes(&self, outer_ns: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.write(&mut out, outer_ns);
        out
    }
}

impl Attribute {
    /// `at` makes a prefix that no other attribute of the element has.
    fn write(&self, out: &mut Vec<u8>, at: usize) {
        match self.ns.as_str() {
            ns::NONE => write_attribute(out, &self.name, &self.value),
            ns::XML => write_attribute(out, &format!("xml:{}", self.name), &self.value),
            ns => {
                write_attribute(out, &format!("xmlns:a{at}"), ns);
                write_attribute(out, &format!("a{at}:{}", self.name), &self.value);
            }
        }
    }
}

fn split(name: &str) -> (&'static str, &str) {
    name.strip_prefix("xml:").map_or((ns::NONE, name), |name| (ns::XML, name))
}

/// Builds the tree while the document is checked.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Sink for Tree {
    fn start(&mut self, _: usize, buffer: &[u8], tag: &Tag, scope: &Scope) -> Result<(), XmlError> {
        let mut element = Element {
            ns: scope.element(buffer, tag)?,
            name: Name::from_bytes(tag.local(buffer)),
            attributes: Vec::new(),
            nodes: Vec::new(),
        };
        for attribute in &tag.attributes {
            let (prefix, name) = (attribute.prefix(buffer), attribute.local(buffer));
            let ns = match prefix {
                b"xmlns" => continue,
                b"" if name == b"xmlns" => continue,
                b"" => Name::NONE,
                _ => scope.resolve(prefix).ok_or(XmlError::NotWellFormed("prefix not bound"))?,
            };
            let value = attribute.resolved(buffer)?.into();
            element.attributes.push(Attribute { ns, name: Name::from_bytes(name), value });
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, raw: &[u8]) -> Result<(), XmlError> {
        let Some(element) = self.open.last_mut() else { return Ok(()) };
        let text = match raw.strip_prefix(b"<![CDATA[").and_then(|raw| raw.strip_suffix(b"]]>")) {
            Some(raw) => String::from_utf8_lossy(raw),
            None => resolved(raw, false)?,
        };
        match element.nodes.last_mut() {
            Some(Node::Text(before)) => *before = format!("{before}{text}").into(),
            _ if text.is_empty() => {}
            _ => element.nodes.push(Node::Text(text.into())),
        }
        Ok(())
    }

    fn end(&mut self, _: usize, _: usize) {
        let ended = self.open.pop();
        match (self.open.last_mut(), ended) {
            (Some(parent), Some(ended)) => parent.nodes.push(Node::Element(ended)),
            (None, ended) => self.root = ended,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_the_reserved_namespace_keeps_its_prefix() {
        let bytes = b"<a xmlns='urn:a'><xml:b><c/>text</xml:b></a>";
        let element = Element::parse(bytes, ns::NONE).unwrap();
        assert_eq!(element.to_bytes(ns::NONE), bytes);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let form =
            Element::new(ns::DATA_FORMS, "x").attr("type", "submit").attr("xml:lang", "de").with_child(
                Element::new(ns::DATA_FORMS, "field")
                    .attr("var", "it's <here>")
                    .with_child(Element::new(ns::DATA_FORMS, "value").with_text("a & b\n]]>")),
            );
        for outer in [ns::CLIENT, ns::DATA_FORMS] {
            assert_eq!(Element::parse(&form.to_bytes(outer), outer).unwrap(), form);
        }
    }

    #[test]
    fn prefixes_are_resolved() {
        let raw = b"<p:a xmlns:p='urn:p' p:k='1' k='2'><b/><p:c/></p:a>";
        let element = Element::parse(raw, ns::CLIENT).unwrap();
        assert!(element.is("a", "urn:p"));
        assert!(element.child("b", ns::CLIENT).is_some() && element.child("c", "urn:p").is_some());
        assert_eq!(element.attribute("k"), Some("2"));
        assert_eq!(Element::parse(&element.to_bytes(ns::SERVER), ns::SERVER).unwrap(), element);
    }

    #[test]
    fn text_and_cdata_are_one() {
        let element = Element::parse(b"<a>x &lt; <![CDATA[<&]]>\r\ny</a>", "").unwrap();
        assert_eq!(element.text(), "x < <&\ny");
        assert_eq!(element.nodes().len(), 1);
    }

    #[test]
    fn anything_but_one_element_is_refused() {
        for raw in ["", "text", "<a>", "<a/><b/>", "<a/> ", " <a/>", "</a>", "<a></b>"] {
            assert!(Element::parse(raw.as_bytes(), "").is_err(), "{raw}");
        }
    }
}
