//! Plays: what docs/delivery.md promises, rule by rule, with owners, routers and stores as they are.

mod accounts;
mod archive;
mod attaching;
mod clocks;
mod limits;
mod offline;
mod order;
mod owners;
mod resumption;
mod routers;
mod sending;
mod slots;
mod storm;
