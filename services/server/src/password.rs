//! Passwords: from a person to salted keys, on the shortest way.

use std::io::{IsTerminal as _, Read as _};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use xmpp::sasl::Keys;

/// A password at most, in bytes.
const BYTES_MAX: usize = 1_024;

/// What is kept of a password: some milliseconds of work, done on a thread that may wait.
pub(crate) async fn keys(password: String, rounds: u32) -> anyhow::Result<Bytes> {
    let keys = tokio::task::spawn_blocking(move || Keys::from_password(&password, random, rounds)).await??;
    Ok(features::credentials::encode(&keys))
}

/// Asks for a password twice on a terminal, else reads the first line of standard input.
pub(crate) fn ask(account: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        let mut text = String::new();
        let room = BYTES_MAX as u64 + 2;
        std::io::stdin().take(room).read_to_string(&mut text).context("the password could not be read")?;
        let password = text.lines().next().unwrap_or_default();
        return check(password.to_owned()).context("the password is the first line of standard input");
    }
    let terminal = console::Term::stderr();
    let ask = |question: &str| {
        terminal.write_str(question)?;
        terminal.read_secure_line()
    };
    let password = ask(&format!("password for {account}: "))?;
    if password != ask("once more: ")? {
        bail!("the passwords differ: nothing was changed");
    }
    check(password)
}

fn check(password: String) -> anyhow::Result<String> {
    if password.is_empty() || password.len() > BYTES_MAX {
        bail!("a password has from 1 to {BYTES_MAX} bytes");
    }
    Ok(password)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
