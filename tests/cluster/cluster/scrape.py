"""What processes tell Prometheus, and how much memory they have: asked of the whole cluster, twice a second."""

import dataclasses
import pathlib
import threading
import time

from .members import METRICS, Cluster
from .metrics import ask

EVERY_S = 0.5
# Beside an edge's metrics: when it told them, in Unix time.
AT = "at"


@dataclasses.dataclass
class Sample:
    """The whole cluster at one moment, in Unix time: asked then, and answered by then."""

    asked_s: float
    answered_s: float = 0.0
    # By edge: each metric, and `AT`.
    edges: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    # By process: resident bytes.
    memory: dict[str, int] = dataclasses.field(default_factory=dict)


class Sampler:
    """Takes samples from a thread of its own until it is told to stop."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            self.samples.append(sample(self.cluster))


def sample(cluster: Cluster) -> Sample:
    """A process that does not answer is not in it."""
    taken = Sample(time.time())
    for name, member in list(cluster.members.items()):
        taken.memory[name] = resident_bytes(member.process.pid)
        if member.role == "edge":
            told = ask(f"http://{member.address}:{METRICS}/metrics")
            taken.edges[name] = told | {AT: time.time()} if told else {}
    taken.answered_s = time.time()
    return taken


def resident_bytes(pid: int) -> int:
    """None of a process that has ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)
