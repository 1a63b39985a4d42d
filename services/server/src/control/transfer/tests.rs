//! An account with a bit of everything, from one store to another.

use bytes::Bytes;
use store::{Direction, Item, Store, Subscription, Uid};

use super::*;
use crate::cli::Source;
use crate::configuration::Configuration;
use crate::control::{Access, Request as Asked};

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

async fn juliets_store() -> Store {
    let store = store::memory::open();
    let juliet = jid("juliet@localhost");
    let keys = Bytes::from_static(b"\x00keys");
    store.accounts.create(&juliet, Account { keys, created_ms: 1, disabled: true }).await.unwrap();
    let activity = Activity { at_ms: 2, status: "gone".into() };
    store.accounts.set_last_activity(&juliet, activity).await.unwrap();
    let romeo = Item {
        name: Some("Romeo".into()),
        subscription: Subscription::Both,
        ask: true,
        approved: true,
        groups: vec!["Friends".into()],
        ..Item::new(jid("romeo@localhost"))
    };
    let paris = Request { from: jid("paris@localhost"), stanza: Bytes::from_static(b"<presence/>") };
    store.rosters.apply(&juliet, vec![Change::Put(romeo), Change::Ask(paris)]).await.unwrap();
    store.blocklists.block(&juliet, &[jid("tybalt@localhost")]).await.unwrap();
    store.documents.put(&juliet, "vcard-temp", "", Bytes::from_static(b"<vCard/>")).await.unwrap();
    let row = Row {
        archive: juliet.clone(),
        id: 7,
        uid: Uid { origin: [9; 16], n: 3, k: 1 },
        epoch: 4,
        direction: Direction::Sent,
        with: jid("romeo@localhost/orchard"),
        address: Some(jid("romeo@localhost")),
        deliver: true,
        spool: false,
        stamp_ms: 5,
        stanza: Bytes::from_static(b"\xffstanza"),
    };
    store.archive.append(&[row]).await.unwrap();
    store.archive.delete(&juliet, &[9]).await.unwrap();
    let session = Session {
        origin: [8; 16],
        account: juliet.clone(),
        deadline_ms: u64::MAX,
        state: Bytes::from_static(b"state"),
    };
    store.hibernated.put(session).await.unwrap();
    store.cursors.save(&[(juliet, Cursor { lowest: 6, above: vec![7] })]).await.unwrap();
    store
}

fn access(store: Store) -> Access {
    let source = Source { domain: Some("localhost".into()), ..Source::default() };
    Access::to(Admin::new(&Configuration::load(&source, None).unwrap(), store, None))
}

async fn exported(store: &Store) -> String {
    let mut file = String::new();
    let seen = |answer| {
        if let Answer::Record(record) = answer {
            file += &record;
            file += "\n";
        }
        Ok(())
    };
    access(store.clone()).ask(&Asked::Export, seen).await.unwrap();
    file
}

async fn imported(store: &Store, file: &str) -> anyhow::Result<String> {
    access(store.clone()).import(std::io::Cursor::new(file.to_owned().into_bytes()), |_| Ok(())).await
}

#[tokio::test]
async fn what_is_exported_and_imported_is_the_same() {
    let file = exported(&juliets_store().await).await;
    let other = store::memory::open();

    let told = imported(&other, &file).await.unwrap();

    assert_eq!(told, "imported 1 accounts, 0 existed and are as they were");
    assert_eq!(exported(&other).await, file);
    assert_eq!(file.lines().count(), 12, "a record of every kind:\n{file}");
}

#[tokio::test]
async fn an_account_that_exists_is_left_as_it_is() {
    let file = exported(&juliets_store().await).await;
    let other = store::memory::open();
    other.accounts.create(&jid("juliet@localhost"), Account::default()).await.unwrap();

    let told = imported(&other, &file).await.unwrap();

    assert_eq!(told, "imported 0 accounts, 1 existed and are as they were");
    assert_eq!(other.accounts.load(&jid("juliet@localhost")).await.unwrap(), Some(Account::default()));
    assert!(other.rosters.load(&jid("juliet@localhost")).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_file_that_is_no_whole_export_is_refused_with_what_is_wrong() {
    let file = exported(&juliets_store().await).await;
    let (begin, rest) = file.split_once('\n').unwrap();
    let cut = file.rsplit_once("{\"end\"").unwrap().0.to_owned();
    let newer = file.replacen("\"throng\":2", "\"throng\":99", 1);
    let elsewhere = file.replace("juliet@localhost", "juliet@elsewhere.example");
    let lost = format!("{begin}\n{}", rest.split_once('\n').unwrap().1);
    for (file, reason) in [
        (
            "",
            "the file ends after line 0 without its last record: it is cut off; what came before is imported",
        ),
        (
            cut.as_str(),
            "the file ends after line 11 without its last record: it is cut off; what came before is imported",
        ),
        ("nonsense\n", "line 1 is no record: expected value at line 1 column 1"),
        (rest, "line 1: a file of `throng export` begins with {\"begin\":…}"),
        (newer.as_str(), "line 1: the file has format 99, this version reads up to 2: use the newer version"),
        (
            elsewhere.as_str(),
            "line 2: elsewhere.example is not served here, but localhost: `--domain` or `domains` of [server]",
        ),
        (lost.as_str(), "line 11: the end counts 11 records, but 10 came"),
    ] {
        let refused = imported(&store::memory::open(), file).await.unwrap_err();
        assert_eq!(refused.to_string(), reason);
    }
}
