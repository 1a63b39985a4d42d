//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// An XMPP server: one program that is a whole server by itself, or one role of a cluster.
#[derive(Debug, Parser)]
#[command(name = "throng", version, after_help = FIRST_STEPS, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  throng run --dev                       a server for yourself; log in as admin@localhost, password admin
  throng run --domain chat.example       a server for others, with certificates of its own making
  throng user add alice@chat.example     its first account, in another terminal
  throng config --default > throng.toml  then edit it, `throng check`, and `throng run`";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be a whole server: all roles in this process, with its own store on disk
    #[command(after_help = RUN)]
    Run(Run),
    /// Be an edge: the role that clients connect to
    #[command(after_help = ROLE)]
    Edge(Source),
    /// Be an owner of accounts: the role that opens the store
    #[command(after_help = ROLE)]
    Session(Source),
    /// Be a router: the role between owners
    #[command(after_help = ROLE)]
    Router(Source),
    /// Say whether a configuration file can be used: file, line, key, what was found and what is expected
    #[command(after_help = "Example:\n  throng check /etc/throng/throng.toml")]
    Check {
        /// The file; without it, the one that `throng run` would take
        file: Option<PathBuf>,
    },
    /// Show the configuration in effect, or every option there is
    #[command(after_help = CONFIG)]
    Config {
        /// Print a file of every option with its default and meaning
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        source: Source,
    },
    /// Add, change, remove and list accounts, whether the server runs or not
    #[command(subcommand, after_help = USER)]
    User(User),
    /// Write all accounts with everything that is kept of them to a file
    #[command(after_help = "Example, while the server runs or not:\n  throng export backup.jsonl")]
    Export {
        /// The file, which must not exist; `-` is standard output
        file: PathBuf,
        #[command(flatten)]
        source: Source,
    },
    /// Add the accounts of a file that `throng export` wrote; accounts that exist are left as they are
    #[command(after_help = "Example, while the server runs or not:\n  throng import backup.jsonl")]
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        source: Source,
    },
    /// Make or change the tables and topics that this version needs, where the store is a cluster's
    #[command(after_help = MIGRATE)]
    Migrate(Source),
    /// Move all accounts with everything that is kept of them to another store; its accounts are left as they are
    #[command(after_help = COPY)]
    Copy {
        /// The configuration file of the store to read
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The configuration file of the store to write
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Make certificates with which the roles of a cluster prove to each other who they are
    #[command(after_help = CERTIFICATES)]
    Certificates {
        /// The folder; its authority, ca.pem and ca-key.pem, is made if there is none
        folder: PathBuf,
        /// For each of these, NAME.pem and NAME-key.pem are made; what is there is replaced
        #[arg(required = true, value_name = "NAME")]
        roles: Vec<String>,
        /// What they are for: `tls_name` of [cluster]
        #[arg(long, default_value = "throng")]
        name: String,
    },
    /// Look for what would keep the server from working, and say what to do about it
    #[command(after_help = "Ends with status 1 if something fails; a warning is none.")]
    Doctor(Source),
    /// Write the references in docs/ that are made from the code
    #[command(hide = true)]
    Docs {
        /// Fail if one of them is stale, and write nothing
        #[arg(long)]
        check: bool,
    },
}

const RUN: &str = "\
Examples:
  throng run                        as throng.toml says, here or in /etc/throng; else with defaults
  throng run --domain chat.example  the same for this domain
  throng run --dev                  for yourself: localhost, data in target/dev; log in as
                                    admin@localhost with the password admin
  throng run --dev --port-offset 100 --fresh
                                    another beside it on ports 5322, 5323 and 5380, empty";

const ROLE: &str = "\
Roles of a cluster share one file; [cluster] says where each is. SIGTERM drains and ends a role.

Example, each in a terminal of its own:
  throng router --config throng.toml
  throng session --config throng.toml
  throng edge --config throng.toml";

const COPY: &str = "\
Nobody should be logged in meanwhile: what changes behind the copy is not in it, and is shown as different. What was cut
off may be begun again: accounts that are there are not copied a second time. At the end everything is read back and
compared, by count and by hash.

Example, from the embedded store to a cluster's:
  throng migrate --config cluster.toml
  throng copy --from throng.toml --to cluster.toml";

const MIGRATE: &str = "\
Before the first start, and before the start of a new version; servers of the version before may go on meanwhile.
It may be done again, and by several at once: one does it, the others wait.

Example:
  throng migrate --config throng.toml";

const CERTIFICATES: &str = "\
Keep ca-key.pem where no role is: whoever has it can be any of them. Certificates are good for 397 days; roles take
those that replace theirs without a restart.

Example, then tls_certificate = \"tls/edge.pem\", tls_key = \"tls/edge-key.pem\" and tls_authority = \"tls/ca.pem\"
in [cluster] of the edge:
  throng certificates tls edge session router";

const CONFIG: &str = "\
THRONG_SECTION_KEY in the environment goes before the file: THRONG_LOG_LEVEL=debug throng run

Examples:
  throng config                          what `throng run` would use, and where each value comes from
  throng config --default > throng.toml  a file to begin with";

const USER: &str = "\
Examples:
  throng user add alice@chat.example           asks for the password
  throng user add bob@chat.example < password  reads it from the first line of standard input
  throng user list chat.example
  throng user add carol@localhost --data target/dev
                                               on a server that `throng run --dev` started here";

/// What `throng run` takes.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) dev: Dev,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Source {
    /// The configuration file [default: throng.toml, then /etc/throng/throng.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder everything is kept in, in place of `data` of [server]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The domain served, in place of `domains` of [server]
    #[arg(long)]
    pub(crate) domain: Option<String>,
}

/// What goes with `--dev`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Dev {
    /// Be a server for oneself: domain localhost on loopback, registration on, passwords allowed without TLS, an
    /// administrator `admin` with the password `admin`
    #[arg(id = "dev", long = "dev")]
    pub(crate) on: bool,
    /// Add this to the ports 5222, 5223 and 5280
    #[arg(long, value_name = "N", default_value_t = 0, requires = "dev")]
    pub(crate) port_offset: u16,
    /// Begin without the data of earlier runs
    #[arg(long, requires = "dev")]
    pub(crate) fresh: bool,
    /// Whether messages are archived
    #[arg(long, value_name = "on|off", requires = "dev")]
    pub(crate) archive: Option<Switch>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl Switch {
    pub(crate) fn is_on(self) -> bool {
        self == Self::On
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add an account
    Add(Named),
    /// Give an account another password; its sessions end
    Passwd(Named),
    /// Remove an account with everything that is kept of it; its sessions end
    Remove(Named),
    /// List the accounts of a domain, or of all
    List {
        /// Only those of this domain
        only: Option<String>,
        #[command(flatten)]
        source: Source,
    },
}

/// An account, and where it is.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its bare JID, as alice@chat.example
    pub(crate) account: String,
    #[command(flatten)]
    pub(crate) source: Source,
}
