//! Keys of passwords as an account's record holds them (`store::Account::keys`), made where no feature is at hand.

use bytes::Bytes;
use features::credentials;
use xmpp::sasl::{Keys, SALT_BYTES};
use zeroize::Zeroizing;

/// The stored form of keys: versioned, the same that registration writes.
pub fn encode(keys: &Keys) -> Bytes {
    credentials::encode(keys)
}

/// Keys from their stored form; none: it is damaged or of a later version.
pub fn decode(stored: &Bytes) -> Option<Keys> {
    credentials::decode(stored).ok()
}

/// Keys of a password, each with a fresh salt. Takes milliseconds: not for a thread that others wait for. None: the
/// password cannot be one (RFC 4013 §2.3), or the system has no randomness.
pub fn from_password(password: &str, rounds: u32) -> Option<Keys> {
    let mut random = Zeroizing::new([0; 3 * SALT_BYTES]);
    getrandom::fill(&mut random[..]).ok()?;
    let mut salts = random.as_chunks::<SALT_BYTES>().0.iter().copied();
    Keys::from_password(password, || salts.next().unwrap_or_default(), rounds).ok()
}

#[cfg(test)]
mod tests {
    use xmpp::sasl::Hash;

    use super::*;

    #[test]
    fn a_password_is_known_again_from_its_stored_keys() {
        let keys = decode(&encode(&from_password("R0m30", 16).unwrap())).unwrap();
        for hash in Hash::ALL {
            assert!(keys.of(hash).matches(hash, "R0m30"));
            assert!(!keys.of(hash).matches(hash, "r0m30"));
        }
    }

    #[test]
    fn no_two_salts_are_the_same() {
        let (one, other) = (from_password("R0m30", 1).unwrap(), from_password("R0m30", 1).unwrap());
        let mut salts = vec![&one.sha1.salt, &one.sha256.salt, &one.sha512.salt, &other.sha1.salt];
        salts.sort();
        salts.dedup();
        assert_eq!(salts.len(), 4);
    }

    #[test]
    fn what_is_no_password_has_no_keys() {
        assert_eq!(from_password("", 1), None);
        assert_eq!(decode(&Bytes::from_static(b"\x09")), None);
        assert_eq!(decode(&Bytes::new()), None);
    }
}
