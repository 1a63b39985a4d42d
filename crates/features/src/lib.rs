//! One room per XEP. A feature is a struct whose fields are all it may touch; it hooks into named phases and says of
//! itself what it is, so that service discovery and the references are made from the code.
pub mod about;
pub mod account;
pub mod blocking;
pub mod carbons;
pub mod chain;
mod commands;
pub mod context;
pub mod credentials;
pub mod csi;
pub mod data_form;
pub mod delay;
pub mod disco;
mod fields;
mod hints;
pub mod host;
mod iq;
pub mod keep;
mod last_activity;
mod limits;
pub mod mam;
mod ping;
pub mod ports;
pub mod presence;
mod private_storage;
pub mod references;
pub mod registration;
mod retraction;
pub mod roster;
pub mod routing;
pub mod stanza_ids;
pub mod stored;
mod subscription;
#[cfg(test)]
mod testing;
mod time;
mod vcard;
mod version;
