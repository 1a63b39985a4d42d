//! What the machine has to say, until the transport takes it.

/// Bytes to be sent, and for WebSocket where each message ends. It belongs to whoever drives the machine, who may use
/// one for many streams: an idle stream holds no buffer.
#[derive(Debug, Default)]
pub struct Output {
    /// To be sent in order.
    pub bytes: Vec<u8>,
    /// For framed transports: the offset behind each message (RFC 7395 §3.1). Else empty.
    pub ends: Vec<usize>,
    framed: bool,
}

impl Output {
    /// For a transport of bytes, as TCP.
    pub fn stream() -> Self {
        Self::default()
    }

    /// For a transport of messages, as WebSocket.
    pub fn frames() -> Self {
        Self { framed: true, ..Self::default() }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was taken and keeps the space.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Whether each top-level element is a message of its own.
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    pub(super) fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.bytes.extend_from_slice(part.as_bytes());
        }
    }

    /// Character data, or an attribute's value in either kind of quotes.
    pub(super) fn push_escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'<' => self.bytes.extend_from_slice(b"&lt;"),
                b'>' => self.bytes.extend_from_slice(b"&gt;"),
                b'&' => self.bytes.extend_from_slice(b"&amp;"),
                b'\'' => self.bytes.extend_from_slice(b"&apos;"),
                b'"' => self.bytes.extend_from_slice(b"&quot;"),
                b'\t' | b'\n' | b'\r' => {
                    self.push(&[
                        "&#",
                        if byte == b'\t' {
                            "9"
                        } else if byte == b'\n' {
                            "10"
                        } else {
                            "13"
                        },
                        ";",
                    ]);
                }
                _ => self.bytes.push(byte),
            }
        }
    }

    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        self.push(&[" ", name, "='"]);
        self.push_escaped(value);
        self.push(&["'"]);
    }

    /// Opens `<stream:name>`; a message of its own has to bind the prefix (RFC 7395 §3.3.3).
    pub(super) fn stream_element(&mut self, name: &str) {
        self.push(&["<stream:", name]);
        if self.framed {
            self.push(&[" xmlns:stream='http://etherx.jabber.org/streams'"]);
        }
        self.push(&[">"]);
    }

    /// A top-level element is complete.
    pub(super) fn end(&mut self) {
        if self.framed {
            self.ends.push(self.bytes.len());
        }
    }
}
