//! How fast a stream is read and checked: our reader against rxml (Rust) and expat (C) on the same bytes, in one run.
//!
//! ```text
//! cargo bench -p xmpp --bench framer [-- KIBIBYTES [PASSES] [throng]]    `throng`: only ours, for a profiler
//! ```
//! Then what one message costs that comes alone, as in a server, and what writing it does.
//!
//! Our reader does more than the others: it makes stanzas with parsed addresses and payloads that stand alone. The
//! others only count events. Each piece is copied into a buffer first, as a read from a socket does. Passes are short
//! and many, and the best counts: it is the one nothing else disturbed. expat needs a C compiler and its header;
//! without them its row is left out.

#![allow(clippy::cast_precision_loss, reason = "sizes and counts far below 2^52")]

use std::{
    fmt::Write as _,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use bytes::BytesMut;
use rxml::Parse as _;
use xmpp::{
    jid::Jid,
    stanza::ContentNs,
    xml::{Incoming, Limits, Reader},
};

/// As much as one read from a socket brings.
const CHUNK_BYTES: usize = 8 * 1024;
fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    // What a socket brought is in the cache, so the document has to fit there.
    let kibibytes = numbers.first().copied().unwrap_or(512);
    let passes = numbers.get(1).copied().unwrap_or(300);
    for (name, stanza) in [("mix", mix as fn(usize) -> String), ("omemo", omemo)] {
        let (document, stanzas) = document(kibibytes << 10, stanza);
        println!(
            "{name}: {stanzas} stanzas of {} bytes on average, best of {passes}",
            document.len() / stanzas
        );
        let ours = best(passes, || ours(&document, stanzas));
        row("throng", ours, &document, stanzas, ours);
        if std::env::args().any(|argument| argument == "throng") {
            continue;
        }
        let theirs = best(passes / 3 + 1, || rxml(&document));
        row("rxml", theirs, &document, stanzas, ours);
        match expat(&document, passes) {
            Some(expat) => row("expat", expat, &document, stanzas, ours),
            None => println!("  expat    not measured: no C compiler or no expat.h"),
        }
    }
    one_message(passes);
}

/// What a server does with a message of 250 bytes: it comes alone, and is written once to whom it is for.
fn one_message(passes: usize) {
    const TIMES: usize = 1000;
    let message = format!(
        "<message type='chat' to='user1234@example.com' id='6f1c0000-2b1e-4d0a-9c57-000000000001'><body>{:.<138}</body>\
         </message>",
        "Did you read what they wrote about the new bridge?"
    );
    println!("a message of {} bytes, best of {passes}", message.len());
    let (header, _) = document(0, mix);
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(header.as_bytes());
    reader.read(&mut input).expect("well-formed");
    let mut stanza = None;
    let reading = best(passes, || {
        let start = Instant::now();
        for _ in 0..TIMES {
            input.extend_from_slice(message.as_bytes());
            let Ok(Some(Incoming::Stanza(read))) = reader.read(&mut input) else { panic!("well-formed") };
            assert!(matches!(reader.read(&mut input), Ok(None)));
            stanza = Some(black_box(read));
        }
        start.elapsed().as_secs_f64()
    });
    let stanza =
        stanza.expect("read").with_from("user4321@example.com/desk".parse::<Jid>().expect("an address"));
    let mut out = Vec::with_capacity(1024);
    let writing = best(passes, || {
        let start = Instant::now();
        for _ in 0..TIMES {
            out.clear();
            black_box(&stanza).write(&mut out, ContentNs::Inherited);
            black_box(&out);
        }
        start.elapsed().as_secs_f64()
    });
    for (name, seconds) in [("read", reading), ("written", writing)] {
        println!("  {name:<8} {:>6.0} ns", seconds * 1e9 / TIMES as f64);
    }
}

fn row(name: &str, seconds: f64, document: &str, stanzas: usize, ours: f64) {
    let (megabytes, per_stanza) = (document.len() as f64 / 1e6, seconds * 1e9 / stanzas as f64);
    println!(
        "  {name:<8} {:>7.0} MB/s  {per_stanza:>6.0} ns a stanza  {:>5.1} times ours",
        megabytes / seconds,
        seconds / ours
    );
}

