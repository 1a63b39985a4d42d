//! What disco#info says of the domain and of an account: made from the descriptions of the rooms.

use xmpp::ns;
use xmpp::xml::Element;

use super::contacts;
use crate::about::About;
use crate::data_form::{Form, Submission};
use crate::host::Host;
use crate::references;

/// Identities, features and forms of an entity.
#[derive(Clone, Debug)]
pub struct Info {
    pub(super) identity: Identity,
    /// Sorted, each once.
    pub(super) features: Vec<&'static str>,
    pub(super) forms: Vec<Form>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) category: &'static str,
    pub(super) ty: &'static str,
    /// Empty: none.
    pub(super) name: &'static str,
}

impl Info {
    /// What a domain is.
    pub fn of_host(host: &Host) -> Self {
        Self {
            identity: Identity { category: "server", ty: "im", name: "Throng" },
            features: features(|about| about.host_disco),
            forms: contacts::form(&host.contacts).into_iter().collect(),
        }
    }

    /// What an account is.
    pub fn of_account() -> Self {
        Self {
            identity: Identity { category: "account", ty: "registered", name: "" },
            features: features(|about| about.account_disco),
            forms: Vec::new(),
        }
    }

    /// The forms as read, for the hash of the caps.
    pub(super) fn read_forms(&self) -> Vec<Submission> {
        self.forms.iter().map(|form| Submission::of(&form.clone().into_element())).collect()
    }

    /// `<query/>` of disco#info.
    pub fn into_element(self) -> Element {
        let Identity { category, ty, name } = self.identity;
        let mut identity =
            Element::new(ns::DISCO_INFO, "identity").attr("category", category).attr("type", ty);
        if !name.is_empty() {
            identity.set_attribute("name", name);
        }
        let features =
            self.features.into_iter().map(|var| Element::new(ns::DISCO_INFO, "feature").attr("var", var));
        Element::new(ns::DISCO_INFO, "query")
            .with_child(identity)
            .with_children(features)
            .with_children(self.forms.into_iter().map(Form::into_element))
    }
}

fn features(of: impl Fn(&'static About) -> &'static [&'static str]) -> Vec<&'static str> {
    let mut features: Vec<_> = references::about().into_iter().flat_map(of).copied().collect();
    features.sort_unstable();
    features.dedup();
    features
}
