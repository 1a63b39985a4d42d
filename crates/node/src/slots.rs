//! Slots: what owners own. Every process has to compute the same slot for the same address, for ever.

/// How many there are. It never changes: rows and tables are keyed by slot.
pub const SLOTS: u16 = 4096;

/// The slot of a bare JID; `key` is empty but for nodes of a service and pairs of domains.
pub fn of(bare: &str, key: &str) -> u16 {
    // FNV-1a, then a finaliser: the low bits of FNV alone are poor for short strings.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bare.bytes().for_each(&mut eat);
    if !key.is_empty() {
        eat(0);
        key.bytes().for_each(&mut eat);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^= hash >> 32;
    (hash % u64::from(SLOTS)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_an_address_never_changes() {
        assert_eq!(
            [of("romeo@localhost", ""), of("juliet@localhost", ""), of("pubsub.localhost", "news")],
            [of("romeo@localhost", ""), of("juliet@localhost", ""), of("pubsub.localhost", "news")]
        );
        assert_ne!(of("pubsub.localhost", "news"), of("pubsub.localhost", "weather"));
    }

    #[test]
    fn slots_are_even() {
        let mut count = vec![0_u32; usize::from(SLOTS)];
        for user in 0..409_600 {
            count[usize::from(of(&format!("user{user}@localhost"), ""))] += 1;
        }
        assert!(
            count.iter().all(|n| (50..=170).contains(n)),
            "{:?} {:?}",
            count.iter().min(),
            count.iter().max()
        );
    }
}
