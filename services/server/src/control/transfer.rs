//! Exports and imports of everything that is kept.

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use store::rosters::{Change, Request};
use store::{Account, Activity, Cursor, Row, Session};
use tokio::io::{AsyncBufRead, AsyncWrite};
use xmpp::jid::Jid;

use super::admin::{Answers, PAGE, line};
use super::record::{Address, Base64, FORMAT, Record};
use super::{Admin, Answer};

/// Messages read from an archive at once.
const PAGE_ROWS: usize = 200;

/// Gives records away and counts them.
struct Out<'a, W> {
    answers: &'a mut Answers<W>,
    records: u64,
}

impl<W: AsyncWrite + Unpin + Send> Out<'_, W> {
    async fn put(&mut self, record: &Record) -> anyhow::Result<()> {
        self.records += 1;
        self.answers.say(&Answer::Record(serde_json::to_string(record)?)).await
    }
}

impl Admin {
    /// Gives every record of every account. What changes meanwhile may be in it or not.
    pub(super) async fn export<W: AsyncWrite + Unpin + Send>(
        &self,
        answers: &mut Answers<W>,
    ) -> anyhow::Result<String> {
        let mut accounts = Vec::new();
        for domain in &self.domains {
            loop {
                let after = accounts.last().filter(|last: &&Jid| last.domain() == domain.domain());
                let page = self.store.accounts.list(domain.as_str(), after, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                accounts.extend(page);
            }
        }
        let count = accounts.len() as u64;
        let mut out = Out { answers, records: 0 };
        out.put(&Record::Begin { throng: FORMAT, accounts: count }).await?;
        for (done, account) in accounts.iter().enumerate() {
            self.export_account(account, &mut out)
                .await
                .with_context(|| format!("{account} could not be read"))?;
            out.answers.say(&Answer::Progress(done as u64 + 1, count)).await?;
            out.answers.flush().await?;
        }
        let records = out.records;
        out.put(&Record::End { records }).await?;
        Ok(format!("exported {count} accounts in {records} records"))
    }

    async fn export_account<W: AsyncWrite + Unpin + Send>(
        &self,
        account: &Jid,
        out: &mut Out<'_, W>,
    ) -> anyhow::Result<()> {
        let store = &self.store;
        // Removed since it was listed.
        let Some(record) = store.accounts.load(account).await? else { return Ok(()) };
        let roster = store.rosters.load(account).await?;
        for item in roster.items {
            out.put(&Record::of_contact(account, item)).await?;
        }
        for Request { from, stanza } in roster.requests {
            let (from, stanza) = (Address(from), Base64(stanza));
            out.put(&Record::Request { account: account.into(), from, stanza }).await?;
        }
        let jids = store.blocklists.load(account).await?;
        if !jids.is_empty() {
            let jids = jids.into_iter().map(Address).collect();
            out.put(&Record::Blocked { account: account.into(), jids }).await?;
        }
        for (namespace, key) in store.documents.names(account).await? {
            if let Some(document) = store.documents.read(account, &namespace, &key).await? {
                let document = Base64(document);
                out.put(&Record::Document { account: account.into(), namespace, key, document }).await?;
            }
        }
        let mut last = 0;
        loop {
            let rows = store.archive.after(account, last, PAGE_ROWS).await?;
            let Some(newest) = rows.last() else { break };
            last = newest.id;
            for row in rows {
                out.put(&Record::of_row(row)).await?;
            }
        }
        let last_id = store.archive.last_id(account).await?;
        if last_id > last {
            out.put(&Record::Used { account: account.into(), last_id }).await?;
        }
        for session in store.hibernated.list(account).await? {
            out.put(&Record::of_session(session)).await?;
        }
        let cursor = store.cursors.load(account).await?;
        if cursor != Cursor::default() {
            out.put(&Record::of_cursor(account, cursor)).await?;
        }
        if let Some(activity) = store.accounts.last_activity(account).await? {
            out.put(&Record::of_activity(account, activity)).await?;
        }
        out.put(&Record::of_account(account, record)).await
    }

    /// Takes records; accounts that exist already are left as they are.
    pub(super) async fn import<W: AsyncWrite + Unpin + Send>(
        &self,
        reader: &mut (impl AsyncBufRead + Unpin + Send),
        answers: &mut Answers<W>,
    ) -> anyhow::Result<String> {
        let mut import = Import {
            admin: self,
            current: None,
            changes: Vec::new(),
            rows: Vec::new(),
            skipped: HashSet::new(),
            accounts: 0,
            of: 0,
            records: 0,
        };
        let mut number = 0_u64;
        while let Some(line) = line(reader).await? {
            number += 1;
            let record =
                serde_json::from_slice(&line).with_context(|| format!("line {number} is no record"))?;
            match import.take(record).await.with_context(|| format!("line {number}"))? {
                Step::Go => {}
                Step::Account => {
                    answers.say(&Answer::Progress(import.accounts, import.of)).await?;
                    answers.flush().await?;
                }
                Step::End => {
                    let skipped = import.skipped.len();
                    return Ok(format!(
                        "imported {} accounts, {skipped} existed and are as they were",
                        import.accounts
                    ));
                }
            }
        }
        bail!(
            "the file ends after line {number} without its last record: it is cut off; what came before is imported"
        )
    }
}

/// An import under way. What may be written together gathers until it is worth a write.
struct Import<'a> {
    admin: &'a Admin,
    current: Option<Jid>,
    changes: Vec<Change>,
    rows: Vec<Row>,
    skipped: HashSet<Jid>,
    accounts: u64,
    of: u64,
    records: u64,
}

