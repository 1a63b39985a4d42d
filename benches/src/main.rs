//! Loads for a whole server, and what it spends on them: CPU from /proc/PID/stat, memory from `smaps_rollup`.
//!
//! Machines are shared and differ, so a figure is worth something only beside another of the same run: `relay` is the
//! floor that `chat` is held against. docs/measurements has figures and method.

// Counts of a run are far below the 2^52 that an f64 holds exactly.
#![allow(clippy::cast_precision_loss)]

mod account;
mod chat;
mod client;
mod compare;
mod idle;
mod login;
mod process;
mod relay;
mod scan;
mod server;
mod tls;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};

/// Loads for a whole server, and what it spends on them
#[derive(Debug, Parser)]
#[command(name = "throng-bench", max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the floor: canned answers to logins, then each message's bytes go to the addressed connection
    Relay {
        /// Where to listen
        address: SocketAddr,
    },
    /// Pairs of users who answer each message at once; CPU for each delivery, beside the floor's
    Chat(compare::Chat),
    /// Sessions that do nothing; memory for each
    Idle(idle::Idle),
    /// Logins with SCRAM-SHA-256 over TLS 1.3; CPU for each
    Login(login::Logins),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Relay { address } => relay::run(address).await,
        Command::Chat(chat) => chat.run().await,
        Command::Idle(idle) => idle.run().await,
        Command::Login(logins) => logins.run().await,
    }
}
