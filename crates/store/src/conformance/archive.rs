//! Plays about the archive.

use bytes::Bytes;

use super::{ids, jid, juliet, romeo, row};
use crate::{Direction, Error, Row, Store, Uid, archive};

/// Rows come back as they were appended, each from its own archive.
pub async fn archive_rows(store: &Store) {
    let archive = &store.archive;
    let full = Row {
        uid: Uid { origin: [0xff; 16], n: u64::MAX, k: u32::MAX },
        epoch: u64::MAX,
        direction: Direction::Sent,
        with: jid("romeo@montague.example/orchard"),
        deliver: false,
        spool: true,
        ..row(&juliet(), 1)
    };
    let plain =
        Row { uid: Uid::default(), epoch: 0, address: None, stanza: Bytes::new(), ..row(&juliet(), 2) };
    let other = row(&romeo(), 1);

    archive.append(&[full.clone(), plain.clone(), other.clone()]).await.unwrap();
    archive.append(&[]).await.unwrap();

    assert_eq!(archive.row(&juliet(), 1).await.unwrap(), Some(full.clone()));
    assert_eq!(archive.row(&juliet(), 3).await.unwrap(), None);
    assert_eq!(archive.after(&juliet(), 0, 10).await.unwrap(), [full.clone(), plain.clone()]);
    assert_eq!(archive.after(&romeo(), 0, 10).await.unwrap(), [other]);

    // A write of unknown outcome is repeated as it was.
    archive.append(std::slice::from_ref(&full)).await.unwrap();
    assert_eq!(archive.after(&juliet(), 0, 10).await.unwrap(), [full, plain]);

    let large = Row { stanza: Bytes::from(vec![b'x'; archive::STANZA_BYTES_MAX + 1]), ..row(&juliet(), 9) };
    let refused = archive.append(&[row(&juliet(), 8), large]).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    assert_eq!(archive.row(&juliet(), 8).await.unwrap(), None, "all or none");
}

/// Pages are ascending, end where they are told to, and stay within their archive.
pub async fn archive_pages(store: &Store) {
    let archive = &store.archive;
    // Its name is a prefix of Juliet's and of hers in turn.
    for owner in [jid("juliet@capulet.exampl"), juliet(), jid("juliet@capulet.examplee")] {
        archive.append(&[10, 30, 20, 40, u64::MAX / 2000].map(|id| row(&owner, id))).await.unwrap();
    }
    let last = u64::MAX / 2000;
    let (juliet, page) = (juliet(), |rows: crate::Result<Vec<Row>>| ids(&rows.unwrap()));

    assert_eq!(page(archive.after(&juliet, 0, 10).await), [10, 20, 30, 40, last]);
    assert_eq!(page(archive.after(&juliet, 10, 2).await), [20, 30]);
    assert_eq!(page(archive.after(&juliet, 25, 1).await), [30]);
    assert_eq!(page(archive.after(&juliet, last, 1).await), [0; 0]);
    assert_eq!(page(archive.after(&juliet, u64::MAX, 1).await), [0; 0]);
    assert_eq!(page(archive.after(&juliet, 0, 0).await), [0; 0]);

    assert_eq!(page(archive.before(&juliet, u64::MAX, 2).await), [40, last]);
    assert_eq!(page(archive.before(&juliet, 40, 2).await), [20, 30]);
    assert_eq!(page(archive.before(&juliet, 10, 2).await), [0; 0]);
    assert_eq!(page(archive.before(&juliet, 0, 2).await), [0; 0]);

    assert_eq!(page(archive.tail(&juliet, 0, 3).await), [30, 40, last]);
    assert_eq!(page(archive.tail(&juliet, 20_001, 10).await), [30, 40, last]);
    assert_eq!(page(archive.tail(&juliet, u64::MAX, 10).await), [0; 0]);
    assert_eq!(page(archive.tail(&romeo(), 0, 10).await), [0; 0]);

    archive.append(&(1..=1100).map(|id| row(&romeo(), id)).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(archive.after(&romeo(), 0, usize::MAX).await.unwrap().len(), archive::PAGE_ROWS_MAX);
}

/// An id that was used is never the last one again, also if its row is gone.
pub async fn archive_ids(store: &Store) {
    let archive = &store.archive;
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 0);
    archive.append(&[row(&juliet(), 5), row(&juliet(), 7)]).await.unwrap();
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 7);

    archive.delete(&juliet(), &[7, 6]).await.unwrap();
    assert_eq!(ids(&archive.after(&juliet(), 0, 10).await.unwrap()), [5]);
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 7);

    archive.delete(&juliet(), &[5]).await.unwrap();
    archive.delete(&juliet(), &[]).await.unwrap();
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 7);

    archive.append(&[row(&juliet(), 8)]).await.unwrap();
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 8);
    // Of a write whose outcome was unknown to its caller.
    archive.delete(&juliet(), &[9]).await.unwrap();
    assert_eq!(archive.last_id(&juliet()).await.unwrap(), 9);
    assert_eq!(archive.last_id(&romeo()).await.unwrap(), 0);
}
