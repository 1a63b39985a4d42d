//! The session role: everything done on behalf of local accounts.
//!
//! Start at [`Owner`]; `service` is what edges call, `shard` how work is done, `lane` in which order. Then follow a
//! stanza: `client` (its sender's rules), `send` (its way), `receive` (its addressee's rules), `perform` and `deliver`
//! (who gets it), and back: `loading::Cx::finish`, `client::finished`.
mod attach;
mod backlog;
mod changing;
mod client;
mod config;
mod deliver;
mod directory;
mod dispatch;
mod edges;
mod events;
mod gathering;
mod handover;
mod hello;
mod hibernation;
mod iqs;
mod job;
pub mod keys;
mod lane;
mod lease;
mod loading;
mod login;
mod marks;
mod metrics;
mod owner;
mod ownership;
mod passwords;
mod perform;
#[cfg(test)]
mod plays;
mod receive;
mod receiving;
mod registrar;
mod resident;
mod returning;
mod router_link;
mod router_stream;
mod send;
mod service;
mod sessions;
mod shard;
#[cfg(test)]
mod simulation;
mod slots;
mod stream;
mod sweep;
#[cfg(test)]
mod testing;
mod tick;
mod uid;
mod unseen;
mod work;
mod writer;

pub use config::{Config, Range};
pub use owner::Owner;
pub use service::Service;
