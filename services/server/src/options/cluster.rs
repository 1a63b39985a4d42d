//! `[cluster]`

use node::config::Opt;
use node::discovery::FORMS;

use super::{ADDRESSES, SECONDS};

pub(super) const CLUSTER: &[Opt] = &[
    Opt::text("session_listen", "127.0.0.1:5290", ADDRESSES, "Where `throng session` listens for edges."),
    Opt::text("router_listen", "127.0.0.1:5291", ADDRESSES, "Where `throng router` listens for owners."),
    Opt::texts(
        "owners",
        &["http://127.0.0.1:5290"],
        FORMS,
        "Where `throng edge` finds the owners, each of them: a URL is one, `https` if [cluster] has certificates; \
         `dns` is one at every address of the name; `kube` is one at every ready endpoint of the service, whose port \
         is named, or a number of its pods.",
    ),
    Opt::texts(
        "routers",
        &["http://127.0.0.1:5291"],
        FORMS,
        "Where `throng session` finds the routers, each of them, in the same words.",
    ),
    Opt::number(
        "resolve_s",
        5,
        SECONDS,
        "seconds",
        "How often the names of `dns` are resolved again. What cannot be resolved stays as it was.",
    ),
    Opt::text(
        "tls_certificate",
        "",
        "a file",
        "The certificate that this process shows the others, PEM, then those between it and the authority; for \
         servers and for clients. With it, `tls_key` and `tls_authority`, all wires between roles are TLS 1.3 with \
         certificates on both sides; without, they are in the clear. Paths are from the folder of this file. Replaced \
         files are taken without a restart.",
    ),
    Opt::text("tls_key", "", "a file", "Its private key, PEM."),
    Opt::text(
        "tls_authority",
        "",
        "a file",
        "The authority whose certificates are believed, PEM: one that gives them to roles of this cluster only. Two, \
         while one takes the place of the other.",
    ),
    Opt::text("tls_name", "throng", "a DNS name", "What the certificates of all roles are for."),
    Opt::number("tls_check_s", 30, SECONDS, "seconds", "How often these files are looked at for changes."),
];
