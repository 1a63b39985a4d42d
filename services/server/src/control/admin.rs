//! Does what is asked, on the store.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use features::ports::Directory;
use serde::Serialize;
use store::{Account, Store};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::io::{BufReader, BufWriter};
use xmpp::jid::Jid;

use super::{Answer, LINE_BYTES_MAX, Request};
use crate::configuration::Configuration;
use crate::password;

/// Accounts read from the store at once.
pub(super) const PAGE: usize = 1_000;

/// Whoever has the store, ready to do what is asked.
pub(crate) struct Admin {
    pub(super) store: Store,
    pub(super) domains: Vec<Jid>,
    password_rounds: u32,
    /// The sessions of this process, if it serves any.
    sessions: Option<Arc<dyn Directory>>,
}

/// Where answers go.
pub(super) struct Answers<W>(BufWriter<W>);

impl Admin {
    pub(crate) fn new(
        configuration: &Configuration,
        store: Store,
        sessions: Option<Arc<dyn Directory>>,
    ) -> Admin {
        let domains = configuration.server.domains.clone();
        Admin { store, domains, password_rounds: configuration.session.password_rounds, sessions }
    }

    /// Hears what is asked and answers it.
    pub(crate) async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Send) {
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = BufReader::new(reader);
        let mut answers = Answers(BufWriter::new(writer));
        let last = match self.perform(&mut reader, &mut answers).await {
            Ok(told) => Answer::Done(told),
            Err(reason) => Answer::Refused(format!("{reason:#}")),
        };
        // Nobody is left to hear that nobody is left.
        let _ = answers.finish(&last).await;
    }

    async fn perform<W: AsyncWrite + Unpin + Send>(
        &self,
        reader: &mut (impl AsyncBufRead + Unpin + Send),
        answers: &mut Answers<W>,
    ) -> anyhow::Result<String> {
        let line = line(reader).await?.context("nothing was asked")?;
        match serde_json::from_slice(&line).context("the server is of another version")? {
            Request::Add { account, password } => self.add(&self.address(&account)?, &password).await,
            Request::Passwd { account, password } => self.passwd(&self.address(&account)?, &password).await,
            Request::Remove { account } => self.remove(&self.address(&account)?).await,
            Request::List { domain } => self.list(domain.as_deref(), answers).await,
            Request::Export => self.export(answers).await,
            Request::Import => self.import(reader, answers).await,
        }
    }

    /// Adds an account; it must not exist.
    pub(crate) async fn add(&self, account: &Jid, password: &str) -> anyhow::Result<String> {
        let keys = password::keys(password.to_owned(), self.password_rounds).await?;
        let record = Account { keys, created_ms: now_ms(), disabled: false };
        match self.store.accounts.create(account, record).await {
            Ok(()) => Ok(format!("added {account}")),
            Err(store::Error::Conflict) => {
                bail!("{account} exists: `throng user passwd` changes its password")
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn passwd(&self, account: &Jid, password: &str) -> anyhow::Result<String> {
        let record = self.store.accounts.load(account).await?.ok_or_else(|| missing(account))?;
        let keys = password::keys(password.to_owned(), self.password_rounds).await?;
        self.store.accounts.replace(account, Account { keys, ..record }).await?;
        if let Some(sessions) = &self.sessions {
            sessions.end(account, "reset", false).await;
        }
        Ok(format!("changed the password of {account}"))
    }

    async fn remove(&self, account: &Jid) -> anyhow::Result<String> {
        self.store.accounts.load(account).await?.ok_or_else(|| missing(account))?;
        // Sessions first: nothing may write for an account that is being removed.
        if let Some(sessions) = &self.sessions {
            sessions.end(account, "not-authorized", true).await;
        }
        self.store.remove_account(account).await?;
        Ok(format!("removed {account}"))
    }

    async fn list<W: AsyncWrite + Unpin + Send>(
        &self,
        only: Option<&str>,
        answers: &mut Answers<W>,
    ) -> anyhow::Result<String> {
        let only = only.map(|domain| self.hosted(domain)).transpose()?;
        let mut count = 0_u64;
        for domain in self.domains.iter().filter(|domain| only.is_none_or(|only| only == *domain)) {
            let mut after = None;
            loop {
                let page = self.store.accounts.list(domain.as_str(), after.as_ref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                for account in &page {
                    answers.say(&Answer::Account(account.to_string())).await?;
                }
                count += page.len() as u64;
                after = Some(last.clone());
            }
        }
        Ok(format!("{count} accounts"))
    }

    /// The account somebody typed, of a domain that is served here.
    pub(super) fn address(&self, text: &str) -> anyhow::Result<Jid> {
        let jid: Jid = text.parse().with_context(|| format!("{text:?} is no JID"))?;
        if jid.node().is_none() || jid.is_full() {
            bail!(
                "an account is a bare JID, as alice@{}",
                self.domains.first().map_or("chat.example", Jid::as_str)
            );
        }
        self.hosted(jid.domain())?;
        Ok(jid)
    }

    fn hosted(&self, domain: &str) -> anyhow::Result<&Jid> {
        let names: Vec<&str> = self.domains.iter().map(Jid::as_str).collect();
        self.domains.iter().find(|hosted| hosted.as_str() == domain).ok_or_else(|| {
            anyhow!(
                "{domain} is not served here, but {}: `--domain` or `domains` of [server]",
                names.join(", ")
            )
        })
    }
}

impl<W: AsyncWrite + Unpin> Answers<W> {
    pub(super) async fn say(&mut self, answer: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        Ok(self.0.write_all(&line).await?)
    }

    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.0.flush().await?)
    }

    async fn finish(mut self, last: &Answer) -> anyhow::Result<()> {
        self.say(last).await?;
        Ok(self.0.shutdown().await?)
    }
}

/// The next line without its end; `None` at the end.
pub(super) async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let bytes = reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if bytes as u64 == LINE_BYTES_MAX {
        bail!("a line has more than {LINE_BYTES_MAX} bytes");
    }
    Ok((bytes > 0).then(|| line.trim_ascii_end().to_vec()))
}

fn missing(account: &Jid) -> anyhow::Error {
    anyhow!("there is no account {account}: `throng user list` shows those there are")
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
