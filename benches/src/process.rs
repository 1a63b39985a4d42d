//! What a process has spent and holds, as Linux tells it (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// `CLK_TCK`, 100 on every Linux of today.
const TICK: Duration = Duration::from_millis(10);
/// Fields 14 and 15 of `stat`, counted after the name, which may contain anything but ends with the last `)`.
const UTIME: usize = 11;

/// CPU time, user and system, of all threads so far.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let ticks: u32 =
        fields.split_whitespace().skip(UTIME).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
}

/// Proportional set size, in bytes: resident pages, each divided by how many processes share it.
pub(crate) fn pss(pid: u32) -> anyhow::Result<u64> {
    let rollup =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).with_context(|| format!("process {pid}"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("a process has a PSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}

/// How many files, sockets among them, it has open.
pub(crate) fn open_files(pid: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_spends_and_holds() {
        let pid = std::process::id();
        let before = cpu(pid).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(200) {}
        assert!(cpu(pid).unwrap() > before);
        assert!(pss(pid).unwrap() > 4096);
        assert!(open_files(pid).unwrap() > 2);
    }
}
