//! Streams by table: what is refused and why, however the bytes are cut.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::*;
use crate::ns;

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.com' version='1.0' xml:lang='en' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// All that comes of `bytes` when they arrive in pieces of these lengths: the last repeats.
fn arrivals(mut reader: Reader, bytes: &[u8], lengths: &[usize]) -> (Vec<String>, Option<XmlError>) {
    let (mut input, mut seen, mut rest, mut lengths) =
        (BytesMut::new(), Vec::new(), bytes, lengths.iter().copied());
    let mut length = 1;
    while !rest.is_empty() {
        length = lengths.next().unwrap_or(length).min(rest.len());
        let (piece, after) = rest.split_at(length);
        rest = after;
        input.extend_from_slice(piece);
        loop {
            match reader.read(&mut input) {
                Ok(Some(incoming)) => seen.push(format!("{incoming:?}")),
                Ok(None) => break,
                Err(error) => return (seen, Some(error)),
            }
        }
    }
    (seen, None)
}

fn whole(bytes: &[u8]) -> (Vec<String>, Option<XmlError>) {
    arrivals(Reader::stream(Limits::default()), bytes, &[bytes.len().max(1)])
}

/// The condition that ends a stream in which `stanza` arrives after the header.
fn condition(stanza: impl AsRef<[u8]>) -> Option<&'static str> {
    whole(&[HEADER.as_bytes(), stanza.as_ref()].concat()).1.map(XmlError::condition)
}

const MALFORMED: &[(&[u8], &str)] = &[
    // Tags that do not match, do not end, or end nothing.
    (b"<a></b>", "not-well-formed"),
    (b"<a><b></a></b>", "not-well-formed"),
    (b"</a>", "not-well-formed"),
    (b"<a/ >", "not-well-formed"),
    (b"<a b='1'/c>", "not-well-formed"),
    (b"< a/>", "not-well-formed"),
    (b"<a></a b='1'>", "not-well-formed"),
    (b"<a></ab>", "not-well-formed"),
    // Attributes.
    (b"<a b='1' b='2'/>", "not-well-formed"),
    (b"<a xmlns:x='u' xmlns:y='u' x:k='1' y:k='2'/>", "not-well-formed"),
    (b"<a xmlns='u' xmlns='u'/>", "not-well-formed"),
    (b"<a b=1/>", "not-well-formed"),
    (b"<a b/>", "not-well-formed"),
    (b"<a b='1'c='2'/>", "not-well-formed"),
    (b"<a b='<'/>", "not-well-formed"),
    (b"<a b='\x01'/>", "not-well-formed"),
    // References.
    (b"<a>&bomb;</a>", "restricted-xml"),
    (b"<a b='&nbsp;'/>", "restricted-xml"),
    (b"<a>&amp</a>", "not-well-formed"),
    (b"<a>&</a>", "not-well-formed"),
    (b"<a>&am</a;>", "not-well-formed"),
    (b"<a>&#0;</a>", "not-well-formed"),
    (b"<a>&#xD800;</a>", "not-well-formed"),
    (b"<a>&#xFFFF;</a>", "not-well-formed"),
    (b"<a>&#X41;</a>", "not-well-formed"),
    // Bytes and characters that are none.
    (b"<a>\0</a>", "not-well-formed"),
    (b"<a>\x1B</a>", "not-well-formed"),
    (b"<a>\xFF</a>", "not-well-formed"),
    (b"<a>\xC0\xBC</a>", "not-well-formed"),
    (b"<a>\xED\xA0\x80</a>", "not-well-formed"),
    (b"<a>\xF4\x90\x80\x80</a>", "not-well-formed"),
    (b"<a>\xE2\x82</a>", "not-well-formed"),
    (b"<a>\xEF\xBF\xBE</a>", "not-well-formed"),
    (b"<a b='\xEF\xBF\xBF'/>", "not-well-formed"),
    (b"<a b='\xC3'/>", "not-well-formed"),
    (b"<a><![CDATA[\xFF]]></a>", "not-well-formed"),
    (b"<a><![CDATA[\x02]]></a>", "not-well-formed"),
    // Names.
    (b"<1a/>", "not-well-formed"),
    (b"<a:/>", "not-well-formed"),
    (b"<:a/>", "not-well-formed"),
    (b"<a xmlns:b='u' xmlns:c='u'><b:c:d/></a>", "not-well-formed"),
    (b"<stream:1/>", "not-well-formed"),
    (b"<\xC3\x97/>", "not-well-formed"),
    (b"<a \xC2\xB7='1'/>", "not-well-formed"),
    // Namespaces.
    (b"<x:a/>", "not-well-formed"),
    (b"<a x:b='1'/>", "not-well-formed"),
    (b"<a xmlns:x=''/>", "not-well-formed"),
    (b"<a xmlns:xml='u'/>", "not-well-formed"),
    (b"<a xmlns:xmlns='u'/>", "not-well-formed"),
    (b"<a xmlns='http://www.w3.org/2000/xmlns/'/>", "not-well-formed"),
    (b"<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>", "not-well-formed"),
    (b"<xmlns:a/>", "not-well-formed"),
    (b"<a><b xmlns:x='u'/><x:c/></a>", "not-well-formed"),
    (b"<a xmlns:x='u'/><x:a/>", "not-well-formed"),
    // What XMPP leaves out of XML.
    (b"<a><!-- --></a>", "restricted-xml"),
    (b"<!-- -->", "restricted-xml"),
    (b"<!DOCTYPE a>", "restricted-xml"),
    (b"<a><!DOCTYPE a></a>", "restricted-xml"),
    (b"<?pi?>", "restricted-xml"),
    (b"<a><?pi?></a>", "restricted-xml"),
    (b"<?xml version='1.0'?>", "restricted-xml"),
    (b"<![CDATA[x]]>", "restricted-xml"),
    (b"<a><![cdata[x]]></a>", "restricted-xml"),
    (b"<a>]]></a>", "not-well-formed"),
    (b"text", "bad-format"),
    (b"<a/>text<b/>", "bad-format"),
    (b"&lt;", "bad-format"),
];

