//! All addresses of a DNS name, asked for again and again.

use std::future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Addresses;

/// How often a name is resolved again unless something else is said, in seconds.
pub const EVERY_S: u64 = 5;

/// Who knows the addresses of names.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of this name, each with this port.
    fn lookup(&self, name: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The resolver of the system: `/etc/hosts`, and DNS as `/etc/resolv.conf` says.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    async fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, port)).await?.collect())
    }
}

/// The addresses of a name, asked for every so often; a question that takes longer is given up. While nobody answers, or the answer is that there is none, what
/// was known last holds: a name server that is down takes no peer away.
pub fn dns(resolver: impl Resolver, name: String, port: u16, every: Duration) -> Addresses {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let state = (resolver, name, interval, true);
    let asked = stream::unfold(state, move |(resolver, name, mut interval, answered_last)| async move {
        interval.tick().await;
        let answer = tokio::time::timeout(every, ask(&resolver, &name, port)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        // Once, not every few seconds.
        if let Err(error) = &answer
            && answered_last
        {
            tracing::warn!(name, %error, "a name cannot be resolved; its last addresses hold");
        }
        let answered = answer.is_ok();
        Some((answer.ok(), (resolver, name, interval, answered)))
    });
    asked.filter_map(future::ready).boxed()
}

async fn ask(resolver: &impl Resolver, name: &str, port: u16) -> io::Result<Vec<String>> {
    let addresses = resolver.lookup(name, port).await?;
    // A process with an address of either family is one process.
    let only_v4 = addresses.iter().any(SocketAddr::is_ipv4);
    let texts = addresses.iter().filter(|address| address.is_ipv4() || !only_v4).map(ToString::to_string);
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { Err(io::Error::other("it has no address")) } else { Ok(texts) }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use parking_lot::Mutex;

    use super::*;

    const EVERY: Duration = Duration::from_millis(50);

    /// Answers what it was told to, one after another; to `None`, nothing at all.
    struct Played(Mutex<VecDeque<Answer>>);

    type Answer = Option<io::Result<Vec<&'static str>>>;

    impl Played {
        fn new<const N: usize>(answers: [Answer; N]) -> Self {
            Self(Mutex::new(answers.into()))
        }
    }

    impl Resolver for Played {
        async fn lookup(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            assert_eq!(name, "owners.test");
            let answer = self.0.lock().pop_front().expect("no question more");
            let Some(answer) = answer else { return future::pending().await };
            let addresses = answer?;
            Ok(addresses.into_iter().map(|text| SocketAddr::new(text.parse().unwrap(), port)).collect())
        }
    }

    fn seen(resolver: Played) -> Addresses {
        dns(resolver, "owners.test".into(), 5290, EVERY)
    }

    #[tokio::test]
    async fn a_name_is_asked_for_again_and_an_answer_that_fails_changes_nothing() {
        let mut seen = seen(Played::new([
            Some(Ok(vec!["10.0.0.1"])),
            Some(Err(io::Error::other("no such host"))),
            Some(Ok(vec![])),
            Some(Ok(vec!["10.0.0.1", "10.0.0.2"])),
        ]));
        let began = std::time::Instant::now();

        assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290"]);
        assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290", "10.0.0.2:5290"]);
        assert!(began.elapsed() >= 3 * EVERY);
    }

    #[tokio::test]
    async fn a_resolver_that_says_nothing_is_asked_again() {
        let mut seen = seen(Played::new([None, Some(Ok(vec!["10.0.0.1"]))]));
        let began = std::time::Instant::now();

        assert_eq!(seen.next().await.unwrap(), ["10.0.0.1:5290"]);
        assert!(began.elapsed() >= EVERY);
    }

    #[tokio::test]
    async fn a_process_with_two_families_is_one() {
        let mut both = seen(Played::new([Some(Ok(vec!["fd00::1", "10.0.0.1"]))]));
        assert_eq!(both.next().await.unwrap(), ["10.0.0.1:5290"]);

        let mut v6 = seen(Played::new([Some(Ok(vec!["fd00::1", "fd00::2"]))]));
        assert_eq!(v6.next().await.unwrap(), ["[fd00::1]:5290", "[fd00::2]:5290"]);
    }

    #[tokio::test]
    async fn the_system_knows_this_machine() {
        let mut here = dns(SystemResolver, "localhost".into(), 5290, Duration::from_secs(EVERY_S));

        assert_eq!(here.next().await.unwrap(), ["127.0.0.1:5290"]);
    }
}