fn best(passes: usize, mut pass: impl FnMut() -> f64) -> f64 {
    (0..passes).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

fn ours(document: &str, stanzas: usize) -> f64 {
    let start = Instant::now();
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::with_capacity(2 * CHUNK_BYTES);
    let mut seen = 0;
    for chunk in document.as_bytes().chunks(CHUNK_BYTES) {
        input.extend_from_slice(chunk);
        while let Some(incoming) = reader.read(&mut input).expect("well-formed") {
            seen += usize::from(matches!(incoming, Incoming::Stanza(_)));
            black_box(&incoming);
        }
    }
    assert_eq!(seen, stanzas);
    start.elapsed().as_secs_f64()
}

fn rxml(document: &str) -> f64 {
    let start = Instant::now();
    let mut parser = rxml::Parser::new();
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    for chunk in document.as_bytes().chunks(CHUNK_BYTES) {
        buffer.clear();
        buffer.extend_from_slice(chunk);
        let mut chunk = &buffer[..];
        while let Ok(Some(event)) = parser.parse(&mut chunk, false) {
            black_box(&event);
        }
        assert!(chunk.is_empty(), "well-formed");
    }
    start.elapsed().as_secs_f64()
}

/// The same with the C library, in a process of its own.
fn expat(document: &str, passes: usize) -> Option<f64> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/expat/count.c");
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (program, input) = (target.join("expat-count"), target.join("expat-input.xml"));
    let compiled =
        Command::new("cc").args(["-O2", "-o"]).args([&program, &source]).arg("-lexpat").status().ok()?;
    std::fs::write(&input, document).ok()?;
    let arguments = [CHUNK_BYTES.to_string(), passes.to_string()];
    let output =
        Command::new(&program).arg(&input).args(arguments).output().ok().filter(|_| compiled.success())?;
    let seconds = String::from_utf8(output.stdout).ok()?;
    seconds.lines().filter_map(|line| line.parse().ok()).reduce(f64::min)
}

fn document(bytes: usize, stanza: fn(usize) -> String) -> (String, usize) {
    let mut document = String::from(
        "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    let mut stanzas = 0;
    while document.len() < bytes {
        document.push_str(&stanza(stanzas));
        stanzas += 1;
    }
    (document, stanzas)
}

/// 70 % messages, 20 % presences, 10 % queries, as clients of today write them.
fn mix(n: usize) -> String {
    const BODIES: [&str; 4] = [
        "ok, see you there at seven",
        "Did you read what they wrote about the new bridge? I can't believe it &amp; I won't.",
        "\u{43F}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43A}\u{430}\u{43A} \u{434}\u{435}\u{43B}\u{430}?",
        "The quick brown fox jumps over the lazy dog, and then it sits down to write a somewhat longer message about \
         how it went, so that not every message of this mix is short.",
    ];
    let (user, other) = (n * 7919 % 10_007, n * 104_729 % 10_007);
    match n % 10 {
        0..7 => format!(
            "<message type='chat' to='user{other}@example.com/phone.{user:04x}' from='user{user}@example.com/desk' \
             id='6f1c{n:08x}-2b1e-4d0a'><body>{}</body><active xmlns='http://jabber.org/protocol/chatstates'/>\
             <request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='6f1c{n:08x}-2b1e-4d0a'/></message>",
            BODIES[n % 4]
        ),
        7..9 => format!(
            "<presence from='user{user}@example.com/desk'><show>away</show><status>back in {} minutes</status>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://client.example.org' \
             ver='Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MDE='/><x xmlns='vcard-temp:x:update'><photo/></x></presence>",
            n % 60
        ),
        _ => format!(
            "<iq type='set' id='mam-{n}' to='user{user}@example.com'><query xmlns='urn:xmpp:mam:2' queryid='q{n}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value>\
             </field><field var='with'><value>user{other}@example.com</value></field></x>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>50</max><before/></set></query></iq>"
        ),
    }
}

/// Encrypted messages for a handful of devices.
fn omemo(n: usize) -> String {
    let mut keys = String::new();
    for device in 0..8 {
        let key = format!("{:08x}", (n + device) * 0x9E37_79B9).repeat(20);
        write!(keys, "<key rid='{}'>{}</key>", n * 31 + device, &key[..160]).expect("in memory");
    }
    format!(
        "<message type='chat' to='user{n}@example.com' id='{n:016x}'><encrypted xmlns='eu.siacs.conversations.axolotl'>\
         <header sid='{n}'>{keys}<iv>aGVsbG8gd29ybGQh</iv></header><payload>{}</payload></encrypted>\
         <encryption xmlns='urn:xmpp:eme:0' name='OMEMO' namespace='eu.siacs.conversations.axolotl'/>\
         <body>This message is encrypted</body><store xmlns='urn:xmpp:hints'/></message>",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=".repeat(12)
    )
}
