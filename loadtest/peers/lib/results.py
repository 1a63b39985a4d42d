"""What the rounds gave: values by case, server and figure, with what went wrong."""

from statistics import median

from cases import CASES, Case, Figure, Run

NOT_YET = "not yet"


class Results:
    def __init__(self):
        self.values: dict[tuple[str, str, str], dict[int, float]] = {}  # by case, server, figure; then by round
        self.missing: dict[tuple[str, str], str] = {}  # by case and server: why there are no values
        self.notes: dict[str, int] = {}
        self.spreads: dict[tuple[str, str], dict] = {}  # by case and server: of the last round

    def add(self, case: Case, server: str, round_number: int, run: Run):
        failures = run.failures()
        for name, count in run.offences().items():
            note = f"{case.name}, {server}: {name}"
            self.notes[note] = self.notes.get(note, 0) + count
        of_measure = {name: count for name, count in failures.items() if name.split(".")[0] in (case.measure, *BEFORE)}
        if not run.something_happened():
            reason = ", ".join(f"{name} {count} times" for name, count in sorted(failures.items())) or "nothing was done"
            self.missing[case.name, server] = reason
            return
        for name, count in of_measure.items():
            note = f"{case.name}, {server}: failed, {name}"
            self.notes[note] = self.notes.get(note, 0) + count
        for figure in case.figures:
            self.values.setdefault((case.name, server, figure_key(figure)), {})[round_number] = figure.take(run)
        latencies = run.record["latencies"].get(case.measure, {}).get(case.phase)
        if latencies:
            self.spreads[case.name, server] = latencies

    def fail(self, case: Case, server: str, reason: str):
        self.missing[case.name, server] = reason

    def of(self, case: Case, server: str, figure: Figure) -> dict[int, float]:
        return self.values.get((case.name, server, figure_key(figure)), {})

    def median(self, case: Case, server: str, figure: Figure) -> float | None:
        values = self.of(case, server, figure).values()
        return median(values) if values else None

    def times_better(self, case: Case, peer: str, figure: Figure) -> float | None:
        """How many times better Throng is: the median of the rounds' ratios."""
        ours, theirs = self.of(case, "Throng", figure), self.of(case, peer, figure)
        ratios = [ours[at] / theirs[at] if figure.more_is_better else theirs[at] / ours[at] for at in ours.keys() & theirs.keys() if ours[at] and theirs[at]]
        return median(ratios) if ratios else None

    def behind(self) -> list[tuple[Case, Figure, str, float]]:
        """Where a peer is better."""
        found = []
        for case in CASES:
            for figure in case.figures:
                for peer in ("ejabberd", "Prosody"):
                    ratio = self.times_better(case, peer, figure)
                    if ratio is not None and ratio < 1:
                        found.append((case, figure, peer, ratio))
        return found


# What has to work before anything is measured.
BEFORE = ("connect", "tls", "auth", "bind", "login", "join", "create-node", "subscribe", "slot")


def figure_key(figure: Figure) -> str:
    return f"{figure.name}, {figure.unit}"
