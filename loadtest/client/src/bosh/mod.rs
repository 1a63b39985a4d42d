//! XMPP over BOSH (XEP-0124, XEP-0206): elements travel in the bodies of HTTP requests, of which one always waits at the
//! server for what it has to say, and a second one carries what we have to say meanwhile.

mod lane;

use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use xmpp::xml::write_attribute;

use self::lane::Lane;
use crate::element::Element;
use crate::error::{Error, Stage};
use crate::framer::{Framed, Framer};
use crate::http::invalid;
use crate::plan::Plan;

/// How long the server may keep a request waiting, in seconds (XEP-0124 §7.1).
const WAIT_SECONDS: u32 = 60;
/// Requests under way: one that waits, one that tells (XEP-0124 §11).
const LANES: usize = 2;

/// One session.
#[derive(Debug)]
pub(crate) struct Bosh {
    domain: Box<str>,
    /// Given by the server's first answer.
    sid: Option<Box<str>>,
    /// The next request's number.
    rid: u64,
    lanes: [Lane; LANES],
    /// What the next request is for beside its elements.
    purpose: Purpose,
    is_closing: bool,
    is_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Create,
    /// A new stream after the login (XEP-0206 §5).
    Restart,
    Terminate,
    /// Elements, or nothing but to wait for some.
    Talk,
    /// Nothing more.
    Nothing,
}

impl Bosh {
    pub(crate) fn new(plan: &Plan) -> Result<Bosh, Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| Error::new(Stage::Http, "random").with_text(error.to_string()))?;
        Ok(Bosh {
            domain: (&*plan.domain).into(),
            sid: None,
            // XEP-0124 §14.2: large and unforeseeable, and below 2^53 for as long as the session lasts.
            rid: u64::from_be_bytes(random) >> 14,
            lanes: std::array::from_fn(|_| Lane::new(plan)),
            purpose: Purpose::Nothing,
            is_closing: false,
            is_ended: false,
        })
    }

    /// Creates the session, or begins a new stream in it.
    pub(crate) fn open(&mut self) {
        self.purpose = if self.sid.is_none() { Purpose::Create } else { Purpose::Restart };
    }

    pub(crate) fn close(&mut self) {
        self.purpose = Purpose::Terminate;
        self.is_closing = true;
    }

    pub(crate) fn abandon(self) {
        self.lanes.into_iter().for_each(Lane::abandon);
    }

    /// Sends what is there to be sent; ready when all of it has left.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, outbox: &mut Vec<u8>) -> Poll<io::Result<()>> {
        loop {
            // One after the other: a request that overtakes another is an error to some servers.
            for lane in &mut self.lanes {
                ready!(lane.poll_write(cx))?;
            }
            let free = self.lanes.iter().position(Lane::is_free).filter(|_| self.has_cause(outbox));
            let Some(at) = free else { break };
            let request = self.request(outbox);
            self.lanes[at].begin(self.rid, &request);
            self.rid += 1;
        }
        if outbox.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Appends the elements of the next answer; 0 bytes are the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        inbox: &mut BytesMut,
        outbox: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.is_ended {
                return Poll::Ready(Ok(0));
            }
            for lane in &mut self.lanes {
                let _ = lane.poll_read(cx)?;
            }
            // Answers count in the order of their requests, on whichever connection they come first.
            let next = self.lanes.iter_mut().filter(|lane| !lane.is_free()).min_by_key(|lane| lane.rid());
            let Some(mut body) = next.and_then(Lane::take) else { return Poll::Pending };
            let count = self.hear(&mut body, inbox)?;
            if count > 0 {
                // Whether there is an answer to it is seen before the next request is made: two at once may overtake
                // each other, and no server expects a new stream before what was sent for the old one.
                return Poll::Ready(Ok(count));
            }
            let _ = self.poll_send(cx, outbox)?;
        }
    }

    /// Whether a request has to be made now.
    fn has_cause(&self, outbox: &[u8]) -> bool {
        let is_alone = self.lanes.iter().all(Lane::is_free);
        match self.purpose {
            Purpose::Create => is_alone,
            Purpose::Restart | Purpose::Terminate => true,
            Purpose::Talk => is_alone || !outbox.is_empty() && self.sid.is_some(),
            Purpose::Nothing => false,
        }
    }

    /// The `<body/>` of a request (XEP-0124 §7, XEP-0206 §3), which takes the outbox with it.
    fn request(&mut self, outbox: &mut Vec<u8>) -> Vec<u8> {
        let mut body =
            format!("<body xmlns='http://jabber.org/protocol/httpbind' rid='{}'", self.rid).into_bytes();
        if let Some(sid) = &self.sid {
            write_attribute(&mut body, "sid", sid);
        }
        let is_opening = matches!(self.purpose, Purpose::Create | Purpose::Restart);
        if is_opening {
            write_attribute(&mut body, "to", &self.domain);
            body.extend_from_slice(b" xmlns:xmpp='urn:xmpp:xbosh'");
        }
        let (more, then) = match self.purpose {
            Purpose::Create => {
                let more = format!(
                    " ver='1.6' hold='1' wait='{WAIT_SECONDS}' content='text/xml; charset=utf-8' xmpp:version='1.0'"
                );
                (more, Purpose::Talk)
            }
            Purpose::Restart => (" xmpp:restart='true'".to_owned(), Purpose::Talk),
            Purpose::Terminate => (" type='terminate'".to_owned(), Purpose::Nothing),
            other => (String::new(), other),
        };
        self.purpose = then;
        body.extend_from_slice(more.as_bytes());
        body.push(b'>');
        if !is_opening {
            body.append(outbox);
        }
        body.extend_from_slice(b"</body>");
        body
    }

    /// Takes the elements out of an answer; how many bytes they are.
    fn hear(&mut self, body: &mut BytesMut, inbox: &mut BytesMut) -> io::Result<usize> {
        let Some(Framed::Element(body)) = Framer::default().next(body) else {
            return Err(invalid("an answer without a body"));
        };
        let before = inbox.len();
        if let Some(sid) = body.tag().attribute("sid") {
            self.sid = Some(sid.into());
        }
        inbox.extend_from_slice(inner(&body));
        if body.ty() == Some("terminate") {
            self.is_ended = true;
            self.purpose = Purpose::Nothing;
            inbox.extend_from_slice(&end(&body, self.is_closing));
        }
        Ok(inbox.len() - before)
    }
}

