"""One run: the load, the faults one after another, and what was seen after each."""

import dataclasses
import pathlib
import time

from .costs import Costs
from .faults import Fault, Maker
from .load import Load
from .members import DOMAIN, SLOTS, Cluster
from .watch import Watch

# Of the connections that a fault has cost, so many have to be resumed in time.
RESUMED_SHARE = 0.999
# After a fault everybody has to be back by then.
BACK_S = 60.0
# Nothing is done to anybody for so long, at the beginning, for figures to compare with.
CALM_S = 20.0


@dataclasses.dataclass
class Outcome:
    """What one fault did."""

    number: int
    kind: str
    target: str
    # Seconds since the load's start: when it began, when all of it was done, when everybody was back.
    began_s: float
    done_s: float = 0.0
    healed_s: float = 0.0
    # When every slot had an owner again.
    taken_s: float = 0.0
    lost: int = 0
    resumed: int = 0
    resumed_soon: int = 0
    forgotten: int = 0
    presence_s: float = 0.0
    # What became of two sessions with the same full JID.
    twins: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def line(self) -> str:
        share = f"{self.resumed_soon}/{self.lost} resumed" if self.lost else "no connection lost"
        words = "; ".join(self.problems) or "well"
        took = self.healed_s - self.done_s
        lasted = self.done_s - self.began_s
        return f"{self.kind} {self.target} ({lasted:.1f} s): {share}, all back after {took:.1f} s, slots owned after {self.taken_s - self.done_s:.1f} s, presence {self.presence_s:.1f} s: {words}"


@dataclasses.dataclass
class Plan:
    """What is to be done, and to whom."""

    faults: list[tuple[str, Maker]]
    users: int
    rate: float
    arrivals: int
    seconds: float
    absence: float
    seed: int


class Run:
    """Everything that a run has found is in it when it is over."""

    def __init__(self, cluster: Cluster, load: Load, plan: Plan):
        self.cluster, self.load, self.plan = cluster, load, plan
        self.outcomes: list[Outcome] = []
        self.problems: list[str] = []
        self.exit_code = -1
        # CPU microseconds a message, in the calm beginning.
        self.costs: dict[str, float] = {}
        self.watch = Watch(cluster.clients(), DOMAIN)

    def perform(self) -> None:
        plan = self.plan
        settings = {"users": plan.users, "rate": plan.rate, "seconds": plan.seconds, "arrivals": plan.arrivals, "absence": plan.absence}
        self.load.start(self.cluster.clients(), settings, plan.seed)
        self.watch.start()
        if not self.load.wait_for_sessions(plan.users, plan.users / plan.arrivals * 3 + 60):
            raise RuntimeError(f"the people do not come: {self.load.folder}/load.log")
        login_s = plan.users / plan.arrivals * 1.5 + 10
        self._sleep_until(login_s + 2)
        costs = Costs(self.cluster, self.load)
        self._sleep_until(login_s + CALM_S)
        self.costs = costs.per_message_us()
        end_s = login_s + plan.seconds
        self._faults(login_s + CALM_S, end_s)
        self.watch.close()
        say(f"waiting for the ledger ({end_s + 20 - self.now():.0f} s and what it takes to settle)")
        self.exit_code = self.load.wait(end_s - self.now() + 20 + 600)
        self._conclude()

    def now(self) -> float:
        """Seconds since the load's start."""
        return time.time() - self._began

    def _faults(self, from_s: float, end_s: float) -> None:
        """Evenly over the time there is: what heals early is followed by calm."""
        slot_s = (end_s - from_s) / len(self.plan.faults)
        for number, (_, make) in enumerate(self.plan.faults):
            self._sleep_until(from_s + number * slot_s)
            if self.now() > end_s - 15 or self.load.is_over():
                self.problems.append(f"time was over after {number} of {len(self.plan.faults)} faults")
                break
            outcome = self._one(number, make(self.cluster))
            self.outcomes.append(outcome)
            say(f"{number + 1}/{len(self.plan.faults)} {outcome.line()}")

    def _one(self, number: int, fault: Fault) -> Outcome:
        outcome = Outcome(number, fault.kind, fault.target, self.now())
        before = self.load.figures()
        self.watch.before(number)
        outcome.began_s = self.now()
        try:
            fault.run()
            outcome.done_s = self.now()
            self._heal(outcome)
            seen = self.watch.after(number)
            outcome.presence_s = seen.took_s
            outcome.problems += seen.problems()
            outcome.twins = seen.twins
        except Exception as problem:  # a broken fault must not hide what the others find
            outcome.problems.append(f"{type(problem).__name__}: {problem}")
        after = self.load.figures()
        outcome.lost = after.lost() - before.lost()
        outcome.resumed = after.resumed() - before.resumed()
        outcome.resumed_soon = after.resumed_soon() - before.resumed_soon()
        outcome.forgotten = after.event("sessions-forgotten") - before.event("sessions-forgotten")
        if outcome.lost and outcome.resumed_soon < RESUMED_SHARE * outcome.lost:
            outcome.problems.append(f"{outcome.lost - outcome.resumed_soon} of {outcome.lost} were not resumed within 10 s")
        return outcome

    def _heal(self, outcome: Outcome) -> None:
        """Until every process serves, everybody is logged in, and every slot has an owner."""
        for name in list(self.cluster.members):
            self.cluster.wait_ready(name)
        # The figures are those of the last whole second.
        while self.load.figures().seconds < outcome.done_s + 1 and not self.load.is_over():
            time.sleep(0.1)
        if not self.load.wait_for_sessions(self.plan.users, BACK_S):
            there = self.load.figures().sessions
            outcome.problems.append(f"{self.plan.users - there} people are not back after {BACK_S:.0f} s")
        outcome.healed_s = self.now()
        deadline = time.monotonic() + BACK_S
        while self.cluster.slots() < SLOTS and time.monotonic() < deadline:
            time.sleep(0.05)
        outcome.taken_s = self.now()

    def _conclude(self) -> None:
        self.problems += [f"{outcome.kind} {outcome.target}: {problem}" for outcome in self.outcomes for problem in outcome.problems]
        self.problems += self.cluster.panics()
        if self.exit_code not in (0, 1):
            self.problems.append(f"the ledger has something against the run (exit code {self.exit_code})")

    @property
    def _began(self) -> float:
        """The load's start, by our clock."""
        if not hasattr(self, "_began_at"):
            figures = self.load.figures()
            self._began_at = time.time() - figures.seconds
        return self._began_at

    def _sleep_until(self, at_s: float) -> None:
        while self.now() < at_s and not self.load.is_over():
            time.sleep(0.2)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def folder(path: pathlib.Path) -> pathlib.Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
