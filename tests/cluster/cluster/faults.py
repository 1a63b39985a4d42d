"""What is done to the cluster: each kind does its harm, waits for its time, and undoes what can be undone."""

import dataclasses
import random
import time
from collections.abc import Callable

from .members import Cluster

FROZEN_S = 10.0
CUT_S = 10.0
AWAY_S = 5.0
GRACE_S = 35.0


@dataclasses.dataclass
class Fault:
    """`run` returns when all has been done; healing is what comes after."""

    kind: str
    target: str
    run: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}".strip()


Maker = Callable[[Cluster], Fault]


class Turn:
    """Each of several in turn. Kinds begin at different ones, so that a short plan does not hit the first alone."""

    made = 0

    def __init__(self):
        self.number = Turn.made
        Turn.made += 1

    def __call__(self, names: list[str]) -> str:
        self.number += 1
        return names[(self.number - 1) % len(names)]


def kill(role: str) -> Maker:
    """SIGKILL; it is started again."""
    turn = Turn()

    def make(cluster: Cluster) -> Fault:
        name = turn(cluster.of_role(role))
        return Fault("kill", name, lambda: cluster.kill(name))

    return make


def freeze(role: str) -> Maker:
    """SIGSTOP for ten seconds: it wakes up and believes that nothing has happened."""
    turn = Turn()

    def make(cluster: Cluster) -> Fault:
        name = turn(cluster.of_role(role))

        def run() -> None:
            cluster.freeze(name)
            time.sleep(FROZEN_S)
            cluster.thaw(name)

        return Fault("freeze", name, run)

    return make


def cut(role: str, ways: str) -> Maker:
    """Nothing leaves it, nothing reaches it, or neither, for ten seconds."""
    turn = Turn()

    def make(cluster: Cluster) -> Fault:
        name = turn(cluster.of_role(role))

        def run() -> None:
            cluster.pods.cut(name, ways)
            time.sleep(CUT_S)
            cluster.pods.mend(name, ways)

        return Fault(f"cut-{ways}", name, run)

    return make


def restart(role: str) -> Maker:
    """SIGTERM, as in a rolling restart: it drains, ends, and comes back."""
    turn = Turn()

    def make(cluster: Cluster) -> Fault:
        name = turn(cluster.of_role(role))
        return Fault("restart", name, lambda: cluster.restart(name, GRACE_S))

    return make


def roll(cluster: Cluster) -> Fault:
    """Each process in turn, as a new version would be brought out."""

    def run() -> None:
        for name in list(cluster.members):
            cluster.restart(name, GRACE_S)
            time.sleep(1)
            cluster.wait_ready(name)

    return Fault("roll", "", run)


def scale(cluster: Cluster) -> Fault:
    """A third owner comes, takes its share, and goes again."""

    def run() -> None:
        name = cluster.add("session")
        cluster.wait_ready(name)
        time.sleep(AWAY_S)
        cluster.remove(name, GRACE_S)

    return Fault("scale", "session", run)


def store_dies(service: str) -> Maker:
    """SIGKILL, and a start on the data it had."""

    def make(cluster: Cluster) -> Fault:
        def run() -> None:
            cluster.infra.ctl("kill", service)
            time.sleep(AWAY_S)
            cluster.infra.ctl("start", service)

        return Fault("kill", service, run)

    return make


def redis_fails_over(cluster: Cluster) -> Fault:
    """The primary is killed, Sentinel promotes the replica, the old one comes back as a replica."""

    def run() -> None:
        old = cluster.infra.ctl("primary")
        cluster.infra.ctl("failover")
        cluster.infra.ctl("start", old)

    return Fault("failover", "redis", run)


def redis_restarts(cluster: Cluster) -> Fault:
    """Killed and back before anybody has promoted the replica."""

    def run() -> None:
        name = cluster.infra.ctl("primary")
        cluster.infra.ctl("kill", name)
        cluster.infra.ctl("start", name)

    return Fault("kill", "redis", run)


def redis_forgets(cluster: Cluster) -> Fault:
    """All it knew is gone."""
    return Fault("empty", "redis", lambda: cluster.infra.ctl("empty"))


# In the order of a round. Every process is hit by several of them.
PROCESSES: dict[str, Maker] = {
    "kill-edge": kill("edge"),
    "kill-session": kill("session"),
    "kill-router": kill("router"),
    "freeze-session": freeze("session"),
    "freeze-router": freeze("router"),
    "restart-edge": restart("edge"),
    "restart-session": restart("session"),
    "restart-router": restart("router"),
}
PARTITIONS: dict[str, Maker] = {
    f"cut-{ways}-{role}": cut(role, ways) for role in ("session", "router", "edge") for ways in ("both", "out", "in")
}
REDIS: dict[str, Maker] = {
    "redis-failover": redis_fails_over,
    "redis-kill": redis_restarts,
    "redis-empty": redis_forgets,
}
STORES: dict[str, Maker] = {
    "cassandra-kill": store_dies("cassandra"),
    "kafka-kill": store_dies("kafka"),
    "scale": scale,
}
ROLLING: dict[str, Maker] = {"roll": roll}


def possible(cluster: Cluster) -> dict[str, Maker]:
    """Those that this cluster can be hit by."""
    kinds = dict(PROCESSES)
    if cluster.pods.can_cut:
        kinds |= PARTITIONS
    if cluster.infra:
        kinds |= REDIS
    if cluster.options.stores == "real":
        kinds |= STORES
    return kinds | ROLLING


def plan(cluster: Cluster, count: int, seed: int, only: list[str]) -> list[tuple[str, Maker]]:
    """So many, in rounds of all kinds, each round shuffled; the rolling restart comes once, in the middle."""
    chance = random.Random(seed)
    kinds = possible(cluster)
    if only:
        chosen = {name: make for name, make in kinds.items() if any(part in name for part in only)}
    else:
        chosen = {name: make for name, make in kinds.items() if name not in ROLLING}
    if not chosen:
        raise SystemExit(f"nothing is called {', '.join(only)}; there are {', '.join(kinds)}")
    planned: list[tuple[str, Maker]] = []
    while len(planned) < count:
        round_ = list(chosen.items())
        chance.shuffle(round_)
        planned += round_
    planned = planned[:count]
    if not only:
        planned[len(planned) // 2] = ("roll", roll)
    return planned
