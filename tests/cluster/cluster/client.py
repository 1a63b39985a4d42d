"""A small XMPP client: STARTTLS, SCRAM-SHA-1, stream management. It comes back by itself, at one edge after another."""

import asyncio
import base64
import hashlib
import hmac
import os
import ssl
from xml.etree import ElementTree as ET

STREAM, TLS, SASL = "http://etherx.jabber.org/streams", "urn:ietf:params:xml:ns:xmpp-tls", "urn:ietf:params:xml:ns:xmpp-sasl"
BIND, SM, CLIENT = "urn:ietf:params:xml:ns:xmpp-bind", "urn:xmpp:sm:3", "jabber:client"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
PATIENCE_S = 10
SILENCE_S = 5
PAUSE_S = 0.2


class Refused(Exception):
    """The server has said no."""


class Client:
    """One session, whatever becomes of its connections. `heard` gets every stanza once."""

    def __init__(self, edges: list[str], domain: str, name: str, resource: str, heard=lambda stanza: None):
        self.edges, self.domain, self.name, self.resource, self.heard = edges, domain, name, resource, heard
        self.jid = f"{name}@{domain}/{resource}"
        self.resumptions = 0
        # Sent first in each session that is no resumed one.
        self.greeting = ""
        # Why streams could not be resumed.
        self.lost: list[str] = []
        # Why connections ended, in turn.
        self.ends: list[str] = []
        # Another session with the same resource has come.
        self.replaced = False
        self.online = asyncio.Event()
        self._previd = ""
        self._sent: list[str] = []
        self._acknowledged = self._handled = self._edge = 0
        self._answers: dict[str, asyncio.Future] = {}
        self._task: asyncio.Task | None = None
        self._stream: Stream | None = None

    def begin(self, edge: int = 0) -> None:
        """Logs in, however often that takes, and stays until it is closed."""
        self._edge = edge
        self._task = asyncio.create_task(self._stay())

    async def start(self, edge: int = 0) -> None:
        """Begins, and waits until it is logged in."""
        self.begin(edge)
        await self.online.wait()

    async def close(self) -> None:
        """Logs out."""
        # `wait_for` forgets that it was cancelled when what it waits for comes in the same moment.
        while self._task and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        if self._stream:
            self._stream.write("</stream:stream>")
            await self._stream.close()

    def send(self, stanza: str) -> None:
        """Sent now or after a resumption; what the server has acknowledged is forgotten."""
        self._sent.append(stanza)
        if self.online.is_set() and self._stream:
            self._stream.write(stanza + f"<r xmlns='{SM}'/>")

    async def ask(self, kind: str, payload: str, to: str = "") -> ET.Element:
        """The answer to an IQ."""
        id = base64.b32encode(os.urandom(5)).decode()
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        self.send(f"<iq type='{kind}' id='{id}'{f' to={to!r}' if to else ''}>{payload}</iq>")
        return await answer

    async def fate(self, within_s: float) -> str:
        """`there`, if it is answered; else why not."""
        if not self.online.is_set():
            return " then ".join(self.ends[-3:]) or "never logged in"
        try:
            await asyncio.wait_for(self.ask("get", "<query xmlns='jabber:iq:roster'/>"), within_s)
            return "there"
        except asyncio.TimeoutError:
            return f"silent on edge {self._edge % len(self.edges)}, {len(self._sent)} unacknowledged, {self._handled} handled"

    async def _stay(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._log_in(), PATIENCE_S)
                reason = await self._listen()
            except Exception as error:  # whatever it was, the next attempt may go better
                reason = f"{type(error).__name__}: {error}"
            self.ends.append(reason)
            self.online.clear()
            if self._stream:
                await self._stream.close()
                self._stream = None
            if STREAMS in reason and "conflict" in reason:
                self.replaced = True
                return
            self._edge += 1
            await asyncio.sleep(PAUSE_S)

    async def _listen(self) -> str:
        """Takes what comes; why nothing comes any more. A server that is silent is asked for a sign, and given up without one."""
        asked = False
        while True:
            try:
                self._take(await asyncio.wait_for(self._stream.next(), SILENCE_S))
                asked = False
            except EOFError as error:
                return str(error)
            except asyncio.TimeoutError:
                if asked:
                    return "silence"
                asked = True
                self._stream.write(f"<r xmlns='{SM}'/>")

    def _take(self, stanza: ET.Element) -> None:
        if stanza.tag == f"{{{SM}}}r":
            self._stream.write(f"<a xmlns='{SM}' h='{self._handled}'/>")
        elif stanza.tag == f"{{{SM}}}a":
            self._acknowledge(int(stanza.get("h")))
        elif stanza.tag.startswith(f"{{{CLIENT}}}"):
            self._handled += 1
            answer = self._answers.pop(stanza.get("id"), None) if stanza.get("type") in ("result", "error") else None
            if answer and not answer.done():
                answer.set_result(stanza)
            self.heard(stanza)

    def _acknowledge(self, h: int) -> None:
        del self._sent[: h - self._acknowledged]
        self._acknowledged = h

    async def _log_in(self) -> None:
        stream = await Stream.connect(self.edges[self._edge % len(self.edges)], self.domain)
        try:
            await stream.authenticate(self.name)
            if self._previd:
                stream.write(f"<resume xmlns='{SM}' previd='{self._previd}' h='{self._handled}'/>")
                answer = await stream.next()
                if answer.tag == f"{{{SM}}}resumed":
                    self._acknowledge(int(answer.get("h")))
                    self.resumptions += 1
                    self._begin(stream)
                    return
                self.lost.append(ET.tostring(answer, "unicode"))
                self._previd = ""
            await self._bind(stream)
            if self.greeting:
                self._sent.insert(0, self.greeting)
            self._begin(stream)
        except BaseException:
            if stream is not self._stream:
                await stream.close()
            raise

    async def _bind(self, stream: "Stream") -> None:
        resource = f"<bind xmlns='{BIND}'><resource>{self.resource}</resource></bind>"
        stream.write(f"<iq type='set' id='bind'>{resource}</iq><enable xmlns='{SM}' resume='true'/>")
        bound = await stream.next()
        if bound.get("type") != "result":
            raise EOFError(ET.tostring(bound, "unicode"))
        enabled = await stream.next()
        self._previd = enabled.get("id", "")
        self._acknowledged = self._handled = 0

    def _begin(self, stream: "Stream") -> None:
        self._stream = stream
        self.online.set()
        if self._sent:
            stream.write("".join(self._sent) + f"<r xmlns='{SM}'/>")


