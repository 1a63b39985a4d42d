//! The machine a generator runs on, and whether it was up to its task.

use std::fs;

use crate::{Machine, Record, Second};

/// Of the generators' processors, in a second.
pub const CPU_SHARE_MAX: f64 = 0.85;
/// Behind the intended time.
pub const LAG_MS_MAX: u64 = 50;

impl Machine {
    /// This one. What cannot be read stays empty. `version` is the harness's.
    pub fn here(version: &str) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32),
            cpu_model: field(&read("/proc/cpuinfo"), "model name"),
            memory_bytes: memory.trim_end_matches("kB").trim().parse().unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: version.to_owned(),
        }
    }
}

impl Record {
    /// Adds a warning if a generator was the bottleneck: latencies are then its own as well.
    pub fn warn_of_generators(&mut self) {
        let cpus = f64::from(self.machine.cpus.max(1));
        let busy: Vec<f64> = self.seconds.windows(2).filter_map(|pair| busiest(&pair[0], &pair[1])).collect();
        let hot = busy.iter().filter(|&&share| share > CPU_SHARE_MAX * cpus).count();
        if hot > 0 {
            let most = busy.iter().copied().fold(0.0, f64::max) * 100.0 / cpus;
            self.warnings.push(format!(
                "the generator was the bottleneck: over {:.0} % of its {cpus} processors in {hot} of {} seconds, at most {most:.0} %",
                CPU_SHARE_MAX * 100.0,
                busy.len(),
            ));
        }
        let lags = self.seconds.iter().map(|second| {
            second.generators.values().map(|generator| generator.lag_max_us / 1000).max().unwrap_or(0)
        });
        let late: Vec<u64> = lags.filter(|&lag_ms| lag_ms > LAG_MS_MAX).collect();
        if let Some(most) = late.iter().max() {
            self.warnings.push(format!(
                "the generator was late: more than {LAG_MS_MAX} ms behind what was intended in {} of {} seconds, at most {most} ms",
                late.len(),
                self.seconds.len(),
            ));
        }
    }
}

/// Processors that the busiest generator has used between both.
fn busiest(before: &Second, after: &Second) -> Option<f64> {
    let took_us = (after.at_ms.checked_sub(before.at_ms)? * 1000) as f64;
    let shares = after.generators.iter().filter_map(|(name, generator)| {
        let since = before.generators.get(name)?;
        Some(generator.cpu_us.saturating_sub(since.cpu_us) as f64 / took_us)
    });
    shares.filter(|share| share.is_finite()).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;

    fn record_of(generators: &[(u64, u64)]) -> Record {
        let second = |(at, &(cpu_us, lag_max_us)): (usize, &(u64, u64))| Second {
            at_ms: 1000 * (at as u64 + 1),
            generators: [("w0".to_owned(), Generator { cpu_us, lag_max_us, memory_bytes: 0 })].into(),
            ..Second::default()
        };
        let mut record = Record {
            machine: Machine { cpus: 2, ..Machine::default() },
            seconds: generators.iter().enumerate().map(second).collect(),
            ..Record::default()
        };
        record.warn_of_generators();
        record
    }

    #[test]
    fn a_generator_with_room_is_no_warning() {
        assert!(record_of(&[(0, 0), (1_600_000, 50_999)]).warnings.is_empty());
    }

    #[test]
    fn a_generator_that_is_the_bottleneck_is_warned_of() {
        let warnings = record_of(&[(0, 0), (1_900_000, 0), (2_000_000, 0)]).warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("in 1 of 2 seconds, at most 95 %"), "{warnings:?}");
    }

    #[test]
    fn a_generator_that_is_late_is_warned_of() {
        let warnings = record_of(&[(0, 0), (10, 120_000)]).warnings;
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("in 1 of 2 seconds, at most 120 ms"), "{warnings:?}");
    }

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::here("1");
        assert!(machine.cpus > 0 && machine.memory_bytes > 0 && !machine.kernel.is_empty(), "{machine:?}");
    }
}
