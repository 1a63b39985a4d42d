//! How long an archive goes back: what is older than a domain's days is not shown, and deleted by and by.
//!
//! Deleting is paced and never complete: an account's expired rows go when it is loaded and when it leaves memory, a
//! thousand at a time. Not swept, and not shown either, is what an account has while it stays in memory, and while
//! nobody writes to it and it never logs in. What still waits for a client stays until it is settled, and so does all
//! behind it (XEP-0313 §3.2: no holes).

use store::{Archive, Result};
use xmpp::jid::Jid;

use crate::host::Host;

/// Rows of one archive that one sweep deletes at most.
pub const SWEPT_ROWS_MAX: usize = 1_000;

/// Rows that are deleted together.
const BATCH_ROWS: usize = 100;

const DAY_MS: u64 = 86_400_000;

/// The lowest id that is shown; 0: all are. Ids are microseconds since 1970.
pub fn oldest(host: &Host, now_ms: u64) -> u64 {
    match u64::from(host.archive_days) {
        0 => 0,
        days => now_ms.saturating_sub(days * DAY_MS).saturating_mul(1_000),
    }
}

/// Deletes the oldest rows below an id, at most [`SWEPT_ROWS_MAX`]. Answers how many there were.
///
/// # Errors
/// The store's; what was deleted by then is deleted.
pub async fn sweep(archive: &dyn Archive, account: &Jid, below: u64) -> Result<usize> {
    let mut swept = 0;
    while swept < SWEPT_ROWS_MAX {
        let rows = archive.after(account, 0, BATCH_ROWS).await?;
        let expired: Vec<u64> = rows.iter().map(|row| row.id).take_while(|id| *id < below).collect();
        if expired.is_empty() {
            break;
        }
        swept += expired.len();
        archive.delete(account, &expired).await?;
        if expired.len() < rows.len() {
            break;
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mam::tests::{fill, ids};
    use crate::testing::{NOW_MS, Stage, wait};

    #[test]
    fn nothing_expires_unless_the_domain_says_so() {
        let mut stage = Stage::new();
        assert_eq!(oldest(&stage.host, NOW_MS), 0);
        stage.host.archive_days = 30;
        assert_eq!(oldest(&stage.host, NOW_MS), (NOW_MS - 30 * DAY_MS) * 1_000);
    }

    #[test]
    fn a_sweep_takes_the_oldest_and_stops() {
        let stage = Stage::new();
        fill(&stage, 1..=SWEPT_ROWS_MAX as u64 + 250, "romeo@montague.example");
        let archive = &*stage.ports.store.archive;
        assert_eq!(wait(sweep(archive, &stage.account.jid, 100)).unwrap(), 99);
        assert_eq!(ids(&stage)[0], 100);
        assert_eq!(wait(sweep(archive, &stage.account.jid, u64::MAX)).unwrap(), SWEPT_ROWS_MAX);
        assert_eq!(ids(&stage).len(), 151);
        assert_eq!(wait(sweep(archive, &stage.account.jid, 0)).unwrap(), 0);
    }
}
