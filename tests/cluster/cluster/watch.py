"""What people see of each other, and of their own sessions, asked after every fault.

One account watches some others. Before a fault, one of them goes; after it, all that are there say something new of
themselves. The watcher has to see both within five seconds. Meanwhile somebody logs in twice with the same resource, at
different edges: exactly one of the two sessions may be left."""

import asyncio
import threading
import time

from .client import CLIENT, Client

SUBJECTS = 6
WITHIN_S = 5.0
# What takes longer is given up; the difference is how late it was.
PATIENCE_S = 30.0


class Watch:
    """Clients in a thread of their own."""

    def __init__(self, edges: list[str], domain: str):
        self.edges, self.domain = edges, domain
        # By account: what the watcher has seen last.
        self.seen: dict[str, str] = {}
        self.truth: dict[str, str] = {}
        self.subjects: list[Client] = []
        self.watcher: Client | None = None
        self.twins: list[Client] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self) -> None:
        self._do(self._start())

    def close(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def before(self, number: int) -> None:
        """Somebody goes, and somebody comes twice, while the fault is under way."""
        self._do(self._before(number))

    def after(self, number: int) -> "Seen":
        """How long it took until all was seen as it is, and what is wrong with it."""
        return self._do(self._after(number))

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(120)

    async def _start(self) -> None:
        self.watcher = Client(self.edges, self.domain, "watcher", "tower", self._heard)
        self.watcher.greeting = "<presence/>"
        await self.watcher.start()
        for number in range(SUBJECTS):
            name = f"subject{number}"
            subject = Client(self.edges, self.domain, name, "street", lambda stanza, name=name: self._asked(name, stanza))
            await subject.start(number)
            self.subjects.append(subject)
            self.watcher.send(f"<presence type='subscribe' to='{name}@{self.domain}'/>")
            await self._says(number, "here")
        await self._is_seen(PATIENCE_S)

    async def _close(self) -> None:
        for client in [self.watcher, *self.subjects, *self.twins]:
            if client:
                await client.close()

    async def _says(self, number: int, words: str) -> None:
        self.truth[f"subject{number}"] = words
        self.subjects[number].send(f"<presence><status>{words}</status></presence>")

    async def _before(self, number: int) -> None:
        gone = number % SUBJECTS
        self.truth[f"subject{gone}"] = "gone"
        self.subjects[gone].send("<presence type='unavailable'/>")
        await self._twins_go()
        for edge in range(2):
            twin = Client(self.edges, self.domain, "twin", "mirror")
            self.twins.append(twin)
            # The fault may be in its way: it goes on trying.
            twin.begin(edge)

    async def _after(self, number: int) -> "Seen":
        gone = number % SUBJECTS
        for other in range(SUBJECTS):
            if other != gone:
                await self._says(other, f"after-{number}")
        took = await self._is_seen(PATIENCE_S)
        wrong = {name: self.seen.get(name, "") for name, words in self.truth.items() if self.seen.get(name) != words}
        # Whether it is they or their server who do not see.
        people = {client.name: await client.fate(WITHIN_S) for client in [self.watcher, *self.subjects]} if wrong else {}
        wrong |= {name: fate for name, fate in people.items() if fate != "there"}
        twins = await self._fates()
        await self._says(gone, f"back-{number}")
        forgotten = [reason for client in [self.watcher, *self.subjects] for reason in client.lost]
        for client in [self.watcher, *self.subjects]:
            client.lost.clear()
        return Seen(took, wrong, twins, forgotten)

    async def _is_seen(self, patience_s: float) -> float:
        began = time.monotonic()
        while time.monotonic() - began < patience_s:
            if all(self.seen.get(name) == words for name, words in self.truth.items()):
                break
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def _fates(self) -> list[str]:
        """What has become of both sessions with the same full JID: `there`, or why not."""
        deadline = time.monotonic() + PATIENCE_S
        while not all(twin.online.is_set() or twin.replaced for twin in self.twins) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        return [await twin.fate(WITHIN_S) for twin in self.twins]

    async def _twins_go(self) -> None:
        for twin in self.twins:
            await twin.close()
        self.twins.clear()

    def _heard(self, stanza) -> None:
        if stanza.tag != f"{{{CLIENT}}}presence":
            return
        name = (stanza.get("from") or "").partition("@")[0]
        if stanza.get("type") == "unavailable":
            self.seen[name] = "gone"
        elif stanza.get("type") is None:
            self.seen[name] = stanza.findtext(f"{{{CLIENT}}}status") or ""

    def _asked(self, name: str, stanza) -> None:
        if stanza.get("type") == "subscribe":
            client = self.subjects[int(name.removeprefix("subject"))]
            client.send(f"<presence type='subscribed' to='{stanza.get('from')}'/>")


class Seen:
    """What was seen after a fault."""

    def __init__(self, took_s: float, wrong: dict[str, str], twins: list[str], forgotten: list[str]):
        self.took_s, self.wrong, self.twins, self.forgotten = took_s, wrong, twins, forgotten

    def problems(self) -> list[str]:
        found = []
        if self.wrong:
            found.append(f"presence is wrong: {self.wrong}")
        elif self.took_s > WITHIN_S:
            found.append(f"presence was right after {self.took_s:.1f} s only")
        if len(self.twins) != 2 or self.twins.count("there") != 1:
            found.append(f"sessions of one full JID: {self.twins}")
        if self.forgotten:
            found.append(f"{len(self.forgotten)} watching sessions were not resumed: {self.forgotten[0][:200]}")
        return found
