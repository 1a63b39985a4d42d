//! Workers that share a machine are one generator: each may have room, and all together none.

use std::collections::BTreeMap;

use figures::{CPU_SHARE_MAX, Second};

/// CPU time is read several times a second: of less than this, the last second of a run, it says nothing.
const TOOK_MS_MIN: u64 = 500;

/// Workers of one machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// As their generators are called in seconds.
    pub workers: Vec<String>,
    /// Of the machine.
    pub cpus: u32,
}

/// What to doubt of the run: machines, by name, whose workers have together used too much of it.
pub(crate) fn doubts(hosts: &BTreeMap<String, Host>, seconds: &[Second]) -> Vec<String> {
    // Of one that is alone, its own record says so.
    let shared = hosts.iter().filter(|(_, host)| host.workers.len() > 1);
    shared.filter_map(|(name, host)| host.doubt(name, seconds)).collect()
}

impl Host {
    fn doubt(&self, name: &str, seconds: &[Second]) -> Option<String> {
        let cpus = f64::from(self.cpus.max(1));
        let shares = seconds.windows(2).filter_map(|pair| Some(self.used(&pair[0], &pair[1])? / cpus));
        let shares: Vec<f64> = shares.collect();
        let hot = shares.iter().filter(|&&share| share > CPU_SHARE_MAX).count();
        let most = shares.iter().copied().fold(0.0, f64::max);
        (hot > 0).then(|| {
            format!(
                "the {} workers on {name} were the bottleneck together: over {:.0} % of its {cpus} processors in {hot} of {} \
                 seconds, at most {:.0} %",
                self.workers.len(),
                CPU_SHARE_MAX * 100.0,
                shares.len(),
                most * 100.0
            )
        })
    }

    /// Processors that all have used between both.
    fn used(&self, before: &Second, after: &Second) -> Option<f64> {
        let took_ms = after.at_ms.checked_sub(before.at_ms).filter(|&took_ms| took_ms >= TOOK_MS_MIN)?;
        let used = self.workers.iter().filter_map(|worker| {
            let (since, until) = (before.generators.get(worker)?, after.generators.get(worker)?);
            Some(until.cpu_us.saturating_sub(since.cpu_us))
        });
        Some(used.sum::<u64>() as f64 / (took_ms * 1000) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use figures::Generator;

    /// Each of two workers uses this much of a processor in each second.
    fn run(percent_of_each: u64) -> Vec<Second> {
        let generator = |at: u64| Generator { cpu_us: at * percent_of_each * 10_000, ..Generator::default() };
        let second = |at: u64| Second {
            at_ms: 1000 * at,
            generators: ["w0", "w1"].map(|name| (name.to_owned(), generator(at))).into(),
            ..Second::default()
        };
        (1..=3).map(second).collect()
    }

    fn hosts(workers: &[&str]) -> BTreeMap<String, Host> {
        let host = Host { workers: workers.iter().map(|&name| name.to_owned()).collect(), cpus: 2 };
        BTreeMap::from([("here".to_owned(), host)])
    }

    #[test]
    fn two_that_have_room_each_may_have_none_together() {
        let doubts = doubts(&hosts(&["w0", "w1"]), &run(95));
        assert_eq!(doubts.len(), 1);
        assert!(doubts[0].contains("in 2 of 2 seconds, at most 95 %"), "{doubts:?}");
    }

    #[test]
    fn there_is_room_or_somebody_alone() {
        assert!(doubts(&hosts(&["w0", "w1"]), &run(30)).is_empty());
        assert!(doubts(&hosts(&["w0"]), &run(95)).is_empty());
    }
}
