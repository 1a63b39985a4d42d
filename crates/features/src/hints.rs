//! Message processing hints (XEP-0334), announced here. Honoured where each matters: by what is kept, and by carbons.

use xmpp::ns;

use crate::about::{About, Spec};

/// The hints.
pub(crate) static ABOUT: About = About {
    name: "hints",
    doc: "Honours what a sender says about storing and copying a message.",
    specs: &[Spec { xep: 334, version: "1.0.0", note: "" }],
    host_disco: &[ns::HINTS],
    account_disco: &[],
    at: &[],
};
