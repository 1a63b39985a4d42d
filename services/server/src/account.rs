//! The commands that change and list accounts.

use std::io::{self, Write};

use crate::cli::User;
use crate::configuration::Configuration;
use crate::control::{Access, Answer, Request};
use crate::password;

/// `throng user …`
pub(crate) async fn user(command: User) -> anyhow::Result<()> {
    let (source, request) = match command {
        User::Add(named) => {
            let password = password::ask(&named.account)?;
            (named.source, Request::Add { account: named.account, password })
        }
        User::Passwd(named) => {
            let password = password::ask(&named.account)?;
            (named.source, Request::Passwd { account: named.account, password })
        }
        User::Remove(named) => (named.source, Request::Remove { account: named.account }),
        User::List { only, source } => (source, Request::List { domain: only }),
    };
    let listing = matches!(request, Request::List { .. });
    let access = Access::open(&Configuration::load(&source, None)?).await?;
    let mut out = io::stdout().lock();
    let told = access.ask(&request, |answer| {
        if let Answer::Account(account) = answer {
            writeln!(out, "{account}")?;
        }
        Ok(())
    });
    let told = told.await?;
    // A list is for other programs too: what it amounts to is not part of it.
    if listing {
        eprintln!("{told}");
    } else {
        println!("{told}");
    }
    Ok(())
}
