//! Options and servers: what all sessions of a `tsung.xml` have in common.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use scenario::{DataFile, Span, Transport};

use crate::notes::Notes;
use crate::xml::Tag;

/// So many accounts, if they come from a file of which nobody knows the length.
const ACCOUNTS_OF_FILE: u64 = 1_000;
/// The names of the table and of its columns, from which accounts come.
pub(crate) type AccountColumns = (String, String, String);

/// The options of all sessions.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) domain: String,
    username: String,
    password: String,
    pub(crate) accounts: u64,
    /// How many sessions meet where `ack` is `global`.
    pub(crate) meeting: u64,
    pub(crate) muc_service: String,
    pub(crate) pubsub_service: String,
    bosh_path: String,
    websocket_path: String,
    pub(crate) think: Think,
    /// By their ids; their columns are known once a session names them.
    pub(crate) tables: RefCell<BTreeMap<String, DataFile>>,
    /// Where accounts come from a table.
    pub(crate) account_columns: RefCell<Option<AccountColumns>>,
    /// Whether that has been said.
    pub(crate) said_accounts: Cell<bool>,
}

/// What is thought where a session does not say how long.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Think {
    pub(crate) span: Span,
    pub(crate) random: bool,
    pub(crate) instead_of_all: bool,
}

impl Options {
    pub(crate) fn read(root: Tag<'_, '_>, notes: &mut Notes) -> Self {
        let mut options = Self {
            domain: "erlang-projects.org".to_owned(),
            username: "tsunguser".to_owned(),
            password: "sesame".to_owned(),
            accounts: 10_000,
            meeting: 100,
            muc_service: "conference.localhost".to_owned(),
            pubsub_service: "pubsub.localhost".to_owned(),
            bosh_path: "/http-bind/".to_owned(),
            websocket_path: "/chat".to_owned(),
            think: Think::default(),
            tables: RefCell::default(),
            account_columns: RefCell::default(),
            said_accounts: Cell::default(),
        };
        for option in root.child("options").into_iter().flat_map(Tag::children) {
            options.take(option, notes);
        }
        options
    }

    pub(crate) fn username(&self) -> String {
        match &*self.account_columns.borrow() {
            Some((table, username, _)) => format!("{{{table}.{username}}}"),
            None => format!("{}{{n}}", self.username),
        }
    }

    pub(crate) fn password(&self) -> String {
        match &*self.account_columns.borrow() {
            Some((table, _, password)) => format!("{{{table}.{password}}}"),
            None => format!("{}{{n}}", self.password),
        }
    }

    /// A service's address, which moves with the domain if it is below it.
    pub(crate) fn service(&self, service: &str) -> String {
        match service.strip_suffix(&self.domain) {
            Some(below) if below.is_empty() || below.ends_with('.') => format!("{below}{{domain}}"),
            _ => service.to_owned(),
        }
    }

    fn take(&mut self, option: Tag<'_, '_>, notes: &mut Notes) {
        let name = option.attribute("name").unwrap_or_default();
        let value = option.attribute("value").unwrap_or_default().trim().to_owned();
        if option.attribute("type").is_some_and(|kind| kind != "ts_jabber") {
            notes.info(option, format!("the option `{name}` of another protocol is left out"));
            return;
        }
        match name {
            "domain" => self.domain = value,
            "username" => self.username = value,
            "passwd" => self.password = value,
            "muc_service" => self.muc_service = value,
            "pubsub_service" => self.pubsub_service = value,
            "bosh_path" => self.bosh_path = value,
            "websocket_path" => self.websocket_path = value,
            "userid_max" | "global_number" => self.take_number(option, name, &value, notes),
            "thinktime" => self.think = self.read_think(option),
            "file_server" | "local_file_server" => {
                let id = option.attribute("id").unwrap_or("default").to_owned();
                let table = DataFile {
                    file: Some(PathBuf::from(value)),
                    delimiter: ';',
                    columns: Vec::new(),
                    rows: Vec::new(),
                    shuffled: false,
                };
                self.tables.borrow_mut().insert(id, table);
            }
            "random_from_fileid" | "offline_from_fileid" => {
                let text = "partners are drawn from the accounts, which are those of the file".to_owned();
                notes.info(option, text);
            }
            "fileid_delimiter" => {}
            "vhost_file" => notes.error(option, "many domains in one run (`vhost_file`) cannot be converted"),
            _ => notes.info(option, format!("the option `{name}` is left out")),
        }
    }

