"""docs/measurements/peers.md: the table of ratios, with plots."""

import datetime
import os
import subprocess
from pathlib import Path

import plot
from cases import CASES, Case, Figure
from results import NOT_YET, Results

ORDER = ("floor", "Throng", "ejabberd", "Prosody")


def write(results: Results, rounds: int, out: Path):
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    plots = draw(results, folder)
    out.write_text("\n".join([
        *head(results, rounds), "", *table(results), "", *images(plots, folder.name), "", *notes(results), *method(rounds), ""]))


def head(results: Results, rounds: int) -> list[str]:
    lines = ["# Throng beside ejabberd and Prosody",
             f"Made by `make bench-peers` on {datetime.date.today()}: {version('ejabberd')}, {version('prosody')}, both of Debian; commit {commit()}; "
             f"{os.cpu_count()} cores, which servers and generator share; {rounds} rounds.", ""]
    behind = results.behind()
    if not behind:
        return lines + ["Throng is behind in no column that could be measured."]
    lines.append("**Throng is behind** in these columns:")
    for case, figure, peer, ratio in behind:
        lines.append(f"- {case.name} ({case.about}): {figure.name}, {figure.unit}: {ratio:.2f} times as good as {peer}")
    return lines


def table(results: Results) -> list[str]:
    lines = ["| work | figure | floor | Throng | ejabberd | Prosody | Throng better than ejabberd | than Prosody |",
             "|---|---|---|---|---|---|---|---|"]
    for case in CASES:
        for at, figure in enumerate(case.figures):
            name = f"**{case.name}**: {case.about}" if at == 0 else ""
            cells = [cell(results, case, server, figure) for server in ORDER]
            ratios = [times(results.times_better(case, peer, figure)) for peer in ("ejabberd", "Prosody")]
            lines.append(f"| {name} | {figure.name}, {figure.unit} | {' | '.join(cells + ratios)} |")
    return lines


def cell(results: Results, case: Case, server: str, figure: Figure) -> str:
    value = results.median(case, server, figure)
    if value is not None:
        return f"{value:,.{figure.digits}f}"
    if server == "Throng" and (case.name, server) in results.missing:
        return NOT_YET
    return "–"


def times(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{ratio:.1f}×" if ratio >= 1 else f"**{ratio:.2f}×**"


def draw(results: Results, folder: Path) -> list[tuple[str, str]]:
    """The files that were written, each with what it shows."""
    drawn = []

    def bars(name: str, title: str, wanted, unit: str):
        groups = []
        for case in CASES:
            for figure in filter(wanted, case.figures):
                values = [(server, results.median(case, server, figure)) for server in ORDER]
                found = [(server, value) for server, value in values if value]
                groups += [(case.name, found)] if found else []
        if groups:
            (folder / f"{name}.svg").write_text(plot.bars(title, groups, unit))
            drawn.append((name, title))

    bars("cpu", "CPU time of the server for each delivery", lambda figure: figure.name == "server CPU" and "µs" in figure.unit, "µs")
    bars("memory", "Memory of the server for each idle session", lambda figure: figure.name == "server memory", "bytes")
    bars("logins", "CPU time of the server for each login", lambda figure: figure.unit == "ms a login", "ms")
    for case in CASES:
        spreads = {server: results.spreads[case.name, server] for server in ORDER if (case.name, server) in results.spreads}
        if case.name in ("p2p-open", "logins", "muc", "pubsub") and spreads:
            title = f"Latency of {case.name}: {case.about}"
            (folder / f"latency-{case.name}.svg").write_text(plot.percentiles(title, spreads))
            drawn.append((f"latency-{case.name}", title))
    return drawn


def images(plots: list[tuple[str, str]], folder: str) -> list[str]:
    return [f"![{title}]({folder}/{name}.svg)" for name, title in plots]


def notes(results: Results) -> list[str]:
    lines = [f"- {case}, {server}: {NOT_YET if server == 'Throng' else 'no figures'}: {reason}"
             for (case, server), reason in sorted(results.missing.items())]
    lines += [f"- {note}: {count} in all rounds" for note, count in sorted(results.notes.items())]
    return ["## What has no figures, and what went wrong", *lines, ""] if lines else []


def method(rounds: int) -> list[str]:
    return f"""## Method
`loadtest/peers/bench` starts the servers on addresses of their own, with fresh data and the settings that `loadtest/peers/README.md` states and
explains, and plays the scenarios of `loadtest/peers/scenarios` on them with `throng-load`, in turn: each round has every case on every server, and the order
of servers turns from round to round. A figure is the median of {rounds} rounds; a ratio is the median of the rounds' ratios, and says how many times
better Throng is (cost and latency: theirs by ours; rates: ours by theirs), so that below 1 it is behind. Servers that are not measured are idle meanwhile.

CPU time is user and system time of all of the server's processes (`/proc`), a database's too, over the seconds of the steady phase, by what was delivered in
the same seconds. Memory is the proportional set size before the first login and after the last, by sessions. Latency counts from the time at which a message
was to be sent, not from when it was. The generator runs on the same two cores: rates are what is left beside it, CPU time is not touched by that.
The floor is `throng-load null`: it answers the login and copies each message's bytes to its addressee. "not yet": Throng does not have the feature.
Messages that were lost, doubled or reordered would stand under "what went wrong".""".splitlines()


def version(package: str) -> str:
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout or package


def commit() -> str:
    here = Path(__file__).resolve().parent
    return subprocess.run(["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip() or "unknown"
