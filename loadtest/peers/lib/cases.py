"""What is measured: scenarios with the servers that play them, and the figures that are taken from a run's record."""

from dataclasses import dataclass, field
from pathlib import Path

from servers import Ejabberd, Floor, Prosody, Server, Setup, Throng

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"

PEERS = (Ejabberd, Prosody)
ALL = (Floor, Throng, *PEERS)
SERVERS = (Throng, *PEERS)


@dataclass
class Figure:
    """A row of the table."""

    name: str
    unit: str
    take: object  # of a run: its value
    digits: int = 0
    more_is_better: bool = False


@dataclass
class Run:
    """A run's record, and the server before it."""

    record: dict
    measure: str
    phase: str
    users: int
    cpu_before_us: float
    memory_before_bytes: int
    each: int = 1  # deliveries for each completion of the measure

    def seconds(self) -> list[dict]:
        return [second for second in self.record["seconds"] if second["phase"] == self.phase]

    def done(self) -> int:
        """Completions of the measure within the phase's seconds."""
        return sum(second["latencies"].get(self.measure, {}).get("count", 0) for second in self.seconds()) * self.each

    def something_happened(self) -> bool:
        within = self.seconds()
        return self.done() > 0 or len(within) > 1 and self.phase == "idle" and within[-2]["sessions"] > 0

    def cpu_us(self) -> float:
        """The server's, within the same seconds."""
        within = self.seconds()
        first = self.record["seconds"].index(within[0])
        before = self.record["seconds"][first - 1]["server"]["server"]["cpu_us"] if first else self.cpu_before_us
        return within[-1]["server"]["server"]["cpu_us"] - before

    def cpu_us_each(self) -> float:
        return self.cpu_us() / self.done()

    def rate(self) -> float:
        within = self.seconds()
        first = self.record["seconds"].index(within[0])
        from_ms = self.record["seconds"][first - 1]["at_ms"] if first else 0
        return self.done() / (within[-1]["at_ms"] - from_ms) * 1000

    def latency_ms(self, key: str) -> float:
        return self.record["latencies"][self.measure][self.phase][key] / 1000

    def logins_a_second(self) -> float:
        """All came at once: until the last was in."""
        spread = self.record["latencies"]["login"][self.phase]
        return spread["count"] / spread["max_us"] * 1e6

    def bytes_a_session(self) -> float:
        # In the very last second they go.
        last = self.seconds()[-2]
        return (last["server"]["server"]["memory_bytes"] - self.memory_before_bytes) / last["sessions"]

    def failures(self) -> dict[str, int]:
        return {name.removeprefix("failed."): count for name, count in self.record["counts"].items()
                if name.startswith("failed.")}

    def offences(self) -> dict[str, int]:
        names = ("lost", "doubled", "reordered", "astray")
        return {name: self.record["ledger"][name] for name in names if self.record["ledger"].get(name)}


def cpu(unit: str = "µs a delivery") -> Figure:
    return Figure("server CPU", unit, Run.cpu_us_each, 1)


def latency(key: str, what: str) -> Figure:
    return Figure(f"latency, {what}", "ms", lambda run: run.latency_ms(key), 2)


P50, P99 = latency("p50_us", "median"), latency("p99_us", "p99")
MEMORY = Figure("server memory", "bytes a session", Run.bytes_a_session)


@dataclass
class Case:
    """A scenario, and what is taken from it."""

    name: str
    about: str
    figures: tuple[Figure, ...]
    measure: str = "chat"
    phase: str = "steady"
    scenario: str = ""  # else the name
    kinds: tuple[type[Server], ...] = SERVERS
    each: int = 1
    parameters: dict[str, float] = field(default_factory=dict)

    def path(self) -> Path:
        return SCENARIOS / f"{self.scenario or self.name}.toml"


# Everybody has these contacts; those of the presence scenario are online.
CONTACTS = 20
SHARED = Setup(accounts=1000, contacts=CONTACTS)
ARCHIVING = Setup(accounts=200, archive=True)
IDLE = Setup(accounts=3000, contacts=10)

# Servers are started once for these, and run side by side.
SIDE_BY_SIDE = [
    (SHARED, [
        Case("p2p-closed", "chat, four messages under way on each of 200 sessions", (cpu(), Figure("rate", "deliveries/s", Run.rate, more_is_better=True)), kinds=ALL),
        Case("p2p-open", "chat, 1,000 messages a second", (cpu(), P50, P99), kinds=ALL),
        Case("p2p-managed", "chat as the first, with stream management", (cpu(),), kinds=ALL),
        Case("logins", "1,000 logins at once, TLS 1.3 and SCRAM-SHA-1", (
            Figure("server CPU", "ms a login", lambda run: run.cpu_us_each() / 1000, 2),
            Figure("rate", "logins/s", Run.logins_a_second, more_is_better=True),
        ), measure="login", phase="storm"),
        Case("presence", f"changes of presence, to {CONTACTS} contacts each", (cpu("µs a presence delivered"),), measure="change", each=CONTACTS),
        Case("muc", "room of 100 occupants, 20 messages a second", (cpu(), P50, P99), measure="say"),
        Case("pubsub", "node of 100 subscribers, 20 items a second", (cpu(), P50, P99), measure="publish"),
        Case("upload", "files of 64 KiB", (cpu("µs a file"), P50), measure="upload"),
    ]),
    (ARCHIVING, [
        Case("p2p-archive", "chat as the first, archived for both", (cpu(),), scenario="p2p-closed"),
        Case("mam-page", "pages of 50 messages from archives", (cpu("µs a page"), P50), measure="page"),
    ]),
]
# Each has a server of its own, fresh: what was freed before would hide what is taken.
FRESH = [
    (IDLE, Case("idle", "3,000 idle sessions, plain TCP", (MEMORY,), measure="login", phase="idle", kinds=ALL)),
    (IDLE, Case("idle-tls", "3,000 idle sessions, TLS 1.3", (MEMORY,), measure="login", phase="idle", kinds=ALL)),
]
CASES = [case for _, cases in SIDE_BY_SIDE for case in cases] + [case for _, case in FRESH]
