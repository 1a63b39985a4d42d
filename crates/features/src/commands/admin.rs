//! Service administration (XEP-0133): what each command does.

use store::Account;
use xmpp::jid::Jid;
use xmpp::stanza::{Stanza, StanzaError, Type};
use xmpp::xml::Element;
use xmpp::{datetime, ns};

use crate::credentials;
use crate::data_form::{FieldType, Form, Submission};
use crate::iq;
use crate::ports::Ports;

/// Accounts that one command may name.
pub(super) const ACCOUNTS_MAX: usize = 100;
/// Sessions that are looked at; a service with more has better means to count them.
const ONLINE_MAX: usize = 100_000;
/// Accounts that are counted.
const REGISTERED_MAX: usize = 1_000_000;
/// Accounts that are listed when no number is chosen.
const LISTED_MAX: usize = 1_000;
/// Accounts read from the store at once.
const PAGE: usize = 1_000;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    AddUser,
    DeleteUser,
    DisableUser,
    ReenableUser,
    EndSession,
    ChangePassword,
    LastLogin,
    UserStats,
    RegisteredCount,
    OnlineCount,
    RegisteredList,
    OnlineList,
    Announce,
}

/// A command as it is listed.
pub(super) struct Command {
    pub(super) node: &'static str,
    pub(super) name: &'static str,
    pub(super) task: Task,
}

macro_rules! commands {
    ($($node:literal $name:literal $task:ident;)*) => {
        &[$(Command {
            node: concat!("http://jabber.org/protocol/admin#", $node),
            name: $name,
            task: Task::$task,
        }),*]
    };
}

/// All of them.
pub(super) static COMMANDS: &[Command] = commands! {
    "add-user" "Add a user" AddUser;
    "delete-user" "Delete users" DeleteUser;
    "disable-user" "Disable users" DisableUser;
    "reenable-user" "Re-enable users" ReenableUser;
    "end-user-session" "End sessions of users" EndSession;
    "change-user-password" "Change the password of a user" ChangePassword;
    "get-user-lastlogin" "Last login of users" LastLogin;
    "user-stats" "Statistics of a user" UserStats;
    "get-registered-users-num" "Number of registered users" RegisteredCount;
    "get-online-users-num" "Number of online users" OnlineCount;
    "get-registered-users-list" "Registered users" RegisteredList;
    "get-online-users-list" "Online users" OnlineList;
    "announce" "Announcement to online users" Announce;
};

/// Where a command is run.
pub(super) struct Office {
    pub(super) ports: Ports,
    pub(super) domain: Jid,
    /// Full.
    pub(super) administrator: Jid,
    pub(super) now_ms: u64,
}

/// What came of it.
pub(super) struct Outcome {
    /// Forms and notes.
    pub(super) payload: Vec<Element>,
    /// A stanza for many.
    pub(super) send: Option<(Stanza, Vec<Jid>)>,
}

/// Why it failed: by the protocol, or as a note on a completed command (XEP-0050 §4.7).
enum Failure {
    Stanza(StanzaError),
    Note(String),
}

impl From<StanzaError> for Failure {
    fn from(error: StanzaError) -> Self {
        Self::Stanza(error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Stanza(iq::stored(error))
    }
}

impl From<&str> for Failure {
    fn from(note: &str) -> Self {
        Self::Note(note.to_owned())
    }
}

/// Runs a command with its form.
pub(super) async fn run(task: Task, office: &Office, form: &Submission) -> Result<Outcome, StanzaError> {
    let outcome = match task {
        Task::AddUser => office.add_user(form).await,
        Task::DeleteUser => office.delete_users(form).await,
        Task::DisableUser => office.disable_users(form, true).await,
        Task::ReenableUser => office.disable_users(form, false).await,
        Task::EndSession => office.end_sessions(form).await,
        Task::ChangePassword => office.change_password(form).await,
        Task::LastLogin => office.last_login(form).await,
        Task::UserStats => office.statistics(form).await,
        Task::RegisteredCount => {
            office.registered(REGISTERED_MAX).await.map(|all| told("registeredusersnum", all.len()))
        }
        Task::OnlineCount => Ok(told("onlineusersnum", office.online().await.len())),
        Task::RegisteredList => {
            office.registered(shown(form)).await.map(|all| listed("registereduserjids", &all))
        }
        Task::OnlineList => Ok(listed(
            "onlineuserjids",
            &office.online().await[..].iter().take(shown(form)).cloned().collect::<Vec<_>>(),
        )),
        Task::Announce => office.announce(form).await,
    };
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(Failure::Stanza(error)) => Err(error),
        Err(Failure::Note(text)) => Ok(Outcome { payload: vec![note("error", &text)], send: None }),
    }
}

