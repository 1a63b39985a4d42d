//! `chat`: the server beside the floor, alternating, so that what else the machine does falls on both.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpStream;

use crate::chat::{self, Figures, Load, Target};
use crate::client::Client;
use crate::server::{Floor, Server, Setup, Switch};

/// What `chat` takes.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// How often each of the two is measured
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Users, who talk two by two
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// Messages under way from each user
    #[arg(long, default_value_t = 4)]
    window: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 250)]
    bytes: usize,
    /// Seconds measured
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Seconds before that
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// Stream management on the server's side: `<r/>` after every fifth stanza, and each `<r/>` answered
    #[arg(long)]
    sm: bool,
    /// Whether the server that is started archives messages
    #[arg(long, value_name = "on|off", default_value = "off")]
    archive: Switch,
    /// Start the server as three processes: router, session, edge
    #[arg(long)]
    split: bool,
    /// A server that runs already, in place of one that is started; its accounts are u0, u1, …
    #[arg(long, value_name = "ADDRESS,PID[,PID…]")]
    server: Option<Target>,
    /// A floor that runs already
    #[arg(long, value_name = "ADDRESS,PID")]
    floor: Option<Target>,
    /// Make the accounts in band first
    #[arg(long, requires = "server")]
    register: bool,
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (address, pids) = text.split_once(',').context("an address, a comma, and a process or more")?;
        let address: SocketAddr = address.parse()?;
        Ok(Self { address, pids: pids.split(',').map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl Chat {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let load = Load {
            users: self.users & !1,
            window: self.window,
            bytes: self.bytes,
            management: false,
            warm_up: Duration::from_secs(self.warm_up),
            measured: Duration::from_secs(self.seconds),
        };
        let mut started = None;
        let (server, names) = if let Some(server) = self.server {
            (server, Vec::new())
        } else {
            let setup = Setup { archive: self.archive, split: self.split, accounts: self.users, contacts: 0 };
            let server = started.insert(Server::start(&setup).await?);
            (server.target(), server.names())
        };
        if self.register {
            register(server.address, load.users).await?;
        }
        let mut floor_started = None;
        let floor = match self.floor {
            Some(floor) => floor,
            None => floor_started.insert(Floor::start().await?).target(),
        };
        compare(&floor, &server, &names, &load, self.sm, self.pairs).await
    }
}

async fn compare(
    floor: &Target,
    server: &Target,
    names: &[&str],
    load: &Load,
    management: bool,
    pairs: usize,
) -> anyhow::Result<()> {
    println!(
        "| pair | floor: CPU µs a delivery (deliveries/s) | server: CPU µs a delivery (deliveries/s) | ratio |"
    );
    println!("|---|---|---|---|");
    let mut ratios = Vec::new();
    let mut lost = 0;
    for pair in 1..=pairs {
        let below = chat::run(floor, load).await.context("the floor")?;
        let above = chat::run(server, &Load { management, ..*load }).await.context("the server")?;
        let ratio = above.cpu_us() / below.cpu_us();
        println!("| {pair} | {} | {}{} | {ratio:.2} |", row(&below), row(&above), shares(&above, names));
        ratios.push(ratio);
        lost += above.lost + below.lost;
    }
    println!("\nmedian ratio {:.2}; messages lost {lost}", median(&mut ratios));
    Ok(())
}

fn row(figures: &Figures) -> String {
    format!("{:.2} ({:.0})", figures.cpu_us(), figures.per_second())
}

/// Of a server of several processes, what each spends.
fn shares(figures: &Figures, names: &[&str]) -> String {
    if names.len() < 2 {
        return String::new();
    }
    let shares: Vec<_> =
        names.iter().zip(figures.cpu_us_each()).map(|(name, cpu)| format!("{name} {cpu:.2}")).collect();
    format!(": {}", shares.join(", "))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}

async fn register(address: SocketAddr, users: usize) -> anyhow::Result<()> {
    for number in 0..users {
        Client::new(TcpStream::connect(address).await?).register(number).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