#[test]
fn malformed_stanzas_end_the_stream() {
    for (bytes, expected) in MALFORMED {
        assert_eq!(condition(bytes), Some(*expected), "{}", String::from_utf8_lossy(bytes));
    }
}

const WELL_FORMED: &[&str] = &[
    "<a/>",
    "<a />",
    "<a b = \"'\" c='\"' ></a >",
    "<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F980; ] ]] ]]&gt; > ' \"</a>",
    "<a>\u{1F980} \u{E9} \u{FFFD} \u{10FFFF} \u{85}</a>",
    "<\u{E9}t\u{E9} \u{3042}='\u{1F980}'/>",
    "<a><![CDATA[<&>]] > ]]]]><![CDATA[]]></a>",
    "<a xmlns='' xmlns:x='u'><x:b x:c='1' c='2' xml:lang='de'/></a>",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
    "<message><body>1</body>\n<x xmlns='u'><y/></x></message>",
    "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    "<a xmlns:x='u1' xmlns:y='u2' x:k='1' y:k='2' k='3'/>",
    " \r\n\t<presence/> ",
];

#[test]
fn well_formed_stanzas_pass() {
    for text in WELL_FORMED {
        let (seen, error) = whole(format!("{HEADER}{text}").as_bytes());
        assert_eq!((seen.len(), error), (2, None), "{text}");
    }
}

