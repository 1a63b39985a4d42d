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
pub(crate) struct Scope {
    bindings: Vec<Binding>,
    /// Index of the default namespace: what nearly every element asks for.
    default: usize,
}

impl Scope {
    /// The scope in which a document without outer elements begins, where `default` is the default namespace.
    pub(crate) fn new(default: Name) -> Scope {
        Scope { bindings: vec![Binding { prefix: Name::NONE, ns: default }], default: 0 }
    }

    /// Makes it what [`Scope::new`] does.
    pub(crate) fn restart(&mut self, default: Name) {
        self.bindings.clear();
        self.push(Binding { prefix: Name::NONE, ns: default });
    }

    #[inline]
    pub(crate) fn push(&mut self, binding: Binding) {
        if binding.prefix.is_none() {
            self.default = self.bindings.len();
        }
        self.bindings.push(binding);
    }

    pub(crate) fn len(&self) -> usize {
        self.bindings.len()
    }

    #[inline]
    pub(crate) fn truncate(&mut self, len: usize) {
        if len == self.bindings.len() {
            return;
        }
        self.bindings.truncate(len);
        if self.default >= len {
            self.default = self.bindings.iter().rposition(|binding| binding.prefix.is_none()).unwrap_or(0);
        }
    }

    pub(crate) fn binding(&self, at: usize) -> &Binding {
        &self.bindings[at]
    }

    /// Index of the binding of the default namespace.
    pub(crate) fn default(&self) -> usize {
        self.default
    }

    /// Index of the binding a prefix has here; the namespace of `xml` is not bound but built in.
    pub(crate) fn find(&self, prefix: &[u8]) -> Option<usize> {
        if prefix.is_empty() {
            return Some(self.default);
        }
        self.bindings.iter().rposition(|binding| binding.prefix.as_bytes() == prefix)
    }

    /// The namespace a prefix stands for.
    pub(crate) fn resolve(&self, prefix: &[u8]) -> Option<Name> {
        if prefix == b"xml" {
            return Some(Name::from(ns::XML));
        }
        self.find(prefix).map(|at| self.bindings[at].ns.clone())
    }

    /// The namespace of the element whose tag this is.
    #[inline]
    pub(crate) fn element(&self, buffer: &[u8], tag: &Tag) -> Result<Name, XmlError> {
        if tag.colon == 0 {
            return Ok(self.bindings[self.default].ns.clone());
        }
        self.resolve(tag.prefix(buffer)).ok_or(XmlError::NotWellFormed("prefix not bound"))
    }

    /// Takes in `attribute` if it declares a namespace, and says whether it does (Namespaces in XML §3).
    #[inline]
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
        let value = attribute.value(buffer);
        let ns = match Name::known(value) {
            Some(known) => known,
            None => Name::from(text::resolved(value, true)?.as_ref()),
        };
        match prefix {
            b"xml" if ns == ns::XML => return Ok(true),
            b"xml" | b"xmlns" => return Err(WRONG),
            _ if ns.is_reserved() => return Err(WRONG),
            b"" => {}
            _ if ns.is_none() => return Err(XmlError::NotWellFormed("prefix without a namespace")),
            _ => {}
        }
        if self.bindings.len() >= usize::from(limits.namespaces_max) {
            return Err(XmlError::Limit("namespaces_max"));
        }
        self.push(Binding { prefix: Name::from_bytes(prefix), ns });
        Ok(true)
    }
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
        // Lengths and first bytes nearly always differ, which is cheaper to see than that texts do.
        let same = |other: &Attribute| other.name(buffer)[0] == name[0] && other.name(buffer) == name;
        if attributes[..at].iter().any(same) {
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
