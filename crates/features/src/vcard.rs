//! vcard-temp (XEP-0054) and the avatar in it (XEP-0153): the hash of the photo goes into every presence whose client
//! does not speak of avatars itself.
//!
//! The vCard and the hash of its photo are one document: the hash, a line feed, the vCard.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha1::{Digest, Sha1};
use store::Documents;
use xmpp::ns;
use xmpp::stanza::{Condition, Kind, Stanza, StanzaError, Type};
use xmpp::xml::Element;

use crate::about::{About, At, Spec};
use crate::chain::Feature;
use crate::context::{Context, Next, after};
use crate::iq;
use crate::ports::Ports;

/// A vCard at most, in bytes of XML.
pub(crate) const BYTES_MAX: usize = 192 * 1024;

/// What this room says of itself.
pub(crate) static ABOUT: About = About {
    name: "vcard",
    doc: "Keeps vCards, and tells in presence which photo is in one.",
    specs: &[Spec { xep: 54, version: "1.3.0", note: "" }, Spec { xep: 153, version: "1.1.1", note: "" }],
    host_disco: &[ns::VCARD],
    account_disco: &[ns::VCARD],
    at: &[At::Account, At::Presence, At::Sent],
};

/// Keeps vCards.
pub(crate) struct Vcard {
    documents: Arc<dyn Documents>,
}

impl Vcard {
    pub(crate) fn build(ports: &Ports) -> Box<dyn Feature> {
        Box::new(Self { documents: ports.store.documents.clone() })
    }

    /// Everybody may read a vCard (§4).
    fn read(&self, cx: &Context<'_>) -> Next {
        let own = cx.session.is_some();
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Next::later(async move {
            let document = documents.read(&account, ns::VCARD, "").await.map_err(iq::stored)?;
            let vcard = document.and_then(|document| Element::parse(split(&document).1, ns::CLIENT).ok());
            // §3.1 and §4: one's own may be empty; another's answers as if there were no account.
            let vcard = match vcard {
                None if !own => return Err(Condition::ServiceUnavailable.into()),
                vcard => vcard.unwrap_or_else(|| Element::new(ns::VCARD, "vCard")),
            };
            after(move |cx, stanza| iq::answer(cx, stanza, &vcard))
        })
    }

    fn write(&self, cx: &Context<'_>, stanza: &Stanza) -> Result<Next, StanzaError> {
        let vcard = iq::child(stanza, ns::VCARD, "vCard")?;
        let xml = vcard.to_bytes(ns::CLIENT);
        if xml.len() > BYTES_MAX {
            return Err(Condition::PolicyViolation.into());
        }
        let hash = photo_hash(&vcard);
        let document = Bytes::from([hash.as_bytes(), b"\n", &xml].concat());
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Ok(Next::later(async move {
            documents.put(&account, ns::VCARD, "", document).await.map_err(iq::stored)?;
            after(move |cx, stanza| {
                cx.account.photo = Some(hash.into());
                iq::done(cx, stanza)
            })
        }))
    }

    /// Adds the hash to a presence, once it is known.
    fn inject(&self, cx: &Context<'_>, stanza: &mut Stanza) -> Next {
        if stanza.kind != Kind::Presence
            || stanza.ty != Type::Available
            || stanza.payload.has(ns::VCARD_UPDATE, "x")
        {
            return Next::Go;
        }
        if let Some(hash) = &cx.account.photo {
            push(stanza, hash);
            return Next::Go;
        }
        let (documents, account) = (self.documents.clone(), cx.account.jid.clone());
        Next::later(async move {
            let hash = match documents.read(&account, ns::VCARD, "").await {
                Ok(document) => {
                    Some(document.map_or_else(Box::default, |document| split(&document).0.into()))
                }
                // A presence without a hash is better than none; the next one asks again.
                Err(error) => {
                    tracing::warn!(%error, %account, "the hash of a photo could not be read");
                    None
                }
            };
            after(move |cx, stanza| {
                push(stanza, hash.as_deref().unwrap_or_default());
                cx.account.photo = hash;
                Next::Go
            })
        })
    }
}

impl Feature for Vcard {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn handle(&self, at: At, cx: &mut Context<'_>, stanza: &mut Stanza) -> Next {
        match at {
            // Directed presence too: rooms learn of avatars by it (XEP-0398 §4).
            At::Presence | At::Sent => self.inject(cx, stanza),
            _ if iq::is_get(stanza, ns::VCARD, "vCard") => self.read(cx),
            _ if cx.session.is_some() && iq::is_set(stanza, ns::VCARD, "vCard") => {
                iq::attempt(self.write(cx, stanza))
            }
            _ => Next::Go,
        }
    }
}

/// `<photo/>` with the hash (XEP-0153 §3.1), if there is a photo.
fn push(stanza: &mut Stanza, hash: &str) {
    if !hash.is_empty() {
        let photo = Element::new(ns::VCARD_UPDATE, "photo").with_text(hash);
        stanza.payload.push(&Element::new(ns::VCARD_UPDATE, "x").with_child(photo));
    }
}

/// The hash and the vCard of a document.
fn split(document: &[u8]) -> (&str, &[u8]) {
    let end = document.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    (std::str::from_utf8(&document[..end]).unwrap_or_default(), document.get(end + 1..).unwrap_or_default())
}

