//! Uids as the wire has them.

use node::carry;
use proto::delivery as wire;
use store::Uid;

/// For a wire.
pub(crate) fn pack(uid: Uid) -> wire::Uid {
    wire::Uid { origin: carry::pack_origin(uid.origin), n: uid.n, k: uid.k }
}

/// From a wire; none: it is no uid.
pub(crate) fn unpack(uid: &wire::Uid) -> Option<Uid> {
    Some(Uid { origin: carry::origin(uid.origin).ok()?, n: uid.n, k: uid.k })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_comes_back_from_the_wire_as_it_went() {
        let uid = Uid { origin: *b"a stream's origi", n: u64::MAX, k: 3 };
        assert_eq!(unpack(&pack(uid)), Some(uid));
        assert_eq!(unpack(&wire::Uid::default()), None, "of nobody");
    }
}
