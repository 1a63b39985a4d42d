//! Entity capabilities of the domain (XEP-0115): the hash of what it answers to disco#info, for the stream features.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::info::{Identity, Info};
use crate::host::Host;

/// Names this software (§5.1).
pub const NODE: &str = "urn:throng:server";

/// The `ver` of a domain: SHA-1 of what it answers, in base64, so that it changes when that does.
pub fn of(host: &Host) -> String {
    ver(&Info::of_host(host))
}

/// §5.1, for one identity without a language.
pub(super) fn ver(info: &Info) -> String {
    let Identity { category, ty, name } = info.identity;
    let mut text = format!("{category}/{ty}//{name}<");
    let mut add = |part: &str| {
        text.push_str(part);
        text.push('<');
    };
    for feature in &info.features {
        add(feature);
    }
    let mut forms = info.read_forms();
    forms.sort_by(|one, other| one.form_type().cmp(&other.form_type()));
    for form in &forms {
        add(form.form_type().unwrap_or_default());
        let mut fields: Vec<_> = form.fields().filter(|(var, _)| *var != "FORM_TYPE").collect();
        fields.sort_unstable();
        for (var, values) in fields {
            add(var);
            let mut values = values.to_vec();
            values.sort_unstable();
            for value in &values {
                add(value);
            }
        }
    }
    STANDARD.encode(Sha1::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use xmpp::ns;

    use super::*;
    use crate::data_form::Form;
    use crate::testing::Stage;

    #[test]
    fn the_examples_of_the_xep() {
        let client = |name| Identity { category: "client", ty: "pc", name };
        let features = vec![ns::CAPS, ns::DISCO_INFO, ns::DISCO_ITEMS, ns::MUC];
        let simple = Info { identity: client("Exodus 0.9.1"), features, forms: Vec::new() };
        assert_eq!(ver(&simple), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }

    #[test]
    fn the_contacts_are_part_of_it() {
        let mut host = Stage::new().host;
        let with = of(&host);
        host.contacts.clear();
        assert_ne!(of(&host), with);
    }

    #[test]
    fn the_order_of_a_form_does_not_matter() {
        let info =
            |forms| Info { identity: Identity { category: "a", ty: "b", name: "" }, features: vec![], forms };
        let one = Form::telling("urn:x").tell("os", ["Mac"]).tell("ip", ["ipv6", "ipv4"]);
        let other = Form::telling("urn:x").tell("ip", ["ipv4", "ipv6"]).tell("os", ["Mac"]);
        assert_eq!(ver(&info(vec![one])), ver(&info(vec![other])));
    }
}
