//! Contact addresses of the domain (XEP-0157), as a form in its disco#info.

use xmpp::ns;

use crate::about::{About, Spec};
use crate::data_form::{FieldType, Form};

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "contacts",
    doc: "Tells how the people behind the service are reached.",
    specs: &[Spec { xep: 157, version: "1.1.1", note: "" }],
    host_disco: &[],
    account_disco: &[],
    at: &[],
};

/// The form of some (role, address), by role in the order in which each comes first; none if there are none.
pub(super) fn form(contacts: &[(String, String)]) -> Option<Form> {
    let mut form = None;
    for (at, (role, _)) in contacts.iter().enumerate() {
        if contacts[..at].iter().any(|(before, _)| before == role) {
            continue;
        }
        let addresses = contacts.iter().filter(|(other, _)| other == role).map(|(_, address)| address);
        let so_far = form.unwrap_or_else(|| Form::telling(ns::CONTACT_ADDRESSES));
        form = Some(so_far.tell_typed(&format!("{role}-addresses"), FieldType::ListMulti, addresses));
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_form::Submission;

    #[test]
    fn addresses_of_one_role_stand_together() {
        let pair = |role: &str, address: &str| (role.to_owned(), address.to_owned());
        let contacts = [pair("abuse", "mailto:a@x"), pair("admin", "xmpp:b@x"), pair("abuse", "xmpp:c@x")];
        let read = Submission::of(&form(&contacts).unwrap().into_element());
        assert_eq!(read.form_type(), Some("http://jabber.org/network/serverinfo"));
        assert_eq!(read.all("abuse-addresses"), ["mailto:a@x", "xmpp:c@x"]);
        assert_eq!(read.all("admin-addresses"), ["xmpp:b@x"]);
        assert_eq!(read.fields().count(), 3, "FORM_TYPE and each role once");
        assert!(form(&[]).is_none());
    }
}
