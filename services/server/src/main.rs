//! The binary `throng`: every role, and everything an operator types.

mod account;
mod certificates;
mod cli;
mod cluster;
mod configuration;
mod control;
mod docs;
mod doctor;
mod kafka;
mod options;
mod password;
mod redis;
mod role;
mod run;
mod stores;
mod transfer;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::cli::{Cli, Command, Source};
use crate::configuration::Configuration;

/// Keeps less memory for idle sessions than the system's allocator, and is faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // With another provider somewhere in the tree rustls would not know which one is meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match perform(Cli::parse().command) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("throng: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Config { default: true, .. } => print(&docs::default_file()),
        Command::Config { source, .. } => {
            print(&Configuration::load(&source, None)?.settings.effective_file())
        }
        Command::Check { file } => check(file),
        Command::Docs { check } => docs::generate(check),
        Command::Run(run) => waiting(run::run(run)),
        Command::Edge(source) => waiting(role::edge(source)),
        Command::Session(source) => waiting(role::session(source)),
        Command::Router(source) => waiting(role::router(source)),
        Command::User(command) => waiting(account::user(command)),
        Command::Export { file, source } => waiting(async move { transfer::export(file, &source).await }),
        Command::Import { file, source } => waiting(async move { transfer::import(file, &source).await }),
        Command::Copy { from, to } => waiting(transfer::copy(from, to)),
        Command::Migrate(source) => waiting(async move { stores::migrate(&source).await }),
        Command::Certificates { folder, roles, name } => {
            certificates::for_roles(&folder, &roles, &name)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(source) => Ok(doctor::examine(&source)),
    }
}

fn waiting(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no threads can be started")?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

fn check(file: Option<std::path::PathBuf>) -> anyhow::Result<ExitCode> {
    let configuration = Configuration::load(&Source { config: file, ..Source::default() }, None)?;
    match configuration.file {
        Some(path) => print(&format!("{} can be used\n", path.display())),
        None => print("there is no throng.toml here or in /etc/throng: everything has its default\n"),
    }
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        // `| head` has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
