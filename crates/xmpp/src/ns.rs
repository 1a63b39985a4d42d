//! Namespaces, and the numbers under which frequent names travel between roles.
//!
//! The numbers are part of the wire between roles: entries are appended, never moved, renumbered or removed.

/// Number of the first frequent element name; all below are namespaces.
const FIRST_WORD: u16 = 512;

macro_rules! namespaces {
    ($($number:literal $name:ident = $text:literal;)*) => {
        $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)*
        /// Namespaces by number.
        pub static KNOWN: &[&str] = &[$($text),*];
        // A wrong number here would make two releases of Throng misunderstand each other.
        const _: () = {
            let numbers: &[usize] = &[$($number),*];
            let mut at = 0;
            while at < numbers.len() {
                assert!(numbers[at] == at, "namespaces are numbered in order");
                at += 1;
            }
            assert!(at < FIRST_WORD as usize);
        };
    };
}

namespaces! {
    0 NONE = "";
    1 CLIENT = "jabber:client";
    2 SERVER = "jabber:server";
    3 STREAMS = "http://etherx.jabber.org/streams";
    4 STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
    5 STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    6 TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    7 SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    8 BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    9 SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    10 XML = "http://www.w3.org/XML/1998/namespace";
    11 XMLNS = "http://www.w3.org/2000/xmlns/";
    12 FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
    13 SM = "urn:xmpp:sm:3";
    14 ROSTER = "jabber:iq:roster";
    15 ROSTER_VERSIONING = "urn:xmpp:features:rosterver";
    16 PRE_APPROVAL = "urn:xmpp:features:pre-approval";
    17 DISCO_INFO = "http://jabber.org/protocol/disco#info";
    18 DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    19 CAPS = "http://jabber.org/protocol/caps";
    20 VERSION = "jabber:iq:version";
    21 TIME = "urn:xmpp:time";
    22 PING = "urn:xmpp:ping";
    23 LAST = "jabber:iq:last";
    24 VCARD = "vcard-temp";
    25 VCARD_UPDATE = "vcard-temp:x:update";
    26 PRIVATE = "jabber:iq:private";
    27 BLOCKING = "urn:xmpp:blocking";
    28 BLOCKING_ERRORS = "urn:xmpp:blocking:errors";
    29 CARBONS = "urn:xmpp:carbons:2";
    30 FORWARD = "urn:xmpp:forward:0";
    31 HINTS = "urn:xmpp:hints";
    32 DELAY = "urn:xmpp:delay";
    33 SID = "urn:xmpp:sid:0";
    34 CSI = "urn:xmpp:csi:0";
    35 COMMANDS = "http://jabber.org/protocol/commands";
    36 DATA_FORMS = "jabber:x:data";
    37 REGISTER = "jabber:iq:register";
    38 REGISTER_FEATURE = "http://jabber.org/features/iq-register";
    39 ADMIN = "http://jabber.org/protocol/admin";
    40 STREAM_LIMITS = "urn:xmpp:stream-limits:0";
    41 RECEIPTS = "urn:xmpp:receipts";
    42 CHAT_STATES = "http://jabber.org/protocol/chatstates";
    43 CHAT_MARKERS = "urn:xmpp:chat-markers:0";
    44 MUC = "http://jabber.org/protocol/muc";
    45 MUC_USER = "http://jabber.org/protocol/muc#user";
    46 MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    47 MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    48 MUC_CONFERENCE = "jabber:x:conference";
    49 PUBSUB = "http://jabber.org/protocol/pubsub";
    50 PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
    51 PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner";
    52 PUBSUB_ERRORS = "http://jabber.org/protocol/pubsub#errors";
    53 MAM = "urn:xmpp:mam:2";
    54 RSM = "http://jabber.org/protocol/rsm";
    55 SASL_CB = "urn:xmpp:sasl-cb:0";
    56 SASL2 = "urn:xmpp:sasl:2";
    57 BIND2 = "urn:xmpp:bind:0";
    58 FAST = "urn:xmpp:fast:0";
    59 COMPONENT = "jabber:component:accept";
    60 DIALBACK = "jabber:server:dialback";
    61 DIALBACK_FEATURE = "urn:xmpp:features:dialback";
    62 OOB = "jabber:x:oob";
    63 CORRECT = "urn:xmpp:message-correct:0";
    64 REPLY = "urn:xmpp:reply:0";
    65 REACTIONS = "urn:xmpp:reactions:0";
    66 FALLBACK = "urn:xmpp:fallback:0";
    67 RETRACT = "urn:xmpp:message-retract:1";
    68 MODERATE = "urn:xmpp:message-moderate:1";
    69 EME = "urn:xmpp:eme:0";
    70 OMEMO_LEGACY = "eu.siacs.conversations.axolotl";
    71 OMEMO = "urn:xmpp:omemo:2";
    72 OPENPGP = "urn:xmpp:openpgp:0";
    73 STANZA_CONTENT_ENCRYPTION = "urn:xmpp:sce:1";
    74 JINGLE = "urn:xmpp:jingle:1";
    75 JINGLE_MESSAGE = "urn:xmpp:jingle-message:0";
    76 EXTERNAL_SERVICES = "urn:xmpp:extdisco:2";
    77 HTTP_UPLOAD = "urn:xmpp:http:upload:0";
    78 PUSH = "urn:xmpp:push:0";
    79 AVATAR_DATA = "urn:xmpp:avatar:data";
    80 AVATAR_METADATA = "urn:xmpp:avatar:metadata";
    81 NICK = "http://jabber.org/protocol/nick";
    82 BOOKMARKS = "urn:xmpp:bookmarks:1";
    83 BOOKMARKS_LEGACY = "storage:bookmarks";
    84 ADDRESSES = "http://jabber.org/protocol/address";
    85 XHTML_IM = "http://jabber.org/protocol/xhtml-im";
    86 IDLE = "urn:xmpp:idle:1";
    87 OFFLINE_FLEX = "http://jabber.org/protocol/offline";
    88 OFFLINE_FEATURE = "msgoffline";
    89 SEARCH = "jabber:iq:search";
    90 OCCUPANT_ID = "urn:xmpp:occupant-id:0";
    91 MUC_HATS = "urn:xmpp:hats:0";
    92 CONTACT_ADDRESSES = "http://jabber.org/network/serverinfo";
    93 SERVER_INFO = "urn:xmpp:serverinfo:0";
    94 COMPRESS_FEATURE = "http://jabber.org/features/compress";
    95 BYTESTREAMS = "http://jabber.org/protocol/bytestreams";
    96 IBB = "http://jabber.org/protocol/ibb";
    97 PRIVACY = "jabber:iq:privacy";
    98 CAPS2 = "urn:xmpp:caps";
    99 HASHES = "urn:xmpp:hashes:2";
    100 SFS = "urn:xmpp:sfs:0";
    101 REFERENCES = "urn:xmpp:reference:0";
    102 SPOILER = "urn:xmpp:spoiler:0";
    103 STYLING = "urn:xmpp:styling:0";
    104 BOB = "urn:xmpp:bob";
    105 PEP_NATIVE_BOOKMARKS_COMPAT = "urn:xmpp:bookmarks:1#compat";
    106 MAM_EXTENDED = "urn:xmpp:mam:2#extended";
    107 MAM_PREFS_LEGACY = "urn:xmpp:mam:1";
    108 SASL_UPGRADE = "urn:xmpp:sasl:upgrade:0";
    109 PUBSUB_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";
    110 MUC_UNIQUE = "http://jabber.org/protocol/muc#unique";
    111 CARBONS_RULES = "urn:xmpp:carbons:rules:0";
    112 INVISIBLE = "urn:xmpp:invisible:1";
    113 DELAY_LEGACY = "jabber:x:delay";
    114 ATTENTION = "urn:xmpp:attention:0";
    115 ISR = "https://xmpp.org/extensions/isr/0";
    116 ALT_CONNECTIONS = "urn:xmpp:alt-connections";
    117 DISPLAYED_SYNC = "urn:xmpp:mds:displayed:0";
    118 ROSTER_EXCHANGE = "http://jabber.org/protocol/rosterx";
    119 ERRORS = "urn:xmpp:errors";
}

