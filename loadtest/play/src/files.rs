//! Open files: each connection is one, and a process may have only so many.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a generator has open beside its connections.
const OTHERS: u64 = 64;

/// Raises the limit as far as it may be; what the operator should know if so many sessions may still be too many.
pub(crate) fn make_room(sessions: u64) -> Option<String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current }.unwrap_or(u64::MAX);
    (sessions + OTHERS > limit).then(|| {
        format!(
            "{sessions} sessions may be open at once, but a process may have {limit} open files: \
             use more workers, or raise the limit (ulimit -n)"
        )
    })
}

/// Says what connections failed with, if it was that limit.
pub(crate) fn explain(counts: &BTreeMap<String, u64>) -> Option<String> {
    let failed = |condition: &str| {
        counts
            .iter()
            .find(|(name, _)| name.starts_with("failed.connect") && name.ends_with(condition))
            .map(|(_, n)| *n)
    };
    if let Some(count) = failed("too-many-open-files") {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        return Some(format!(
            "{count} connections failed because a process may have {limit} open files: \
             use more workers, or raise the limit (ulimit -n)"
        ));
    }
    failed("no-source-port").map(|count| {
        format!("{count} connections failed because no port was free: connect from more addresses (--source)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_sessions_are_warned_of() {
        assert_eq!(make_room(1), None);
        let limit = getrlimit(Resource::Nofile).maximum;
        if let Some(limit) = limit {
            assert!(make_room(limit).is_some_and(|warning| warning.contains("use more workers")));
        }
    }

    #[test]
    fn failures_for_want_of_files_or_ports_are_explained() {
        let counts = |name: &str| BTreeMap::from([(name.to_owned(), 3)]);
        assert!(
            explain(&counts("failed.connect.too-many-open-files"))
                .is_some_and(|it| it.starts_with("3 connections"))
        );
        assert!(explain(&counts("failed.connect.no-source-port")).is_some_and(|it| it.contains("--source")));
        assert_eq!(explain(&counts("failed.connect.connection-refused")), None);
    }
}