#[test]
fn the_outcome_does_not_depend_on_how_bytes_are_cut() {
    let texts =
        MALFORMED.iter().map(|(bytes, _)| *bytes).chain(WELL_FORMED.iter().map(|text| text.as_bytes()));
    for stanza in texts {
        let bytes =
            [HEADER.as_bytes(), b"<presence to='a@b'><x/></presence>", stanza, b"<r xmlns='urn:xmpp:sm:3'/>"];
        let bytes = bytes.concat();
        let expected = whole(&bytes);
        for cut in 1..bytes.len() {
            let cut_once = arrivals(Reader::stream(Limits::default()), &bytes, &[cut, bytes.len()]);
            assert_eq!(cut_once, expected, "{} cut at {cut}", String::from_utf8_lossy(stanza));
        }
        for lengths in [&[1][..], &[HEADER.len(), 1], &[2], &[3]] {
            let dribbled = arrivals(Reader::stream(Limits::default()), &bytes, lengths);
            assert_eq!(dribbled, expected, "{} by {lengths:?}", String::from_utf8_lossy(stanza));
        }
    }
}

#[test]
fn headers_are_read_or_refused() {
    let header = |text: &str| {
        let (seen, error) = whole(text.as_bytes());
        error.map_or(format!("{} seen", seen.len()), |error| error.condition().to_owned())
    };
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (text, expected) in [
        (HEADER.to_owned(), "1 seen"),
        (
            format!(
                "\n<?xml version=\"1.0\" encoding='utf-8' standalone='yes'?>\n<stream:stream xmlns='jabber:server' {streams}>"
            ),
            "1 seen",
        ),
        (format!("<stream:stream xmlns='jabber:client' {streams}>"), "1 seen"),
        (format!("<?xml version='1.1'?><stream:stream xmlns='jabber:client' {streams}>"), "not-well-formed"),
        (
            format!("<?xml version='1.0' encoding='UTF-16'?><stream:stream xmlns='jabber:client' {streams}>"),
            "unsupported-encoding",
        ),
        (
            format!("<?xml encoding='UTF-8'?><stream:stream xmlns='jabber:client' {streams}>"),
            "not-well-formed",
        ),
        (
            format!(
                "<?xml version='1.0'?><?xml version='1.0'?><stream:stream xmlns='jabber:client' {streams}>"
            ),
            "restricted-xml",
        ),
        (format!("<?php version='1.0'?><stream:stream xmlns='jabber:client' {streams}>"), "restricted-xml"),
        (
            format!("<!DOCTYPE x [<!ENTITY a 'b'>]><stream:stream xmlns='jabber:client' {streams}>"),
            "restricted-xml",
        ),
        (format!("<stream:stream {streams}>"), "invalid-namespace"),
        (format!("<stream:stream xmlns='jabber:cliemt' {streams}>"), "invalid-namespace"),
        (
            "<stream:stream xmlns='jabber:client' xmlns:stream='jabber:streams'>".to_owned(),
            "invalid-namespace",
        ),
        ("<stream:stream xmlns='jabber:client'>".to_owned(), "not-well-formed"),
        (
            "<s:stream xmlns='jabber:client' xmlns:s='http://etherx.jabber.org/streams'>".to_owned(),
            "bad-namespace-prefix",
        ),
        (format!("<stream:flow xmlns='jabber:client' {streams}>"), "bad-format"),
        (format!("<stream:stream xmlns='jabber:client' {streams}/>"), "not-well-formed"),
        (format!("<stream:stream xmlns='jabber:client' {streams} {streams}>"), "not-well-formed"),
        ("GET / HTTP/1.1\r\n".to_owned(), "bad-format"),
        ("\u{FEFF}<?xml version='1.0'?>".to_owned(), "bad-format"),
    ] {
        assert_eq!(header(&text), expected, "{text}");
    }
    for utf16 in [&b"\xFE\xFF\0<\0?"[..], b"\xFF\xFE<\0?\0", b"\0<\0?", b"<\0?\0"] {
        assert_eq!(whole(utf16).1, Some(XmlError::UnsupportedEncoding));
    }
}