/// Element names frequent as children of stanzas, by number from [`FIRST_WORD`] on.
static WORDS: &[&str] = &[
    "body",
    "subject",
    "thread",
    "x",
    "query",
    "active",
    "composing",
    "paused",
    "inactive",
    "gone",
    "request",
    "received",
    "sent",
    "markable",
    "displayed",
    "acknowledged",
    "origin-id",
    "stanza-id",
    "delay",
    "c",
    "show",
    "status",
    "priority",
    "error",
    "ping",
    "bind",
    "session",
    "pubsub",
    "event",
    "vCard",
    "encrypted",
    "encryption",
    "store",
    "no-store",
    "no-permanent-store",
    "no-copy",
    "private",
    "forwarded",
    "message",
    "presence",
    "iq",
    "result",
    "fin",
    "prefs",
    "replace",
    "reply",
    "reactions",
    "fallback",
    "apply-to",
    "retract",
    "html",
    "nick",
    "idle",
    "enable",
    "enabled",
    "disable",
    "resume",
    "resumed",
    "failed",
    "r",
    "a",
    "auth",
    "response",
    "challenge",
    "success",
    "failure",
    "abort",
    "starttls",
    "proceed",
    "authenticate",
    "continue",
    "features",
    "stream",
    "open",
    "close",
    "time",
    "blocklist",
    "block",
    "unblock",
    "command",
    "propose",
    "reject",
    "jingle",
    "occupant-id",
    "addresses",
    "slot",
    "services",
    "item",
    "items",
    "publish",
    "data",
    "metadata",
    "db",
    "conference",
    "storage",
    "set",
    "text",
    "by",
    "group",
    "field",
    "value",
    "identity",
    "feature",
    "jid",
    "resource",
    "username",
    "password",
    "mechanism",
    "mechanisms",
    "required",
    "optional",
];

