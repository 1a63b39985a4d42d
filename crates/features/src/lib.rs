//! One room per XEP. A feature is a struct whose fields are all it may touch; it hooks into named phases and says of
//! itself what it is, so that service discovery and the references are made from the code.
pub mod about;
pub mod account;
pub mod chain;
pub mod context;
mod fields;
pub mod host;
pub mod keep;
pub mod ports;
pub mod roster;
pub mod routing;
pub mod stored;
