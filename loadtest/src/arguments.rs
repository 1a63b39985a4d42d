//! What can be asked of `throng-load`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use figures::Source;

/// Loads an XMPP server as a scenario says, and proves what became of every message.
///
/// Any server: nothing but its standard protocols is used. Latencies of open loads count from the time at which
/// something was to happen, so that a server that stalls cannot hide it.
#[derive(Debug, Parser)]
#[command(name = "throng-load", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all is well
  1  a goal was missed, or a comparison shows a regression
  2  the ledger holds something against the run: lost, doubled, reordered, astray, or archives that differ
  3  the scenario, an address or an argument is wrong
  4  the run could not be made, or was stopped

Begin with:
  throng-load explain p2p
  throng-load run p2p --connect 127.0.0.1:5222 --domain example.org --ca ca.pem --report p2p.html
  throng-load compare before.json after.json --max-regression 5";

const RUN_EXAMPLES: &str = "\
Examples:
  A shipped scenario, with another rate, a watched server and a report:
    throng-load run p2p --connect 127.0.0.1:5222 --domain example.org --ca ca.pem \\
      --set rate=5000 --watch throng=$(pidof throng) --report p2p.html

  A file of your own against an endpoint for WebSocket:
    throng-load run chat.toml --connect ws://127.0.0.1:5280/ws --domain example.org

  More connections than one address has ports for:
    throng-load run conn-tls --set users=60000 --source 127.0.1.1-127.0.1.4 ...

  A server that is killed and started again while it is loaded:
    throng-load run kill-edge --watch edge=4711 --hook start='systemctl start edge' ...

Beside the report is its record (p2p.json), which `throng-load report` and `compare` read.";

const CONTROLLER_EXAMPLES: &str = "\
Examples:
  Two workers, each on a machine of its own, which load a third:
    throng-load controller p2p --workers 2 --listen 0.0.0.0:5290 --connect xmpp.example.org:5222 ...
    throng-load worker --controller controller.example.org:5290

  The same on one machine, for more processors or ports than one process uses:
    throng-load run p2p --workers 2 ...";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a scenario against a server
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Play a scenario with workers on any machines, which dial this process
    #[command(after_help = CONTROLLER_EXAMPLES)]
    Controller(Box<Controller>),
    /// Play a part of a scenario for a controller, once
    Worker(Worker),
    /// Check a scenario, and say with line and key what is wrong with it
    Validate(Chosen),
    /// Say in plain words what a scenario does and how much that is
    Explain(Chosen),
    /// List the shipped scenarios
    List,
    /// Print a shipped scenario, as a start for one of your own
    Show {
        /// Its name
        name: String,
    },
    /// Print the JSON schema of scenario files
    Schema,
    /// Make a report from the record of a run
    Report(Report),
    /// Say what changed between two runs, or between several on each side
    Compare(Compare),
    /// Convert a tsung.xml into a scenario
    Tsung(Tsung),
    /// Serve as a null server: it lets everybody in and passes messages on, so that the generator itself is measured
    Null(Null),
    /// Stand between clients and a server and plant faults for the ledger to find
    Faults(Faults),
}

/// A scenario with its parameters.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// The name of a shipped scenario (see `list`), or the path of a file
    #[arg(value_name = "SCENARIO")]
    pub name: String,
    /// Sets a parameter of the scenario; may be given again
    #[arg(long = "set", value_name = "NAME=NUMBER", value_parser = named::<f64>)]
    pub set: Vec<(String, f64)>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub chosen: Chosen,
    #[command(flatten)]
    pub target: Target,
    /// Watches a process on this machine, or an endpoint of Prometheus: its CPU time and memory are in the report
    #[arg(long, value_name = "NAME=PID[,PID]|NAME=URL", value_parser = named::<Source>)]
    pub watch: Vec<(String, Source)>,
    /// The server's endpoint of Prometheus, watched as well
    #[arg(long, value_name = "URL")]
    pub metrics: Option<String>,
    /// The command for a fault of the scenario that is called so; run by sh
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named::<String>)]
    pub hook: Vec<(String, String)>,
    /// Makes chance repeatable: arrivals, partners and waits are the same for the same seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes the report here, and the record beside it
    #[arg(long, value_name = "OUT.html")]
    pub report: Option<PathBuf>,
    /// Serves figures for Prometheus on this address while the run is on
    #[arg(long, value_name = "ADDRESS")]
    pub prometheus: Option<SocketAddr>,
    /// Pushes figures to this OTLP endpoint (gRPC) while the run is on
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
    /// Says nothing while the run is on
    #[arg(long)]
    pub quiet: bool,
    /// How many processes play together; with `run` they are started on this machine
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = workers)]
    pub workers: usize,
}

/// What workers are told is told to the controller: scenarios, files and addresses are those of its machine. Processes that
/// are watched, and hooks, are those of the first worker's.
#[derive(Debug, Args)]
pub(crate) struct Controller {
    #[command(flatten)]
    pub run: Run,
    /// Where workers dial; they are not asked who they are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5290")]
    pub listen: SocketAddr,
    /// How long they may take to come, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub patience: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Where the controller listens
    #[arg(long, value_name = "HOST:PORT")]
    pub controller: String,
    /// How long it is tried to reach it, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub patience: Duration,
    /// Addresses of this machine to connect from, instead of those that the controller deals out
    #[arg(long, value_name = "ADDRESS[-ADDRESS]", value_delimiter = ',', value_parser = sources)]
    pub source: Vec<Sources>,
    /// Says nothing while the run is on
    #[arg(long)]
    pub quiet: bool,
}

