//! Which prefix stands for which namespace, here.

use smallvec::SmallVec;

use super::{
    Limits, Name, XmlError,
    tag::{Attribute, Tag},
    text,
};
use crate::ns;

/// A prefix (empty: the default namespace) and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) prefix: Name,
    pub(crate) ns: Name,
}

/// The bindings in force, innermost last. There is always one for the default namespace.
#[derive(Debug)]
pub(crate) struct Scope(SmallVec<[Binding; 6]>);

impl Scope {
    /// The scope in which a document without outer elements begins, where `default` is the default namespace.
    pub(crate) fn new(default: Name) -> Scope {
        let mut bindings = SmallVec::new();
        bindings.push(Binding { prefix: Name::from(ns::NONE), ns: default });
        Scope(bindings)
    }

    pub(crate) fn push(&mut self, binding: Binding) {
        self.0.push(binding);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn binding(&self, at: usize) -> &Binding {
        &self.0[at]
    }

    /// Index of the binding a prefix has here; the namespace of `xml` is not bound but built in.
    pub(crate) fn find(&self, prefix: &[u8]) -> Option<usize> {
        self.0.iter().rposition(|binding| binding.prefix.as_bytes() == prefix)
    }

    /// The namespace a prefix stands for.
    pub(crate) fn resolve(&self, prefix: &[u8]) -> Option<Name> {
        if prefix == b"xml" {
            return Some(Name::from(ns::XML));
        }
        self.find(prefix).map(|at| self.0[at].ns.clone())
    }

    /// The namespace of an element whose tag is here.
    pub(crate) fn element(&self, buffer: &[u8], tag: &Tag) -> Option<Name> {
        self.resolve(tag.prefix(buffer))
    }

    /// Takes in `attribute` if it declares a namespace, and says whether it does (Namespaces in XML §3).
    pub(crate) fn declare(
        &mut self,
        buffer: &[u8],
        attribute: &Attribute,
        limits: &Limits,
    ) -> Result<bool, XmlError> {
        const WRONG: XmlError = XmlError::NotWellFormed("namespace declaration");
        let prefix: &[u8] = match (attribute.prefix(buffer), attribute.local(buffer)) {
            (b"", b"xmlns") => b"",
            (b"xmlns", prefix) => prefix,
            _ => return Ok(false),
        };
        let ns = namespace(attribute.value(buffer))?;
        match (prefix, ns.as_str()) {
            (b"xmlns", _) | (_, ns::XMLNS) => return Err(WRONG),
            (b"xml", ns::XML) => return Ok(true),
            (b"xml", _) | (_, ns::XML) => return Err(WRONG),
            (b"", _) => {}
            (_, ns::NONE) => return Err(XmlError::NotWellFormed("prefix without a namespace")),
            _ => {}
        }
        if self.0.len() >= usize::from(limits.namespaces_max) {
            return Err(XmlError::Limit("namespaces_max"));
        }
        self.0.push(Binding { prefix: Name::from_bytes(prefix), ns });
        Ok(true)
    }
}

fn namespace(value: &[u8]) -> Result<Name, XmlError> {
    if let Some(number) = ns::known_bytes(value) {
        return Ok(Name::from_number(number).unwrap_or_else(|| Name::from(ns::NONE)));
    }
    Ok(Name::from(text::resolved(value, true)?.as_ref()))
}

/// Refuses two attributes of one name, be it as written or with their prefixes resolved (Namespaces in XML §6.3).
pub(crate) fn check_unique(
    buffer: &[u8],
    attributes: &[Attribute],
    scope: &Scope,
    prefixed: usize,
) -> Result<(), XmlError> {
    const TWICE: XmlError = XmlError::NotWellFormed("attribute given twice");
    for (at, one) in attributes.iter().enumerate() {
        let name = one.name(buffer);
        if attributes[..at].iter().any(|other| other.name(buffer) == name) {
            return Err(TWICE);
        }
    }
    if prefixed > 1 {
        let prefixed: SmallVec<[_; 8]> = attributes
            .iter()
            .filter(|attribute| attribute.colon != 0 && attribute.prefix(buffer) != b"xmlns")
            .map(|attribute| (scope.resolve(attribute.prefix(buffer)), attribute.local(buffer)))
            .collect();
        if (1..prefixed.len()).any(|at| prefixed[..at].contains(&prefixed[at])) {
            return Err(TWICE);
        }
    }
    Ok(())
}
