//! Elements of a `tsung.xml`. The defaults of its DTD are those of who asks: the DTD itself is not read.

use roxmltree::Node;

/// An element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag<'a, 'i>(Node<'a, 'i>);

impl<'a, 'i> Tag<'a, 'i> {
    pub(crate) fn new(node: Node<'a, 'i>) -> Self {
        Self(node)
    }

    pub(crate) fn name(self) -> &'a str {
        self.0.tag_name().name()
    }

    /// Where it begins, from 1.
    pub(crate) fn line(self) -> usize {
        self.0.document().text_pos_at(self.0.range().start).row as usize
    }

    pub(crate) fn attribute(self, name: &str) -> Option<&'a str> {
        self.0.attribute(name)
    }

    pub(crate) fn number(self, name: &str) -> Option<f64> {
        self.0.attribute(name).and_then(|text| text.trim().parse().ok())
    }

    /// A whole number, 0 or more; of `1.0` as well.
    pub(crate) fn whole(self, name: &str) -> Option<u64> {
        let number = self.number(name).filter(|number| *number >= 0.0)?;
        // Not negative, and of a file that people have written.
        #[allow(clippy::cast_sign_loss)]
        Some(number as u64)
    }

    /// A size: of more than four gigabytes there is none.
    pub(crate) fn size(self, name: &str) -> Option<u32> {
        self.whole(name).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    pub(crate) fn is(self, name: &str, value: &str) -> bool {
        self.attribute(name).is_some_and(|it| it == value)
    }

    pub(crate) fn children(self) -> impl DoubleEndedIterator<Item = Tag<'a, 'i>> {
        self.0.children().filter(Node::is_element).map(Tag)
    }

    /// This element, and all within it.
    pub(crate) fn descendants(self) -> impl Iterator<Item = Tag<'a, 'i>> {
        self.0.descendants().filter(Node::is_element).map(Tag)
    }

    /// The values of all attributes.
    pub(crate) fn attributes(self) -> impl Iterator<Item = &'a str> {
        self.0.attributes().map(|attribute| attribute.value())
    }

    pub(crate) fn child(self, name: &str) -> Option<Tag<'a, 'i>> {
        self.children().find(|child| child.name() == name)
    }

    pub(crate) fn text(self) -> String {
        self.0.text().unwrap_or_default().trim().to_owned()
    }
}

/// A text within an attribute in single quotes, or between tags.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}