    fn take_number(&mut self, option: Tag<'_, '_>, name: &str, value: &str, notes: &mut Notes) {
        match (name, value.parse::<u64>()) {
            // Accounts come from a file.
            ("userid_max", Ok(0)) => {
                self.accounts = ACCOUNTS_OF_FILE;
                notes.warn(
                    option,
                    format!("accounts.count is {ACCOUNTS_OF_FILE}: set it to the rows of the file"),
                );
            }
            ("userid_max", Ok(count)) => self.accounts = count,
            (_, Ok(count)) => self.meeting = count,
            (_, Err(_)) => notes.error(option, format!("`{name}` is no whole number: \"{value}\"")),
        }
    }

    fn read_think(&self, option: Tag<'_, '_>) -> Think {
        let random = option.is("random", "true") || option.attribute("min").is_some();
        Think {
            span: span(option, random).unwrap_or(self.think.span),
            random,
            instead_of_all: option.is("override", "true"),
        }
    }
}

/// How long is thought, by the attributes of an element; `None` if they do not say.
pub(crate) fn span(tag: Tag<'_, '_>, random: bool) -> Option<Span> {
    let time = |name: &str| {
        let seconds = tag.number(name)?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    match (time("min"), time("max"), time("value")) {
        (Some(least), Some(most), _) if least <= most => Some(Span::Between(least, most)),
        (_, _, Some(mean)) if random => Some(Span::About(mean)),
        (_, _, Some(exact)) => Some(Span::Fixed(exact)),
        _ => None,
    }
}

/// How bytes travel to the servers.
pub(crate) fn transport(root: Tag<'_, '_>, notes: &mut Notes) -> Transport {
    let mut transports = Vec::new();
    for server in root.child("servers").into_iter().flat_map(Tag::children) {
        let kind = server.attribute("type").unwrap_or("tcp");
        let transport = match kind {
            "tcp" | "tcp6" => Transport::Tcp,
            "ssl" | "ssl6" => Transport::Tls,
            "bosh" => Transport::Bosh,
            "bosh_ssl" => Transport::BoshTls,
            "websocket" => Transport::Websocket,
            "websocket_ssl" => Transport::WebsocketTls,
            _ => {
                notes.error(server, format!("servers of type `{kind}` do not speak XMPP"));
                continue;
            }
        };
        if server.number("weight").is_some_and(|weight| (weight - 1.0).abs() > f64::EPSILON) {
            notes.warn(server, "sessions are spread evenly over servers, whatever their weight");
        }
        if transports.first().is_some_and(|first| *first != transport) {
            notes.error(server, "servers of different types in one file cannot be converted");
        }
        transports.push(transport);
    }
    if transports.is_empty() && !notes.has_errors() {
        notes.error(root, "there are no <servers>");
    }
    transports.first().copied().unwrap_or_default()
}

/// Where the servers are.
pub(crate) fn addresses(root: Tag<'_, '_>, options: &Options) -> Vec<String> {
    let servers = root.child("servers").into_iter().flat_map(Tag::children);
    let address = |server: Tag<'_, '_>| {
        let host = server.attribute("host").unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let at = format!("{host}:{}", server.attribute("port").unwrap_or_default());
        match server.attribute("type").unwrap_or_default() {
            "bosh" => format!("http://{at}{}", options.bosh_path),
            "bosh_ssl" => format!("https://{at}{}", options.bosh_path),
            "websocket" => format!("ws://{at}{}", options.websocket_path),
            "websocket_ssl" => format!("wss://{at}{}", options.websocket_path),
            _ => at,
        }
    };
    servers.map(address).collect()
}
