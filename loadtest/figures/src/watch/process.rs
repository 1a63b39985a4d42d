//! What `/proc` says about a process (proc(5)).

use std::fs;

/// User and system time of all its threads since it began, in steps of a clock tick. `None`: it has ended.
pub(super) fn cpu_us(process: u32) -> Option<u64> {
    cpu_ticks(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
        .map(|ticks| ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
}

/// Its share of all pages; without permission for that, what is resident.
pub(super) fn memory_bytes(process: u32) -> Option<u64> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).ok();
    let proportional = read("smaps_rollup").and_then(|text| kibibytes(&text, "Pss:"));
    Some(proportional.or_else(|| kibibytes(&read("status")?, "VmRSS:"))? * 1024)
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name, in brackets, may have anything in it. Behind it the state is field 3; times are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(ticks()? + ticks()?)
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 1 0 100 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("17 (a) S 1"), None);
    }

    #[test]
    fn memory_is_in_kibibytes() {
        assert_eq!(kibibytes("Rss:   12 kB\nPss:    7 kB\nPss_Dirty: 1 kB\n", "Pss:"), Some(7));
        assert_eq!(kibibytes("Rss:   12 kB\n", "Pss:"), None);
    }
}