impl Office {
    async fn add_user(&self, form: &Submission) -> Result<Outcome, Failure> {
        let account = self.account(form)?;
        let password = form.first("password").ok_or("Please provide a password")?;
        if form.first("password-verify").is_some_and(|again| again != password) {
            return Err("Passwords do not match".into());
        }
        credentials::create(&self.ports, &account, password, self.now_ms).await?;
        Ok(finished())
    }

    async fn delete_users(&self, form: &Submission) -> Result<Outcome, Failure> {
        for (account, record) in self.others(form).await? {
            // Nobody comes back while the account is being removed, and nobody is left who would write to it.
            let disabled = Account { disabled: true, ..record };
            self.ports.store.accounts.replace(&account, disabled).await?;
            self.ports.directory.end(&account, "not-authorized", true).await;
            self.ports.store.remove_account(&account).await?;
        }
        Ok(finished())
    }

    async fn disable_users(&self, form: &Submission, disabled: bool) -> Result<Outcome, Failure> {
        for (account, record) in self.others(form).await? {
            self.ports.store.accounts.replace(&account, Account { disabled, ..record }).await?;
            if disabled {
                self.ports.directory.end(&account, "not-authorized", false).await;
            }
        }
        Ok(finished())
    }

    async fn end_sessions(&self, form: &Submission) -> Result<Outcome, Failure> {
        for (account, _) in self.others(form).await? {
            self.ports.directory.end(&account, "policy-violation", false).await;
        }
        Ok(finished())
    }

    async fn change_password(&self, form: &Submission) -> Result<Outcome, Failure> {
        let account = self.account(form)?;
        let password = form.first("password").ok_or("Please provide a password")?;
        credentials::change(&self.ports, &account, password).await?;
        Ok(finished())
    }

    /// The store knows when an account was last there; for one that is there now that is now.
    async fn last_login(&self, form: &Submission) -> Result<Outcome, Failure> {
        let accounts = self.accounts(form)?;
        let online = self.online().await;
        let mut times = Vec::new();
        for account in &accounts {
            let at_ms = if online.contains(account) {
                Some(self.now_ms)
            } else {
                self.ports.store.accounts.last_activity(account).await?.map(|activity| activity.at_ms)
            };
            times.push(at_ms.map_or_else(|| "never".to_owned(), datetime::write));
        }
        let form = Form::telling(ns::ADMIN).tell_typed("accountjids", FieldType::JidMulti, texts(&accounts));
        Ok(with_form(form.tell_typed("lastlogin", FieldType::TextMulti, times)))
    }

    async fn statistics(&self, form: &Submission) -> Result<Outcome, Failure> {
        let account = self.account(form)?;
        self.record(&account).await?;
        let roster = self.ports.store.rosters.load(&account).await?;
        let online = self.ports.directory.online(&self.domain, ONLINE_MAX).await;
        let resources = online.iter().filter(|jid| jid.same_bare(&account)).filter_map(Jid::resource);
        let form = Form::telling(ns::ADMIN).tell("rostersize", [roster.items.len().to_string()]).tell_typed(
            "onlineresources",
            FieldType::TextMulti,
            resources,
        );
        Ok(with_form(form))
    }