#[test]
fn a_header_says_whom_it_is_for() {
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(HEADER);
    let Ok(Some(Incoming::Header(header))) = reader.read(&mut input) else { panic!("no header") };
    assert_eq!((header.to.as_deref(), header.version.as_deref()), (Some("example.com"), Some("1.0")));
    input.extend_from_slice(b"<message/><message xml:lang='de'/></stream:stream >ignored");
    for lang in ["en", "de"] {
        let Ok(Some(Incoming::Stanza(stanza))) = reader.read(&mut input) else { panic!("no stanza") };
        assert_eq!(stanza.lang.as_deref(), Some(lang));
    }
    assert!(matches!(reader.read(&mut input), Ok(Some(Incoming::Close))));
    assert!(matches!(reader.read(&mut input), Ok(None)));
}

#[test]
fn a_stream_knows_nothing_of_the_one_read_before_it() {
    let header = HEADER.replace("xmlns:stream", "xmlns:p='urn:p' xmlns:stream");
    let (seen, error) = whole(format!("{header}<message><p:a/></message>").as_bytes());
    assert!(error.is_none() && seen[1].contains("urn:p"), "{seen:?}");
    assert_eq!(condition("<message><p:a/></message>"), Some("not-well-formed"));
    let server = HEADER.replace("jabber:client", "jabber:server");
    let (seen, _) = whole(format!("{server}<message/>").as_bytes());
    assert!(seen[1].starts_with("Stanza"), "{seen:?}");
    let (seen, _) = whole(format!("{HEADER}<message xmlns='jabber:server'/>").as_bytes());
    assert!(seen[1].starts_with("Other"), "{seen:?}");
}

#[test]
fn a_restart_forgets_what_the_header_declared() {
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(
        HEADER
            .replace("version", "xmlns:p='urn:p' version")
            .replace("<?xml xmlns:p='urn:p'", "<?xml")
            .as_str(),
    );
    input.extend_from_slice(b"<p:a/>");
    assert!(matches!(reader.read(&mut input), Ok(Some(Incoming::Header(_)))));
    assert!(
        matches!(reader.read(&mut input), Ok(Some(Incoming::Other(element))) if element.is("a", "urn:p"))
    );
    reader.restart();
    input.extend_from_slice(HEADER.as_bytes());
    input.extend_from_slice(b"<p:a/>");
    assert!(matches!(reader.read(&mut input), Ok(Some(Incoming::Header(_)))));
    assert!(reader.read(&mut input).is_err());
}

#[test]
fn limits_hold() {
    let limits =
        Limits { stanza_bytes_max: 200, depth_max: 3, attributes_max: 4, namespaces_max: 6, elements_max: 5 };
    let long = |length: usize| format!("<a>{}</a>", "x".repeat(length - 7));
    for (text, fits) in [
        (long(200), true),
        (long(201), false),
        (format!("<a b='{}'/>", "x".repeat(300)), false),
        (format!("<a>{}", "x".repeat(300)), false),
        (format!("<a>{}</b>", "x".repeat(300)), false),
        ("<a><a><a/></a></a>".to_owned(), true),
        ("<a><a><a><a/></a></a></a>".to_owned(), false),
        ("<a b='' c='' d='' e=''/>".to_owned(), true),
        ("<a b='' c='' d='' e='' f=''/>".to_owned(), false),
        ("<a><b/><b/><b/><b/></a>".to_owned(), true),
        ("<a><b/><b/><b/><b/><b/></a>".to_owned(), false),
        ("<a xmlns='u' xmlns:b='u' xmlns:c='u'><b xmlns='u'/></a>".to_owned(), true),
        ("<a xmlns='u' xmlns:b='u' xmlns:c='u'><b xmlns='u' xmlns:d='u'/></a>".to_owned(), false),
    ] {
        for length in [1, 7, 1000] {
            let bytes = format!("{HEADER}{text}");
            let mut reader = Reader::stream(Limits::default());
            let mut input = BytesMut::from(HEADER);
            assert!(matches!(reader.read(&mut input), Ok(Some(Incoming::Header(_)))));
            reader.set_limits(limits);
            let (seen, error) = arrivals(reader, &bytes.as_bytes()[HEADER.len()..], &[length]);
            let expected = (usize::from(fits), if fits { None } else { Some("policy-violation") });
            assert_eq!((seen.len(), error.map(XmlError::condition)), expected, "{text} by {length}");
        }
    }
}