enum Step {
    Go,
    Account,
    End,
}

impl Import<'_> {
    async fn take(&mut self, record: Record) -> anyhow::Result<Step> {
        match (&record, self.records) {
            (Record::Begin { throng, accounts }, 0) if *throng <= FORMAT => self.of = *accounts,
            (Record::Begin { throng, .. }, 0) => {
                bail!(
                    "the file has format {throng}, this version reads up to {FORMAT}: use the newer version"
                )
            }
            (_, 0) => bail!("a file of `throng export` begins with {{\"begin\":…}}"),
            (Record::Begin { .. }, _) => bail!("a second beginning"),
            (Record::End { records }, count) if *records != count => {
                bail!("the end counts {records} records, but {count} came")
            }
            (Record::End { .. }, _) => return Ok(Step::End),
            _ => {}
        }
        self.records += 1;
        let Some(account) = record.account() else { return Ok(Step::Go) };
        if self.current.as_ref() != Some(account) {
            self.begin(account.clone()).await?;
        }
        if self.current.as_ref().is_some_and(|account| self.skipped.contains(account)) {
            return Ok(Step::Go);
        }
        let is_account = matches!(record, Record::Account { .. });
        self.write(record).await?;
        self.accounts += u64::from(is_account);
        Ok(if is_account { Step::Account } else { Step::Go })
    }

    async fn begin(&mut self, account: Jid) -> anyhow::Result<()> {
        self.flush().await?;
        self.admin.address(account.as_str())?;
        if self.admin.store.accounts.load(&account).await?.is_some() {
            self.skipped.insert(account.clone());
        }
        self.current = Some(account);
        Ok(())
    }

    async fn write(&mut self, record: Record) -> anyhow::Result<()> {
        let store = &self.admin.store;
        match record {
            Record::Begin { .. } | Record::End { .. } => {}
            Record::Contact(contact) => self.changes.push(Change::Put(contact.into())),
            Record::Request { from, stanza, .. } => {
                self.changes.push(Change::Ask(Request { from: from.0, stanza: stanza.0 }));
            }
            Record::Message(message) => self.rows.push(Row::try_from(message)?),
            Record::Blocked { account, jids } => {
                let jids: Vec<Jid> = jids.into_iter().map(|jid| jid.0).collect();
                store.blocklists.block(&account.0, &jids).await?;
            }
            Record::Document { account, namespace, key, document } => {
                store.documents.put(&account.0, &namespace, &key, document.0).await?;
            }
            Record::Used { account, last_id } => {
                self.flush().await?;
                store.archive.delete(&account.0, &[last_id]).await?;
            }
            Record::Hibernated { account, origin, deadline_ms, state } => {
                let origin = origin.0.as_ref().try_into();
                let origin = origin.map_err(|_| anyhow::anyhow!("an origin has 16 bytes"))?;
                let session = Session { origin, account: account.0, deadline_ms, state: state.0 };
                store.hibernated.put(session).await?;
            }
            Record::Cursor { account, lowest, above } => {
                store.cursors.save(&[(account.0, Cursor { lowest, above })]).await?;
            }
            Record::Activity { account, at_ms, status } => {
                store.accounts.set_last_activity(&account.0, Activity { at_ms, status }).await?;
            }
            Record::Account { account, keys, created_ms, disabled } => {
                self.flush().await?;
                let record = Account { keys: keys.0, created_ms, disabled };
                self.admin.store.accounts.create(&account.0, record).await?;
            }
        }
        if self.rows.len() >= PAGE_ROWS || self.changes.len() >= PAGE_ROWS {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Writes what has gathered of the current account.
    async fn flush(&mut self) -> anyhow::Result<()> {
        let store = &self.admin.store;
        if let (Some(account), false) = (&self.current, self.changes.is_empty()) {
            store.rosters.apply(account, std::mem::take(&mut self.changes)).await?;
        }
        if !self.rows.is_empty() {
            store.archive.append(&std::mem::take(&mut self.rows)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
