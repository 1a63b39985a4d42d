//! Accounts and their passwords: made and changed by users and by administrators, and the form in which the keys of a
//! password are stored (versioned, so that a later release reads them).

use bytes::{BufMut, Bytes, BytesMut};
use store::Account;
use xmpp::jid::Jid;
use xmpp::sasl::{Credentials, Keys, Secret};
use xmpp::stanza::{Condition, StanzaError};

pub use crate::fields::Unreadable;
use crate::fields::{self, Reader};
use crate::iq;
use crate::ports::Ports;

const FORMAT: u8 = 1;

// Tags of the hashes, and of what is kept for each.
const SHA1: u8 = 1;
const SHA256: u8 = 2;
const SHA512: u8 = 3;
const SALT: u8 = 1;
const ITERATIONS: u8 = 2;
const STORED_KEY: u8 = 3;
const SERVER_KEY: u8 = 4;

/// Makes an account.
///
/// # Errors
/// There is one of that name, or the password cannot be one.
pub async fn create(ports: &Ports, account: &Jid, password: &str, now_ms: u64) -> Result<(), StanzaError> {
    let keys = ports.passwords.keys(password).await.ok_or(Condition::NotAcceptable)?;
    let record = Account { keys: encode(&keys), created_ms: now_ms, disabled: false };
    ports.store.accounts.create(account, record).await.map_err(iq::stored)
}

/// Gives an account another password.
///
/// # Errors
/// There is no such account, it has no keys because it is for one session only (XEP-0175), or the password cannot be one.
pub async fn change(ports: &Ports, account: &Jid, password: &str) -> Result<(), StanzaError> {
    let keys = ports.passwords.keys(password).await.ok_or(Condition::NotAcceptable)?;
    let record =
        ports.store.accounts.load(account).await.map_err(iq::stored)?.ok_or(Condition::ItemNotFound)?;
    if record.keys.is_empty() {
        return Err(Condition::NotAllowed.into());
    }
    ports.store.accounts.replace(account, Account { keys: encode(&keys), ..record }).await.map_err(iq::stored)
}

/// The stored form of keys.
pub fn encode(keys: &Keys) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(FORMAT);
    for (tag, credentials) in [(SHA1, &keys.sha1), (SHA256, &keys.sha256), (SHA512, &keys.sha512)] {
        fields::put_with(&mut out, tag, |out| {
            fields::put(out, SALT, &credentials.salt);
            fields::put(out, ITERATIONS, &credentials.iterations.to_be_bytes());
            fields::put(out, STORED_KEY, &credentials.stored_key);
            fields::put(out, SERVER_KEY, &credentials.server_key);
        });
    }
    out.freeze()
}

/// Keys from their stored form.
///
/// # Errors
/// What was read was not written by [`encode`], or is damaged.
pub fn decode(bytes: &Bytes) -> Result<Keys, Unreadable> {
    if bytes.first() != Some(&FORMAT) {
        return Err(Unreadable::Format);
    }
    let mut reader = Reader::new(bytes.slice(1..));
    let mut all = [const { None }; 3];
    while let Some((tag, value)) = reader.field()? {
        if let SHA1..=SHA512 = tag {
            all[usize::from(tag - SHA1)] = Some(credentials(tag, value)?);
        }
    }
    match all {
        [Some(sha1), Some(sha256), Some(sha512)] => Ok(Keys { sha1, sha256, sha512 }),
        _ => Err(Unreadable::Truncated),
    }
}

fn credentials(hash: u8, value: Bytes) -> Result<Credentials, Unreadable> {
    let mut reader = Reader::new(value);
    let (mut salt, mut iterations, mut stored, mut server) = (None, None, None, None);
    while let Some((tag, value)) = reader.field()? {
        match tag {
            SALT => salt = Some(value.to_vec()),
            ITERATIONS => iterations = u32::try_from(fields::number(&value)).ok(),
            STORED_KEY => stored = Some(Secret::new(value.to_vec())),
            SERVER_KEY => server = Some(Secret::new(value.to_vec())),
            _ => {}
        }
    }
    match (salt, iterations, stored, server) {
        (Some(salt), Some(iterations), Some(stored_key), Some(server_key)) => {
            Ok(Credentials { salt, iterations, stored_key, server_key })
        }
        _ => Err(Unreadable::Field(hash)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let keys = Keys::from_password("R0m30", || [7; 16], 3).unwrap();
        let stored = encode(&keys);
        assert!(decode(&stored).unwrap() == keys);
        assert!(!stored.windows(5).any(|bytes| bytes == b"R0m30"));
    }

    #[test]
    fn what_is_cut_or_of_another_format_is_no_key() {
        let stored = encode(&Keys::from_password("R0m30", || [7; 16], 3).unwrap());
        for end in 0..stored.len() {
            assert!(decode(&stored.slice(..end)).is_err(), "{end}");
        }
        assert_eq!(decode(&Bytes::from_static(&[9])).err(), Some(Unreadable::Format));
    }
}
