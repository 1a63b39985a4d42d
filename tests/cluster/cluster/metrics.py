"""What a process tells Prometheus."""

import urllib.request

PATIENCE_S = 2.0


def ask(url: str) -> dict[str, float]:
    """All metrics by name and labels; none if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return read(answer.read().decode())
    except OSError:
        return {}


def read(text: str) -> dict[str, float]:
    """The text format of Prometheus, and OpenMetrics."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines if name}
