//! Push services as an account's clients have named them (XEP-0357 §5): one document of the account.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use store::Documents;
use xmpp::jid::Jid;
use xmpp::ns;
use xmpp::stanza::{Condition, StanzaError};
use xmpp::xml::Element;

use crate::data_form::Submission;

/// Push services of one account; beyond, the one that was named first gives way.
pub(super) const REGISTRATIONS_MAX: usize = 16;

/// Bytes that all of them take at most.
pub(super) const BYTES_MAX: usize = 32 * 1_024;

/// All of an account, the oldest first.
pub(super) type Registrations = Vec<Registration>;

/// A node of a push service.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The push service.
    pub(super) service: Jid,
    /// Its node for this client; may be empty.
    pub(super) node: Box<str>,
    /// The form with which it wants to be told.
    pub(super) options: Option<Element>,
    /// It is on another server, and that was logged.
    pub(super) unreached: bool,
}

/// Adding to them.
pub(super) trait Put {
    /// Puts one in place of the one for the same node.
    fn put(&mut self, registration: Registration);
}

impl Put for Registrations {
    fn put(&mut self, registration: Registration) {
        self.retain(|kept| kept.service != registration.service || kept.node != registration.node);
        if self.len() >= REGISTRATIONS_MAX {
            self.remove(0);
        }
        self.push(registration);
    }
}

/// The push services of an account.
///
/// # Errors
/// The store's. What cannot be read is not there.
pub async fn load(documents: &dyn Documents, account: &Jid) -> store::Result<Vec<Registration>> {
    let Some(bytes) = documents.read(account, ns::PUSH, "").await? else { return Ok(Vec::new()) };
    let kept = read(&bytes);
    if kept.is_none() {
        tracing::warn!(%account, "push services cannot be read, none is told");
    }
    Ok(kept.unwrap_or_default())
}

/// Push services from the document they are kept as; none: it is damaged.
pub fn read(document: &[u8]) -> Option<Vec<Registration>> {
    let kept = Element::parse(document, ns::PUSH).ok()?;
    Some(kept.children().filter_map(|enable| Registration::parse(enable).ok()).collect())
}

/// What is kept of them; none: nothing.
///
/// # Errors
/// They are too large.
pub fn document(registrations: &[Registration]) -> Result<Option<Bytes>, StanzaError> {
    if registrations.is_empty() {
        return Ok(None);
    }
    let all = Element::new(ns::PUSH, "registrations");
    let bytes = all.with_children(registrations.iter().map(Registration::to_element)).to_bytes(ns::PUSH);
    if bytes.len() > BYTES_MAX { Err(Condition::PolicyViolation.into()) } else { Ok(Some(bytes.into())) }
}

/// The push service that `<enable/>` or `<disable/>` names.
///
/// # Errors
/// It names none.
pub(super) fn service(element: &Element) -> Result<Jid, StanzaError> {
    let jid = element.attribute("jid").ok_or(StanzaError::from(Condition::BadRequest))?;
    jid.parse().map_err(|_| Condition::JidMalformed.into())
}

impl Registration {
    /// Reads `<enable/>`.
    ///
    /// # Errors
    /// It names no push service, or has a form that is not for publishing.
    pub(super) fn parse(enable: &Element) -> Result<Self, StanzaError> {
        let options = enable.child("x", ns::DATA_FORMS);
        if options.is_some_and(|form| Submission::of(form).form_type() != Some(ns::PUBSUB_OPTIONS)) {
            return Err(Condition::BadRequest.into());
        }
        Ok(Self {
            service: service(enable)?,
            node: enable.attribute("node").unwrap_or_default().into(),
            options: options.cloned(),
            unreached: false,
        })
    }

    fn to_element(&self) -> Element {
        Element::new(ns::PUSH, "enable")
            .attr("jid", &self.service)
            .attr("node", &*self.node)
            .with_children(self.options.clone())
    }

    /// The id of a request, by which the registration is known when the answer comes.
    pub(super) fn id(&self, now_ms: u64) -> String {
        format!("push-{now_ms:x}-{}", self.mark())
    }

    /// Whether a request with this id is of this registration.
    pub(super) fn has_made(&self, id: &str) -> bool {
        id.starts_with("push-") && id.rsplit('-').next() == Some(&self.mark())
    }

    fn mark(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.node.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
