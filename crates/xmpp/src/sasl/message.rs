//! The grammar of SCRAM's messages (RFC 5802 §7). `None` means that a message breaks it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a client says about channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag<'a> {
    /// `n`: it has none.
    Unsupported,
    /// `y`: it has, but believes the server has not.
    Unoffered,
    /// `p=…`: it binds to this type.
    Type(&'a str),
}

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    /// The `gs2-header` with its last comma: part of what the proof covers.
    pub(super) header: &'a str,
    pub(super) flag: Flag<'a>,
    pub(super) authzid: Option<String>,
    /// Everything after the header.
    pub(super) bare: &'a str,
    pub(super) name: String,
    pub(super) nonce: &'a str,
}

/// `server-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub(super) without_proof: &'a str,
    /// `c=`, still in base64.
    pub(super) binding: &'a str,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<ClientFirst<'a>> {
        let text = text(message)?;
        let mut fields = text.splitn(3, ',');
        let (flag, authzid, bare) = (fields.next()?, fields.next()?, fields.next()?);
        let header = &text[..text.len() - bare.len()];
        let flag = match flag {
            "n" => Flag::Unsupported,
            "y" => Flag::Unoffered,
            _ => Flag::Type(flag.strip_prefix("p=").filter(|name| is_binding_name(name))?),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(unescape(authzid.strip_prefix("a=")?)?),
        };
        // A leading `m=` would be an extension one must understand; there is none, so `n=` comes first.
        let mut attributes = bare.split(',');
        let name = unescape(attributes.next()?.strip_prefix("n=")?)?;
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        attributes.all(is_extension).then_some(ClientFirst { header, flag, authzid, bare, name, nonce })
    }
}

impl<'a> ServerFirst<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<ServerFirst<'a>> {
        let mut attributes = text(message)?.split(',');
        let nonce = attributes.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
        let salt = STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
        let iterations = attributes.next()?.strip_prefix("i=")?.parse().ok().filter(|&i| i > 0)?;
        attributes.all(is_extension).then_some(ServerFirst { nonce, salt, iterations })
    }
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<ClientFinal<'a>> {
        let (without_proof, proof) = text(message)?.rsplit_once(",p=")?;
        let proof = STANDARD.decode(proof).ok()?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next()?.strip_prefix("c=")?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        attributes.all(is_extension).then_some(ClientFinal { without_proof, binding, nonce, proof })
    }
}

/// The `v=` of a `server-final-message`.
pub(super) fn server_signature(message: &[u8]) -> Option<Vec<u8>> {
    let verifier = text(message)?.strip_prefix("v=")?;
    STANDARD.decode(verifier.split(',').next()?).ok()
}

/// `saslname`: a comma would end the attribute, and the equals sign starts an escape.
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(saslname: &str) -> Option<String> {
    let mut pieces = saslname.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (plain, rest) = match piece.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            _ => return None,
        };
        name.push(plain);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

fn text(message: &[u8]) -> Option<&str> {
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0'))
}

fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic())
}

fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

/// An optional extension, ignored as RFC 5802 §5.1 wants.
fn is_extension(attribute: &str) -> bool {
    let attribute = attribute.as_bytes();
    attribute.len() > 2 && attribute[0].is_ascii_alphabetic() && attribute[1] == b'='
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_message_is_cut_where_the_grammar_says() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=me@x,n=a=2Cb=3Dc,r=nonce,x=later").unwrap();
        assert_eq!(first.header, "p=tls-exporter,a=me@x,");
        assert_eq!(first.flag, Flag::Type("tls-exporter"));
        assert_eq!(first.authzid.as_deref(), Some("me@x"));
        assert_eq!(first.name, "a,b=c");
        assert_eq!(first.nonce, "nonce");
        assert_eq!(first.bare, "n=a=2Cb=3Dc,r=nonce,x=later");
    }

    #[test]
    fn a_first_message_that_breaks_the_grammar_is_refused() {
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=u",
            "n,,n=,r=x",
            "n,,n=u,r=",
            "n,,r=x,n=u",
            "n,,n=u,r=\u{e9}",
            "x,,n=u,r=x",
            "p=,,n=u,r=x",
            "p=a b,,n=u,r=x",
            "n,me@x,n=u,r=x",
            "n,a=,n=u,r=x",
            "n,,m=ext,n=u,r=x",
            "n,,n=u=2c,r=x",
            "n,,n=u=,r=x",
            "n,,n==4,r=x",
            "n,,n=\u{0},r=x",
            "n,,n=u,r=x,",
        ] {
            assert_eq!(ClientFirst::parse(message.as_bytes()), None, "{message:?}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=x"), None);
    }

    #[test]
    fn a_final_message_that_breaks_the_grammar_is_refused() {
        for message in
            ["", "c=biws", "c=biws,r=x", "r=x,c=biws,p=AA==", "c=biws,r=x,p=!", "c=biws,r=x,y,p=AA=="]
        {
            assert_eq!(ClientFinal::parse(message.as_bytes()), None, "{message:?}");
        }
        assert!(ClientFinal::parse(b"c=biws,r=x,p=AA==").is_some());
    }

    #[test]
    fn names_survive_their_escapes() {
        for name in ["juliet", "a,b", "=2C", "=", ",,==", "jos\u{e9}"] {
            assert_eq!(unescape(&escape(name)).as_deref(), Some(name));
        }
    }
}
