//! Requests of pub-sub. Nodes whose names are not absolute stand below `/home/DOMAIN/USER`, as Tsung has them.

use regex::Regex;
use scenario::Step;

use super::{Request, named};
use crate::session::Session;
use crate::xml::escape;

/// XEP-0060 §8.1.3 has it in every form; Tsung leaves it out, and servers refuse that.
const FORM_TYPE: &str = "<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config</value></field>";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

impl Session<'_> {
    pub(super) fn pubsub(&mut self, request: Request<'_, '_>) -> Vec<Step> {
        let service = self.options.service(&self.options.pubsub_service);
        let node = self.node(request);
        let by_steps = !request.looks_at_answer && request.tag.attribute("subid").is_none();
        let step = match (request.kind, node) {
            ("pubsub:create", node) => self.create(request, &service, node.as_deref()),
            ("pubsub:delete", node) => {
                let delete = format!("<delete{}/>", attribute(node.as_deref()));
                iq(request.kind, &service, &format!("{PUBSUB}#owner"), &delete)
            }
            ("pubsub:subscribe", Some(node)) if by_steps => Step::Subscribe { service, node },
            ("pubsub:unsubscribe", Some(node)) if by_steps => Step::Unsubscribe { service, node },
            ("pubsub:publish", Some(node)) if by_steps => {
                Step::Publish { service, node, payload: request.tag.size("size").unwrap_or_default() }
            }
            ("pubsub:subscribe" | "pubsub:unsubscribe", node) => {
                let verb = request.kind.trim_start_matches("pubsub:");
                let subid = request.tag.attribute("subid");
                let subid = subid.map(|id| self.names.text(id, request.subst, request.tag, self.notes));
                let subid = subid.map(|id| format!(" subid='{}'", escape(&id))).unwrap_or_default();
                let node = attribute(node.as_deref());
                let inner = format!("<{verb}{node} jid='{{username}}@{{domain}}'{subid}/>");
                iq(request.kind, &service, PUBSUB, &inner)
            }
            ("pubsub:publish", node) => {
                let payload = "x".repeat(request.tag.size("size").unwrap_or_default() as usize);
                let node = attribute(node.as_deref());
                let inner = format!("<publish{node}><item><entry>{payload}</entry></item></publish>");
                iq(request.kind, &service, PUBSUB, &inner)
            }
            (kind, _) => {
                self.notes.error(request.tag, format!("`{kind}` is no type of XMPP request that Tsung has"));
                return Vec::new();
            }
        };
        vec![step]
    }

    /// The whole name of a node; `None`: the service chooses one.
    fn node(&mut self, request: Request<'_, '_>) -> Option<String> {
        let tag = request.tag;
        let node = tag.attribute("node").map(|node| self.names.text(node, request.subst, tag, self.notes));
        let subscribes = request.kind.ends_with("subscribe");
        if subscribes && !node.as_ref().is_some_and(|node| node.starts_with('/')) {
            self.notes.warn(tag, "nodes below other users' are not known here: the session's own is taken");
        }
        match node.as_deref() {
            None if !subscribes => None,
            None | Some("") => Some("/home/{domain}/{username}".to_owned()),
            Some(absolute) if absolute.starts_with('/') => node,
            Some(below) => Some(format!("/home/{{domain}}/{{username}}/{below}")),
        }
    }

    fn create(&mut self, request: Request<'_, '_>, service: &str, node: Option<&str>) -> Step {
        let kind = request.tag.attribute("node_type").map(|kind| format!(" type='{}'", escape(kind)));
        let fields = request.tag.attribute("data").map(fields).unwrap_or_default();
        if let (Some(node), true, None, false) = (node, fields.is_empty(), &kind, request.looks_at_answer) {
            return Step::CreateNode { service: service.to_owned(), node: node.to_owned() };
        }
        let fields = self.names.literal(&fields);
        let form = format!("<x xmlns='jabber:x:data' type='submit'>{FORM_TYPE}{fields}</x>");
        let create = format!("<create{}{}/>", attribute(node), kind.unwrap_or_default());
        iq(request.kind, service, PUBSUB, &format!("{create}<configure>{form}</configure>"))
    }
}

fn attribute(node: Option<&str>) -> String {
    node.map(|node| format!(" node='{}'", escape(node))).unwrap_or_default()
}

fn iq(kind: &str, service: &str, namespace: &str, inner: &str) -> Step {
    let pubsub = format!("<pubsub xmlns='{namespace}'>{inner}</pubsub>");
    named(kind, format!("<iq type='set' to='{service}' id='{{uuid}}'>{pubsub}</iq>"))
}

/// The fields of a form that stands as an Erlang term: `[{'pubsub#access_model','open'}, {'x', ['a', 'b']}].` That no
/// item is kept is said by `pubsub#persist_items`; some servers refuse a maximum of 0 beside it, which is left out.
fn fields(term: &str) -> String {
    let atom = r"('[^']*'|\w+)";
    let pairs = Regex::new(&format!(r"\{{\s*{atom}\s*,\s*(?:\[([^\]]*)\]|{atom})\s*\}}"));
    let mut out = String::new();
    for pair in pairs.iter().flat_map(|pairs| pairs.captures_iter(term)) {
        let text = |at: usize| pair.get(at).map_or("", |found| found.as_str());
        let values = if pair.get(3).is_some() { text(3) } else { text(2) };
        if text(1).contains("pubsub#max_items") && matches!(text(3), "'0'" | "0") {
            continue;
        }
        let bare = |atom: &str| escape(atom.trim().trim_matches('\''));
        out.extend(["<field var='", &bare(text(1)), "'>"]);
        for value in values.split(',') {
            out.extend(["<value>", &bare(value), "</value>"]);
        }
        out.push_str("</field>");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erlang_terms_are_forms() {
        let term = "[{'pubsub#access_model','open'},\n {groups, ['a', b]}, {'pubsub#max_items', '0'}].";
        let model = "<field var='pubsub#access_model'><value>open</value></field>";
        let groups = "<field var='groups'><value>a</value><value>b</value></field>";
        assert_eq!(fields(term), format!("{model}{groups}"));
        assert_eq!(fields("nothing"), "");
    }
}
