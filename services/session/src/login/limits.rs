//! How often one address may try: counted in windows of fixed length, in a table that cannot grow without end.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::config::Config;

/// Addresses that a table remembers. With more in one window it begins anew: who has that many is not held by this.
const ADDRESSES_MAX: usize = 100_000;
/// Accounts for anonymous logins (RFC 4505) of one address in a minute: each is written to the store.
const ANONYMOUS_MAX: u32 = 60;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// The limits of one process.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Failed logins in a minute.
    pub(crate) failures: Rate,
    /// Accounts asked for in band in an hour.
    pub(crate) registrations: Rate,
    /// Anonymous logins in a minute.
    pub(crate) anonymous: Rate,
}

/// Where a client comes from, as far as limits go: a network of IPv6 is one, as it belongs to one. Everything that is
/// no address of IP is the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(Option<IpAddr>);

/// How often something happened in a window, for each address.
#[derive(Debug)]
pub(crate) struct Rate {
    window_ms: u64,
    max: u32,
    addresses_max: usize,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// Begins with the first that is counted after the one before.
    from_ms: u64,
    counts: HashMap<Address, u32, RandomState>,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            failures: Rate::new(config.login_failures_max, MINUTE_MS, ADDRESSES_MAX),
            registrations: Rate::new(config.registrations_max, HOUR_MS, ADDRESSES_MAX),
            anonymous: Rate::new(ANONYMOUS_MAX, MINUTE_MS, ADDRESSES_MAX),
        }
    }
}

impl Address {
    /// From `192.0.2.1`, `2001:db8::1`, or either with a port.
    pub(crate) fn parse(text: &str) -> Self {
        let ip = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
        Self(ip.ok().map(|ip| match ip.to_canonical() {
            // RFC 6177 §2: a site has a /64 at least.
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
            ip @ IpAddr::V4(_) => ip,
        }))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(ip) => ip.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl Rate {
    fn new(max: u32, window_ms: u64, addresses_max: usize) -> Self {
        Self { window_ms, max, addresses_max, window: Mutex::default() }
    }

    /// Whether an address has had all it may have in this window.
    pub(crate) fn is_spent(&self, address: Address, now_ms: u64) -> bool {
        let window = self.window.lock();
        let count = (now_ms < window.from_ms + self.window_ms).then(|| window.counts.get(&address)).flatten();
        count.copied().unwrap_or_default() >= self.max
    }

    /// Counts one more of an address; false: that is too many.
    pub(crate) fn spend(&self, address: Address, now_ms: u64) -> bool {
        let mut window = self.window.lock();
        let full = window.counts.len() >= self.addresses_max && !window.counts.contains_key(&address);
        if now_ms >= window.from_ms + self.window_ms || full {
            window.from_ms = now_ms;
            window.counts.clear();
        }
        let count = window.counts.entry(address).or_default();
        *count = count.saturating_add(1);
        *count <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    #[test]
    fn an_address_has_so_many_in_a_window_and_as_many_in_the_next() {
        let rate = Rate::new(2, 1_000, 10);
        let (here, there) = (Address::parse(HERE), Address::parse("192.0.2.2"));
        assert!(rate.spend(here, 5_000) && !rate.is_spent(here, 5_001));
        assert!(rate.spend(here, 5_500) && rate.is_spent(here, 5_501));
        assert!(!rate.spend(here, 5_999));
        assert!(rate.spend(there, 5_999));
        assert!(!rate.is_spent(here, 6_000));
        assert!(rate.spend(here, 6_000));
    }

    #[test]
    fn the_table_does_not_grow_without_end() {
        let rate = Rate::new(1, 1_000, 10);
        for n in 0..1_000 {
            rate.spend(Address::parse(&format!("10.0.{}.{}", n / 250, n % 250)), 5_000);
            assert!(rate.window.lock().counts.len() <= 10);
        }
    }

    #[test]
    fn nobody_has_more_by_another_way_to_write_an_address() {
        let same = [
            (HERE, "192.0.2.1:5222"),
            (HERE, "::ffff:192.0.2.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::"),
            ("2001:db8:0:1::1", "[2001:db8:0:1::2]:5222"),
            ("", "no address"),
        ];
        for (one, other) in same {
            assert_eq!(Address::parse(one), Address::parse(other), "{one} {other}");
        }
        assert_ne!(Address::parse("2001:db8:0:1::1"), Address::parse("2001:db8:0:2::1"));
        assert_ne!(Address::parse(HERE), Address::parse(""));
    }
}