/// SHA-1 of the image (XEP-0153 §3.1), in hexadecimal; empty without one that can be read.
fn photo_hash(vcard: &Element) -> String {
    let photo = vcard.child("PHOTO", ns::VCARD).and_then(|photo| photo.child("BINVAL", ns::VCARD));
    let mut encoded = photo.map(Element::text).unwrap_or_default();
    // XEP-0153 §4.6: white space is ignored.
    encoded.retain(|char| !char.is_ascii_whitespace());
    match STANDARD.decode(encoded) {
        Ok(image) if !image.is_empty() => {
            Sha1::digest(&image).iter().fold(String::new(), |mut hash, byte| {
                // Writing to a string never fails.
                let _ = write!(hash, "{byte:02x}");
                hash
            })
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use xmpp::jid::Jid;

    use super::*;
    use crate::testing::{Stage, payload, stanza};

    const GET: &str = "<iq id='1' type='get'><vCard xmlns='vcard-temp'/></iq>";
    const VCARD: &str =
        "<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><BINVAL>aGVs\nbG8=</BINVAL></PHOTO></vCard>";
    /// SHA-1 of `hello`.
    const HASH: &str = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";

    fn set(vcard: &str) -> String {
        format!("<iq id='1' type='set'>{vcard}</iq>")
    }

    fn shown(stage: &mut Stage, room: &dyn Feature, at: At, xml: &str) -> String {
        let mut presence = stanza(xml);
        assert!(matches!(stage.meet(room, at, None, &mut presence), Next::Go));
        payload(&presence)
    }

    #[test]
    fn everybody_reads_the_vcard_that_juliet_wrote() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Vcard::build);
        assert_eq!(stage.ask(&*room, At::Account, chamber, GET), "<vCard xmlns='vcard-temp'/>");
        assert_eq!(stage.ask(&*room, At::Account, None, GET), "error service-unavailable");
        assert_eq!(stage.ask(&*room, At::Account, None, &set(VCARD)), "go");
        assert_eq!(stage.ask(&*room, At::Account, chamber, &set(VCARD)), "");
        for session in [chamber, None] {
            assert_eq!(stage.ask(&*room, At::Account, session, GET), VCARD);
        }
    }

    #[test]
    fn a_presence_tells_the_photo_unless_its_client_does() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Vcard::build);
        assert_eq!(shown(&mut stage, &*room, At::Presence, "<presence/>"), "");
        stage.ask(&*room, At::Account, chamber, &set(VCARD));
        let told = format!("<x xmlns='vcard-temp:x:update'><photo>{HASH}</photo></x>");
        // As another process finds it, and as the one that wrote it knows it.
        for known in [None, stage.account.photo.clone()] {
            stage.account.photo = known;
            assert_eq!(shown(&mut stage, &*room, At::Presence, "<presence/>"), told);
            assert_eq!(shown(&mut stage, &*room, At::Sent, "<presence to='room@muc.example/j'/>"), told);
        }
        let own = "<x xmlns='vcard-temp:x:update'/>";
        assert_eq!(shown(&mut stage, &*room, At::Presence, &format!("<presence>{own}</presence>")), own);
        assert_eq!(shown(&mut stage, &*room, At::Presence, "<presence type='unavailable'/>"), "");
        assert_eq!(shown(&mut stage, &*room, At::Sent, "<message to='a@b.example'/>"), "");
    }

    #[test]
    fn a_photo_that_is_none_has_no_hash() {
        for photo in ["", "<PHOTO/>", "<PHOTO><BINVAL/></PHOTO>", "<PHOTO><BINVAL>%</BINVAL></PHOTO>"] {
            let vcard = format!("<vCard xmlns='vcard-temp'>{photo}</vCard>");
            assert_eq!(photo_hash(&Element::parse(vcard.as_bytes(), "").unwrap()), "", "{photo}");
        }
    }

    #[test]
    fn a_vcard_has_its_limit() {
        let mut stage = Stage::new();
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Vcard::build);
        let large = format!("<vCard xmlns='vcard-temp'><DESC>{}</DESC></vCard>", "x".repeat(BYTES_MAX));
        assert_eq!(stage.ask(&*room, At::Account, chamber, &set(&large)), "error policy-violation");
    }

    #[test]
    fn a_presence_passes_though_the_store_fails() {
        let mut stage = Stage::new();
        stage.ports.store.documents = Arc::new(Failing);
        let chamber = Some(stage.bind("chamber"));
        let room = stage.room(Vcard::build);
        assert_eq!(shown(&mut stage, &*room, At::Presence, "<presence/>"), "");
        assert_eq!(stage.account.photo, None);
        assert_eq!(stage.ask(&*room, At::Account, chamber, &set(VCARD)), "error internal-server-error");
        assert_eq!(stage.account.photo, None);
    }

    struct Failing;

    fn failed<T>() -> store::Result<T> {
        Err(store::Error::Refused("down".into()))
    }

    #[async_trait::async_trait]
    impl Documents for Failing {
        async fn read(&self, _: &Jid, _: &str, _: &str) -> store::Result<Option<Bytes>> {
            failed()
        }

        async fn put(&self, _: &Jid, _: &str, _: &str, _: Bytes) -> store::Result<()> {
            failed()
        }

        async fn delete(&self, _: &Jid, _: &str, _: &str) -> store::Result<()> {
            failed()
        }

        async fn list(&self, _: &Jid, _: &str) -> store::Result<Vec<String>> {
            failed()
        }

        async fn names(&self, _: &Jid) -> store::Result<Vec<(String, String)>> {
            failed()
        }
    }
}
