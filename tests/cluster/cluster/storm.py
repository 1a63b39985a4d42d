"""Everybody loses the connection at once and comes back: what the edges let in meanwhile, what memory it took, and who came."""

import dataclasses
import math
import statistics
import time

from .hdr import percentile
from .load import Load, offences
from .members import LOGINS_BURST, Cluster
from .run import RESUMED_SHARE, say
from .scrape import AT, Sample, Sampler

# Once it has settled, a process may have so many times the memory that it had before.
MEMORY_GROWTH_MAX = 1.05
# Memory is the median of so long.
MEMORY_OVER_S = 10.0
# Rates are of so many samples.
WINDOW = 4
LOGINS = "throng_edge_logins_total"
WAITING = "throng_edge_logins_waiting"
DELAYED = "throng_edge_logins_delayed_total"
REFUSED = "throng_edge_logins_refused_total"
CONNECTIONS = "throng_edge_connections"
DRAWN = {"logins": LOGINS, "waiting": WAITING, "delayed": DELAYED, "refused": REFUSED, "connections": CONNECTIONS}


@dataclasses.dataclass
class Plan:
    """Who is there, and what they may take."""

    users: int
    rate: float
    arrivals: float
    # Before the storm, until everybody has to be back, and until memory is looked at after that.
    calm_s: float
    back_s: float
    settle_s: float
    # Logins and resumptions a second at all edges.
    budget: int
    seed: int


@dataclasses.dataclass
class Memory:
    """Of one process, in bytes."""

    before: float
    peak: float
    after: float

    @property
    def growth(self) -> float:
        return self.after / self.before if self.before else math.inf


