//! What the server does, seen by clients: each play on the server as one process and as one for each role.
//!
//! `cargo test -p throng-tests --test plays -- [PART OF A NAME …] [--jobs N] [--list]`; `THRONG_BIN` names another
//! binary than that of this build.

mod archive;
mod blocking;
mod degradation;
mod hostile_logins;
mod hostile_names;
mod hostile_peers;
mod hostile_stanzas;
mod hostile_streams;
mod hostile_xml;
mod management;
mod messages;
mod offline;
mod presence;
mod push;
mod queries;
mod registration;
mod rosters;
mod sasl;
mod services;
mod sessions;
mod streams;
mod websocket;

use std::process::ExitCode;

fn main() -> ExitCode {
    throng_tests::run::main(&[
        streams::PLAYS,
        sasl::PLAYS,
        messages::PLAYS,
        queries::PLAYS,
        offline::PLAYS,
        archive::PLAYS,
        push::PLAYS,
        rosters::PLAYS,
        presence::PLAYS,
        management::PLAYS,
        sessions::PLAYS,
        blocking::PLAYS,
        degradation::PLAYS,
        services::PLAYS,
        registration::PLAYS,
        websocket::PLAYS,
        hostile_xml::PLAYS,
        hostile_logins::PLAYS,
        hostile_names::PLAYS,
        hostile_peers::PLAYS,
        hostile_stanzas::PLAYS,
        hostile_streams::PLAYS,
    ])
}
