//! Rosters on disk: one entry a contact, one a request, and the version, all under the account.

use async_trait::async_trait;
use bytes::Bytes;
use xmpp::jid::Jid;

use super::{
    Disk,
    commit::Op,
    keys::{self, Noun},
    record::{self, Writer},
};
use crate::{Change, Error, Item, Request, Result, Roster, Rosters, Subscription};

const ITEM: &[u8] = b"i";
const REQUEST: &[u8] = b"r";

#[async_trait]
impl Rosters for Disk {
    async fn load(&self, account: &Jid) -> Result<Roster> {
        let prefix = keys::of(account);
        self.scan(move |keyspaces| {
            let mut roster = Roster::default();
            for entry in keyspaces.prefix(Noun::Rosters, &prefix) {
                let (key, value) = entry?;
                match keys::after(&key, prefix.len())?.split_at_checked(1) {
                    None => roster.version = keys::number(&value)?,
                    Some((ITEM, contact)) => roster.items.push(decode(keys::jid(contact)?, &value)?),
                    Some((REQUEST, from)) => roster
                        .requests
                        .push(Request { from: keys::jid(from)?, stanza: Bytes::copy_from_slice(&value) }),
                    Some(_) => return Err(Error::Corrupt("an entry of a roster is of no known kind".into())),
                }
            }
            Ok(roster)
        })
        .await
    }

    async fn item(&self, account: &Jid, contact: &Jid) -> Result<Option<Item>> {
        let value = self.value(Noun::Rosters, &item_key(account, contact))?;
        value.map(|bytes| decode(contact.clone(), &bytes)).transpose()
    }

    async fn apply(&self, account: &Jid, changes: Vec<Change>) -> Result<u64> {
        changes.iter().try_for_each(Change::check)?;
        let held = self.locks.hold(account.bare_str().as_bytes()).await;
        let key = keys::of(account);
        let before = self.value(Noun::Rosters, &key)?.map_or(Ok(0), |value| keys::number(&value))?;
        let version = before + u64::from(changes.iter().any(Change::moves_version));

        let mut ops: Vec<Op> = changes.iter().map(|change| op(account, change)).collect();
        if version > before {
            ops.push(Op::put(Noun::Rosters, key, version.to_be_bytes()));
        }
        self.write(ops, held).await?;
        Ok(version)
    }
}

fn op(account: &Jid, change: &Change) -> Op {
    match change {
        Change::Put(item) => Op::put(Noun::Rosters, item_key(account, &item.jid), encode(item)),
        Change::Remove(contact) => Op::delete(Noun::Rosters, item_key(account, contact)),
        Change::Ask(request) => {
            Op::put(Noun::Rosters, request_key(account, &request.from), &request.stanza[..])
        }
        Change::Answer(from) => Op::delete(Noun::Rosters, request_key(account, from)),
    }
}

fn item_key(account: &Jid, contact: &Jid) -> Vec<u8> {
    keys::joined(account, &[ITEM, contact.as_str().as_bytes()])
}

fn request_key(account: &Jid, from: &Jid) -> Vec<u8> {
    keys::joined(account, &[REQUEST, from.as_str().as_bytes()])
}

fn encode(item: &Item) -> Vec<u8> {
    let mut record = Writer::with_capacity(64);
    if let Some(name) = &item.name {
        record = record.bytes(1, name.as_bytes());
    }
    let subscription = match item.subscription {
        Subscription::None => 0,
        Subscription::To => 1,
        Subscription::From => 2,
        Subscription::Both => 3,
    };
    record = record.number(2, subscription).flag(3, item.ask).flag(4, item.approved);
    item.groups.iter().fold(record, |record, group| record.bytes(5, group.as_bytes())).finish()
}

fn decode(contact: Jid, bytes: &[u8]) -> Result<Item> {
    let mut item = Item::new(contact);
    for field in record::fields(bytes) {
        match field? {
            (1, name) => item.name = Some(keys::text(name.bytes()?)?.to_owned()),
            (2, subscription) => {
                item.subscription = match subscription.number()? {
                    0 => Subscription::None,
                    1 => Subscription::To,
                    2 => Subscription::From,
                    3 => Subscription::Both,
                    other => return Err(Error::Corrupt(format!("a subscription is {other}"))),
                }
            }
            (3, ask) => item.ask = ask.flag()?,
            (4, approved) => item.approved = approved.flag()?,
            (5, group) => item.groups.push(keys::text(group.bytes()?)?.to_owned()),
            _ => {}
        }
    }
    Ok(item)
}