/// The number of a frequent text, for the wire between roles and for names without an allocation.
pub fn known(text: &str) -> Option<u16> {
    known_bytes(text.as_bytes())
}

/// The text of a number; `None` when a newer release knows more than this one.
pub fn by_number(number: u16) -> Option<&'static str> {
    let (table, at) = if number < FIRST_WORD { (KNOWN, number) } else { (WORDS, number - FIRST_WORD) };
    table.get(usize::from(at)).copied()
}

/// As [`known`], from bytes that have not been shown to be text.
pub(crate) fn known_bytes(text: &[u8]) -> Option<u16> {
    let mut slot = slot(text);
    loop {
        let number = SLOTS[slot];
        if number == EMPTY {
            return None;
        }
        if by_number(number).is_some_and(|found| found.as_bytes() == text) {
            return Some(number);
        }
        slot = (slot + 1) % SLOTS_COUNT;
    }
}

const SLOTS_COUNT: usize = 1024;
const EMPTY: u16 = u16::MAX;
/// Open addressing over both tables, laid out when this crate is compiled.
static SLOTS: [u16; SLOTS_COUNT] = {
    let mut slots = [EMPTY; SLOTS_COUNT];
    let mut at = 0;
    while at < KNOWN.len() {
        slots = placed(slots, KNOWN[at].as_bytes(), at as u16);
        at += 1;
    }
    at = 0;
    while at < WORDS.len() {
        slots = placed(slots, WORDS[at].as_bytes(), FIRST_WORD + at as u16);
        at += 1;
    }
    slots
};

const fn placed(mut slots: [u16; SLOTS_COUNT], text: &[u8], number: u16) -> [u16; SLOTS_COUNT] {
    let mut slot = slot(text);
    while slots[slot] != EMPTY {
        slot = (slot + 1) % SLOTS_COUNT;
    }
    slots[slot] = number;
    slots
}

/// Hash of length and last sixteen bytes: the head of a namespace tells little.
const fn slot(text: &[u8]) -> usize {
    let (tail, before) = match text.split_last_chunk::<8>() {
        Some((rest, tail)) => {
            let before = match rest.last_chunk::<8>() {
                Some(before) => u64::from_le_bytes(*before),
                None => 0,
            };
            (u64::from_le_bytes(*tail), before)
        }
        None => (short(text), 0),
    };
    let mixed = (tail ^ before.rotate_left(23) ^ (text.len() as u64)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 54) as usize
}

const fn short(text: &[u8]) -> u64 {
    let (mut packed, mut at) = (0, 0);
    while at < text.len() {
        packed = packed << 8 | text[at] as u64;
        at += 1;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_text_is_found_under_one_number() {
        for (number, text) in KNOWN.iter().enumerate() {
            assert_eq!(known(text), Some(number as u16), "{text}");
        }
        for (at, word) in WORDS.iter().enumerate() {
            assert_eq!(known(word), Some(FIRST_WORD + at as u16), "{word}");
            assert_eq!(by_number(FIRST_WORD + at as u16), Some(*word));
        }
    }

    #[test]
    fn unknown_texts_and_numbers_are_none() {
        for text in ["jabber:clienT", "urn:xmpp:sm:4", "bod", "bodyy", "\u{1F980}"] {
            assert_eq!(known(text), None, "{text}");
        }
        assert_eq!(by_number(511), None);
        assert_eq!(by_number(u16::MAX), None);
    }

    #[test]
    fn numbers_on_the_wire_do_not_move() {
        for (number, text) in
            [(1, "jabber:client"), (29, "urn:xmpp:carbons:2"), (53, "urn:xmpp:mam:2"), (512, "body")]
        {
            assert_eq!(known(text), Some(number));
        }
    }
}
