//! Stream limits advertisement (XEP-0478): part of the stream's features, described here.

use crate::about::{About, Spec};

/// The limits of a stream. The XEP asks for no disco feature.
pub(crate) static ABOUT: About = About {
    name: "limits",
    doc: "Tells in the stream features how large a stanza may be and how long a stream may be silent.",
    specs: &[Spec { xep: 478, version: "0.2.0", note: "client streams" }],
    host_disco: &[],
    account_disco: &[],
    at: &[],
};