#[test]
fn a_header_without_end_is_refused() {
    let endless = format!("<stream:stream to='{}", "x".repeat(20_000));
    let (_, error) = arrivals(Reader::stream(Limits::BEFORE_LOGIN), endless.as_bytes(), &[1]);
    assert_eq!(error.map(XmlError::condition), Some("policy-violation"));
}

#[test]
fn a_long_namespace_of_the_header_cannot_multiply() {
    let header = HEADER.replace("to=", &format!("xmlns:p='{}' to=", "u".repeat(10_000)));
    let stanza = format!("<message>{}</message>", "<p:a/>".repeat(1000));
    assert_eq!(
        whole(format!("{header}{stanza}").as_bytes()).1.map(XmlError::condition),
        Some("policy-violation")
    );
}

#[test]
fn messages_are_one_element_each() {
    let open =
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com' version='1.0' xml:lang='de'/>";
    let frame = |text: &str| {
        let mut reader = Reader::frames(Limits::default());
        assert!(
            matches!(reader.read(&mut open.into()), Ok(Some(Incoming::Header(h))) if h.to.as_deref() == Some("example.com"))
        );
        reader.read(&mut text.into())
    };
    let message = frame("<message xmlns='jabber:client'><body>x</body></message> ");
    assert!(matches!(message, Ok(Some(Incoming::Stanza(stanza)))
        if stanza.payload.bytes() == "<body>x</body>" && stanza.lang.as_deref() == Some("de")));
    assert!(matches!(frame("<r xmlns='urn:xmpp:sm:3'/>"), Ok(Some(Incoming::Other(r))) if r.is("r", ns::SM)));
    assert!(matches!(
        frame("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"),
        Ok(Some(Incoming::Close))
    ));
    assert!(matches!(frame(""), Ok(None)));
    for (text, expected) in [
        ("<message/>", "invalid-namespace"),
        ("<", "not-well-formed"),
        ("<message xmlns='jabber:client'>", "not-well-formed"),
        ("<message xmlns='jabber:client'/><message xmlns='jabber:client'/>", "bad-format"),
        ("<stream:features/>", "not-well-formed"),
        ("</stream:stream>", "not-well-formed"),
        ("<!-- -->", "restricted-xml"),
    ] {
        assert_eq!(frame(text).map_err(XmlError::condition).err(), Some(expected), "{text}");
    }
}

#[test]
fn one_byte_at_a_time_costs_no_more_than_its_share() {
    // Were bytes seen twice, the second would take sixteen times as long as the first.
    let time = |length: usize| {
        let text = format!(
            "{HEADER}<a b='{}'>{}<![CDATA[{}]]></a>",
            "x".repeat(length),
            "y ".repeat(length),
            "z".repeat(length)
        );
        let limits = Limits { stanza_bytes_max: u32::MAX, ..Limits::default() };
        let run = || {
            let start = Instant::now();
            let (seen, error) = arrivals(Reader::stream(limits), text.as_bytes(), &[1]);
            assert_eq!((seen.len(), error), (2, None));
            start.elapsed()
        };
        (0..3).map(|_| run()).min().unwrap_or(Duration::ZERO)
    };
    let (short, long) = (time(20_000), time(80_000));
    assert!(long < short * 9, "{short:?} for a quarter, {long:?} for all");
}

#[test]
fn an_idle_reader_is_small() {
    let mut reader = Reader::stream(Limits::default());
    let mut input = BytesMut::from(HEADER);
    input.extend_from_slice(b"<message><body>x</body></message>");
    while let Ok(Some(_)) = reader.read(&mut input) {}
    assert!(!reader.has_work(), "heap kept between stanzas");
    assert!(size_of::<Reader>() <= 56, "{}", size_of::<Reader>());
}
