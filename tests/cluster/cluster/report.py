"""What a run has found, for people and for programs."""

import json
import pathlib
from collections import defaultdict

from .load import offences, p99_ms
from .run import CALM_S, Outcome, Run

# During a rolling restart, messages may take so many times as long as in a calm stretch of the same run.
ROLL_P99_MAX = 2.0


def write(run: Run, out: pathlib.Path) -> None:
    """OUT.md and OUT.json."""
    facts = gather(run)
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(facts))


def gather(run: Run) -> dict:
    record, plan = run.load.record, run.plan
    ledger = record.get("ledger", {})
    login_s = plan.users / plan.arrivals * 1.5 + 10
    calm_ms = p99_ms(record, "chat", login_s + 2, login_s + CALM_S)
    rolls = [
        {"p99_ms": p99_ms(record, "chat", outcome.began_s, outcome.healed_s), "calm_ms": calm_ms}
        for outcome in run.outcomes
        if outcome.kind == "roll"
    ]
    return {
        "topology": {role: len(run.cluster.of_role(role)) for role in ("edge", "session", "router")},
        "stores": run.cluster.options.stores,
        "users": plan.users,
        "rate": plan.rate,
        "seconds": plan.seconds,
        "seed": plan.seed,
        "faults": [vars(outcome) for outcome in run.outcomes],
        "kinds": kinds(run.outcomes),
        "offences": offences(record),
        "named": ledger.get("offences", [])[:50],
        "ledger": {key: value for key, value in ledger.items() if isinstance(value, int)},
        "chat_p99_calm_ms": calm_ms,
        "rolls": rolls,
        "cpu_us_per_message": run.costs,
        "problems": run.problems,
    }


def kinds(outcomes: list[Outcome]) -> list[dict]:
    """A row for each kind of fault and role."""
    rows = defaultdict(list)
    for outcome in outcomes:
        rows[(outcome.kind, outcome.target.rsplit("-", 1)[0])].append(outcome)
    return [
        {
            "kind": kind,
            "target": target,
            "times": len(some),
            "lost": sum(outcome.lost for outcome in some),
            "resumed": sum(outcome.resumed for outcome in some),
            "resumed_soon": sum(outcome.resumed_soon for outcome in some),
            "back_s": max(outcome.healed_s - outcome.done_s for outcome in some),
            "taken_s": max(outcome.taken_s - outcome.done_s for outcome in some),
            "presence_s": max(outcome.presence_s for outcome in some),
            "problems": sum(len(outcome.problems) for outcome in some),
        }
        for (kind, target), some in sorted(rows.items())
    ]


def markdown(facts: dict) -> str:
    of = facts["topology"]
    out = [
        f"{len(facts['faults'])} faults in {facts['seconds'] / 60:.0f} minutes (seed {facts['seed']}) on {of['edge']} edges, "
        f"{of['session']} sessions, {of['router']} routers; stores: {facts['stores']}. {facts['users']} people, "
        f"{facts['rate']:g} messages a second.",
        "",
        "| sent | delivered | lost | doubled | reordered | astray | archive ≠ | failed | unknown |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ledger = facts["ledger"]
    columns = ("sent", "delivered", "lost", "doubled", "reordered", "astray", "archive-differences", "failed", "unknown")
    out += ["| " + " | ".join(f"{ledger.get(name, 0):,}" for name in columns) + " |", ""]
    out += [
        "| fault | of | times | connections lost | resumed | within 10 s | all back, at most | slots owned, at most | presence right after that, at most | problems |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in facts["kinds"]:
        share = f"{100 * row['resumed_soon'] / row['lost']:.1f} %" if row["lost"] else "–"
        out.append(
            f"| {row['kind']} | {row['target']} | {row['times']} | {row['lost']:,} | {row['resumed']:,} | {share} "
            f"| {row['back_s']:.1f} s | {row['taken_s']:.1f} s | {row['presence_s']:.1f} s | {row['problems']} |"
        )
    out += ["", f"p99 of a message's way in the calm beginning: {facts['chat_p99_calm_ms']:.0f} ms."]
    if facts["cpu_us_per_message"]:
        costs = ", ".join(f"{name} {value:.0f}" for name, value in sorted(facts["cpu_us_per_message"].items()))
        out += ["", f"CPU time a message there, in microseconds: {costs}.", ""]
    for roll in facts["rolls"]:
        times = roll["p99_ms"] / roll["calm_ms"] if roll["calm_ms"] else 0
        out.append(f"During the rolling restart: {roll['p99_ms']:.0f} ms, {times:.1f} times as long.")
    ratios = sorted(roll["p99_ms"] / roll["calm_ms"] for roll in facts["rolls"] if roll["calm_ms"])
    if len(ratios) > 2:
        out.append(f"The median of {len(ratios)}: {ratios[len(ratios) // 2]:.1f} times; {ROLL_P99_MAX:g} are wanted.")
    if facts["problems"]:
        out += ["", "Problems:", *(f"- {problem}" for problem in facts["problems"][:60])]
    return "\n".join(out) + "\n"
