//! The faulty proxy. Between a load generator and a server it cuts both directions into stanzas, plants faults in some of
//! those that a ledger follows, and logs each: what is in the log must be in the verdict, and nothing else.
//!
//! It works on plain TCP. What is secured passes untouched, for it can't be cut.

mod lane;
mod log;
mod proxy;

pub use self::{
    lane::Plan,
    log::{Kind, Log, Planted},
    proxy::{Proxy, Towards},
};