class Stream:
    """An XML stream over TLS: elements come out of it one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, domain: str):
        self.reader, self.writer, self.domain = reader, writer, domain
        self._parser, self._depth, self._ready = None, 0, []

    @staticmethod
    async def connect(address: str, domain: str) -> "Stream":
        host, port = address.rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        stream = Stream(reader, writer, domain)
        try:
            await stream.open()
            stream.write(f"<starttls xmlns='{TLS}'/>")
            await stream.next()
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            await writer.start_tls(trusting, server_hostname=domain)
        except BaseException:
            await stream.close()
            raise
        return stream

    async def open(self) -> ET.Element:
        """A new stream on this connection; its features."""
        self._parser, self._depth, self._ready = ET.XMLPullParser(("start", "end")), 0, []
        self.write(f"<?xml version='1.0'?><stream:stream to='{self.domain}' version='1.0' xmlns='{CLIENT}' xmlns:stream='{STREAM}'>")
        return await self.next()

    async def authenticate(self, name: str) -> None:
        """Logs in, with the name as the password, and opens the stream that follows. Makes the account if there is none."""
        await self.open()
        if not await self._scram(name):
            query = f"<query xmlns='jabber:iq:register'><username>{name}</username><password>{name}</password></query>"
            self.write(f"<iq type='set' id='register'>{query}</iq>")
            answer = await self.next()
            if answer.get("type") != "result" or not await self._scram(name):
                raise Refused(f"{name}: {ET.tostring(answer, 'unicode')}")
        await self.open()

    async def _scram(self, name: str) -> bool:
        nonce = base64.b64encode(os.urandom(18)).decode()
        bare = f"n={name},r={nonce}"
        self.write(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{encode('n,,' + bare)}</auth>")
        challenge = await self.next()
        if challenge.tag != f"{{{SASL}}}challenge":
            return False
        server = base64.b64decode(challenge.text).decode()
        fields = dict(field.split("=", 1) for field in server.split(","))
        salted = hashlib.pbkdf2_hmac("sha1", name.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha1")
        without = f"c=biws,r={fields['r']}"
        signature = hmac.digest(hashlib.sha1(key).digest(), f"{bare},{server},{without}".encode(), "sha1")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        self.write(f"<response xmlns='{SASL}'>{encode(f'{without},p={proof}')}</response>")
        return (await self.next()).tag == f"{{{SASL}}}success"

    def write(self, text: str) -> None:
        if not self.writer.is_closing():
            self.writer.write(text.encode())

    async def next(self) -> ET.Element:
        """The next element; an EOFError tells why there is none."""
        while not self._ready:
            read = await self.reader.read(65536)
            if not read:
                raise EOFError("the connection was closed")
            self._parser.feed(read)
            for event, element in self._parser.read_events():
                self._depth += 1 if event == "start" else -1
                if event == "end" and self._depth == 1:
                    self._ready.append(element)
                elif event == "end" and self._depth == 0 and not self._ready:
                    raise EOFError("the stream was closed")
        element = self._ready.pop(0)
        if element.tag == f"{{{STREAM}}}error":
            raise EOFError(ET.tostring(element, "unicode"))
        return element

    async def close(self) -> None:
        self.writer.close()
        try:
            await asyncio.wait_for(self.writer.wait_closed(), 1)
        except (OSError, asyncio.TimeoutError, ssl.SSLError):
            pass


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