class Storm:
    """One storm; `facts` are found when it is over."""

    def __init__(self, cluster: Cluster, load: Load, plan: Plan):
        self.cluster, self.load, self.plan = cluster, load, plan
        self.sampler = Sampler(cluster)
        self.problems: list[str] = []
        self.facts: dict = {}

    def perform(self) -> None:
        plan = self.plan
        settings = {"users": plan.users, "rate": plan.rate, "arrivals": plan.arrivals, "steady": plan.calm_s}
        settings["storm"] = plan.back_s + plan.settle_s
        self.load.start(self.cluster.clients(), settings, plan.seed)
        self.sampler.start()
        login_s = plan.users / plan.arrivals * 1.25
        if not self.load.wait_for_sessions(plan.users, login_s + plan.calm_s):
            raise RuntimeError(f"the people do not come: {self.load.folder}/load.log")
        say(f"{plan.users} people are there; {login_s + plan.calm_s - self.load.figures().seconds:.0f} s until the storm")
        exit_code = self.load.wait(login_s + plan.calm_s + plan.back_s + plan.settle_s + 600)
        self.sampler.stop()
        if exit_code not in (0, 1):
            self.problems.append(f"the ledger has something against the run (exit code {exit_code})")
        self._conclude()

    def _conclude(self) -> None:
        record, plan = self.load.record, self.plan
        marks = [mark["at_ms"] for mark in record.get("marks", []) if mark["what"] == "storm"]
        if not marks:
            raise RuntimeError(f"there was no storm: {self.load.folder}/load.log")
        began_s = (record["started_unix_ms"] + marks[0]) / 1000
        returns = self._returns([second for second in record["seconds"] if second["at_ms"] > marks[0]], marks[0])
        self.facts = {
            "plan": vars(plan),
            "topology": {role: len(self.cluster.of_role(role)) for role in ("edge", "session", "router")},
            "stores": self.cluster.options.stores,
            "returns": returns,
            "admissions": self._admissions(began_s),
            "memory": self._memory(began_s, began_s + (returns["all_s"] or plan.back_s)),
            "offences": offences(record),
            "curve": [self._point(sample, began_s) for sample in self.sampler.samples],
            "named": record.get("ledger", {}).get("offences", [])[:50],
            "ledger": {key: value for key, value in record.get("ledger", {}).items() if isinstance(value, int)},
        }
        self.problems += self.cluster.panics()
        self.facts["problems"] = self.problems

    def _returns(self, seconds: list[dict], storm_ms: int) -> dict:
        """Who came back, how, and when."""
        users, counts = self.plan.users, self.load.record["counts"]
        away = [second["latencies"]["away"]["histogram"] for second in seconds if "away" in second["latencies"]]
        resumed = sum(second["latencies"]["away"]["count"] for second in seconds if "away" in second["latencies"])
        # The first second still has people who have not noticed.
        full = next((second["at_ms"] for second in seconds[1:] if second["sessions"] >= users), None)
        found = {
            "cut": counts.get("connections-cut", 0),
            "resumed": resumed,
            "anew": counts.get("sessions-forgotten", 0),
            "failed_attempts": {name: count for name, count in counts.items() if name.startswith("failed.resume.")},
            "resumed_s": {share: percentile(away, share / 100) / 1e6 for share in (50, 99, 100)} if resumed else {},
            "all_s": (full - storm_ms) / 1000 if full else None,
        }
        if found["cut"] < users:
            self.problems.append(f"only {found['cut']} of {users} connections were cut")
        if full is None or found["all_s"] > self.plan.back_s:
            most = max((second["sessions"] for second in seconds[1:]), default=0)
            self.problems.append(f"not everybody was back within {self.plan.back_s:.0f} s: at most {most} of {users}")
        if resumed < RESUMED_SHARE * users:
            self.problems.append(f"only {resumed} of {users} sessions were resumed, {found['anew']} logged in anew")
        return found

    def _admissions(self, began_s: float) -> dict:
        """What edges let in, beside what they may: what a quiet time has saved up, and their share of each second since."""
        edges = self.cluster.of_role("edge")
        share = math.ceil(self.plan.budget / len(edges))
        before = [sample for sample in self.sampler.samples if sample.answered_s < began_s][-1]
        after = [sample for sample in self.sampler.samples if sample.asked_s >= began_s and all(sample.edges.values())]
        spare = {edge: [LOGINS_BURST + share * (s.answered_s - began_s) - grown(before, s, edge, LOGINS) for s in after] for edge in edges}
        queued = {edge: [sample for sample in after if of(sample, edge, WAITING)] for edge in edges}
        found = {
            "budget_per_s": self.plan.budget,
            "burst": LOGINS_BURST * len(edges),
            "admitted": sum(grown(before, after[-1], edge, LOGINS) for edge in edges),
            "delayed": sum(grown(before, after[-1], edge, DELAYED) for edge in edges),
            "refused": sum(grown(before, after[-1], edge, REFUSED) for edge in edges),
            "waiting_max": max(sum(of(sample, edge, WAITING) for edge in edges) for sample in after),
            "per_s_while_some_waited": sum(rate(edge, some) for edge, some in queued.items()),
            "per_s_max": {edge: max((rate(edge, [a, b]) for a, b in zip(some, some[WINDOW:])), default=0.0) for edge, some in queued.items()},
            "spare_min": {edge: min(some) for edge, some in spare.items()},
            "connections": {edge: [of(before, edge, CONNECTIONS), of(after[-1], edge, CONNECTIONS)] for edge in edges},
        }
        self.problems += [f"{edge} let in {-some:.0f} more than it may" for edge, some in found["spare_min"].items() if some < -1]
        if not found["delayed"]:
            self.problems.append("nobody had to wait: the storm shows nothing of the budget")
        return found

    def _memory(self, began_s: float, back_s: float) -> dict[str, dict]:
        """Of each process: before the storm, at most, and when it has settled."""
        until_s = back_s + self.plan.settle_s
        found = {}
        for name in self.cluster.members:
            memory = Memory(
                self._median(name, began_s - MEMORY_OVER_S, began_s),
                max(self._resident(name, began_s, until_s), default=0),
                self._median(name, until_s - MEMORY_OVER_S, until_s),
            )
            if memory.growth > MEMORY_GROWTH_MAX:
                self.problems.append(f"{name} has {100 * (memory.growth - 1):.1f} % more memory than before the storm")
            found[name] = vars(memory) | {"growth": memory.growth}
        return found

    def _point(self, sample: Sample, began_s: float) -> dict:
        """What is drawn over time: seconds since the storm, and what there was then."""
        told = {edge: {name: of(sample, edge, metric) for name, metric in DRAWN.items()} for edge in sample.edges}
        return {"at_s": round(sample.asked_s - began_s, 2), "edges": told, "memory": sample.memory}

    def _median(self, name: str, from_s: float, to_s: float) -> float:
        return statistics.median(self._resident(name, from_s, to_s) or [0])

    def _resident(self, name: str, from_s: float, to_s: float) -> list[int]:
        return [sample.memory.get(name, 0) for sample in self.sampler.samples if from_s <= sample.asked_s < to_s]


