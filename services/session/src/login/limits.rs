//! How often one address may try: counted in windows of fixed length, in a table that cannot grow without end.
//!
//! Each process counts for itself and tells the counters of all, so that a limit holds whichever process is asked: of
//! each that has not heard yet an address has one more. Nobody waits for that answer; without it a process has its own
//! count.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use store::Counters;
use tokio::sync::Semaphore;

use crate::config::Config;

/// Addresses that a table remembers. With more in one window it begins anew: who has that many is not held by this.
const ADDRESSES_MAX: usize = 100_000;
/// Accounts for anonymous logins (RFC 4505) of one address in a minute: each is written to the store.
const ANONYMOUS_MAX: u32 = 60;
/// Answers of the counters of all that may be outstanding; what is counted beyond is not told.
const ASKED_MAX: usize = 256;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// What an address may do so often, here and at all others.
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
pub(crate) struct Rate {
    /// What it is called among the counters of all.
    name: &'static str,
    window_ms: u64,
    max: u32,
    addresses_max: usize,
    window: Arc<Mutex<Window>>,
    all: Arc<dyn Counters>,
    asked: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Window {
    /// Begins with the first that is counted after the one before.
    from_ms: u64,
    counts: HashMap<Address, Count, RandomState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    here: u32,
    /// Of all processes together, as far as it was heard.
    all: u64,
}

impl Limits {
    pub(crate) fn new(config: &Config, all: &Arc<dyn Counters>) -> Self {
        let rate = |name, max, window_ms| Rate::new(name, (max, window_ms), ADDRESSES_MAX, Arc::clone(all));
        Self {
            failures: rate("login-failures", config.login_failures_max, MINUTE_MS),
            registrations: rate("registrations", config.registrations_max, HOUR_MS),
            anonymous: rate("anonymous-logins", ANONYMOUS_MAX, MINUTE_MS),
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
    fn new(
        name: &'static str,
        (max, window_ms): (u32, u64),
        addresses_max: usize,
        all: Arc<dyn Counters>,
    ) -> Self {
        let asked = Arc::new(Semaphore::new(ASKED_MAX));
        Self { name, window_ms, max, addresses_max, window: Arc::default(), all, asked }
    }

    /// Whether an address has had all it may have in this window.
    pub(crate) fn is_spent(&self, address: Address, now_ms: u64) -> bool {
        let window = self.window.lock();
        let count = self.is_open(&window, now_ms).then(|| window.counts.get(&address)).flatten();
        let count = count.copied().unwrap_or_default();
        u64::from(count.here).max(count.all) >= u64::from(self.max)
    }

    /// Counts one more of an address; false: that is too many. To be called in a runtime.
    pub(crate) fn spend(&self, address: Address, now_ms: u64) -> bool {
        let fits = {
            let mut window = self.window.lock();
            let full = window.counts.len() >= self.addresses_max && !window.counts.contains_key(&address);
            if !self.is_open(&window, now_ms) || full {
                window.from_ms = now_ms;
                window.counts.clear();
            }
            let count = window.counts.entry(address).or_default();
            count.here = count.here.saturating_add(1);
            u64::from(count.here).max(count.all.saturating_add(1)) <= u64::from(self.max)
        };
        // Of who is held anyway the others need not hear.
        if fits {
            self.tell_all(address);
        }
        fits
    }

    /// Whether now is within a window. One that begins later was opened by a clock that was put back since.
    fn is_open(&self, window: &Window, now_ms: u64) -> bool {
        now_ms.checked_sub(window.from_ms).is_some_and(|since_ms| since_ms < self.window_ms)
    }

    /// Counts one more where all count, and remembers what they have counted.
    fn tell_all(&self, address: Address) {
        let Ok(asked) = Arc::clone(&self.asked).try_acquire_owned() else { return };
        let (all, window, window_ms) = (Arc::clone(&self.all), Arc::clone(&self.window), self.window_ms);
        let counter = format!("{}:{address}", self.name);
        tokio::spawn(async move {
            match all.add(&counter, 1, window_ms).await {
                Ok(counted) => {
                    if let Some(count) = window.lock().counts.get_mut(&address) {
                        count.all = count.all.max(counted);
                    }
                }
                Err(error) => tracing::debug!(%error, counter, "what happened here was counted here alone"),
            }
            drop(asked);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    fn rate(max: u32, all: &Arc<dyn Counters>) -> Rate {
        Rate::new("tries", (max, 1_000), 10, Arc::clone(all))
    }

    /// Counters of one process alone.
    fn alone(max: u32) -> Rate {
        rate(max, &store::memory::open().counters)
    }

    /// Lets what was told arrive.
    async fn heard() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_address_has_so_many_in_a_window_and_as_many_in_the_next() {
        let rate = alone(2);
        let (here, there) = (Address::parse(HERE), Address::parse("192.0.2.2"));
        assert!(rate.spend(here, 5_000) && !rate.is_spent(here, 5_001));
        assert!(rate.spend(here, 5_500) && rate.is_spent(here, 5_501));
        assert!(!rate.spend(here, 5_999));
        assert!(rate.spend(there, 5_999));
        assert!(!rate.is_spent(here, 6_000));
        assert!(rate.spend(here, 6_000));
    }

    #[tokio::test]
    async fn a_clock_that_is_put_back_shuts_nobody_out_for_longer() {
        let (rate, here) = (alone(1), Address::parse(HERE));
        assert!(rate.spend(here, 305_000) && rate.is_spent(here, 305_001));
        assert!(!rate.is_spent(here, 5_000));
        assert!(rate.spend(here, 5_000) && rate.is_spent(here, 5_999) && !rate.is_spent(here, 6_000));
    }

    #[tokio::test]
    async fn what_an_address_has_had_elsewhere_it_has_not_here() {
        let all = store::memory::open().counters;
        let (one, other, here) = (rate(3, &all), rate(3, &all), Address::parse(HERE));
        for _ in 0..3 {
            assert!(one.spend(here, 5_000));
        }
        heard().await;

        assert!(one.is_spent(here, 5_001));
        assert!(!other.is_spent(here, 5_001), "it has not heard of it yet");
        assert!(other.spend(here, 5_001));
        heard().await;
        assert!(other.is_spent(here, 5_002) && !other.spend(here, 5_002));
        assert!(!other.is_spent(Address::parse("192.0.2.2"), 5_002));
    }

    #[tokio::test]
    async fn while_all_cannot_be_asked_a_process_has_its_own_count() {
        struct Away;
        #[async_trait::async_trait]
        impl Counters for Away {
            async fn add(&self, _: &str, _: u64, _: u64) -> store::Result<u64> {
                Err(store::Error::Refused("away".into()))
            }
            async fn count(&self, _: &str) -> store::Result<u64> {
                Err(store::Error::Refused("away".into()))
            }
        }
        let all: Arc<dyn Counters> = Arc::new(Away);
        let (rate, here) = (rate(2, &all), Address::parse(HERE));
        assert!(rate.spend(here, 5_000));
        heard().await;
        assert!(rate.spend(here, 5_001));
        heard().await;
        assert!(rate.is_spent(here, 5_002) && !rate.spend(here, 5_002));
        assert_eq!(rate.asked.available_permits(), ASKED_MAX);
    }

    #[tokio::test]
    async fn the_table_does_not_grow_without_end() {
        let rate = alone(1);
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
