//! Service discovery (XEP-0030): what the domain and an account are and can do, said by the rooms themselves.

pub mod caps;
pub mod contacts;
pub mod info;

use xmpp::ns;
use xmpp::stanza::{Condition, Stanza, StanzaError};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next};
use crate::iq;
use crate::ports::Ports;
use info::Info;

/// What this room says of itself.
pub static ABOUT: About = About {
    name: "disco",
    doc: "Tells what the domain and an account are and can do.",
    specs: &[
        Spec {
            xep: 30,
            version: "2.5.0",
            note: "items of an account are refused with service-unavailable, as for accounts that are not there",
        },
        Spec { xep: 115, version: "1.6.0", note: "of the server, in stream features" },
        Spec { xep: 128, version: "1.0.1", note: "" },
    ],
    host_disco: &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::CAPS],
    account_disco: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    at: &[At::Host, At::Account],
};

/// Answers what there is.
pub(crate) struct Disco;

impl Disco {
    pub(crate) fn build(_: &Ports) -> Box<dyn Feature> {
        Box::new(Self)
    }
}

impl Feature for Disco {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        let space = [ns::DISCO_INFO, ns::DISCO_ITEMS].into_iter().find(|ns| iq::is_get(stanza, ns, "query"));
        let Some(space) = space else { return Next::Go };
        if at == At::Account && !iq::may_ask(cx, stanza) {
            // §8: who may not see the account's presence learns neither what it is nor whether it is.
            return iq::refuse(Condition::ServiceUnavailable);
        }
        let query = iq::child(stanza, space, "query").and_then(|query| {
            let node = query.attribute("node");
            if space == ns::DISCO_INFO { information(at, cx, node) } else { items(at, cx, node) }
        });
        match query {
            Ok(query) => iq::answer(cx, stanza, &query),
            Err(error) => Next::Refuse(error),
        }
    }
}

fn information(at: At, cx: &Context<'_>, node: Option<&str>) -> Result<Element, StanzaError> {
    let info = if at == At::Host { Info::of_host(cx.host) } else { Info::of_account() };
    match node {
        None => Ok(info.into_element()),
        // XEP-0115 §6.2: the node of the caps is the domain itself.
        Some(node) if at == At::Host && node == format!("{}#{}", caps::NODE, caps::ver(&info)) => {
            Ok(info.into_element().attr("node", node))
        }
        Some(_) => Err(Condition::ItemNotFound.into()),
    }
}

/// The domain has none of its own; those of an account are its sessions (§4.2).
fn items(at: At, cx: &Context<'_>, node: Option<&str>) -> Result<Element, StanzaError> {
    if node.is_some() {
        return Err(Condition::ItemNotFound.into());
    }
    let sessions = cx.account.available().filter(|_| at == At::Account);
    let items = sessions.map(|session| Element::new(ns::DISCO_ITEMS, "item").attr("jid", &session.jid));
    Ok(Element::new(ns::DISCO_ITEMS, "query").with_children(items))
}

#[cfg(test)]
mod tests {
    use store::Subscription;

    use super::*;
    use crate::testing::Stage;

    fn get(space: &str, rest: &str) -> String {
        format!(
            "<iq id='1' type='get' from='romeo@montague.example/x'>\
             <query xmlns='http://jabber.org/protocol/disco#{space}'{rest}/></iq>"
        )
    }

    #[test]
    fn the_domain_says_what_its_rooms_say() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Disco::build);
        let info = stage.ask(&*room, At::Host, chamber, &get("info", ""));
        assert!(info.contains("<identity category='server' type='im' name='Throng'/>"), "{info}");
        for feature in [ns::DISCO_INFO, ns::BLOCKING, ns::PING, ns::CARBONS, ns::PRIVATE] {
            assert!(info.contains(&format!("<feature var='{feature}'/>")), "{feature}");
        }
        assert!(info.contains("<value>mailto:abuse@capulet.example</value>"), "{info}");
        let items = stage.ask(&*room, At::Host, chamber, &get("items", ""));
        assert_eq!(items, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    }

    #[test]
    fn caps_lead_to_the_same_answer() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Disco::build);
        let node = format!("{}#{}", caps::NODE, caps::of(&stage.host));
        let plain = stage.ask(&*room, At::Host, chamber, &get("info", ""));
        let by_caps = stage.ask(&*room, At::Host, chamber, &get("info", &format!(" node='{node}'")));
        assert_eq!(by_caps.replace(&format!(" node='{node}'"), ""), plain);
        let other = get("info", " node='urn:other'");
        assert_eq!(stage.ask(&*room, At::Host, chamber, &other), "error item-not-found");
        assert_eq!(
            stage.ask(&*room, At::Host, chamber, &other.replace("info'", "items'")),
            "error item-not-found"
        );
    }

    #[test]
    fn only_friends_learn_what_juliet_is_and_where() {
        let mut stage = Stage::new();
        stage.enter("balcony");
        let hidden = Some(stage.bind("hidden"));
        let room = stage.room(Disco::build);
        for space in ["info", "items"] {
            assert_eq!(stage.ask(&*room, At::Account, None, &get(space, "")), "error service-unavailable");
        }
        stage.befriend("romeo@montague.example", Subscription::From);
        for session in [None, hidden] {
            let info = stage.ask(&*room, At::Account, session, &get("info", ""));
            assert!(info.contains("<identity category='account' type='registered'/>"), "{info}");
            assert!(info.contains("<feature var='urn:xmpp:sid:0'/>"), "{info}");
            let items = stage.ask(&*room, At::Account, session, &get("items", ""));
            assert!(items.ends_with("><item jid='juliet@capulet.example/balcony'/></query>"), "{items}");
        }
    }
}