/// Who is loaded, and from where.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Where the server listens: host:port, or ws://host:port/path for WebSocket, http://host:port/path for BOSH; given
    /// again, sessions are spread [default: what the scenario says, else 127.0.0.1:5222]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub connect: Vec<String>,
    /// The domain of the accounts [default: what the scenario says, else localhost]
    #[arg(long)]
    pub domain: Option<String>,
    /// As reports call the server [default: the first address]
    #[arg(long = "as", value_name = "NAME")]
    pub called: Option<String>,
    /// Trusts servers with a certificate by these authorities (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Trusts any server
    #[arg(long)]
    pub insecure: bool,
    /// Addresses of this machine to connect from, in turn: an address, or the first and last of several
    #[arg(long, value_name = "ADDRESS[-ADDRESS]", value_delimiter = ',', value_parser = sources)]
    pub source: Vec<Sources>,
}

/// One or several addresses that follow each other.
pub(crate) type Sources = std::sync::Arc<[IpAddr]>;

/// All of them.
pub(crate) fn addresses(sources: &[Sources]) -> Vec<IpAddr> {
    sources.iter().flat_map(|sources| sources.iter().copied()).collect()
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Of a run
    pub record: PathBuf,
    /// Where the report goes [default: beside the record]
    #[arg(long, value_name = "OUT.html")]
    pub out: Option<PathBuf>,
    /// Prints a summary in Markdown instead
    #[arg(long)]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The record before; several, with commas, are taken together
    #[arg(value_delimiter = ',', num_args = 1, required = true)]
    pub before: Vec<PathBuf>,
    /// The record after
    #[arg(value_delimiter = ',', num_args = 1, required = true)]
    pub after: Vec<PathBuf>,
    /// Fails if something got worse by more than this, and not by chance
    #[arg(long, value_name = "PERCENT")]
    pub max_regression: Option<f64>,
    /// Prints the table in Markdown
    #[arg(long)]
    pub markdown: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tsung {
    /// Of Tsung
    pub file: PathBuf,
    /// Where the scenario goes [default: standard output]
    #[arg(short, long, value_name = "OUT.toml")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Null {
    /// For TCP, with STARTTLS offered
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5222")]
    pub listen: SocketAddr,
    /// For TLS from the first byte
    #[arg(long, value_name = "ADDRESS")]
    pub direct: Option<SocketAddr>,
    /// Of everybody's account
    #[arg(long, default_value = "localhost")]
    pub domain: String,
}

/// Each kind of fault hits one in so many of the stanzas that a ledger follows; 0 is never.
#[derive(Debug, Args)]
pub(crate) struct Faults {
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The server
    #[arg(long, value_name = "ADDRESS")]
    pub server: SocketAddr,
    /// Leaves one in so many out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub drop: u32,
    /// Sends one in so many twice
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub double: u32,
    /// Holds one in so many for a while
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub delay: u32,
    /// Lets one in so many be overtaken by the next of its pair
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reorder: u32,
    /// How long is held what is delayed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "6", value_parser = seconds)]
    pub delay_for: Duration,
    /// Lets everything stand still once, for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub stall: Option<Duration>,
    /// So long after the start
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub stall_after: Duration,
    /// In what clients send, not in what they receive
    #[arg(long)]
    pub towards_server: bool,
    /// What was planted is written here, a line of JSON each
    #[arg(long, value_name = "FILE", default_value = "planted.jsonl")]
    pub log: PathBuf,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `name=value`.
fn named<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<(String, T), String> {
    let (name, value) = text.split_once('=').ok_or("it is NAME=VALUE")?;
    let value = value.parse().map_err(|error| format!("{value}: {error}"))?;
    Ok((name.to_owned(), value))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Processes at most.
const WORKERS_MAX: usize = 1000;

fn workers(text: &str) -> Result<usize, String> {
    let workers = text.parse().ok().filter(|workers| (1..=WORKERS_MAX).contains(workers));
    workers.ok_or_else(|| format!("it is a number from 1 to {WORKERS_MAX}"))
}

/// Addresses of a range at most.
const SOURCES_MAX: u32 = 4096;

fn sources(text: &str) -> Result<Sources, String> {
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("{text} is no address"));
    let Some((first, last)) = text.split_once('-') else { return Ok([address(text)?].into()) };
    let (IpAddr::V4(first), IpAddr::V4(last)) = (address(first)?, address(last)?) else {
        return Err("ranges are of IPv4".to_owned());
    };
    let (first, last) = (u32::from(first), u32::from(last));
    if last < first || last - first >= SOURCES_MAX {
        return Err(format!("a range goes up, and has {SOURCES_MAX} addresses at most"));
    }
    Ok((first..=last).map(|address| IpAddr::V4(address.into())).collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_range_of_addresses_is_all_of_them() {
        assert_eq!(sources("127.0.1.1-127.0.1.3").unwrap().len(), 3);
        assert_eq!(sources("::1").unwrap().len(), 1);
        assert!(sources("127.0.1.3-127.0.1.1").is_err());
    }
}