    async fn announce(&self, form: &Submission) -> Result<Outcome, Failure> {
        let text = form.all("announcement").join("\n");
        if text.is_empty() {
            return Err("Please provide an announcement".into());
        }
        let to = self.ports.directory.online(&self.domain, ONLINE_MAX).await;
        let message = Stanza::message(Type::Headline)
            .with_from(self.domain.clone())
            .with_child(&Element::new(ns::CLIENT, "subject").with_text("Announcement"))
            .with_child(&Element::new(ns::CLIENT, "body").with_text(text));
        Ok(Outcome { send: Some((message, to)), ..finished() })
    }

    /// Accounts of the domain in order, at most `limit`.
    async fn registered(&self, limit: usize) -> Result<Vec<Jid>, Failure> {
        let mut all: Vec<Jid> = Vec::new();
        while all.len() < limit {
            let wanted = PAGE.min(limit - all.len());
            let page = self.ports.store.accounts.list(self.domain.domain(), all.last(), wanted).await?;
            let last = page.len() < wanted;
            all.extend(page);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Accounts with a session, each once, sorted.
    async fn online(&self) -> Vec<Jid> {
        let sessions = self.ports.directory.online(&self.domain, ONLINE_MAX).await;
        let mut accounts: Vec<_> = sessions.iter().map(Jid::bare).collect();
        accounts.dedup();
        accounts
    }

    /// The account in `accountjid`.
    fn account(&self, form: &Submission) -> Result<Jid, Failure> {
        self.local(form.first("accountjid").ok_or("Please provide a valid JID")?)
    }

    /// The accounts in `accountjids`; XEP-0133 §4.2 wants bare JIDs.
    fn accounts(&self, form: &Submission) -> Result<Vec<Jid>, Failure> {
        let all = form.all("accountjids");
        if all.is_empty() || all.len() > ACCOUNTS_MAX {
            return Err(Failure::Note(format!("Please provide between 1 and {ACCOUNTS_MAX} accounts")));
        }
        all.iter().map(|text| self.local(text)).collect()
    }

    /// The accounts in `accountjids` with their records: nobody locks themselves out.
    async fn others(&self, form: &Submission) -> Result<Vec<(Jid, Account)>, Failure> {
        let mut others = Vec::new();
        for account in self.accounts(form)? {
            if account.same_bare(&self.administrator) {
                return Err("This is your own account".into());
            }
            let record = self.record(&account).await?;
            others.push((account, record));
        }
        Ok(others)
    }

    async fn record(&self, account: &Jid) -> Result<Account, Failure> {
        let record = self.ports.store.accounts.load(account).await?;
        record.ok_or_else(|| Failure::Note(format!("User does not exist: {account}")))
    }

    fn local(&self, text: &str) -> Result<Jid, Failure> {
        let jid: Jid = text.parse().map_err(|_| "Please provide a valid JID")?;
        if jid.domain() != self.domain.domain() {
            return Err(Failure::Note(format!("Cannot create remote user or manage it: {jid}")));
        }
        if jid.node().is_none() || jid.is_full() {
            return Err("Please provide a valid JID of an account, without a resource".into());
        }
        Ok(jid)
    }
}

fn shown(form: &Submission) -> usize {
    form.first("max_items").and_then(|text| text.parse().ok()).unwrap_or(LISTED_MAX).min(LISTED_MAX)
}

fn told(var: &str, number: usize) -> Outcome {
    with_form(Form::telling(ns::ADMIN).tell(var, [number.to_string()]))
}

fn listed(var: &str, jids: &[Jid]) -> Outcome {
    with_form(Form::telling(ns::ADMIN).tell_typed(var, FieldType::JidMulti, texts(jids)))
}

fn texts(jids: &[Jid]) -> impl Iterator<Item = &str> {
    jids.iter().map(Jid::as_str)
}

fn with_form(form: Form) -> Outcome {
    Outcome { payload: vec![form.into_element()], send: None }
}

fn finished() -> Outcome {
    Outcome { payload: vec![note("info", "Operation finished successfully")], send: None }
}

fn note(ty: &str, text: &str) -> Element {
    Element::new(ns::COMMANDS, "note").attr("type", ty).with_text(text)
}
