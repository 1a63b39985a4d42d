//! What the processes of a server are told.

use std::net::SocketAddr;

use super::{Addresses, CERTIFICATE, DOMAIN, OTHER_DOMAIN, Role, Server};

/// One file for all roles but for what each edge has for itself.
pub(super) fn write(server: &Server, number: usize, stores: &str) -> String {
    let Addresses { tcp, tls, http } = server.edges[number];
    let edges = server.edges.len();
    let (chain, key) = CERTIFICATE;
    let (session, router) = (server.sessions[0], server.routers[0]);
    let scheme = if server.is_secured() { "https" } else { "http" };
    let (owners, routers) = (urls(scheme, &server.sessions), urls(scheme, &server.routers));
    // Each play has an address of its own, but all that register meet in one limit after another in an hour of plays.
    format!(
        r#"
[server]
domains = ["{DOMAIN}", "{OTHER_DOMAIN}"]
data = "data"
admins = ["admin@{DOMAIN}"]
registration = true
contacts_abuse = ["mailto:abuse@{DOMAIN}"]
[session]
edges = {edges}
registrations_max = 100000
[edge]
member = "edge-{number}"
starttls = ["{tcp}"]
direct_tls = ["{tls}"]
http = ["{http}"]
tls_required = false
plain_on_loopback = true
proxies = []
certificates = [{{ chain = "{chain}", key = "{key}" }}]
[cluster]
session_listen = "{session}"
router_listen = "{router}"
owners = [{owners}]
routers = [{routers}]
[log]
level = "info"
{stores}"#
    )
}

/// For each process of a role: what it has for itself.
pub(super) fn own(server: &Server, role: Role) -> Vec<Vec<(String, String)>> {
    let (section, listening) = match role {
        Role::Session => ("SESSION", &server.sessions),
        Role::Router => ("ROUTER", &server.routers),
        Role::Whole | Role::Edge(_) => return vec![Vec::new()],
    };
    let of_one = |(number, address): (usize, &SocketAddr)| {
        let name = section.to_lowercase();
        let mut own = vec![
            (format!("THRONG_{section}_MEMBER"), format!("{name}-{number}")),
            (format!("THRONG_CLUSTER_{section}_LISTEN"), address.to_string()),
        ];
        if number > 0 {
            let data = server.folder().join(format!("data-{number}"));
            own.push(("THRONG_SERVER_DATA".to_owned(), data.display().to_string()));
        }
        own
    };
    listening.iter().enumerate().map(of_one).collect()
}

fn urls(scheme: &str, addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| format!("\"{scheme}://{address}\"")).collect::<Vec<_>>().join(", ")
}
