//! The children of a stanza: bytes that mean the same wherever they are written, and where each child is in them.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{
    ns,
    xml::{Element, Name, XmlError},
};

/// The bytes between a stanza's tags, and the index of its top-level children.
///
/// Children of the content namespace have [`ns::CLIENT`] in the index and no `xmlns` in the bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Payload {
    bytes: Bytes,
    children: Vec<Child>,
}

/// A top-level child: what it is called and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Namespace.
    pub ns: Name,
    /// Local name.
    pub name: Name,
    /// Offset of its `<` in the payload.
    pub start: u32,
    /// Offset behind it.
    pub end: u32,
}

impl Child {
    /// Whether this is `name` of `ns`.
    pub fn is(&self, ns: &str, name: &str) -> bool {
        self.ns == ns && self.name == name
    }
}

impl Payload {
    /// From one of our own processes. Ranges outside of the bytes are dropped from the index.
    pub fn from_parts(bytes: Bytes, mut children: Vec<Child>) -> Payload {
        let mut end = 0;
        children.retain(|child| {
            let good = end <= child.start && child.start <= child.end && child.end as usize <= bytes.len();
            end = if good { child.end } else { end };
            good
        });
        Payload { bytes, children }
    }

    pub(crate) fn from_index(bytes: Bytes, children: Vec<Child>) -> Payload {
        Payload { bytes, children }
    }

    /// All bytes between the stanza's tags.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The index, in order of the bytes.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// The bytes of a child of this payload.
    pub fn raw(&self, child: &Child) -> &[u8] {
        self.bytes.get(child.start as usize..child.end as usize).unwrap_or_default()
    }

    /// Whether there is a child of this namespace and name.
    pub fn has(&self, ns: &str, name: &str) -> bool {
        self.find(ns, name).is_some()
    }

    /// The first child of this namespace and name.
    pub fn find(&self, ns: &str, name: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.is(ns, name))
    }

    /// A child as a tree, for the feature that owns its namespace.
    pub fn element(&self, child: &Child) -> Result<Element, XmlError> {
        Element::parse(self.raw(child), ns::CLIENT)
    }

    /// The first child of this namespace and name as a tree.
    pub fn find_element(&self, ns: &str, name: &str) -> Option<Element> {
        self.element(self.find(ns, name)?).ok()
    }

    /// Removes the children for which `keep`, given a child and its bytes, is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&Child, &[u8]) -> bool) {
        let keeps: SmallVec<[bool; 16]> =
            self.children.iter().map(|child| keep(child, self.raw(child))).collect();
        if !keeps.contains(&false) {
            return;
        }
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut children = Vec::new();
        let mut from = 0;
        for (mut child, keep) in std::mem::take(&mut self.children).into_iter().zip(keeps) {
            let (start, end) = (child.start as usize, child.end as usize);
            if keep {
                out.extend_from_slice(&self.bytes[from..end]);
                child.start = (out.len() - (end - start)) as u32;
                child.end = out.len() as u32;
                children.push(child);
            } else {
                out.extend_from_slice(&self.bytes[from..start]);
            }
            from = end;
        }
        out.extend_from_slice(&self.bytes[from..]);
        *self = Payload { bytes: out.into(), children };
    }

    /// Copies the bytes, for a payload that stays: as a slice of what they came with, they hold all of that in memory.
    pub fn detach(&mut self) {
        self.bytes = Bytes::copy_from_slice(&self.bytes);
    }

    /// Adds a child at the end.
    pub fn push(&mut self, element: &Element) {
        let mut out = Vec::with_capacity(self.bytes.len() + 128);
        out.extend_from_slice(&self.bytes);
        element.write(&mut out, ns::CLIENT);
        let (start, end) = (self.bytes.len() as u32, out.len() as u32);
        self.children.push(Child { ns: element.ns().into(), name: element.name().into(), start, end });
        self.bytes = out.into();
    }
}