/// Everything between an element's tags.
fn inner(element: &Element) -> &[u8] {
    let bytes = element.bytes();
    let end = memchr::memrchr(b'<', bytes).unwrap_or(0);
    bytes.get(element.head_bytes()..end).unwrap_or_default()
}

/// How the end of a session would have been said in a stream: by its end, or by the error that ended it, unless the
/// stream error itself is there (XEP-0124 §17.2). Who has closed it wants to hear of none: some servers call it one
/// when a waiting request is answered by the end that we asked for.
fn end(body: &Element, is_closing: bool) -> Vec<u8> {
    match body.tag().attribute("condition").filter(|_| !is_closing) {
        Some(condition) if condition != "remote-stream-error" => {
            format!("<stream:error><{condition}/></stream:error>").into_bytes()
        }
        _ => b"</stream:stream>".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn session() -> Bosh {
        let plan = Plan::new(([127, 0, 0, 1], 1).into(), "x", "a", "b");
        Bosh { rid: 7, ..Bosh::new(&plan).unwrap() }
    }

    fn told(bosh: &mut Bosh, body: &'static str) -> String {
        let mut inbox = BytesMut::new();
        bosh.hear(&mut BytesMut::from(Bytes::from(body)), &mut inbox).unwrap();
        String::from_utf8(inbox.to_vec()).unwrap()
    }

    #[test]
    fn a_session_is_created_restarted_and_ended() {
        let (mut bosh, mut outbox) = (session(), b"<presence/>".to_vec());
        bosh.open();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert!(
            text(bosh.request(&mut outbox)).contains(" rid='7' to='x' xmlns:xmpp='urn:xmpp:xbosh' ver='1.6'")
        );
        assert_eq!(told(&mut bosh, "<body sid='s1'><stream:features/></body>"), "<stream:features/>");
        bosh.open();
        assert!(text(bosh.request(&mut outbox)).contains("xmpp:restart='true'></body>"));
        assert!(text(bosh.request(&mut outbox)).ends_with("><presence/></body>"));
        assert_eq!(told(&mut bosh, "<body/>"), "");
        bosh.close();
        assert!(text(bosh.request(&mut outbox)).ends_with(" type='terminate'></body>"));
        assert_eq!(told(&mut bosh, "<body type='terminate'><message/></body>"), "<message/></stream:stream>");
        assert!(bosh.is_ended);
    }

    #[test]
    fn an_unwanted_end_is_an_error() {
        let answer = "<body type='terminate' condition='item-not-found'/>";
        assert_eq!(told(&mut session(), answer), "<stream:error><item-not-found/></stream:error>");
    }
}
