//! Our reader and rxml must accept the same streams and see the same in them; and how bytes are cut must not matter.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use rxml::Parse as _;
use xmpp::{
    ns,
    xml::{Element, Incoming, Limits, Node, Reader, XmlError},
};

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const LIMITS: Limits = Limits {
    stanza_bytes_max: 8000,
    depth_max: u16::MAX,
    attributes_max: u16::MAX,
    namespaces_max: u16::MAX,
    elements_max: u32::MAX,
};

fuzz_target!(|data: &[u8]| {
    let document = [HEADER, data].concat();
    let whole = read(&document, document.len());
    let dribbled = read(&document, 1);
    assert_eq!((&whole.seen, whole.error), (&dribbled.seen, dribbled.error), "cut into bytes");
    // rxml refuses or loses carriage returns in attributes, which XML 1.0 §2.11 and §3.3.3 make into spaces.
    if data.contains(&b'\r') {
        return;
    }
    let (theirs, rejected) = rxml(&document[..dribbled.consumed]);
    match whole.error {
        // Well-formed, but not what XMPP allows between stanzas.
        Some(XmlError::BadFormat(_) | XmlError::Limit(_) | XmlError::UnsupportedEncoding) => {}
        // Refused at its first byte that differs, where rxml waits for more.
        Some(XmlError::Restricted(rule)) if rule != "entity reference" => {}
        // rxml lets a namespace be declared twice by one element, which XML 1.0 §3.1 does not.
        Some(XmlError::NotWellFormed("attribute given twice")) => {}
        Some(error) => assert!(rejected, "we refused what rxml takes: {error}"),
        None => assert!(!rejected, "we took what rxml refuses"),
    }
    for (ours, theirs) in whole.seen.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert!(theirs.len() >= whole.seen.len(), "we saw more");
});

struct Read {
    /// What was seen in each stanza.
    seen: Vec<String>,
    error: Option<XmlError>,
    /// Bytes up to the last complete element, or up to the error.
    consumed: usize,
}

fn read(document: &[u8], length: usize) -> Read {
    let (mut reader, mut input) = (Reader::stream(LIMITS), BytesMut::new());
    let (mut seen, mut arrived) = (Vec::new(), 0);
    for piece in document.chunks(length) {
        input.extend_from_slice(piece);
        arrived += piece.len();
        loop {
            match reader.read(&mut input) {
                Ok(Some(Incoming::Header(_))) => {}
                Ok(Some(Incoming::Stanza(stanza))) => {
                    let wrapped = [b"<x>", stanza.payload.bytes().as_ref(), b"</x>"].concat();
                    let tree = Element::parse(&wrapped, ns::CLIENT).expect("what entered reads back");
                    let mut text = String::from(stanza.kind.name());
                    tree.nodes().iter().for_each(|node| print_node(node, &mut text));
                    seen.push(text);
                }
                Ok(Some(Incoming::Other(element))) => {
                    let mut text = String::new();
                    print(&element, &mut text);
                    seen.push(text);
                }
                Ok(Some(Incoming::Close)) => return Read { seen, error: None, consumed: arrived },
                Ok(None) => break,
                Err(error) => return Read { seen, error: Some(error), consumed: arrived },
            }
        }
    }
    Read { seen, error: None, consumed: document.len() - input.len() }
}

fn print_node(node: &Node, out: &mut String) {
    match node {
        Node::Element(element) => print(element, out),
        Node::Text(text) => out.push_str(text),
    }
}

fn print(element: &Element, out: &mut String) {
    let attributes = element.attributes().iter();
    let attributes = attributes.map(|a| (a.ns.to_string(), a.name.to_string(), a.value.to_string())).collect();
    open(element.ns(), element.name(), attributes, out);
    element.nodes().iter().for_each(|node| print_node(node, out));
    out.push_str("</>");
}

fn open(ns: &str, name: &str, mut attributes: Vec<(String, String, String)>, out: &mut String) {
    attributes.sort();
    out.push_str(&format!("<{{{ns}}}{name} {attributes:?}>"));
}

/// What rxml sees in each child of the stream, and whether it refuses the document.
fn rxml(mut document: &[u8]) -> (Vec<String>, bool) {
    let mut parser = rxml::Parser::new();
    let (mut seen, mut depth, mut stanza) = (Vec::new(), 0, false);
    loop {
        match parser.parse(&mut document, false) {
            Ok(Some(rxml::Event::StartElement(_, (ns, name), attributes))) => {
                depth += 1;
                if depth == 2 {
                    seen.push(String::new());
                    stanza = ns.as_str() == ns::CLIENT && matches!(name.as_str(), "message" | "presence" | "iq");
                }
                let attributes = attributes.iter();
                let attributes = attributes.map(|((ns, name), value)| (ns.to_string(), name.to_string(), value.clone()));
                match seen.last_mut() {
                    Some(text) if depth == 2 && stanza => text.push_str(name.as_str()),
                    Some(text) if depth >= 2 => open(ns.as_str(), name.as_str(), attributes.collect(), text),
                    _ => {}
                }
            }
            Ok(Some(rxml::Event::EndElement(_))) => {
                if let Some(text) = seen.last_mut().filter(|_| depth > 2 || depth == 2 && !stanza) {
                    text.push_str("</>");
                }
                depth -= 1;
            }
            Ok(Some(rxml::Event::Text(_, more))) => {
                if let Some(text) = seen.last_mut().filter(|_| depth >= 2) {
                    text.push_str(&more);
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return (seen, false),
            Err(rxml::error::EndOrError::NeedMoreData) => return (seen, false),
            Err(rxml::error::EndOrError::Error(_)) => return (seen, true),
        }
    }
}