def of(sample: Sample, edge: str, metric: str) -> int:
    return int(sample.edges.get(edge, {}).get(metric, 0))


def grown(before: Sample, after: Sample, edge: str, metric: str) -> int:
    return of(after, edge, metric) - of(before, edge, metric)


def rate(edge: str, samples: list[Sample]) -> float:
    """How many of those who waited were let in, a second, between the first and the last."""
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    let_in = grown(first, last, edge, DELAYED) - grown(first, last, edge, WAITING)
    return let_in / (last.edges[edge][AT] - first.edges[edge][AT])


def markdown(facts: dict) -> str:
    plan, back, let_in, ledger = facts["plan"], facts["returns"], facts["admissions"], facts["ledger"]
    topology = ", ".join(f"{count} {role}s" for role, count in facts["topology"].items())
    share = {int(share): seconds for share, seconds in back["resumed_s"].items()}
    columns = ("sent", "delivered", "lost", "doubled", "reordered", "astray", "failed", "unknown")
    everybody_s = "never" if back["all_s"] is None else f"{back['all_s']:.0f} s"
    out = [
        f"{plan['users']:,} people lose their connection at once and come back within five seconds of it: {topology}; stores: "
        f"{facts['stores']}; {plan['rate']:g} messages a second; {plan['budget']} logins a second are let in (seed {plan['seed']}).",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---:|" * len(columns),
        "| " + " | ".join(f"{ledger.get(name, 0):,}" for name in columns) + " |",
        "",
        "| cut | resumed | logged in anew | half back | 99 % | the last resumed | everybody logged in |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {back['cut']:,} | {back['resumed']:,} | {back['anew']:,} | {share.get(50, 0):.1f} s | {share.get(99, 0):.1f} s "
        f"| {share.get(100, 0):.1f} s | {everybody_s} |",
        "",
        "| budget | let in while some waited | the fastest two seconds of an edge | had to wait | at once, at most | sent away |",
        "|---:|---:|---:|---:|---:|---:|",
        f"| {let_in['budget_per_s']}/s, {let_in['burst']} at once | {let_in['per_s_while_some_waited']:.0f}/s | {max(let_in['per_s_max'].values()):.0f}/s "
        f"| {let_in['delayed']:,} | {let_in['waiting_max']:,} | {let_in['refused']:,} |",
        "",
        f"| memory, MiB | before | at most | {plan['settle_s']:g} s after all were back | |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, memory in facts["memory"].items():
        before, peak, after = (memory[key] / 2**20 for key in ("before", "peak", "after"))
        out.append(f"| {name} | {before:.1f} | {peak:.1f} | {after:.1f} | {100 * (memory['growth'] - 1):+.1f} % |")
    if facts["problems"]:
        out += ["", "Problems:", *(f"- {problem}" for problem in facts["problems"][:60])]
    return "\n".join(out) + "\n"
